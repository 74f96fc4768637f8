"""From text to tree: values, words, chains, statements, spans, comments, limits, hostile files."""

from __future__ import annotations

import os
import random
import threading
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cnndsl.frontend import ast
from cnndsl.frontend.parse import check_nesting, parse, parse_file
from cnndsl.support.codes import CODES
from cnndsl.support.diagnostics import Diagnostic, DiagnosticError
from cnndsl.support.limits import DEFAULT_LIMITS
from cnndsl.support.source import SourceFile, Span
from tests.frontend.programs import EXAMPLES, programs

HERE = Span("<text>", 1, 1, 1, 1)


def name(text: str) -> ast.Name:
    return ast.Name(text, span=HERE)


def number(value: float, text: str | None = None) -> ast.Number:
    return ast.Number(value, str(value) if text is None else text, span=HERE)


def value(text: str) -> ast.Expr:
    (statement,) = parse(f"let a = {text}").statements
    assert isinstance(statement, ast.Let)
    return statement.value


def line(text: str) -> ast.Line:
    (statement,) = parse(text).statements
    assert isinstance(statement, ast.Line)
    return statement


def element(text: str) -> ast.Element:
    return line(text).chain.parts[0].element


def words(text: str) -> tuple[ast.Word, ...]:
    found = element(text)
    assert isinstance(found, ast.Words)
    return found.items


def outcome(text: str) -> tuple[Diagnostic, ...]:
    """Parse; nothing for a program, or its diagnostics, which must have a text."""
    try:
        program = parse(text)
    except DiagnosticError as problem:
        found, shown = problem.diagnostics, str(problem)
    else:
        assert isinstance(program, ast.Program)
        return ()
    assert found
    assert all(d.code in CODES and f"[{d.code}]" in shown for d in found)
    return found


def codes(text: str) -> list[str]:
    with pytest.raises(DiagnosticError) as caught:
        parse(text)
    return [d.code for d in caught.value.diagnostics]


# ------------------------------------------------------------------ values


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("64", 64),
        ("1_000", 1000),
        ("0.5", 0.5),
        ("5e-4", 5e-4),
        ("1E3", 1000.0),
        ("40%", 0.4),
        ("0.1%", 0.001),
        ("100%", 1.0),
        ("35K", 35_000),
        ("3.2M", 3_200_000),
        ("7M", 7_000_000),
        ("1.0001K", 1000.1),
        ("93MB", 93_000_000),
        ("2KiB", 2048),
        ("1.5MiB", 1_572_864),
        ("4GB", 4_000_000_000),
        ("1TiB", 2**40),
        ("12B", 12),
        ("007", 7),
        ("1e3K", 1e6),
    ],
)
def test_numbers(text: str, expected: float) -> None:
    found = value(text)
    assert found == ast.Number(expected, text, span=HERE)
    assert isinstance(found, ast.Number)
    assert type(found.value) is type(expected)


@pytest.mark.parametrize(
    ("text", "dims", "stride"),
    [
        ("3x3", (3, 3), None),
        ("7X7/2", (7, 7), 2),
        ("5×5", (5, 5), None),
        ("227x227x3", (227, 227, 3), None),
        ("?x28x28x81", (None, 28, 28, 81), None),
        ("7x7x?", (7, 7, None), None),
    ],
)
def test_sizes(text: str, dims: tuple[int | None, ...], stride: int | None) -> None:
    assert value(text) == ast.Size(dims, stride, span=HERE)


def test_other_leaves() -> None:
    assert value('"a # b // c"') == ast.String("a # b // c", span=HERE)
    assert value("true") == ast.Boolean(True, span=HERE)
    assert value("True") == name("True")
    assert value("soft-max") == name("soft-max")


def arith(sign: str, left: ast.Expr, right: ast.Expr) -> ast.Arith:
    return ast.Arith(sign, left, right, span=HERE)


def test_expressions() -> None:
    a, b, c = name("a"), name("b"), name("c")
    assert value("a + b × c") == arith("+", a, arith("*", b, c))
    assert value("a - b − c") == arith("-", arith("-", a, b), c)
    assert value("a ^ b ^ c") == arith("^", a, arith("^", b, c))
    assert value("-a ^ b") == ast.Minus(arith("^", a, b), span=HERE)
    assert value("a < b ≤ c") == ast.Compare((a, b, c), ("<", "<="), span=HERE)
    assert value("a or b and not c") == ast.Logic(
        "or", (a, ast.Logic("and", (b, ast.Not(c, span=HERE)), span=HERE)), span=HERE
    )
    assert value("a if b else c") == ast.Choose(a, b, c, span=HERE)
    assert value("a in b..c by -1") == ast.Member(
        a, ast.Interval(b, c, ast.Minus(number(1), span=HERE), span=HERE), span=HERE
    )
    assert value("a.b[c](a, b=c,)") == ast.Apply(
        ast.Index(ast.Attr(a, b, span=HERE), c, span=HERE),
        (ast.Argument(None, a, span=HERE), ast.Argument(b, c, span=HERE)),
        span=HERE,
    )
    assert value("[]") == ast.ListExpr((), span=HERE)
    assert value("[a, b,]") == ast.ListExpr((a, b), span=HERE)
    assert value("[1: a, 2: b]") == ast.MapExpr(((number(1), a), (number(2), b)), span=HERE)
    assert value("(a)") == a


def test_a_product_is_not_a_comment_and_a_division_is_not_a_stride() -> None:
    assert value("3x3 / 2") == ast.Arith("/", ast.Size((3, 3), span=HERE), number(2), span=HERE)
    assert value("7 // 2\n") == number(7)


# ------------------------------------------------------------------ words and chains


def test_words() -> None:
    assert words("conv 96 11x11 filters at stride 4") == (
        name("conv"),
        number(96),
        ast.Size((11, 11), span=HERE),
        name("filters"),
        name("at"),
        name("stride"),
        number(4),
    )
    assert words("conv3-64") == (ast.Sized("conv3", 64, span=HERE),)
    assert words("max-pool 2x2") == (name("max-pool"), ast.Size((2, 2), span=HERE))
    assert words("fc 10 (class scores)")[-1] == ast.Remark("(class scores)", span=HERE)
    assert words("freeze a.b..CONV3")[1] == ast.Through(
        ast.Dotted((name("a"), name("b")), span=HERE), name("CONV3"), span=HERE
    )
    assert words("CONV2..12") == (ast.Through(name("CONV2"), number(12), span=HERE),)
    assert words("let_it in by and") == tuple(map(name, ("let_it", "in", "by", "and")))


def test_what_stands_in_brackets_after_a_name() -> None:
    shape = ast.ShapeLiteral((224, 224, 3), span=HERE)
    assert words("input [224x224x3]") == (ast.Indexed(name("input"), shape, span=HERE),)
    assert words("input [224 x 224 x 3]") == words("input [224x224x3]")
    free = ast.ShapeLiteral(("H", "W", 3), span=HERE)
    assert words("input [H x W x 3]") == (ast.Indexed(name("input"), free, span=HERE),)
    assert words("skip[i]") == (ast.Indexed(name("skip"), (name("i"),), span=HERE),)
    assert words("x[1]") == (ast.Indexed(name("x"), (number(1),), span=HERE),)
    assert words("x[3x3/2]") == (
        ast.Indexed(name("x"), (ast.Size((3, 3), 2, span=HERE),), span=HERE),
    )


def test_chains_and_joints() -> None:
    chain = line("a - b -> c, d – e → f").chain
    assert chain.joints == ("-", "->", ",", "-", "->")
    assert [part.element for part in chain.parts] == [
        ast.Words((name(text),), span=HERE) for text in "abcdef"
    ]


def test_groups() -> None:
    group = element("[a - b]")
    assert isinstance(group, ast.Bracket)
    both = element("(x: a | b)")
    assert isinstance(both, ast.Parallel)
    assert both.branches[0].label == ast.Words((name("x"),), span=HERE)
    assert both.branches[1].label is None
    section = element("concat { a; b }")
    assert isinstance(section, ast.Section)
    assert len(section.body.statements) == 2


def test_postfixes() -> None:
    found = line("a*3? * N *(n-1) ^*1..5 if x and not y in 1..6 as c[i] => [7 x N] (a b)")
    postfixes = found.chain.parts[0].postfixes
    assert postfixes[0] == ast.Times(number(3), span=HERE)
    assert postfixes[1] == ast.Maybe(span=HERE)
    assert postfixes[2] == ast.Times(name("N"), span=HERE)
    assert postfixes[3] == ast.Times(ast.Arith("-", name("n"), number(1), span=HERE), span=HERE)
    assert postfixes[4] == ast.Times(ast.CountRange(1, 5, span=HERE), span=HERE)
    assert isinstance(postfixes[5], ast.When)
    assert postfixes[6] == ast.Alias(ast.Indexed(name("c"), (name("i"),), span=HERE), span=HERE)
    shape = ast.ShapeLiteral((7, "N"), span=HERE)
    assert postfixes[7] == ast.Expects(shape, ast.Remark("(a b)", span=HERE), span=HERE)


def test_a_condition_leaves_arithmetic_to_the_chain() -> None:
    chain = line("pool if n - relu").chain
    assert len(chain.parts) == 2
    assert chain.parts[0].postfixes == (ast.When(name("n"), span=HERE),)


@pytest.mark.parametrize(
    ("text", "dims"),
    [
        ("[55x55x96] a", (55, 55, 96)),
        ("[4096] a", (4096,)),
        ("[H x W x 3] a", ("H", "W", 3)),
        ("[7 x 7 x ?] a", (7, 7, None)),
    ],
)
def test_a_size_before_a_line(text: str, dims: tuple[int | str | None, ...]) -> None:
    assert line(text).shape == ast.ShapeLiteral(dims, span=HERE)


def test_a_remark_is_none_where_a_group_belongs() -> None:
    assert isinstance(line("[10] (conv relu)").chain.parts[0].element, ast.Parallel)
    spec = line("A: [10] (class scores)").chain.parts[0].element
    assert isinstance(spec, ast.Words)
    assert spec.items[1] == ast.Remark("(class scores)", span=HERE)


def test_claims_take_their_first_key_from_the_chain() -> None:
    found = line("CONV3-64: [224x224x64] memory: 224*224*64=3.2M params: 64 = 1,728 (a b)")
    assert found.label == ast.Words((ast.Sized("CONV3", 64, span=HERE),), span=HERE)
    (part,) = found.chain.parts
    assert part.element == ast.Words((ast.ShapeLiteral((224, 224, 64), span=HERE),), span=HERE)
    memory, params = found.claims
    assert memory.key == name("memory")
    assert memory.rounded == number(3_200_000, "3.2M")
    assert params == ast.Claim(
        name("params"),
        number(64),
        number(1728, "1,728"),
        ast.Remark("(a b)", span=HERE),
        span=HERE,
    )


# ------------------------------------------------------------------ statements


def test_bindings() -> None:
    (param,) = parse("param a = 1, b in [1, 2], c in 1..5 = 2").statements
    assert isinstance(param, ast.Param)
    assert [b.name.text for b in param.bindings] == ["a", "b", "c"]
    assert [b.default is None for b in param.bindings] == [False, True, False]
    where = line("a * K where 0 <= K ≤ 2").where
    ends = ast.Interval(number(0), number(2), span=HERE)
    assert where == (ast.Binding(name("K"), ends, span=HERE),)


def test_definitions() -> None:
    block, net, binding = parse(
        "block b(c, k=3x3, n in 1..4 = 2,) { conv c k }\nnet g { }\nnet t = vgg(v=D) until x"
    ).statements
    assert isinstance(block, ast.Block)
    assert [formal.name.text for formal in block.formals] == ["c", "k", "n"]
    assert net == ast.Net(name("g"), (), ast.Body((), span=HERE), span=HERE)
    assert isinstance(binding, ast.NetBinding)


def test_repeat_and_if() -> None:
    repeat, counted, choice = parse(
        "repeat i in 0..3 { a } => [7x7x512]\nrepeat 5 { a }\n"
        "if a { b }\nelse if c { d }\nelse { e }"
    ).statements
    assert isinstance(repeat, ast.Repeat)
    assert repeat.variable == name("i")
    assert repeat.expects == ast.ShapeLiteral((7, 7, 512), span=HERE)
    assert isinstance(counted, ast.Repeat)
    assert counted.variable is None
    assert counted.range == number(5)
    assert isinstance(choice, ast.If)
    assert isinstance(choice.other, ast.If)
    assert isinstance(choice.other.other, ast.Body)


def test_other_statements() -> None:
    load, check, update, loss = parse(
        'import "a.cnn" as a\nassert a == 1 : "so"\nupdate G and F minimize a\nminimize b'
    ).statements
    assert load == ast.Import(ast.String("a.cnn", span=HERE), name("a"), span=HERE)
    assert isinstance(check, ast.Assert)
    assert check.message == ast.String("so", span=HERE)
    assert isinstance(update, ast.Objective)
    assert update.words is not None
    assert len(update.words.items) == 4
    assert isinstance(loss, ast.Objective)
    assert loss.words is None


@pytest.mark.parametrize(
    "text",
    [
        "conv 64 3x3\n  -> relu",
        "conv 64 3x3 ->\n\n  relu",
        "conv 64 3x3   # remark\n  # another\n  - relu",
        "(conv 64 3x3\n)\n-> relu",
        "conv 64 3x3\r\n  -> relu\r\n",
        "\ufeffconv 64\u00a03x3 -> relu;",
        "[conv 64\n 3x3] -> relu",
    ],
)
def test_where_lines_end(text: str) -> None:
    assert len(line(text).chain.parts) == 2


def test_a_dash_before_a_number_does_not_continue_a_line() -> None:
    assert codes("conv 64\n-1") == ["E0107"]


def test_empty_programs() -> None:
    for text in ("", "\n", "  \t", "# only a remark", ";;\n;", "\ufeff"):
        assert parse(text).statements == ()


# ------------------------------------------------------------------ spans and comments


def test_spans_cover_the_text_of_their_nodes() -> None:
    text = "[55x55x96] CONV1: 96 11x11 filters,\n  (a | b(c, 1)) * 2 => [1x1x1]  # end\n"
    program = parse(text, "net.cnn")
    found = program.statements[0]
    assert isinstance(found, ast.Line)
    cut = program.source.cut
    assert cut(found.span) == text.partition("  # end")[0]
    assert found.label is not None
    assert cut(found.label.span) == "CONV1"
    first, second = found.chain.parts
    assert cut(first.element.span) == "96 11x11 filters"
    assert cut(second.element.span) == "(a | b(c, 1))"
    assert cut(second.postfixes[0].span) == "* 2"
    assert cut(second.postfixes[1].span) == "=> [1x1x1]"
    assert {statement.span.file for statement in program.statements} == {"net.cnn"}


@settings(max_examples=50)
@given(programs())
def test_spans_of_parts_lie_inside_the_whole(text: str) -> None:
    program = parse(text)
    waiting: list[tuple[object, Span]] = [(s, program.span) for s in program.statements]
    while waiting:
        node, outer = waiting.pop()
        if isinstance(node, tuple):
            waiting.extend((item, outer) for item in node)
        elif isinstance(node, ast.Syntax):
            span = node.span
            assert (span.line, span.column) <= (span.end_line, span.end_column)
            assert (outer.line, outer.column) <= (span.line, span.column)
            assert (span.end_line, span.end_column) <= (outer.end_line, outer.end_column)
            waiting.extend((getattr(node, f.name), span) for f in fields(node) if f.compare)


def test_comments_are_kept() -> None:
    program = parse('# one\nload "x # no" // two \n  a # three\n(b # four\n)')
    assert [c.text for c in program.comments] == ["# one", "// two", "# three", "# four"]
    for comment in program.comments:
        assert program.source.cut(comment.span) == comment.text


def test_comparison_ignores_layout() -> None:
    assert parse("conv 64 3x3 - relu") == parse("\n conv 64 3x3\n - relu # why")
    assert parse("conv 64 3x3 - relu") != parse("conv 64 3x3 -> relu")


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_examples_parse(path: Path) -> None:
    program = parse_file(path)
    assert program.statements
    assert program.source.name == str(path)


def test_there_are_all_examples() -> None:
    assert len(EXAMPLES) == 26


# ------------------------------------------------------------------ limits


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("(" * 100_000, "E0615"),
        ("[" * 101 + "a" + "]" * 101, "E0615"),
        ("{" * 3, "E0107"),
        ("let a = " + "- " * 300 + "1", "E0615"),
        ("let a = " + "not " * 5000 + "a", "E0615"),
        ("let a = " + "1 + " * 5000 + "1", "E0615"),
        ("let a = " + "a if b else " * 300 + "c", "E0615"),
        ("let a = b" + "[0]" * 300, "E0615"),
        ("if a {} else " * 300 + "{}", "E0615"),
        ("let a = " + "1" * 19, "E0616"),
        ("let a = 0." + "1" * 18, "E0616"),
        ("let a = 1e999", "E0616"),
        ("conv " + "1" * 19 + "x3", "E0616"),
        ("conv3-" + "1" * 19, "E0616"),
        ("a" * 256, "E0616"),
        ("a" * 256 + "-3", "E0616"),
        ('load "' + "a" * 4097 + '"', "E0616"),
        ("a\0b", "E0612"),
        ("a \u202e b", "E0612"),
        ('load "\u2066"', "E0612"),
        ("\ud800", "E0612"),
        ("#" * (1 << 20) + "#", "E0611"),
        ("# " + "é" * (1 << 19), "E0611"),
    ],
)
def test_limits(text: str, code: str) -> None:
    assert codes(text)[0] == code


def test_what_is_just_inside_the_limits() -> None:
    parse("[" * 100 + "a" + "]" * 100)
    parse("let a = " + "1" * 18)
    parse("a" * 255)
    parse('load "' + "a" * 4096 + '"')
    parse("# \u202e a remark may hold any letters\na")
    parse("let a = " + "-" * 198 + "1")


def test_limits_can_be_replaced() -> None:
    small = replace(DEFAULT_LIMITS, tokens=3)
    with pytest.raises(DiagnosticError, match="over 3 words and signs"):
        parse("a - b - c", limits=small)
    parse("a - b - c")
    with pytest.raises(DiagnosticError, match="over 2 deep"):
        check_nesting(
            parse("let a = 1 + 2 + 3").statements, limits=replace(DEFAULT_LIMITS, nesting=2)
        )


@pytest.mark.parametrize(
    "text",
    [
        " " * 1_000_000,
        "#" * 1_000_000,
        "\n" * 1_000_000,
        "# a\n" * 250_000 + "->",
        "1" * 1_000_000,
        "1x" * 500_000,
        "a-1-" * 250_000,
        '"' * 1_000_000,
        '"a' * 500_000,
        "(a " * 300_000,
        "(" + "a " * 90_000,
        "x" * 1_000_000,
        "1,234" * 200_000,
        "'" * 1_000_000,
        "[1" * 300_000,
        "\n-" * 400_000,
    ],
    ids=lambda text: repr(text[:8]),
)
def test_a_megabyte_of_anything_ends(text: str) -> None:
    assert len(outcome(text)) <= DEFAULT_LIMITS.messages


# ------------------------------------------------------------------ files


def test_a_file_is_called_as_it_was_given(tmp_path: Path) -> None:
    path = tmp_path / "net.cnn"
    path.write_bytes(b"\xef\xbb\xbfconv 64 3x3\n")
    program = parse_file(path)
    assert program.source == SourceFile(str(path), "conv 64 3x3\n")
    assert parse_file(path, name="shown.cnn").source.name == "shown.cnn"
    assert program.statements[0].span == Span(str(path), 1, 1, 1, 12)


def _file(folder: Path, data: bytes) -> Path:
    path = folder / "x.cnn"
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    ("data", "code", "said"),
    [
        (b"conv \xff 3", "E0612", "byte 5 is 0xff"),
        (b"a\nb\0", "E0612", "a zero byte at byte 3"),
        ("conv".encode("utf-16"), "E0612", "UTF-16"),
        (b" " * ((1 << 20) + 1), "E0611", "1,048,577 bytes; the limit is 1,048,576"),
        (b"\x08\x07\x12\x07pytorch\x1a\x03", "E0105", "an ONNX model"),
        (b"\x89HDF\r\n\x1a\n\x00", "E0105", "an HDF5 file"),
        (b"PK\x03\x04\x14\x00", "E0105", "a zip archive"),
        (b"\x80\x02}q\x00.", "E0105", "a Python pickle"),
        (b'\x40\0\0\0\0\0\0\0{"a":1}', "E0105", "a safetensors file"),
    ],
)
def test_files_that_are_no_programs(data: bytes, code: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(DiagnosticError) as caught:
        parse_file(_file(tmp_path, data), name="x.cnn")
    (found,) = caught.value.diagnostics
    assert found.code == code
    assert said in found.message


def test_folders_pipes_and_missing_files(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.cnn"
    os.mkfifo(pipe)
    for path, code in (
        (tmp_path, "E0613"),
        (pipe, "E0613"),
        (Path("/dev/null"), "E0613"),
        (tmp_path / "none.cnn", "E0610"),
        (tmp_path / "none.cnn" / "x", "E0610"),
        (Path("a\0b"), "E0610"),
    ):
        with pytest.raises(DiagnosticError) as caught:
            parse_file(path)
        assert [d.code for d in caught.value.diagnostics] == [code]


def test_a_file_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(DiagnosticError, match="cannot be read: Permission denied"):
        parse_file(tmp_path / "x.cnn")


# ------------------------------------------------------------------ anything at all


@settings(max_examples=1000)
@given(st.binary(max_size=200))
def test_random_bytes(data: bytes) -> None:
    outcome(data.decode("utf-8", "replace"))


@settings(max_examples=300)
@given(st.text(alphabet="ab1x(){}[]-><=|*?,.:;\"'#/\n +^%", max_size=60))
def test_random_signs(text: str) -> None:
    outcome(text)


def _cut(text: str, chance: random.Random) -> str:
    at = chance.randrange(len(text))
    return text[:at] + text[at + chance.randrange(1, 12) :]


def _insert(text: str, chance: random.Random) -> str:
    at = chance.randrange(len(text))
    return text[:at] + chance.choice("()[]{}-=>|*?,.:;\"'#1x \n") + text[at:]


def _swap(text: str, chance: random.Random) -> str:
    pieces = text.split(" ")
    i, j = chance.randrange(len(pieces)), chance.randrange(len(pieces))
    pieces[i], pieces[j] = pieces[j], pieces[i]
    return " ".join(pieces)


MUTATIONS: tuple[Callable[[str, random.Random], str], ...] = (_cut, _insert, _swap)


def test_a_thousand_mutated_programs() -> None:
    chance = random.Random(5)
    texts = [path.read_text("utf-8") for path in EXAMPLES]
    short = [text for text in texts if len(text) < 1000]
    for _ in range(1000):
        text = chance.choice(short)
        for _ in range(chance.randrange(1, 4)):
            text = chance.choice(MUTATIONS)(text, chance)
        outcome(text)


def test_threads_do_not_mix_their_files() -> None:
    failures: list[str] = []

    def work(label: str) -> None:
        for _ in range(20):
            program = parse(f"{label}: conv 64 3x3 - relu\n" * 5, label)
            if {s.span.file for s in program.statements} != {label}:
                failures.append(label)

    threads = [threading.Thread(target=work, args=(f"t{i}",)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
