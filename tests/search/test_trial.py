from __future__ import annotations

import json

import pytest

from cnndsl.search.trial import Trial, front, ranked, trial_of


def trial(
    number: int, accuracy: float | None, params: int, *, epochs: int = 2, macs: int = 9
) -> Trial:
    return Trial(number, {"c": number}, epochs, accuracy, params, macs, layers=3)


def test_rank() -> None:
    trials = [
        trial(1, 0.9, 100),
        trial(2, 0.95, 200),
        trial(3, 0.95, 150),
        trial(4, None, 1),
        trial(5, 0.99, 1, epochs=1),
        trial(6, 0.95, 150, macs=8),
    ]
    assert [t.number for t in ranked(trials)] == [6, 3, 2, 1, 4, 5]


def test_only_the_longest_training_of_a_variant_counts() -> None:
    trials = [trial(1, 0.5, 9, epochs=1), trial(1, 0.4, 9, epochs=2), trial(2, 0.9, 9, epochs=1)]
    assert [(t.number, t.accuracy) for t in ranked(trials)] == [(1, 0.4), (2, 0.9)]


def test_front() -> None:
    trials = [trial(1, 0.9, 100), trial(2, 0.95, 200), trial(3, 0.9, 120), trial(4, 0.8, 50),
              trial(5, None, 1), trial(6, 0.99, 9, epochs=1), trial(7, 0.8, 50)]  # fmt: skip
    assert front(trials) == {1, 2, 4, 7}
    assert front([]) == set()


def test_records_come_back() -> None:
    one = trial(3, 0.25, 7)
    assert trial_of(json.loads(json.dumps(one.record()))) == one
    with pytest.raises(TypeError):
        trial_of({"number": 1})
