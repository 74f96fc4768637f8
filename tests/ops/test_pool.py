"""Pooling against its definition, its gradients against the inner product."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnndsl.ir.builder import Builder
from cnndsl.ir.graph import Graph, Node
from cnndsl.ir.op import Attrs, Op
from cnndsl.ir.types import DType, Shape, TensorType, f32
from cnndsl.ops.evaluate import evaluate_values
from cnndsl.ops.pool import (
    AvgPool2dAttrs,
    AvgPool2dGradAttrs,
    Pool2dAttrs,
    avg_pool2d,
    avg_pool2d_grad,
    global_avg_pool,
    global_max_pool,
    max_pool2d,
    max_pool2d_gather,
    max_pool2d_grad,
)
from cnndsl.ops.rules import Array, compute, cost_of, vjp
from cnndsl.ops.structural import InputAttrs, input_
from cnndsl.ops.window import ceil_padding
from cnndsl.support.diagnostics import TypeRuleError


def make(op: Op[Any], attrs: Attrs, *kinds: TensorType) -> tuple[Builder, Node[Any]]:
    """Build a graph of inputs x0, x1, ... and one node."""
    b = Builder(Graph("test"))
    inputs = [b.emit(input_, attrs=InputAttrs(t), name=f"x{i}") for i, t in enumerate(kinds)]
    return b, b.graph[b.emit(op, *inputs, attrs=attrs)]


def run(op: Op[Any], attrs: Attrs, *operands: Array) -> Array:
    """Run one node with its reference rule."""
    kinds = (TensorType(DType.of(array.dtype), array.shape) for array in operands)
    _, node = make(op, attrs, *kinds)
    return compute(node, *operands)[0]


def seen(attrs: Pool2dAttrs, image: Shape, place: Shape) -> Iterator[Shape]:
    """Walk the real pixels of the window at a place, in row-major order."""
    for tap in np.ndindex(*attrs.window):
        row, col = (
            o * s + t - p[0]
            for o, s, t, p in zip(place, attrs.strides, tap, attrs.padding, strict=True)
        )
        if 0 <= row < image[0] and 0 <= col < image[1]:
            yield row, col


@st.composite
def poolings(draw: st.DrawFn) -> tuple[Pool2dAttrs, Shape]:
    """Draw attributes and an image; some round up."""
    window = (draw(st.integers(1, 4)), draw(st.integers(1, 4)))
    strides = (draw(st.integers(1, 4)), draw(st.integers(1, 4)))
    image, padding = [], []
    for taps, stride in zip(window, strides, strict=True):
        pad = (draw(st.integers(0, taps - 1)), draw(st.integers(0, taps - 1)))
        size = draw(st.integers(max(1, taps - sum(pad)), 8))
        if (size + sum(pad) - taps) // stride * stride - pad[0] >= size:
            pad = (pad[0], 0) if size + pad[0] >= taps else (pad[0], taps - size - pad[0])
        if draw(st.booleans()):
            pad = ceil_padding(size, taps, stride=stride, padding=pad)
        image.append(size)
        padding.append(pad)
    attrs = Pool2dAttrs(window, strides, (padding[0], padding[1]))
    return attrs, (2, draw(st.integers(1, 2)), *image)


def coarse(shape: Shape) -> Array:
    """Few different numbers, so that maxima tie."""
    return np.random.default_rng(3).integers(-2, 3, shape).astype(np.float64)


@given(poolings())
def test_maximum_and_its_gradient_follow_the_definition(case: tuple[Pool2dAttrs, Shape]) -> None:
    """The gradient goes to the first maximum in row-major order, also where several tie."""
    attrs, shape = case
    x = coarse(shape)
    y = run(max_pool2d, attrs, x)
    grad = np.random.default_rng(4).uniform(-1.0, 1.0, y.shape)
    values = np.random.default_rng(5).uniform(-1.0, 1.0, x.shape)
    gathered = run(max_pool2d_gather, attrs, x, values)
    expected = np.zeros_like(x)
    for n, c, *place in np.ndindex(*y.shape):
        pixels = list(seen(attrs, shape[2:], tuple(place)))
        best = max(x[n, c, row, col] for row, col in pixels)
        first = next(pixel for pixel in pixels if x[n, c, *pixel] == best)
        assert y[n, c, *place] == best
        assert gathered[n, c, *place] == values[n, c, *first]
        expected[n, c, *first] += grad[n, c, *place]
    found = run(max_pool2d_grad, attrs, x, grad)
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-14)


@given(poolings(), st.booleans())
def test_mean_and_its_gradient_follow_the_definition(
    case: tuple[Pool2dAttrs, Shape], count_padding: bool
) -> None:
    base, shape = case
    attrs = AvgPool2dAttrs(base.window, base.strides, base.padding, count_padding)
    x = np.random.default_rng(6).uniform(-1.0, 1.0, shape)
    y = run(avg_pool2d, attrs, x)
    for n, c, *place in np.ndindex(*y.shape):
        inside = [x[n, c, *pixel] for pixel in seen(attrs, shape[2:], tuple(place))]
        divisor = attrs.window[0] * attrs.window[1] if count_padding else len(inside)
        assert y[n, c, *place] == pytest.approx(sum(inside) / divisor, rel=1e-12, abs=1e-14)
    grad = np.random.default_rng(7).uniform(-1.0, 1.0, y.shape)
    record = AvgPool2dGradAttrs(base.window, base.strides, base.padding, count_padding, shape)
    back = run(avg_pool2d_grad, record, grad)
    assert np.vdot(x, back) == pytest.approx(np.vdot(y, grad), rel=1e-10, abs=1e-12)


def test_not_a_number_is_the_maximum_and_takes_the_gradient() -> None:
    x = np.arange(16.0).reshape(1, 1, 4, 4)
    x[0, 0, 1, 1] = np.nan
    x[0, 0, 0, 0] = np.inf
    attrs = Pool2dAttrs((2, 2), (2, 2))
    y = run(max_pool2d, attrs, x)
    np.testing.assert_array_equal(y, [[[[np.nan, 7.0], [13.0, 15.0]]]])
    grad = np.array([[[[1.0, 2.0], [3.0, 4.0]]]])
    expected = np.zeros((1, 1, 4, 4))
    expected[0, 0, [1, 1, 3, 3], [1, 3, 1, 3]] = [1.0, 2.0, 3.0, 4.0]
    np.testing.assert_array_equal(run(max_pool2d_grad, attrs, x, grad), expected)


def test_minus_infinity_is_a_maximum_like_any_other() -> None:
    """The first element is taken, never the padding before it."""
    x = np.full((1, 1, 2, 2), -np.inf)
    attrs = Pool2dAttrs((3, 3), (3, 3), ((1, 0), (1, 0)))
    assert run(max_pool2d, attrs, x).item() == -np.inf
    found = run(max_pool2d_grad, attrs, x, np.ones((1, 1, 1, 1)))
    np.testing.assert_array_equal(found, [[[[1.0, 0.0], [0.0, 0.0]]]])


def test_global_pools_take_the_whole_image() -> None:
    x = np.random.default_rng(8).uniform(-1.0, 1.0, (3, 2, 4, 5))
    np.testing.assert_array_equal(run(global_avg_pool, Attrs(), x), x.mean(axis=(2, 3)))
    np.testing.assert_array_equal(run(global_max_pool, Attrs(), x), x.max(axis=(2, 3)))


def test_the_gradient_of_a_global_maximum_goes_to_the_first() -> None:
    b, node = make(global_max_pool, Attrs(), f32(1, 2, 2, 2))
    grad = b.emit(input_, attrs=InputAttrs(node.type), name="g")
    (back,) = vjp[global_max_pool](b, node, grad)
    assert back is not None
    x = np.array([[[[1.0, 3.0], [3.0, 0.0]], [[2.0, 2.0], [2.0, 2.0]]]])
    feeds = {"x0": x, "g": np.array([[5.0, 7.0]])}
    found = evaluate_values(b.graph, [back], feeds)[back]
    np.testing.assert_array_equal(found, [[[[0.0, 5.0], [0.0, 0.0]], [[7.0, 0.0], [0.0, 0.0]]]])


IMAGE = f32(1, 2, 4, 4)


@pytest.mark.parametrize("op", [max_pool2d, avg_pool2d])
@pytest.mark.parametrize(
    ("window", "strides", "padding", "x", "message"),
    [
        ((5, 2), (1, 1), ((0, 0), (0, 0)), IMAGE, r"height 5 .* \(4 - 5\)/1 \+ 1 = 0"),
        ((2, 2), (1, 1), ((2, 0), (0, 0)), IMAGE, "padding 2 before the height"),
        ((2, 2), (2, 2), ((0, 0), (0, 2)), IMAGE, "holds padding only: the width is 4"),
        ((2, 2), (0, 2), ((0, 0), (0, 0)), IMAGE, "a stride of 0 x 2"),
        ((2, 2), (2, 2), ((0, 0), (0, 0)), f32(2, 4, 4), r"an image \[N,C,H,W\]"),
        ((2, 2), (2, 2), ((0, 0), (0, 0)), TensorType(DType.I32, (1, 1, 4, 4)), "of floats"),
        ((2, 2), (2, 2), ((0, 0), (0, 0)), f32(0, 2, 4, 4), "an image"),
    ],
)
def test_windows_that_do_not_fit_are_refused(
    op: Op[Any],
    window: tuple[int, int],
    strides: tuple[int, int],
    padding: tuple[tuple[int, int], tuple[int, int]],
    x: TensorType,
    message: str,
) -> None:
    with pytest.raises(TypeRuleError, match=message):
        op.infer(AvgPool2dAttrs(window, strides, padding), x)


def test_gradients_refuse_shapes_that_the_pool_does_not_give() -> None:
    attrs = Pool2dAttrs((2, 2), (2, 2))
    assert max_pool2d_grad.infer(attrs, IMAGE, f32(1, 2, 2, 2)) == (IMAGE,)
    with pytest.raises(TypeRuleError, match=r"max_pool2d gives f32\[1,2,2,2\] here"):
        max_pool2d_grad.infer(attrs, IMAGE, f32(1, 2, 2, 3))
    with pytest.raises(TypeRuleError, match="values for each element"):
        max_pool2d_gather.infer(attrs, IMAGE, f32(1, 2, 2, 2))
    record = AvgPool2dGradAttrs((2, 2), (2, 2), shape=(1, 2, 4, 4))
    with pytest.raises(TypeRuleError, match=r"avg_pool2d gives f32\[1,2,2,2\] here"):
        avg_pool2d_grad.infer(record, f32(1, 2, 3, 2))


def test_cost_counts_each_element_of_each_window() -> None:
    operands = (f32(2, 3, 8, 8),)
    for op in (max_pool2d, avg_pool2d):
        _, node = make(op, AvgPool2dAttrs((3, 3), (1, 1)), *operands)
        found = cost_of(node, operands)
        assert (found.flops, found.macs) == (2 * 3 * 6 * 6 * 9, 0)
    _, node = make(global_avg_pool, Attrs(), *operands)
    assert cost_of(node, operands).flops == 2 * 3 * 64
