from __future__ import annotations

from itertools import pairwise

import pytest

from cnndsl.search.strategy import rounds


def test_random() -> None:
    assert [(r.variants, r.epochs) for r in rounds("random", budget=5, epochs=3)] == [(5, 3)]


@pytest.mark.parametrize("budget", [1, 2, 3, 5, 8, 13])
@pytest.mark.parametrize("epochs", [1, 3, 8])
def test_halving(budget: int, epochs: int) -> None:
    planned = rounds("halving", budget=budget, epochs=epochs)
    assert planned[0].variants == budget
    assert (planned[-1].variants, planned[-1].epochs) == (1, epochs)
    for one, two in pairwise(planned):
        assert two.variants == -(-one.variants // 2)
        assert one.epochs <= two.epochs
        assert one.epochs >= 1
