"""The canonical text: parses back to the same tree, keeps comments, and is a fixed point."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings

from cnndsl.frontend.format import format_program
from cnndsl.frontend.format_columns import WIDTH
from cnndsl.frontend.parse import parse, parse_file
from tests.frontend.programs import EXAMPLES, programs


def check_round_trip(text: str) -> str:
    program = parse(text)
    formatted = format_program(program)
    again = parse(formatted)
    assert again == program
    assert format_program(again) == formatted
    assert Counter(c.text for c in again.comments) == Counter(c.text for c in program.comments)
    return formatted


@settings(max_examples=200)
@given(programs())
def test_random_programs_come_back(text: str) -> None:
    check_round_trip(text)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_examples_come_back(path: Path) -> None:
    formatted = check_round_trip(path.read_text("utf-8"))
    assert all(len(line) <= WIDTH for line in formatted.splitlines())
    assert formatted.isascii()


CASES = {
    "signs become ASCII": (
        "conv 3×3 – relu → (a|b) ⇒ [5×5×2]",
        "conv 3x3 - relu -> (a | b)  => [5x5x2]",
    ),
    "comparisons become ASCII": ("assert a ≤ 2 and b ≠ 3", "assert a <= 2 and b != 3"),
    "the slide's pattern": (
        "[(CONV-RELU)*N-POOL?]*M-(FC-RELU)*K, SOFTMAX",
        "[(CONV - RELU) * N - POOL?] * M - (FC - RELU) * K, SOFTMAX",
    ),
    "bounds become a range": ("a*K where 0 <= K <= 2", "a * K  where K in 0..2"),
    "needless parentheses go": ("let a = ((1 + 2) * (3)) ^ (2)", "let a = ((1 + 2)*3)^2"),
    "needed parentheses stay": ("let a = 1-(2-3)-(-b)^2", "let a = 1 - (2 - 3) - (-b)^2"),
    "a size is not divided": ("let a = (3x3) / 2", "let a = 3x3 / 2"),
    "a conditional inside": ("let a = (b if c else d) + 1", "let a = (b if c else d) + 1"),
    "arithmetic in a test": ("a if (n + 1) > (2 * m) - b", "a if (n + 1) > (2*m) - b"),
    "a body on one line": ("net F  {input [2x2x3] ;;  a}", "net F { input [2x2x3]; a }"),
    "an empty body": ("net F {\n\n}", "net F {}"),
    "else on one line": (
        "if a {b} else if c {d} else {e}",
        "if a { b } else if c { d } else { e }",
    ),
    "an index stays tight": ("skip[i+1 ]: a", "skip[i + 1]: a"),
    "a free size stays apart": ("input tokens   [T]", "input tokens [T]"),
    "blank lines become one": ("a\n\n\n\nb\nc", "a\n\nb\nc"),
    "statements on one line": ("a; b", "a\nb"),
    "a comment after a brace": ("net D {   # patches\n  a\n}", "net D {  # patches\n  a\n}"),
    "a comment at the end of a body": ("net D {\n a\n # end\n}", "net D {\n  a\n  # end\n}"),
    "a comment inside a statement goes before it": (
        "(a   # left\n| b) # both",
        "# left\n(a | b)  # both",
    ),
    "columns of a table": (
        "[55x55x96] CONV1: 96 11x11 filters, pad 0\n[4096] FC6: 4096 neurons\nSOFTMAX # end",
        "[55x55x96]  CONV1: 96 11x11 filters, pad 0\n"
        "[4096]      FC6:   4096 neurons\n"
        "SOFTMAX  # end",
    ),
    "columns of assertions": (
        "conv 6 5x5 => [28x28x6]\npool => [14x14x6] # half",
        "conv 6 5x5  => [28x28x6]\npool        => [14x14x6]  # half",
    ),
    "columns of claims": (
        "INPUT: [2x2x3] memory: 2*2*3=12 params: 0\nFC: [1x1x4] memory: 4 params: 3*4 = 1,728",
        "INPUT: [2x2x3]  memory: 2*2*3 = 12  params: 0\n"
        "FC:    [1x1x4]  memory: 4           params: 3*4 = 1,728",
    ),
    "columns of lets": ("let a=1\nlet third = 2 # c", "let a     = 1\nlet third = 2  # c"),
    "calls": ("conv( 4 * c,1x1,stride = 2 , )", "conv(4*c, 1x1, stride=2)"),
    "maps": ("let a = [18:[2,2] , 34 : [3] , ][d]", "let a = [18: [2, 2], 34: [3]][d]"),
    "objective": ("update G and F minimize a+b", "update G and F minimize a + b"),
    "nothing": ("\n\n", ""),
    "only a comment": ("  // hello  ", "// hello"),
}


@pytest.mark.parametrize("name", CASES)
def test_canonical_text(name: str) -> None:
    text, expected = CASES[name]
    assert check_round_trip(text).rstrip("\n") == expected


def test_long_chains_break_between_branches_first() -> None:
    branch = " - ".join(["conv 64 3x3", "relu"] * 3)
    text = check_round_trip(f"({branch} | {branch}) - concat - softmax\n")
    first, second = text.splitlines()
    assert second == f"    | {branch}) - concat - softmax"
    assert first == f"({branch}"


def test_long_lists_break_at_their_outermost_commas() -> None:
    items = ", ".join(f"{i}: [{i}, {i}, {i}, {i}]" for i in range(10, 22))
    text = check_round_trip(f"let table = [{items}][depth]\n")
    assert len(text.splitlines()) > 1
    assert all(len(line) <= WIDTH for line in text.splitlines())
    assert all(line.rstrip().endswith(("],", "[depth]")) for line in text.splitlines())


def test_a_body_that_does_not_fit_on_its_line_gets_lines_of_its_own() -> None:
    inside = "; ".join(["conv 64 3x3 stride 1 pad 1"] * 5)
    text = check_round_trip(f"net G {{ {inside} }}\n")
    assert text.splitlines() == ["net G {", *["  conv 64 3x3 stride 1 pad 1"] * 5, "}"]


def test_deeply_nested_programs_are_formatted() -> None:
    text = "a"
    for depth in range(90):
        text = f"({text} | b)" if depth % 2 else f"[{text} - c]"
    for program in (f"{text}\n", f"let a = {'-' * 190}1\n", f"let a = {'(1 + ' * 95}1{')' * 95}\n"):
        formatted = format_program(parse(program))
        assert format_program(parse(formatted)) == formatted


def test_columns_give_way_where_a_line_would_be_too_long(tmp_path: Path) -> None:
    long = "conv 64 3x3 - relu - conv 64 3x3 - relu - conv 64 3x3 - relu - conv 1 1x1"
    path = tmp_path / "long.cnn"
    path.write_text(f"a => [1x1x1]\n{long} => [224x224x3]\n[3] averylonglabel: b\n", "utf-8")
    text = format_program(parse_file(path))
    assert all(len(line) <= WIDTH for line in text.splitlines())
    check_round_trip(text)


@pytest.mark.parametrize("text", ["in [8]" + " n [8]" * 24, "n [" + "8, " * 60 + "8]"])
def test_a_blank_before_an_index_survives_where_the_line_is_too_long(text: str) -> None:
    shown = format_program(parse(text))
    assert "n[" not in shown
    assert format_program(parse(shown)) == shown
