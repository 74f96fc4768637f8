"""Spans and source files."""

from __future__ import annotations

import pytest

from cnndsl.support.source import SourceFile, Span

TEXT = "one\r\ntwo three\n\nfour"


@pytest.mark.parametrize(
    ("number", "line"), [(1, "one"), (2, "two three"), (3, ""), (4, "four"), (0, ""), (5, "")]
)
def test_lines(number: int, line: str) -> None:
    assert SourceFile("a", TEXT).line(number) == line


def test_cut() -> None:
    source = SourceFile("a", TEXT)
    assert source.cut(Span("a", 2, 5, 2, 10)) == "three"
    assert source.cut(Span("a", 2, 5, 4, 3)) == "three\n\nfo"
    assert source.cut(Span("a", 9, 1, 9, 2)) == ""


def test_spans_join_and_order() -> None:
    first, second = Span("a", 1, 2, 1, 4), Span("a", 3, 1, 3, 9)
    assert first.to(second) == Span("a", 1, 2, 3, 9)
    assert first < second
    assert str(first) == "a:1:2"


def test_the_text_is_not_in_the_repr() -> None:
    assert "three" not in repr(SourceFile("a", TEXT))
