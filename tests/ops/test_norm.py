"""Batch norms against their formulas, with gradients through every result."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cnndsl.ir.builder import Builder
from cnndsl.ir.graph import Graph, Node, Value
from cnndsl.ir.op import Attrs, Op
from cnndsl.ir.types import DType, Shape, TensorType, f32
from cnndsl.ops.evaluate import evaluate_values
from cnndsl.ops.norm import (
    BatchNormAttrs,
    BatchNormGradAttrs,
    batch_norm,
    batch_norm_grad,
    batch_norm_train,
)
from cnndsl.ops.rules import Array, compute, vjp
from cnndsl.ops.structural import InputAttrs, input_
from cnndsl.support.diagnostics import TypeRuleError

EPS = 1e-3
SHAPES = [(6, 3), (4, 3, 2, 5), (5, 1, 1, 1)]


def make(op: Op[Any], attrs: Attrs, *kinds: TensorType) -> tuple[Builder, Node[Any]]:
    """Build a graph of inputs x0, x1, ... and one node."""
    b = Builder(Graph("test"))
    inputs = [b.emit(input_, attrs=InputAttrs(t), name=f"x{i}") for i, t in enumerate(kinds)]
    return b, b.graph[b.emit(op, *inputs, attrs=attrs)]


def run(op: Op[Any], attrs: Attrs, *operands: Array) -> tuple[Array, ...]:
    """Run one node with its reference rule."""
    kinds = (TensorType(DType.of(array.dtype), array.shape) for array in operands)
    _, node = make(op, attrs, *kinds)
    return compute(node, *operands)


def drawn(shape: Shape, *, seed: int = 1) -> tuple[Array, Array, Array]:
    """Give an image, a scale and a shift."""
    rng = np.random.default_rng(seed)
    return rng.normal(2.0, 3.0, shape), rng.normal(size=shape[1]), rng.normal(size=shape[1])


def channels(shape: Shape) -> list[tuple[slice | int, ...]]:
    """Index each channel."""
    return [(slice(None), c) for c in range(shape[1])]


@pytest.mark.parametrize("shape", SHAPES)
def test_training_normalises_each_channel_with_its_own_statistics(shape: Shape) -> None:
    x, scale, shift = drawn(shape)
    y, mean, variance = run(batch_norm_train, BatchNormAttrs(EPS), x, scale, shift)
    for c, at in enumerate(channels(shape)):
        assert mean[c] == pytest.approx(x[at].mean(), rel=1e-12)
        assert variance[c] == pytest.approx(x[at].var(), rel=1e-12)
        expected = (x[at] - x[at].mean()) / np.sqrt(x[at].var() + EPS) * scale[c] + shift[c]
        np.testing.assert_allclose(y[at], expected, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("shape", SHAPES)
def test_inference_with_the_batch_statistics_equals_training(shape: Shape) -> None:
    x, scale, shift = drawn(shape)
    y, mean, variance = run(batch_norm_train, BatchNormAttrs(EPS), x, scale, shift)
    (again,) = run(batch_norm, BatchNormAttrs(EPS), x, scale, shift, mean, variance)
    np.testing.assert_allclose(again, y, rtol=1e-11, atol=1e-12)


def test_a_large_mean_does_not_drown_the_variance() -> None:
    """Single precision, mean 1000 and deviation 1: subtracting squares would lose everything."""
    x = np.random.default_rng(2).normal(1000.0, 1.0, (64, 2, 8, 8))
    single = x.astype(np.float32)
    ones, zeros = np.ones(2, np.float32), np.zeros(2, np.float32)
    y, _, variance = run(batch_norm_train, BatchNormAttrs(), single, ones, zeros)
    exact = single.astype(np.float64)
    np.testing.assert_allclose(variance, exact.var(axis=(0, 2, 3)), rtol=1e-4)
    assert abs(float(y.mean(dtype=np.float64))) < 1e-3
    assert float(y.std(dtype=np.float64)) == pytest.approx(1.0, rel=1e-3)


def test_a_constant_channel_gives_the_shift() -> None:
    x = np.full((3, 1, 2, 2), 7.0)
    y, mean, variance = run(batch_norm_train, BatchNormAttrs(), x, np.array([2.0]), np.array([5.0]))
    assert (mean.item(), variance.item()) == (7.0, 0.0)
    np.testing.assert_array_equal(y, np.full_like(x, 5.0))


def test_gradients_leave_nothing_along_the_mean_and_the_normalised_image() -> None:
    """Adding a constant to x or scaling it about its mean changes nothing (eps apart)."""
    shape = (5, 3, 2, 4)
    x, scale, shift = drawn(shape)
    _, mean, variance = run(batch_norm_train, BatchNormAttrs(0.0), x, scale, shift)
    grad, _, _ = drawn(shape, seed=9)
    back, d_scale, d_shift = run(
        batch_norm_grad, BatchNormGradAttrs(0.0), grad, x, scale, mean, variance
    )
    for c, at in enumerate(channels(shape)):
        centred = x[at] - mean[c]
        assert back[at].sum() == pytest.approx(0.0, abs=1e-10)
        assert (back[at] * centred).sum() == pytest.approx(0.0, abs=1e-10)
        assert d_shift[c] == pytest.approx(grad[at].sum(), rel=1e-12)
        h = centred / np.sqrt(variance[c])
        assert d_scale[c] == pytest.approx((grad[at] * h).sum(), rel=1e-10)


def test_gradients_flow_through_each_result_and_each_subset() -> None:
    """Loss = <y, a> + <mean, p> + <variance, q>, with some of the terms, by central differences."""
    shape = (3, 2, 2, 2)
    operands = drawn(shape)
    kinds = [f32(*array.shape) for array in operands]
    rng = np.random.default_rng(5)
    weights = [rng.normal(size=size) for size in (shape, (2,), (2,))]
    step = 1e-5

    def loss(used: tuple[bool, ...], x: Array) -> float:
        results = run(batch_norm_train, BatchNormAttrs(EPS), x, *operands[1:])
        terms = zip(used, results, weights, strict=True)
        return float(sum((found * w).sum() for use, found, w in terms if use))

    for used in (
        (True, True, True),
        (False, True, False),
        (False, False, True),
        (True,) + (False,) * 2,
    ):
        b, node = make(batch_norm_train, BatchNormAttrs(EPS), *kinds)
        grads: list[Value | None] = [
            b.emit(input_, attrs=InputAttrs(kind), name=f"g{i}") if use else None
            for i, (use, kind) in enumerate(zip(used, node.types, strict=True))
        ]
        for_x, for_scale, for_shift = vjp[batch_norm_train](b, node, *grads)
        assert for_x is not None
        assert (for_scale is None, for_shift is None) == (not used[0],) * 2
        feeds = {f"x{i}": array for i, array in enumerate(operands)}
        feeds |= {f"g{i}": w for i, w in enumerate(weights)}
        found = evaluate_values(b.graph, [for_x], feeds, dtype=DType.F64)[for_x]
        expected = np.zeros(shape)
        for at in np.ndindex(*shape):
            nudge = np.zeros(shape)
            nudge[at] = step
            expected[at] = (loss(used, operands[0] + nudge) - loss(used, operands[0] - nudge)) / (
                2 * step
            )
        np.testing.assert_allclose(found, expected, rtol=1e-7, atol=1e-8)


def test_without_incoming_gradients_there_are_none() -> None:
    b, node = make(batch_norm_train, BatchNormAttrs(), f32(2, 3), f32(3), f32(3))
    assert tuple(vjp[batch_norm_train](b, node, None, None, None)) == (None, None, None)


@pytest.mark.parametrize(
    ("operands", "attrs", "message"),
    [
        ((f32(2, 3), f32(3), f32(2)), BatchNormAttrs(), "each of 3 channels"),
        ((f32(3), f32(3), f32(3)), BatchNormAttrs(), r"floats \[N,C\]"),
        ((f32(2, 3), f32(3), f32(1, 3)), BatchNormAttrs(), "each of 3 channels"),
        ((f32(0, 3), f32(3), f32(3)), BatchNormAttrs(), r"floats \[N,C\]"),
        ((f32(2, 3), f32(3), TensorType(DType.F64, (3,))), BatchNormAttrs(), "each of 3 channels"),
        ((f32(2, 3), f32(3), f32(3)), BatchNormAttrs(-1.0), "eps -1.0"),
    ],
)
def test_operands_that_do_not_fit_are_refused(
    operands: tuple[TensorType, ...], attrs: BatchNormAttrs, message: str
) -> None:
    with pytest.raises(TypeRuleError, match=message):
        batch_norm_train.infer(attrs, *operands)


def test_the_gradient_has_the_shape_of_the_image() -> None:
    c = f32(3)
    with pytest.raises(TypeRuleError, match=r"gives f32\[2,3\] here; its gradient is f32\[3,3\]"):
        batch_norm_grad.infer(BatchNormGradAttrs(), f32(3, 3), f32(2, 3), c, c, c)
