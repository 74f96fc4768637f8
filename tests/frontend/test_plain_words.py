"""Words that are run many times are read once, and mean what they mean at each place."""

from __future__ import annotations

import pytest

from cnndsl.frontend.words import WordReader
from tests.frontend.elaborating import built


def sizes(text: str) -> list[tuple[int, ...]]:
    return [layer.output for layer in built(text).network.layers]


def test_each_turn_has_the_sizes_that_arrive() -> None:
    assert sizes("input 9x9x1\n(conv 4 3x3)*3") == [(7, 7, 4), (5, 5, 4), (3, 3, 4)]


def test_bare_words_count_the_pools_before_them() -> None:
    filters = [size[-1] for size in sizes("input 8x8x3\n(CONV - POOL)*3")]
    assert filters == [64, 64, 128, 128, 256, 256]


def test_a_word_that_is_bound_in_one_place_is_read_there() -> None:
    text = "block b(k) { conv 4 k }\ninput 9x9x1\nb(3x3)\nb(5x5)\nb(1x1)"
    assert sizes(text) == [(7, 7, 4), (3, 3, 4), (3, 3, 4)]


def test_a_default_holds_where_it_stands() -> None:
    text = (
        "block b { conv 4 3x3 }\nblock c {\ndefault conv: same\nconv 4 3x3\nb\n}\n"
        "input 9x9x1\nb\nc\nb\nc"
    )
    assert [size[0] for size in sizes(text)] == [7, 7, 5, 3, 3, 1]


def test_layers_say_where_they_stand() -> None:
    lines = [
        layer.span.line
        for layer in built("input 9x9x1\nrelu*2\nrelu\n").network.layers
        if layer.span
    ]
    assert lines == [2, 2, 3]


def test_words_in_a_loop_are_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []
    real = WordReader.read

    def counted(self: WordReader) -> object:
        read.append(self.at)
        return real(self)

    monkeypatch.setattr(WordReader, "read", counted)
    built("input 9x9x1\n(conv 4 1x1 stride 1 - relu)*50")
    assert len(read) == 2
    read.clear()
    built("input 9x9x1\nrepeat i in 1..50 { conv i 1x1 }")
    assert len(read) == 50
