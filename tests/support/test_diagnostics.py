"""The renderer: exactly the looks that the language's description promises."""

from __future__ import annotations

import pytest

from cnndsl.support.codes import CODES
from cnndsl.support.diagnostics import (
    DiagnosticError,
    Label,
    error,
    note,
    printable,
    render,
    render_all,
)
from cnndsl.support.source import SourceFile, Span


class Page:
    """A source of which some lines are known, and spans in it."""

    def __init__(self, name: str, lines: dict[int, str]) -> None:
        text = "\n".join(lines.get(number, "") for number in range(1, max(lines) + 1))
        self.file = SourceFile(name, text)
        self.sources = {name: self.file}

    def at(self, line: int, needle: str, occurrence: int = 1) -> Span:
        column = 0
        for _ in range(occurrence):
            column = self.file.line(line).index(needle, column) + 1
        return Span(self.file.name, line, column, line, column + len(needle))


def check(rendered: str, expected: str) -> None:
    assert rendered == expected.strip("\n")


def test_clause_and_window() -> None:
    page = Page("toy.cnn", {2: "conv 10 3x3 stride 3"})
    found = error(
        "E0301",
        "a 3x3 window at stride 3 does not fit a 7x7 image",
        page.at(2, "stride 3"),
        label="(7 - 3)/3 + 1 = 2.33 is not an integer",
        related=(Label(page.at(2, "3x3")),),
        notes=("the input here is [7x7x3], from line 1",),
        helps=("`stride 2` fits: (7 - 3)/2 + 1 = 3", "`pad 1` fits: (7 - 3 + 2*1)/3 + 1 = 3"),
    )
    check(
        render(found, page.sources),
        """
error[E0301]: a 3x3 window at stride 3 does not fit a 7x7 image
 --> toy.cnn:2:13
  |
2 | conv 10 3x3 stride 3
  |         --- ^^^^^^^^ (7 - 3)/3 + 1 = 2.33 is not an integer
  |
  = the input here is [7x7x3], from line 1
help: `stride 2` fits: (7 - 3)/2 + 1 = 3
help: `pad 1` fits: (7 - 3 + 2*1)/3 + 1 = 3
""",
    )


def test_label_far_behind_the_caret_and_a_derivation() -> None:
    page = Page("alexnet.cnn", {4: "[27x27x256]  CONV2:     256 5x5 filters at stride 1, pad 2"})
    found = error(
        "E0302",
        "CONV2 makes [25x25x256], not the [27x27x256] written here",
        page.at(4, "[27x27x256]"),
        related=(Label(page.at(4, "pad 2"), "(27 - 5 + 2*1)/1 + 1 = 25"),),
        notes=(
            "how the size came about:\n"
            "  [227x227x3]   INPUT                line 1\n"
            "  [55x55x96]    CONV1       11x11/4  line 2   (227 - 11)/4 + 1 = 55",
        ),
        helps=("`pad 2` makes it [27x27x256]",),
    )
    check(
        render(found, page.sources),
        """
error[E0302]: CONV2 makes [25x25x256], not the [27x27x256] written here
 --> alexnet.cnn:4:1
  |
4 | [27x27x256]  CONV2:     256 5x5 filters at stride 1, pad 2
  | ^^^^^^^^^^^                                          ----- (27 - 5 + 2*1)/1 + 1 = 25
  |
  = how the size came about:
      [227x227x3]   INPUT                line 1
      [55x55x96]    CONV1       11x11/4  line 2   (227 - 11)/4 + 1 = 55
help: `pad 2` makes it [27x27x256]
""",
    )


def test_labels_hang_below_one_another() -> None:
    page = Page("resnet.cnn", {2: "  (conv c 1x1 -> relu -> conv(4*c, 1x1) | id) -> add -> relu"})
    found = error(
        "E0303",
        "`add` was given [56x56x256] and [56x56x64]",
        page.at(2, "add"),
        label="these must have one shape",
        related=(
            Label(page.at(2, "conv(4*c, 1x1)"), "[56x56x256]"),
            Label(page.at(2, "id"), "[56x56x64]"),
        ),
        notes=("in `bottleneck(64)`, used at line 5, where c = 64",),
        helps=("project the shortcut: replace `id` by `conv(4*c, 1x1)`",),
    )
    check(
        render(found, page.sources),
        """
error[E0303]: `add` was given [56x56x256] and [56x56x64]
 --> resnet.cnn:2:50
  |
2 |   (conv c 1x1 -> relu -> conv(4*c, 1x1) | id) -> add -> relu
  |                          --------------   --     ^^^ these must have one shape
  |                          |                [56x56x64]
  |                          [56x56x256]
  |
  = in `bottleneck(64)`, used at line 5, where c = 64
help: project the shortcut: replace `id` by `conv(4*c, 1x1)`
""",
    )


def test_two_lines_and_a_note_of_two_lines() -> None:
    page = Page(
        "unet.cnn",
        {
            2: "repeat i in 0..2 { conv 64 3x3 half -> relu as e[i] -> maxpool 2x2/2 floor }",
            3: "upsample 2 -> concat e[2]",
        },
    )
    found = error(
        "E0304",
        "`concat` was given 24x24 and 25x25",
        page.at(3, "concat e[2]"),
        label="heights and widths must agree",
        related=(Label(page.at(2, "floor"), "25 was rounded down to 12 here"),),
        notes=(
            "this side:  [24x24x64] = upsample 2 of [12x12x64]\n"
            "e[2]:       [25x25x64], from line 2 with i = 2",
            "100 -> 50 -> 25 -> 12: three halvings need an input divisible by 8",
        ),
        helps=("make the input 96x96 or 104x104", "or crop the larger side: `concat e[2] crop`"),
    )
    check(
        render(found, page.sources),
        """
error[E0304]: `concat` was given 24x24 and 25x25
 --> unet.cnn:3:15
  |
2 | repeat i in 0..2 { conv 64 3x3 half -> relu as e[i] -> maxpool 2x2/2 floor }
  |                                                                      ----- 25 was rounded \
down to 12 here
3 | upsample 2 -> concat e[2]
  |               ^^^^^^^^^^^ heights and widths must agree
  |
  = this side:  [24x24x64] = upsample 2 of [12x12x64]
    e[2]:       [25x25x64], from line 2 with i = 2
  = 100 -> 50 -> 25 -> 12: three halvings need an input divisible by 8
help: make the input 96x96 or 104x104
help: or crop the larger side: `concat e[2] crop`
""",
    )


def test_related_before_the_caret_with_a_hanging_label() -> None:
    page = Page("inception.cnn", {2: "(conv 64 1x1 | conv 96 1x1 -> conv 128 3x3 half) -> relu"})
    group = Span("inception.cnn", 2, 1, 2, 49)
    found = error(
        "E0401",
        "`relu` takes one stream and was given two",
        page.at(2, "relu"),
        label="two streams arrive here",
        related=(Label(group, "[28x28x64] and [28x28x128]"),),
    )
    check(
        render(found, page.sources),
        """
error[E0401]: `relu` takes one stream and was given two
 --> inception.cnn:2:53
  |
2 | (conv 64 1x1 | conv 96 1x1 -> conv 128 3x3 half) -> relu
  | ------------------------------------------------    ^^^^ two streams arrive here
  | [28x28x64] and [28x28x128]
  |
""",
    )


def test_the_caret_hangs_when_another_label_follows() -> None:
    page = Page("gan.cnn", {5: "  update D minimize l1(G(z), x)"})
    found = error(
        "E0702",
        "this loss does not depend on D, so updating D does nothing",
        page.at(5, "D"),
        label="to be updated",
        related=(Label(page.at(5, "l1(G(z), x)"), "uses G only"),),
        helps=("did you mean `bce(D(x), 1) + bce(D(G(z)), 0)`?",),
    )
    check(
        render(found, page.sources),
        """
error[E0702]: this loss does not depend on D, so updating D does nothing
 --> gan.cnn:5:10
  |
5 |   update D minimize l1(G(z), x)
  |          ^          ----------- uses G only
  |          to be updated
  |
help: did you mean `bce(D(x), 1) + bce(D(G(z)), 0)`?
""",
    )


def test_a_note_with_three_carets() -> None:
    page = Page("slide.cnn", {1: "[(CONV-RELU)*N-POOL?]*M-(FC-RELU)*K, SOFTMAX"})
    found = note(
        "N0001",
        "N, M and K are free here: using N = 2, M = 3, K = 1",
        page.at(1, "N", 2),
        related=(Label(page.at(1, "M"), caret=True), Label(page.at(1, "K"), caret=True)),
        helps=("choose with `-p N=3`, or write `where N in 1..5 = 2`",),
    )
    check(
        render(found, page.sources),
        """
note[N0001]: N, M and K are free here: using N = 2, M = 3, K = 1
 --> slide.cnn:1:14
  |
1 | [(CONV-RELU)*N-POOL?]*M-(FC-RELU)*K, SOFTMAX
  |              ^        ^           ^
  |
help: choose with `-p N=3`, or write `where N in 1..5 = 2`
""",
    )


def test_several_files_and_line_numbers_of_several_digits() -> None:
    here = Page("a.cnn", {8: "x", 12: "from b"})
    there = Page("b.cnn", {3: "net b { }"})
    found = error(
        "E0202",
        "no stream",
        here.at(12, "b"),
        related=(Label(here.at(8, "x"), "near"), Label(there.at(3, "b"), "defined here")),
    )
    check(
        render(found, here.sources | there.sources),
        """
error[E0202]: no stream
  --> a.cnn:12:6
   |
 8 | x
   | - near
   | ...
12 | from b
   |      ^
   |
  ::: b.cnn:3:5
   |
 3 | net b { }
   |     - defined here
   |
""",
    )


def test_without_a_source_the_place_alone_is_shown() -> None:
    span = Span("gone.cnn", 3, 4, 3, 5)
    assert render(error("E0107", "what is this", span), {}) == (
        "error[E0107]: what is this\n --> gone.cnn:3:4"
    )
    assert render(error("E0610", "no file", helps=("a\nb",), notes=("c\nd",)), {}) == (
        "error[E0610]: no file\n  = c\n    d\nhelp: a\n      b"
    )


def test_source_is_shown_without_what_could_drive_a_terminal() -> None:
    page = Page("evil.cnn", {1: "a \x1b[31m \u202e b"})
    shown = render(error("E0107", "bad \x07", page.at(1, "b")), page.sources)
    assert "\\x1b[31m \\u202e b" in shown
    assert "bad \\x07" in shown
    assert "\x1b" not in shown
    line, carets = shown.splitlines()[3:5]
    assert line.index("b", 20) == carets.index("^")


def test_tabs_and_wide_characters_keep_the_caret_in_place() -> None:
    page = Page("tab.cnn", {1: "\tconv # 卷积", 2: '"卷积" b'})
    lines = render(error("E0107", "x", page.at(1, "conv")), page.sources).splitlines()
    assert lines[3] == "1 |     conv # 卷积"
    assert lines[4] == "  |     ^^^^"
    lines = render(error("E0107", "x", page.at(2, "b")), page.sources).splitlines()
    assert lines[4] == "  |        ^"


def test_a_very_long_line_is_shown_around_the_place() -> None:
    page = Page("long.cnn", {1: "a" * 5000 + "!" + "b" * 5000})
    lines = render(error("E0107", "x", page.at(1, "!")), page.sources).splitlines()
    assert len(lines[3]) <= 4 + 160
    assert lines[3].index("!") == lines[4].index("^")


def test_a_span_over_several_lines_is_marked_on_its_first() -> None:
    page = Page("two.cnn", {1: "net G {", 2: "}"})
    lines = render(error("E0107", "x", Span("two.cnn", 1, 5, 2, 2)), page.sources).splitlines()
    assert lines[4] == "  |     ^^^"


def test_errors_carry_their_text() -> None:
    page = Page("net.cnn", {1: "fc 10 stride 2"})
    one = error("E0204", "`fc` has no `stride`", page.at(1, "stride 2"))
    two = error("E0107", "another")
    problem = DiagnosticError(one, two, sources=page.sources)
    assert problem.diagnostics == (one, two)
    assert str(problem) == render_all([one, two], page.sources)
    assert str(problem).count("\n\nerror[E0107]: another") == 1
    assert problem.args == ("error[E0204]: `fc` has no `stride`", "error[E0107]: another")


@pytest.mark.parametrize(("text", "shown"), [("a\nb", "a\\nb"), ("é", "é"), ("\u2066", "\\u2066")])
def test_printable(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_every_code_has_a_title_and_a_range() -> None:
    for code, title in CODES.items():
        assert len(code) == 5
        assert code[0] in "ENW"
        assert code[1:].isdigit()
        assert title
        assert title[0].islower() or title[0] in "`\"'" or title[:1].isupper()
