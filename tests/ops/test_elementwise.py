"""Arithmetic: broadcasting, what is refused, and gradients where the walk does not look."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnndsl.ir.op import Attrs, Op
from cnndsl.ir.types import DType, TensorType, f32
from cnndsl.ops.elementwise import (
    add,
    broadcast_types,
    div,
    maximum,
    minimum,
    mul,
    select_less,
    sub,
)
from cnndsl.support.diagnostics import TypeRuleError
from tests.ops.apply import apply, gradients

BINARY: list[tuple[Op[Any], Any]] = [
    (add, np.add),
    (sub, np.subtract),
    (mul, np.multiply),
    (div, np.divide),
    (maximum, np.maximum),
    (minimum, np.minimum),
]


@st.composite
def shapes(draw: st.DrawFn) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Draw two shapes that broadcast."""
    whole = draw(st.lists(st.integers(1, 4), max_size=4))
    pair = []
    for _ in range(2):
        ones = draw(st.lists(st.booleans(), min_size=len(whole), max_size=len(whole)))
        shape = tuple(1 if one else n for one, n in zip(ones, whole, strict=True))
        pair.append(() if draw(st.integers(0, 4)) == 0 else shape)
    return pair[0], pair[1]


@given(shapes(), st.sampled_from(BINARY), st.integers(0, 2**32 - 1))
def test_shapes_broadcast_as_in_numpy(
    pair: tuple[tuple[int, ...], tuple[int, ...]], case: tuple[Op[Any], Any], seed: int
) -> None:
    op, expected = case
    rng = np.random.default_rng(seed)
    a, b = (rng.uniform(0.5, 2, shape) for shape in pair)
    found = apply(op, a, b)
    assert np.array_equal(found, expected(a, b))
    assert broadcast_types("op", f32(*pair[0]), f32(*pair[1])).shape == found.shape


@given(shapes(), st.sampled_from(BINARY), st.integers(0, 2**32 - 1))
def test_gradients_have_the_shapes_of_their_operands(
    pair: tuple[tuple[int, ...], tuple[int, ...]], case: tuple[Op[Any], Any], seed: int
) -> None:
    rng = np.random.default_rng(seed)
    a, b = (rng.uniform(0.5, 2, shape) for shape in pair)
    found = gradients(case[0], a, b)
    assert [grad.shape for grad in found] == [a.shape, b.shape]


def test_a_gradient_is_summed_over_the_repeated_axes() -> None:
    weights = np.arange(12.0).reshape(2, 3, 2)
    first, second = gradients(mul, np.ones((2, 3, 2)), np.full((1, 3, 1), 2.0), weights=weights)
    assert np.array_equal(first, 2 * weights)
    assert second.reshape(-1).tolist() == weights.sum(axis=(0, 2)).tolist()


@pytest.mark.parametrize(
    ("operands", "message"),
    [
        ((f32(2, 3), f32(2, 4)), r"add of f32\[2,3\] and f32\[2,4\]: axis 1 has 3 and 4 elements"),
        ((f32(2, 3), f32(3)), "2 axes against|1 axes against 2"),
        ((f32(2), TensorType(DType.F64, (2,))), "element types differ"),
        ((f32(2),), "given 1 operands"),
    ],
)
def test_what_does_not_fit_is_refused(operands: tuple[TensorType, ...], message: str) -> None:
    with pytest.raises(TypeRuleError, match=message):
        add.infer(Attrs(), *operands)


def test_integers_are_not_divided() -> None:
    whole = TensorType(DType.I64, (2,))
    with pytest.raises(TypeRuleError, match="must be floats"):
        div.infer(Attrs(), whole, whole)


@pytest.mark.parametrize("op", [maximum, minimum])
def test_of_equal_operands_the_first_gets_the_gradient(op: Op[Any]) -> None:
    first, second = gradients(op, [1.0, 2.0, 3.0], [1.0, 2.0, 3.0])
    assert np.array_equal(first, [1, 1, 1])
    assert np.array_equal(second, [0, 0, 0])


@pytest.mark.parametrize("op", [add, sub, mul, maximum, minimum])
def test_nan_is_never_lost(op: Op[Any]) -> None:
    nan = float("nan")
    assert np.isnan(apply(op, [nan, 1.0, nan], [1.0, nan, nan])).all()


def test_select_less_takes_the_other_where_equal() -> None:
    found = apply(select_less, [1.0, 2.0, 3.0], 2.0, 10.0, [20.0, 21.0, 22.0])
    assert found.tolist() == [10, 21, 22]


def test_precision_is_that_of_the_operands() -> None:
    for dtype in (np.float16, np.float32, np.float64):
        assert apply(mul, np.ones(2, dtype), dtype(3)).dtype == dtype
