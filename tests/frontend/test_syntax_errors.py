"""Messages for syntax errors: their exact looks, one file per mistake, several mistakes at once.

`errors/E01*.cnn` are programs with a mistake, `.txt` beside them what is said about it.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from cnndsl.frontend.failure import expectation
from cnndsl.frontend.parse import parse
from cnndsl.support.diagnostics import Diagnostic, DiagnosticError, render_all
from cnndsl.support.source import SourceFile

FOLDER = Path(__file__).parent / "errors"

FILES = sorted(FOLDER.glob("E01*.cnn"))


def mistakes(text: str, name: str = "net.cnn") -> tuple[Diagnostic, ...]:
    with pytest.raises(DiagnosticError) as caught:
        parse(text, name)
    assert caught.value.sources == {name: SourceFile(name, text)}
    return caught.value.diagnostics


def said(text: str, name: str = "net.cnn") -> str:
    return render_all(mistakes(text, name), {name: SourceFile(name, text)})


LOOKS = {
    "a number where a layer belongs": (
        "net.cnn",
        "conv 64 3x3 -> 10 -> softmax\n",
        """
error[E0101]: a chain goes from layer to layer, and `10` is not one
 --> net.cnn:1:16
  |
1 | conv 64 3x3 -> 10 -> softmax
  |                ^^ expected a layer, a block, `(` or `[`
  |
help: for ten output neurons write `fc 10`
""",
    ),
    "call style inside word style": (
        "net.cnn",
        "conv 64 3x3 stride=2 -> relu",
        """
error[E0102]: `=` belongs between parentheses
 --> net.cnn:1:19
  |
1 | conv 64 3x3 stride=2 -> relu
  |                   ^ unexpected here
  |
help: in words:       conv 64 3x3 stride 2
      in parentheses: conv(64, 3x3, stride=2)
""",
    ),
    "a bracket never closed": (
        "slide.cnn",
        "input [28x28x1]\n[(CONV-RELU)*3 - POOL?*2 - FC-10\nsoftmax\n",
        """
error[E0103]: this `[` is never closed
 --> slide.cnn:2:1
  |
2 | [(CONV-RELU)*3 - POOL?*2 - FC-10
  | ^ opened here
3 | softmax
  | ------- still inside it at the end of the file
  |
help: `]` probably belongs before `*2`: [(CONV-RELU)*3 - POOL?]*2
""",
    ),
    "Python in the file": (
        "net.cnn",
        "conv(64, kernel_size=(3,3), activation='relu')\n",
        """
error[E0104]: `(3,3)` is not a value here
 --> net.cnn:1:22
  |
1 | conv(64, kernel_size=(3,3), activation='relu')
  |                      ^^^^^             ------ names need no quotes, and strings are \
"double-quoted"
  |                      sizes are written 3x3
  |
help: conv(64, 3x3, activation=relu)
""",
    ),
    "somebody else's format": (
        "yolo.cnn",
        "[convolutional]\nbatch_normalize=1\nfilters=32\n",
        """
error[E0105]: this is a Darknet .cfg file, not a .cnn file
 --> yolo.cnn:1:1
  |
1 | [convolutional]
  | ^^^^^^^^^^^^^^^ a Darknet section
  |
help: `cnndsl import darknet yolo.cfg` writes the .cnn for it
""",
    ),
    "a label that is not a name": (
        "net.cnn",
        "conv 64 3x3: relu -> maxpool 2x2\n",
        """
error[E0106]: `conv 64 3x3` cannot be a label
 --> net.cnn:1:12
  |
1 | conv 64 3x3: relu -> maxpool 2x2
  | -----------^ what stands before a colon is a name
  |
help: for a sequence write `conv 64 3x3 -> relu`
help: for a name write `c1: conv 64 3x3 relu`
""",
    ),
}


@pytest.mark.parametrize("look", LOOKS)
def test_exact_looks(look: str) -> None:
    name, text, expected = LOOKS[look]
    assert said(text, name) == expected.strip("\n")


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_files_with_a_mistake(path: Path) -> None:
    text = path.read_text("utf-8")
    found = mistakes(text, path.name)
    assert found[0].code == path.stem[:5]
    expected = path.with_suffix(".txt").read_text("utf-8")
    assert said(text, path.name) + "\n" == expected


def test_every_code_of_syntax_has_a_file() -> None:
    assert {path.stem[:5] for path in FILES} == {f"E01{number:02}" for number in range(1, 12)}


# ------------------------------------------------------------------ several at once


def test_several_mistakes_are_found_in_one_run() -> None:
    text = "conv 64 pad=1\nrelu\nblock b(c) {\n  conv c -> 3x3\n  relu )\n}\nfc 10 -> 'x'\n"
    assert [(d.code, d.span.line) for d in mistakes(text) if d.span is not None] == [
        ("E0102", 1),
        ("E0101", 4),
        ("E0108", 5),
        ("E0104", 7),
    ]


def test_a_mistake_in_a_header_leaves_out_its_body() -> None:
    text = "repeat i of 3 {\n  conv 64 -> 3\n}\nfc = 3\n"
    assert [d.code for d in mistakes(text)] == ["E0107", "E0102"]


def test_a_mistake_inside_a_body_leaves_the_rest_of_it() -> None:
    text = "net G { conv 64 -> 3; relu; x = 2 }\nfc 10 -> 4\n"
    assert [d.code for d in mistakes(text)] == ["E0101", "E0102", "E0101"]


def test_at_most_twenty() -> None:
    assert len(mistakes("x = 3\n" * 50)) == 20


def test_each_mistake_is_told_once() -> None:
    found = mistakes("a -> 3 -> 4 -> 5\n")
    assert [d.code for d in found] == ["E0101"]


def test_after_an_unclosed_bracket_nothing_else_is_told() -> None:
    assert [d.code for d in mistakes("x = 3\n(conv 64\nlet y = 2\nz = 4\n")] == ["E0102", "E0103"]


# ------------------------------------------------------------------ one by one


def first(text: str) -> Diagnostic:
    return mistakes(text)[0]


HELPS: dict[str, tuple[str, str, str]] = {
    "a size in a chain": ("a -> 3x3", "E0101", "`conv 64 3x3`"),
    "a string in a chain": ('a -> "x"', "E0101", 'load "vgg16.npz"'),
    "a large number": ("a -> 4096", "E0101", "for 4096 output neurons write `fc 4096`"),
    "blanks around a hyphen": ("conv3 - 64", "E0101", "`conv3-64` is one word"),
    "several settings": ("conv 64 pad=1 same k=3x3", "E0102", "conv(64, pad=1, same, k=3x3)"),
    "a name without let": ("n = 3", "E0102", "write `let n = 3`"),
    "a setting without colon": ("train {\n  lr = 0.1\n}", "E0102", "written `lr: 0.1`"),
    "a power": ("let a = 2 ** 3", "E0104", "`^`"),
    "a for loop with a colon": ("for i in range(3):\n  a", "E0104", "repeat i in 0..3"),
    "a while loop": ("while a < 3 {\n}", "E0104", "`repeat 4 { .. }`"),
    "and": ("assert a && b", "E0104", "`and` joins"),
    "not": ("if !a { b }", "E0104", "`not` negates"),
    "a backslash": ("conv 64 \\\n -> relu", "E0104", "a line goes on by itself"),
    "quotes around words": ("load 'a b'", "E0104", 'write `"a b"`'),
    "a tuple of other things": ("conv(64, k=(a, b))", "E0104", "lists are written [a, b]"),
    "padding of another library": (
        "conv(64, kernel_size=(5, 5), strides=(2, 2), padding='same')",
        "E0104",
        "conv(64, 5x5, stride=2, same)",
    ),
    "an import without quotes": ("import vgg", "E0107", 'import "vgg.cnn" as vgg'),
    "a size without brackets": ("conv 6 5x5 => 28x28x6", "E0107", "=> [28x28x6]"),
    "branches without parentheses": ("a | b", "E0107", "(conv 64 1x1 | maxpool"),
    "arithmetic among words": ("conv 2*n 3x3", "E0107", "`conv(2*n, 3x3)`"),
    "a sum among words": ("a + b", "E0107", "`(a | b) -> add`"),
    "a number with a tail": ("conv 64px", "E0107", "sizes 3x3"),
    "a string over two lines": ('load "a\nb', "E0109", 'close it with `"`'),
    "no arrow": ("(a | b) relu", "E0110", "`(a | b) -> relu`"),
    "a structure word as a label": ("repeat: 5", "E0111", "`repeat1`"),
}


@pytest.mark.parametrize("name", HELPS)
def test_helps(name: str) -> None:
    text, code, words = HELPS[name]
    found = first(text)
    assert found.code == code
    assert any(words in text for text in (*found.helps, found.label)), found


LABELS: dict[str, tuple[str, str, str]] = {
    "the wrong bracket": ("(a - b]", "E0103", "opened here"),
    "a statement inside a bracket": ("(a - b\nlet n = 3\n", "E0103", "opened here"),
    "an arrow inside an index": ("skip[i -> relu", "E0103", "opened here"),
    "a brace never closed": ("net G {\n a\n", "E0103", "opened here"),
    "a body after a colon": ("block b(c):\n  a", "E0104", "expected `{`"),
    "a colon for a value": ("let n: 3", "E0104", "a value is given with `=`"),
    "walrus": ("let n := 3", "E0104", "a value is given with `=`"),
    "a comparison for a value": ("let n == 3", "E0107", "one `=` gives a value"),
    "a value for a comparison": ("assert n = 3", "E0107", "`==` compares"),
    "bounds the wrong way round": ("a where 5 >= K >= 2", "E0107", ""),
    "turns that are no whole number": ("a * 1.5..3", "E0107", ""),
    "a size of fractions": ("[2.5] a", "E0107", "not a whole number"),
    "a size with a stride": ("[7x7/2] a", "E0107", "not a whole number"),
    "the end of the file": ("a ->", "E0107", "expected a layer, a block, `(` or `[` after `->`"),
    "else alone": ("let a = 3 else 4", "E0107", "expected `if` before it"),
    "a net without a name": ("net -> relu", "E0111", "a name belongs here"),
    "a claim that is none": ("x: a 3: 4", "E0106", "what stands before a colon is a name"),
    "a claim without a line": ("x: memory: 4", "E0106", "what stands before a colon is a name"),
    "closing nothing": ("a } b", "E0108", "no `{` is open here"),
    "closing nothing in a body": ("net G { a ) }", "E0108", "no `(` is open here"),
}


@pytest.mark.parametrize("name", LABELS)
def test_labels(name: str) -> None:
    text, code, label = LABELS[name]
    found = first(text)
    assert found.code == code
    assert label in found.label
    assert found.span is not None
    assert 1 <= found.span.line <= text.count("\n") + 1


def test_the_opening_bracket_is_shown_with_what_was_expected() -> None:
    found = first("conv(3 4)")
    assert found.code == "E0107"
    assert "`)`" in found.label
    assert [label.text for label in found.related] == ["opened here"]


FORMATS: dict[str, tuple[str, str]] = {
    "Darknet": ("# yolo\n\n[net]\nbatch=1\n", "a Darknet .cfg file"),
    "Caffe": ('layer {\n  name: "conv1"\n  type: "Convolution"\n}\n', "a Caffe .prototxt file"),
    "Keras": ("from keras.models import Sequential\nmodel = Sequential()\n", "Python"),
    "PyTorch": ("import torch\nclass Net(nn.Module):\n  pass\n", "Python"),
    "a Python function": ("def make(optimizer):\n    model = models.Sequential()\n", "Python"),
    "JSON": ('{\n  "layers": [1, 2]\n}\n', "a JSON file"),
    "a JSON list": ('[{"a": 1}]\n', "a JSON file"),
    "YAML": ("---\nmodel: a\n", "a YAML file"),
    "a YAML list": ("model:\n  - conv: 64\n  - relu: 1\n", "a YAML file"),
    "XML": ("<net>\n</net>\n", "an XML file"),
    "ONNX text": ("<\n  ir_version: 7\n>\n", "an ONNX model in text form"),
}


@pytest.mark.parametrize("name", FORMATS)
def test_formats_of_other_tools(name: str) -> None:
    text, kind = FORMATS[name]
    (found,) = mistakes(text)
    assert found.code == "E0105"
    assert found.message == f"this is {kind}, not a .cnn file"
    assert found.helps
    assert found.span is not None


@pytest.mark.parametrize(
    "text",
    [
        "[net]\nx = 3\n",
        'block layer { conv 3 3x3 }\nx = "a"\n',
        "from e4 - conv 64 -> 3\n",
        "class: fc 10 -> 3\n",
        "- a\n",
    ],
)
def test_mistakes_that_only_look_foreign(text: str) -> None:
    assert "E0105" not in [d.code for d in mistakes(text)] or text.startswith("[net]")


WANTED: tuple[tuple[Callable[[], frozenset[str]], str], ...] = (
    (lambda: frozenset({"NAME", "SIZED", "LPAR", "LSQB"}), "a layer, a block, `(` or `[`"),
    (lambda: frozenset({"NAME", "NUMBER", "DIMS", "STRING", "LPAR", "NOT"}), "a value"),
    (lambda: frozenset({"RPAR", "COMMA"}), "`)` or `,`"),
    (lambda: frozenset({"LBRACE"}), "`{`"),
    (lambda: frozenset(), ""),
)


@pytest.mark.parametrize(("expected", "words"), WANTED)
def test_expectations(expected: Callable[[], frozenset[str]], words: str) -> None:
    assert expectation(expected()) == words
