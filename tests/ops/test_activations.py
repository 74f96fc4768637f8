"""Activations at their kinks and far out, smooth ones and those along an axis too."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from cnndsl.ir.op import Attrs, Op
from cnndsl.ir.types import f32
from cnndsl.ops.activations import (
    EluAttrs,
    LeakyReluAttrs,
    elu,
    leaky_relu,
    prelu,
    relu,
    relu6,
    sigmoid,
    tanh,
)
from cnndsl.ops.rules import Array
from cnndsl.ops.smooth import SwishAttrs, gelu, softplus, swish
from cnndsl.ops.softmax import MaxoutAttrs, SoftmaxAttrs, log_softmax, maxout, softmax
from cnndsl.support.diagnostics import TypeRuleError
from tests.ops.apply import apply, gradients

FAR = [-1e4, -800.0, -100.0, -1e-30, 0.0, 1e-30, 100.0, 800.0, 1e4]


def slope(op: Op[Any], *points: float, attrs: Attrs | None = None) -> list[float]:
    found = gradients(op, np.asarray(points, np.float64), attrs=attrs)[0]
    return [float(number) for number in found]


def test_gradients_at_kinks_are_as_documented() -> None:
    assert slope(relu, -1, 0, 1) == [0, 0, 1]
    assert slope(relu6, -1, 0, 3, 6, 7) == [0, 0, 1, 0, 0]
    assert slope(leaky_relu, -1, 0, 1, attrs=LeakyReluAttrs(0.25)) == [0.25, 1, 1]
    assert slope(elu, 0, 1, attrs=EluAttrs(0.5)) == [1, 1]


@pytest.mark.parametrize("op", [sigmoid, tanh, elu, swish, gelu, softplus])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_nothing_overflows_far_out(op: Op[Any], dtype: Any) -> None:
    points = np.asarray(FAR, dtype)
    assert np.isfinite(apply(op, points)).all()
    assert np.isfinite(gradients(op, points)[0]).all()


def test_values_far_out() -> None:
    assert apply(sigmoid, FAR)[[0, 1, 4, 7, 8]].tolist() == [0, 0, 0.5, 1, 1]
    assert apply(softplus, FAR)[[0, 4, 8]].tolist() == [0, np.log(2), 1e4]
    assert apply(elu, FAR, attrs=EluAttrs(2.0))[[0, 2, 8]].tolist() == [-2, -2, 1e4]
    assert apply(gelu, FAR)[[0, 4, 8]].tolist() == [0, 0, 1e4]


def test_elu_is_exact_near_zero() -> None:
    small = np.asarray([-1e-12, -1e-5, -0.3])
    assert np.allclose(apply(elu, small), np.expm1(small), rtol=1e-15, atol=0)


@given(hnp.arrays(np.float64, 12, elements=st.floats(-30, 30)))
def test_activations_equal_their_formulas(x: Array) -> None:
    assert np.allclose(apply(sigmoid, x), 1 / (1 + np.exp(-x)), rtol=1e-14)
    assert np.allclose(apply(softplus, x), np.log1p(np.exp(x)), rtol=1e-12, atol=1e-15)
    attrs = SwishAttrs(beta=1.5)
    assert np.allclose(apply(swish, x, attrs=attrs), x / (1 + np.exp(-1.5 * x)), rtol=1e-13)
    assert np.array_equal(apply(relu, x), np.maximum(x, 0))
    assert np.array_equal(apply(relu6, x), np.clip(x, 0, 6))
    assert np.allclose(apply(sigmoid, x) + apply(sigmoid, -x), 1)


@pytest.mark.parametrize("op", [relu, relu6, leaky_relu, elu, sigmoid, tanh, swish, gelu, softplus])
def test_nan_is_never_lost(op: Op[Any]) -> None:
    assert np.isnan(apply(op, [np.nan, 1.0])).tolist() == [True, False]


def test_prelu_has_a_slope_for_each_channel() -> None:
    x = -np.ones((1, 2, 1, 2))
    slopes = np.asarray([0.5, 2.0]).reshape(1, 2, 1, 1)
    assert apply(prelu, x, slopes).reshape(-1).tolist() == [-0.5, -0.5, -2, -2]
    _, of_slope = gradients(prelu, x, slopes)
    assert of_slope.reshape(-1).tolist() == [-2, -2]


def test_elu_with_a_limit_of_zero_is_refused() -> None:
    with pytest.raises(TypeRuleError, match="alpha 0: it must be positive"):
        elu.infer(EluAttrs(0.0), f32(2))


@given(hnp.arrays(np.float64, (3, 4), elements=st.floats(-1e3, 1e3)), st.floats(-1e3, 1e3))
def test_softmax_is_a_distribution_that_a_shift_does_not_change(x: Array, shift: float) -> None:
    found = apply(softmax, x)
    assert np.allclose(found.sum(axis=1), 1)
    assert (found >= 0).all()
    assert np.allclose(found, apply(softmax, x + shift), atol=1e-10)
    assert np.allclose(np.exp(apply(log_softmax, x)), found)


def test_softmax_of_one_class_is_one_and_learns_nothing() -> None:
    assert apply(softmax, [[3.0], [900.0]]).tolist() == [[1], [1]]
    found = gradients(softmax, [[3.0], [900.0]], weights=[[5.0], [6.0]])[0]
    assert found.tolist() == [[0], [0]]


def test_softmax_names_the_axes_there_are() -> None:
    with pytest.raises(TypeRuleError, match=r"axis 2: f32\[2,3\] has axes 0 to 1"):
        softmax.infer(SoftmaxAttrs(2), f32(2, 3))


def test_maxout_takes_the_largest_of_neighbouring_channels() -> None:
    x = np.asarray([[1.0, 5.0, 3.0, 3.0]])
    assert apply(maxout, x, attrs=MaxoutAttrs(2)).tolist() == [[5, 3]]
    found = gradients(maxout, x, attrs=MaxoutAttrs(2), weights=[[7.0, 9.0]])[0]
    assert np.array_equal(found, [[0, 7, 9, 0]])


def test_maxout_of_channels_that_do_not_divide_is_refused() -> None:
    with pytest.raises(TypeRuleError, match="5 channels do not divide into groups of 2"):
        maxout.infer(MaxoutAttrs(2), f32(1, 5, 2, 2))
