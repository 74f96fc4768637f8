"""Inputs that nobody would write get an answer; the slow group asks for more of them."""

from __future__ import annotations

import pytest

from tests.acceptance.fuzz import fuzz
from tests.acceptance.fuzz_inputs import draw


def test_the_same_number_is_the_same_input() -> None:
    assert [draw(1, n) for n in range(20)] == [draw(1, n) for n in range(20)]
    assert len({draw(1, n) for n in range(40)} | {draw(2, n) for n in range(40)}) > 70


def test_every_input_gets_an_answer() -> None:
    found = fuzz(0, iter(range(400)))
    assert found.run == 400
    assert not found.problems
    assert 0 < found.fine < 400
    assert len(found.codes) > 20


@pytest.mark.slow
def test_thousands_of_inputs_get_an_answer() -> None:
    found = fuzz(1, iter(range(5_000)))
    assert found.run == 5_000
    assert not found.problems
