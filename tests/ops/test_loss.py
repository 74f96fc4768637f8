"""Losses: known values, extremes, wrong labels, and their gradients differentiated again."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from cnndsl.ir.op import Attrs, Op
from cnndsl.ir.types import DType, TensorType, f32
from cnndsl.ops.elementwise_loss import (
    SmoothL1Attrs,
    binary_cross_entropy,
    binary_cross_entropy_logits,
    l1,
    smooth_l1,
    squared_error,
)
from cnndsl.ops.loss import cross_entropy, hinge, softmax_cross_entropy
from cnndsl.ops.rules import Array
from cnndsl.support.diagnostics import DataError, TypeRuleError
from tests.ops.apply import apply, gradients, gradients_or_none

SCORE_LOSSES = [softmax_cross_entropy, cross_entropy, hinge]


def test_uniform_scores_cost_the_logarithm_of_the_classes() -> None:
    labels = np.asarray([0, 3, 9])
    assert np.isclose(apply(softmax_cross_entropy, np.zeros((3, 10)), labels), np.log(10))
    assert np.isclose(apply(cross_entropy, np.full((3, 10), 0.1), labels), np.log(10))
    assert apply(hinge, np.zeros((3, 10)), labels) == 9


def test_the_hinge_loss_of_a_slide() -> None:
    # Scores of three classes for three images, losses 2.9, 0 and 12.9.
    scores = np.asarray([[3.2, 5.1, -1.7], [1.3, 4.9, 2.0], [2.2, 2.5, -3.1]])
    assert np.isclose(apply(hinge, scores, [0, 1, 2]), (2.9 + 0 + 12.9) / 3)


@given(hnp.arrays(np.float64, (3, 5), elements=st.floats(-500, 500)), st.integers(0, 4))
def test_softmax_cross_entropy_neither_overflows_nor_drifts(scores: Array, label: int) -> None:
    labels = np.full(3, label)
    loss = float(apply(softmax_cross_entropy, scores, labels))
    assert 0 <= loss <= 1000 + np.log(5)
    shifted = float(apply(softmax_cross_entropy, scores + 100, labels))
    assert abs(loss - shifted) < 1e-10
    slope = gradients_or_none(softmax_cross_entropy, scores, labels)[0]
    assert slope is not None
    assert np.allclose(slope.sum(axis=1), 0, atol=1e-15)
    assert np.abs(slope).max() <= 1 / 3 + 1e-15


def test_each_pixel_counts_the_same() -> None:
    rng = np.random.default_rng(0)
    scores = rng.uniform(0.1, 0.9, (2, 3, 2, 4))
    labels = rng.integers(0, 3, (2, 2, 4))
    for op in SCORE_LOSSES:
        whole = float(apply(op, scores, labels))
        pixels = [
            float(apply(op, scores[n : n + 1, :, y, x], labels[n : n + 1, y, x]))
            for n in range(2)
            for y in range(2)
            for x in range(4)
        ]
        assert np.isclose(whole, np.mean(pixels))


def test_an_impossible_label_costs_much_but_not_everything() -> None:
    for dtype in (np.float32, np.float64):
        p = np.asarray([[1.0, 0.0]], dtype)
        assert np.isclose(apply(cross_entropy, p, [1]), -np.log(1e-12), rtol=1e-6)
        slope = gradients_or_none(cross_entropy, p, [1])[0]
        assert slope is not None
        assert np.allclose(slope, [[0, -1e12]])
        sure = apply(binary_cross_entropy, p[0], np.asarray([0.0, 1.0], dtype))
        assert np.isclose(sure, -np.log(1e-12), rtol=1e-6)
        assert all(
            np.isfinite(slope).all()
            for slope in gradients(binary_cross_entropy, p[0], np.asarray([0.0, 1.0], dtype))
        )


@pytest.mark.parametrize("op", SCORE_LOSSES)
@pytest.mark.parametrize("label", [-1, 3])
def test_a_label_outside_the_classes_is_named(op: Op[Any], label: int) -> None:
    with pytest.raises(DataError, match=f"the label {label} reached node, which has 3 classes"):
        apply(op, np.full((2, 3), 0.5), [0, label])
    with pytest.raises(DataError, match="0 to 2"):
        gradients_or_none(op, np.full((2, 3), 0.5), [0, label])


def test_regression_losses() -> None:
    p, t = [1.0, 2.0, 5.0], [1.0, 0.0, 2.5]
    assert apply(squared_error, p, t) == (0 + 4 + 6.25) / 3
    assert apply(l1, p, t) == (0 + 2 + 2.5) / 3
    assert apply(smooth_l1, p, t, attrs=SmoothL1Attrs(2.0)) == (0 + 1 + 1.5) / 3
    assert gradients(l1, p, t)[0].tolist() == [0, 1 / 3, 1 / 3]
    assert np.allclose(gradients(smooth_l1, p, t, attrs=SmoothL1Attrs(4.0))[0] * 3, [0, 0.5, 0.625])


@given(hnp.arrays(np.float64, 6, elements=st.floats(-15, 15)), st.integers(0, 63))
def test_both_binary_losses_agree(x: Array, bits: int) -> None:
    target = np.asarray([float(bits >> i & 1) for i in range(6)])
    p = 1 / (1 + np.exp(-x))
    found = apply(binary_cross_entropy_logits, x, target)
    assert np.isclose(found, apply(binary_cross_entropy, p, target), rtol=1e-7, atol=1e-9)


def test_the_binary_loss_of_logits_is_finite_far_out() -> None:
    x = np.asarray([-1e4, 1e4, -1e4, 1e4])
    target = np.asarray([0.0, 1.0, 1.0, 0.0])
    assert apply(binary_cross_entropy_logits, x, target) == 5e3
    assert gradients(binary_cross_entropy_logits, x, target)[0].tolist() == [0, 0, -0.25, 0.25]


@pytest.mark.parametrize("op", SCORE_LOSSES)
@pytest.mark.parametrize(
    ("scores", "labels", "message"),
    [
        (f32(4, 3), TensorType(DType.I64, (5,)), r"their labels here i64\[4\]"),
        (f32(4, 3), f32(4), r"their labels here i64\[4\]"),
        (f32(2, 3, 5, 5), TensorType(DType.I64, (2,)), r"i64\[2,5,5\]"),
        (f32(4), TensorType(DType.I64, (4,)), r"scores are \[N, classes"),
        (TensorType(DType.I64, (4, 3)), TensorType(DType.I64, (4,)), "must be floats"),
        (f32(0, 3), TensorType(DType.I64, (0,)), "no mean of no positions"),
    ],
)
def test_scores_and_labels_that_do_not_fit_are_refused(
    op: Op[Any], scores: TensorType, labels: TensorType, message: str
) -> None:
    with pytest.raises(TypeRuleError, match=message):
        op.infer(Attrs(), scores, labels)


def test_targets_that_do_not_fit_are_refused() -> None:
    with pytest.raises(TypeRuleError, match=r"prediction f32\[4,3\] and the target f32\[4,1\]"):
        squared_error.infer(Attrs(), f32(4, 3), f32(4, 1))
    with pytest.raises(TypeRuleError, match="beta 0: it must be positive"):
        smooth_l1.infer(SmoothL1Attrs(0.0), f32(3), f32(3))
