"""The parser: where lines end, spans, comments, limits, and texts that nobody meant to write."""

from __future__ import annotations

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
from cnndsl.support.diagnostics import DiagnosticError
from cnndsl.support.limits import DEFAULT_LIMITS
from cnndsl.support.source import Span
from tests.frontend.programs import EXAMPLES, programs
from tests.frontend.trees import codes, line, outcome


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
