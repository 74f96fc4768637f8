"""Scaled images against PyTorch's figures and against sums over all pixels."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnndsl.ir.builder import Builder
from cnndsl.ir.graph import Graph
from cnndsl.ir.op import Attrs, Op
from cnndsl.ir.types import DType, TensorType, f32
from cnndsl.ops.resize import Line, ResizeAttrs, ResizeGradAttrs, resize, resize_grad
from cnndsl.ops.rules import Array, compute, cost_of
from cnndsl.ops.structural import InputAttrs, input_
from cnndsl.support.diagnostics import TypeRuleError

SIDES = st.integers(1, 9)
WAYS = st.sampled_from([("nearest", False), ("bilinear", False), ("bilinear", True)])


def run(op: Op[Any], attrs: Attrs, x: Array) -> Array:
    """Run one node with its reference rule."""
    b = Builder(Graph("test"))
    value = b.emit(input_, attrs=InputAttrs(TensorType(DType.of(x.dtype), x.shape)))
    return compute(b.graph[b.emit(op, value, attrs=attrs)], x)[0]


def square(attrs: ResizeAttrs) -> list[list[float]]:
    """Scale the image of 1, 2 over 3, 4."""
    found = run(resize, attrs, np.array([[[[1.0, 2.0], [3.0, 4.0]]]]))
    rows: list[list[float]] = found[0, 0].round(4).tolist()
    return rows


def test_the_figures_of_pytorchs_documentation() -> None:
    """`Upsample(scale_factor=2)` of [[1, 2], [3, 4]] in each mode."""
    assert square(ResizeAttrs(4, 4, "nearest")) == [
        [1, 1, 2, 2], [1, 1, 2, 2], [3, 3, 4, 4], [3, 3, 4, 4],
    ]  # fmt: skip
    assert square(ResizeAttrs(4, 4)) == [
        [1.0, 1.25, 1.75, 2.0], [1.5, 1.75, 2.25, 2.5],
        [2.5, 2.75, 3.25, 3.5], [3.0, 3.25, 3.75, 4.0],
    ]  # fmt: skip
    assert square(ResizeAttrs(4, 4, align_corners=True)) == [
        [1.0, 1.3333, 1.6667, 2.0], [1.6667, 2.0, 2.3333, 2.6667],
        [2.3333, 2.6667, 3.0, 3.3333], [3.0, 3.3333, 3.6667, 4.0],
    ]  # fmt: skip


def share(mode: str, corners: bool, length: int, size: int, o: int, pixel: int) -> Fraction:
    """Give a pixel's share of number `o`: how far it stands from the number's place."""
    if mode == "nearest":
        return Fraction(int(math.floor(Fraction(o * length, size)) == pixel))
    if corners:
        place = Fraction(o * (length - 1), size - 1) if size > 1 else Fraction(0)
    else:
        place = (o + Fraction(1, 2)) * Fraction(length, size) - Fraction(1, 2)
    place = min(max(place, Fraction(0)), Fraction(length - 1))
    return max(Fraction(0), 1 - abs(place - pixel))


def weights(mode: str, corners: bool, length: int, size: int) -> Array:
    """Give the matrix from pixels to numbers."""
    rows = [
        [float(share(mode, corners, length, size, o, pixel)) for pixel in range(length)]
        for o in range(size)
    ]
    return np.array(rows)


@given(WAYS, SIDES, SIDES, SIDES, SIDES)
def test_each_number_is_a_sum_over_all_pixels(
    way: tuple[str, bool], height: int, width: int, rows: int, columns: int
) -> None:
    attrs = ResizeAttrs(rows, columns, way[0], align_corners=way[1])
    rng = np.random.default_rng(1)
    down, across = weights(*way, height, rows), weights(*way, width, columns)
    x = rng.normal(size=(2, 3, height, width))
    expected = np.einsum("oh,pw,nchw->ncop", down, across, x)
    np.testing.assert_allclose(run(resize, attrs, x), expected, atol=1e-13)
    grad = rng.normal(size=(2, 3, rows, columns))
    expected = np.einsum("oh,pw,ncop->nchw", down, across, grad)
    found = run(resize_grad, ResizeGradAttrs(height, width, attrs), grad)
    np.testing.assert_allclose(found, expected, atol=1e-13)


@given(WAYS, SIDES, SIDES)
def test_shares_add_up_to_one(way: tuple[str, bool], length: int, size: int) -> None:
    line = Line.of(ResizeAttrs(size, 1, way[0], align_corners=way[1]), length, size)
    totals = np.zeros(size)
    for readers in line.readers:
        assert [number for number, _ in readers] == sorted({number for number, _ in readers})
        for number, part in readers:
            totals[number] += part
    np.testing.assert_allclose(totals, 1.0, atol=1e-15)


def test_a_large_side_loses_no_place() -> None:
    """In single precision floor(o*length/size) goes wrong here; whole numbers do not."""
    line = Line.of(ResizeAttrs(1, 1, "nearest"), 8_388_609, 25_165_827)
    assert line.tap(25_165_826) == (8_388_608, 8_388_608, 0.0)
    assert line.tap(3) == (1, 1, 0.0)


@pytest.mark.parametrize(
    ("attrs", "x", "message"),
    [
        (ResizeAttrs(4, 4, "cubic"), f32(1, 3, 2, 2), "no mode 'cubic'; it has nearest, bilinear"),
        (ResizeAttrs(4, 0), f32(1, 3, 2, 2), "to 4x0: 1x1 is the least"),
        (ResizeAttrs(4, 4), f32(2, 3), r"an image \[N,C,H,W\]"),
        (ResizeAttrs(4, 4), f32(1, 3, 0, 2), r"an image \[N,C,H,W\]"),
        (ResizeAttrs(4, 4), TensorType(DType.U8, (1, 3, 2, 2)), "of floats"),
        (ResizeAttrs(4, 4, "nearest", align_corners=True), f32(1, 3, 2, 2), "takes one pixel"),
    ],
)
def test_what_cannot_be_scaled_is_refused(attrs: ResizeAttrs, x: TensorType, message: str) -> None:
    with pytest.raises(TypeRuleError, match=message):
        resize.infer(attrs, x)


def test_a_gradient_has_the_size_of_the_result() -> None:
    attrs = ResizeGradAttrs(2, 2, ResizeAttrs(4, 4))
    assert resize_grad.infer(attrs, f32(1, 3, 4, 4)) == (f32(1, 3, 2, 2),)
    with pytest.raises(TypeRuleError, match="its gradient is"):
        resize_grad.infer(attrs, f32(1, 3, 4, 5))
    with pytest.raises(TypeRuleError, match="the gradient of an image"):
        resize_grad.infer(attrs, f32(3, 4))


@pytest.mark.parametrize(("mode", "flops"), [("nearest", 0), ("bilinear", 7 * 48)])
def test_cost(mode: str, flops: int) -> None:
    b = Builder(Graph("test"))
    x = b.emit(input_, attrs=InputAttrs(f32(1, 3, 2, 2)))
    node = b.graph[b.emit(resize, x, attrs=ResizeAttrs(4, 4, mode))]
    assert (found := cost_of(node, [f32(1, 3, 2, 2)])).flops == flops
    assert (found.bytes_read, found.bytes_written) == (48, 192)
