"""Metrics against plain definitions."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnndsl.train.metrics import Tally


@given(st.integers(0, 2**32 - 1), st.integers(1, 30), st.integers(2, 8), st.integers(1, 5))
def test_equals_the_definitions_and_does_not_depend_on_batches(
    seed: int, count: int, classes: int, top: int
) -> None:
    rng = np.random.default_rng(seed)
    scores = rng.integers(0, 4, (count, classes)).astype(np.float32)  # many ties
    labels = rng.integers(0, classes, count)
    whole, parts = Tally(classes, top), Tally(classes, top)
    whole.add(scores, labels, 0.5)
    for start in range(0, count, 7):
        parts.add(scores[start : start + 7], labels[start : start + 7], 0.5)
    assert whole.report() == pytest.approx(parts.report())
    np.testing.assert_array_equal(whole.confusion, parts.confusion)
    # A stable sort by falling score is the ranking in which ties go to the lower number.
    ranking = np.argsort(-scores, axis=1, kind="stable")
    assert whole.correct == sum(ranking[:, 0] == labels)
    k = min(top, classes)
    assert whole.top_correct == sum(
        label in row[:k] for row, label in zip(ranking, labels, strict=True)
    )
    assert whole.confusion is not None
    assert whole.confusion.sum() == count
    assert np.trace(whole.confusion) == whole.correct


def test_loss_is_the_mean_over_images_and_not_over_batches() -> None:
    tally = Tally(2)
    tally.add(np.eye(2)[[0, 1, 1]], np.array([0, 1, 0]), 1.0)
    tally.add(np.eye(2)[[0]], np.array([0]), 5.0)
    assert tally.loss == 2.0
    assert tally.accuracy == 0.75


def test_sums_survive_json_bit_for_bit() -> None:
    tally, again = Tally(3), Tally(3)
    tally.add(np.eye(3), np.arange(3), 0.1 + 0.2)
    again.restore(json.loads(json.dumps(tally.state())))
    assert again.state() == tally.state()


def test_an_empty_tally_reports_zeros() -> None:
    assert Tally(10).report() == {"loss": 0.0, "accuracy": 0.0, "top5": 0.0}
