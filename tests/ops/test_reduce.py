"""Reductions against NumPy's, ties of the maximum, what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnndsl.ir.op import Op
from cnndsl.ir.types import DType, TensorType, f32
from cnndsl.ops.reduce import (
    ArgmaxAttrs,
    ReduceAttrs,
    argmax,
    reduce_max,
    reduce_max_grad,
    reduce_max_pick,
    reduce_mean,
    reduce_sum,
    reduced_shape,
)
from cnndsl.support.diagnostics import TypeRuleError
from tests.ops.apply import apply, gradients

axes_sets = st.lists(st.integers(0, 3), unique=True)
REDUCTIONS: list[tuple[Op[Any], Any]] = [
    (reduce_sum, np.sum),
    (reduce_mean, np.mean),
    (reduce_max, np.max),
]


@given(st.sampled_from(REDUCTIONS), axes_sets, st.booleans())
def test_reductions_are_those_of_numpy(
    case: tuple[Op[Any], Any], axes: list[int], keepdims: bool
) -> None:
    x = np.random.default_rng(1).normal(size=(2, 3, 1, 4))
    found = apply(case[0], x, attrs=ReduceAttrs(tuple(axes), keepdims=keepdims))
    expected = case[1](x, axis=tuple(axes), keepdims=keepdims)
    assert np.allclose(found, expected, rtol=1e-14, atol=1e-14)
    assert found.shape == reduced_shape(x.shape, tuple(axes), keepdims=keepdims)


@given(axes_sets, st.booleans())
def test_the_maximums_gradient_and_its_adjoint_agree(axes: list[int], keepdims: bool) -> None:
    rng = np.random.default_rng(2)
    x = rng.integers(0, 3, (2, 3, 1, 4)).astype(np.float64)  # many ties
    attrs = ReduceAttrs(tuple(axes), keepdims=keepdims)
    top = apply(reduce_max, x, attrs=attrs)
    weights = rng.normal(size=top.shape)
    spread = apply(reduce_max_grad, weights, x, attrs=attrs)
    assert spread.shape == x.shape
    assert np.array_equal(apply(reduce_max_pick, x, x, attrs=attrs), top)
    assert np.array_equal(apply(reduce_max_pick, spread, x, attrs=attrs), weights)
    assert np.count_nonzero(spread) == top.size


def test_of_equal_elements_the_first_gets_the_gradient() -> None:
    found = gradients(reduce_max, [[1.0, 7.0, 7.0], [7.0, 7.0, 7.0]], attrs=ReduceAttrs((1,)))[0]
    assert found.tolist() == [[0, 1, 0], [1, 0, 0]]


def test_the_mean_shares_its_gradient() -> None:
    found = gradients(reduce_mean, np.ones((2, 4)), attrs=ReduceAttrs((1,)), weights=[4.0, 8.0])[0]
    assert found.tolist() == [[1] * 4, [2] * 4]


def test_argmax_gives_the_first_of_equal_ones() -> None:
    found = apply(argmax, [[1.0, 7.0, 7.0], [9.0, 0.0, 9.0]], attrs=ArgmaxAttrs(1))
    assert found.tolist() == [1, 0]
    assert found.dtype == np.int64


def test_sums_stay_in_their_precision() -> None:
    for dtype in (np.float16, np.float32, np.int64):
        assert apply(reduce_sum, np.ones(9, dtype), attrs=ReduceAttrs((0,))).dtype == dtype


@pytest.mark.parametrize(
    ("op", "attrs", "kind", "message"),
    [
        (reduce_sum, ReduceAttrs((2,)), f32(2, 3), "axis 2: f32.2,3. has axes 0 to 1"),
        (reduce_sum, ReduceAttrs((-1,)), f32(2, 3), "axis -1"),
        (reduce_sum, ReduceAttrs((0, 0)), f32(2, 3), "one is named twice"),
        (reduce_mean, ReduceAttrs((0,)), TensorType(DType.I64, (2,)), "a mean is taken of floats"),
        (reduce_max, ReduceAttrs((0,)), f32(0, 3), "no largest of no elements"),
        (argmax, ArgmaxAttrs(1), f32(2), "axis 1"),
    ],
)
def test_what_makes_no_sense_is_refused(
    op: Op[Any], attrs: ReduceAttrs, kind: TensorType, message: str
) -> None:
    with pytest.raises(TypeRuleError, match=message):
        op.infer(attrs, kind)
