"""Pooling: maximum and mean over windows or over the whole image, with gradients."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cnndsl.ir.builder import Builder
from cnndsl.ir.graph import Node, Value
from cnndsl.ir.op import Attrs, define_op
from cnndsl.ir.types import Shape, TensorType, f32
from cnndsl.ops.elementwise import emit_scalar, mul
from cnndsl.ops.rules import Array, Cost, Sample, cost, elementwise_cost, reference, samples, vjp
from cnndsl.ops.shape import BroadcastToAttrs, broadcast_to, emit_reshape
from cnndsl.ops.window import NO_PADDING, Padding, Pair, check_windows_touch, image_size, overlap
from cnndsl.support.diagnostics import TypeRuleError


@dataclass(frozen=True, slots=True)
class Pool2dAttrs(Attrs):
    """How a pooling window slides.

    Rounding up ("ceil mode") is padding below and right, see `window.ceil_padding`. Padding with
    which a window would hold no real element is refused.
    """

    window: Pair
    """Height and width of the window."""
    strides: Pair = (1, 1)
    """Pixels from place to place, down and across."""
    padding: Padding = NO_PADDING
    """Pixels around the image that are never a maximum and add nothing to a sum."""


@dataclass(frozen=True, slots=True)
class AvgPool2dAttrs(Pool2dAttrs):
    """Attributes of `avg_pool2d`."""

    count_padding: bool = False
    """Divide by the whole window instead of by the real elements in it."""


@dataclass(frozen=True, slots=True)
class AvgPool2dGradAttrs(AvgPool2dAttrs):
    """Attributes of `avg_pool2d_grad`."""

    shape: Shape = ()
    """Shape of the image, [N,C,H,W]."""


def _pooled(name: str, attrs: Pool2dAttrs, x: TensorType) -> TensorType:
    """Give the type of a pooled image; raises `TypeRuleError` with the arithmetic."""
    _check_image(name, x)
    image = (x.shape[2], x.shape[3])
    places = image_size(image, attrs.window, strides=attrs.strides, padding=attrs.padding)
    check_windows_touch(image, attrs.window, attrs.strides, attrs.padding)
    return x.with_shape((*x.shape[:2], *places))


def _check_image(name: str, x: TensorType) -> None:
    if x.rank != 4 or not x.dtype.is_float or x.size == 0:
        raise TypeRuleError(f"{name} takes an image [N,C,H,W] of floats; given {x}")


def _agree(name: str, forward: TensorType, grad: TensorType) -> None:
    if forward != grad:
        raise TypeRuleError(f"{name} gives {forward} here; its gradient is {grad}")


@define_op("max_pool2d")
def max_pool2d(attrs: Pool2dAttrs, x: TensorType) -> TensorType:
    """The largest element of each window of x [N,C,H,W]; NaN where the window holds one.

    The gradient goes to the first maximum of a window in row-major order.
    """
    return _pooled("max_pool2d", attrs, x)


@define_op("max_pool2d_grad")
def max_pool2d_grad(attrs: Pool2dAttrs, x: TensorType, grad: TensorType) -> TensorType:
    """The gradient of `max_pool2d` at x: `grad` laid on the first maximum of each window.

    Windows that share their maximum add up. Shape of the result: [N,C,H,W] as x.
    """
    _agree("max_pool2d", _pooled("max_pool2d", attrs, x), grad)
    return x


@define_op("max_pool2d_gather")
def max_pool2d_gather(attrs: Pool2dAttrs, x: TensorType, values: TensorType) -> TensorType:
    """Of `values` [N,C,H,W], the one where each window of x has its first maximum: [N,C,OH,OW].

    The transpose of `max_pool2d_grad`, and its gradient.
    """
    if values != x:
        raise TypeRuleError(f"max_pool2d_gather takes values for each element of {x}; got {values}")
    return _pooled("max_pool2d", attrs, x)


@define_op("avg_pool2d")
def avg_pool2d(attrs: AvgPool2dAttrs, x: TensorType) -> TensorType:
    """The mean of each window of x [N,C,H,W]: of its real elements, or also over the padding.

    With `count_padding` the divisor is the whole window everywhere, padding for rounding up
    included.
    """
    return _pooled("avg_pool2d", attrs, x)


@define_op("avg_pool2d_grad")
def avg_pool2d_grad(attrs: AvgPool2dGradAttrs, grad: TensorType) -> TensorType:
    """The gradient of `avg_pool2d`: each window's gradient shared out over its elements."""
    image = grad.with_shape(attrs.shape)
    _agree("avg_pool2d", _pooled("avg_pool2d", attrs, image), grad)
    return image


@define_op("global_avg_pool")
def global_avg_pool(attrs: Attrs, x: TensorType) -> TensorType:
    """The mean of each channel of x [N,C,H,W], giving [N,C]."""
    _check_image("global_avg_pool", x)
    return x.with_shape(x.shape[:2])


@define_op("global_max_pool")
def global_max_pool(attrs: Attrs, x: TensorType) -> TensorType:
    """The largest element of each channel of x [N,C,H,W], giving [N,C]; NaN if there is one.

    The gradient goes to the first maximum in row-major order.
    """
    _check_image("global_max_pool", x)
    return x.with_shape(x.shape[:2])


_Index = tuple[Any, ...]


def _taps(attrs: Pool2dAttrs, x: Shape, y: Shape) -> Iterator[tuple[_Index, _Index]]:
    """Walk a window's taps in row-major order: (places that see a real pixel, those pixels)."""
    (top, _), (left, _) = attrs.padding
    for i, j in np.ndindex(*attrs.window):
        rows, from_rows = overlap(x[2], y[2], i, stride=attrs.strides[0], before=top)
        cols, from_cols = overlap(x[3], y[3], j, stride=attrs.strides[1], before=left)
        yield (..., rows, cols), (..., from_rows, from_cols)


def _maxima(attrs: Pool2dAttrs, x: Array, shape: Shape) -> Array:
    """Take the larger, tap by tap: an array of `shape`, [N,C,OH,OW]."""
    y = np.full(shape, -np.inf, x.dtype)
    for places, pixels in _taps(attrs, x.shape, shape):
        np.maximum(y[places], x[pixels], out=y[places])
    return y


def _first_maxima(
    attrs: Pool2dAttrs, x: Array, shape: Shape
) -> Iterator[tuple[_Index, _Index, Array]]:
    """Walk the taps with a mask of the places whose first maximum is at this tap."""
    y = _maxima(attrs, x, shape)
    free = np.ones(y.shape, np.bool_)
    spoilt = np.isnan(y) if np.isnan(y).any() else None
    for places, pixels in _taps(attrs, x.shape, y.shape):
        seen = x[pixels]
        hit = seen == y[places]
        if spoilt is not None:
            hit |= np.isnan(seen) & spoilt[places]
        hit &= free[places]
        free[places] &= ~hit
        yield places, pixels, hit


@reference.rule(max_pool2d)
def max_pool2d_reference(node: Node[Pool2dAttrs], x: Array) -> Array:
    """Take the larger, tap by tap."""
    return _maxima(node.attrs, x, node.type.shape)


@reference.rule(max_pool2d_grad)
def max_pool2d_grad_reference(node: Node[Pool2dAttrs], x: Array, grad: Array) -> Array:
    """Add each window's gradient at its first maximum."""
    result = np.zeros(x.shape, grad.dtype)
    for places, pixels, hit in _first_maxima(node.attrs, x, grad.shape):
        result[pixels] += np.where(hit, grad[places], grad.dtype.type(0))
    return result


@reference.rule(max_pool2d_gather)
def max_pool2d_gather_reference(node: Node[Pool2dAttrs], x: Array, values: Array) -> Array:
    """Copy the value at each window's first maximum."""
    result = np.zeros(node.type.shape, values.dtype)
    for places, pixels, hit in _first_maxima(node.attrs, x, result.shape):
        np.copyto(result[places], values[pixels], where=hit)
    return result


def _shares(attrs: AvgPool2dAttrs, x: Shape, y: Shape, dtype: np.dtype[Any]) -> Array:
    """Give one over the divisor of each place: [OH,OW]."""
    counts = np.zeros(y[2:], np.int64)
    for places, _ in _taps(attrs, x, y):
        counts[places] += 1
    if attrs.count_padding:
        counts[...] = attrs.window[0] * attrs.window[1]
    return np.asarray(1.0 / counts, dtype)


@reference.rule(avg_pool2d)
def avg_pool2d_reference(node: Node[AvgPool2dAttrs], x: Array) -> Array:
    """Add tap by tap, then divide."""
    y = np.zeros(node.type.shape, x.dtype)
    for places, pixels in _taps(node.attrs, x.shape, y.shape):
        y[places] += x[pixels]
    y *= _shares(node.attrs, x.shape, y.shape, x.dtype)
    return y


@reference.rule(avg_pool2d_grad)
def avg_pool2d_grad_reference(node: Node[AvgPool2dGradAttrs], grad: Array) -> Array:
    """Divide, then add tap by tap."""
    attrs = node.attrs
    result = np.zeros(attrs.shape, grad.dtype)
    shared = grad * _shares(attrs, attrs.shape, grad.shape, grad.dtype)
    for places, pixels in _taps(attrs, attrs.shape, grad.shape):
        result[pixels] += shared[places]
    return result


@reference.rule(global_avg_pool)
def global_avg_pool_reference(node: Node[Attrs], x: Array) -> Array:
    """Average each channel in the precision of the operand."""
    return np.asarray(x.mean(axis=(2, 3), dtype=x.dtype))


@reference.rule(global_max_pool)
def global_max_pool_reference(node: Node[Attrs], x: Array) -> Array:
    """Take each channel's largest element."""
    return np.asarray(x.max(axis=(2, 3)))


@vjp.rule(max_pool2d)
def max_pool2d_vjp(b: Builder, node: Node[Pool2dAttrs], grad: Value) -> Sequence[Value]:
    """Lay the gradient on the maxima."""
    return (b.emit(max_pool2d_grad, *node.operands, grad, attrs=node.attrs),)


@vjp.rule(max_pool2d_grad)
def max_pool2d_grad_vjp(b: Builder, node: Node[Pool2dAttrs], grad: Value) -> Sequence[Value | None]:
    """Gather at the maxima; where they are does not change with x, but at ties."""
    return None, b.emit(max_pool2d_gather, node.operands[0], grad, attrs=node.attrs)


@vjp.rule(max_pool2d_gather)
def max_pool2d_gather_vjp(
    b: Builder, node: Node[Pool2dAttrs], grad: Value
) -> Sequence[Value | None]:
    """Lay the gradient back on the maxima."""
    return None, b.emit(max_pool2d_grad, node.operands[0], grad, attrs=node.attrs)


@vjp.rule(avg_pool2d)
def avg_pool2d_vjp(b: Builder, node: Node[AvgPool2dAttrs], grad: Value) -> Sequence[Value]:
    """Share the gradient out."""
    a = node.attrs
    shape = b.type_of(node.operands[0]).shape
    record = AvgPool2dGradAttrs(a.window, a.strides, a.padding, a.count_padding, shape)
    return (b.emit(avg_pool2d_grad, grad, attrs=record),)


@vjp.rule(avg_pool2d_grad)
def avg_pool2d_grad_vjp(b: Builder, node: Node[AvgPool2dGradAttrs], grad: Value) -> Sequence[Value]:
    """Linear: the transpose is the mean itself."""
    a = node.attrs
    record = AvgPool2dAttrs(a.window, a.strides, a.padding, a.count_padding)
    return (b.emit(avg_pool2d, grad, attrs=record),)


@vjp.rule(global_avg_pool)
def global_avg_pool_vjp(b: Builder, node: Node[Attrs], grad: Value) -> Sequence[Value]:
    """Give each pixel its share of the channel's gradient."""
    shape = b.type_of(node.operands[0]).shape
    share = b.emit(mul, grad, emit_scalar(b, 1.0 / (shape[2] * shape[3]), grad))
    spread = BroadcastToAttrs(shape)
    return (b.emit(broadcast_to, emit_reshape(b, share, (*shape[:2], 1, 1)), attrs=spread),)


@vjp.rule(global_max_pool)
def global_max_pool_vjp(b: Builder, node: Node[Attrs], grad: Value) -> Sequence[Value]:
    """Lay the gradient on the maximum: a window as large as the image."""
    x = node.operands[0]
    shape = b.type_of(x).shape
    upstream = emit_reshape(b, grad, (*shape[:2], 1, 1))
    return (b.emit(max_pool2d_grad, x, upstream, attrs=Pool2dAttrs((shape[2], shape[3]))),)


@cost.rule(max_pool2d, max_pool2d_gather, avg_pool2d)
def pool2d_cost(node: Node[Pool2dAttrs], operands: Sequence[TensorType]) -> Cost:
    """One operation an element of each window."""
    taps = node.attrs.window[0] * node.attrs.window[1]
    return elementwise_cost(node, operands, flops_per_element=taps)


@cost.rule(max_pool2d_grad, avg_pool2d_grad)
def pool2d_grad_cost(node: Node[Pool2dAttrs], operands: Sequence[TensorType]) -> Cost:
    """One operation an element of each window."""
    taps = node.attrs.window[0] * node.attrs.window[1]
    traffic = elementwise_cost(node, operands, flops_per_element=0)
    return traffic + Cost(flops=operands[-1].size * taps)


@cost.rule(global_avg_pool, global_max_pool)
def global_pool_cost(node: Node[Attrs], operands: Sequence[TensorType]) -> Cost:
    """One operation an element of the image."""
    traffic = elementwise_cost(node, operands, flops_per_element=0)
    return traffic + Cost(flops=operands[0].size)


_CASES: tuple[tuple[Shape, Pool2dAttrs], ...] = (
    ((2, 3, 4, 6), Pool2dAttrs((2, 2), (2, 2))),
    ((1, 1, 1, 1), Pool2dAttrs((1, 1))),
    ((2, 2, 7, 5), Pool2dAttrs((3, 3), (2, 2))),  # windows that overlap
    ((1, 3, 7, 8), Pool2dAttrs((2, 1), (3, 4))),  # stride beyond the window: pixels unseen
    ((2, 2, 6, 5), Pool2dAttrs((3, 2), (2, 1), ((1, 0), (0, 1)))),
    ((1, 2, 4, 4), Pool2dAttrs((3, 3), (2, 2), ((0, 1), (0, 1)))),  # rounding up
    ((2, 2, 3, 4), Pool2dAttrs((3, 3), (1, 1), ((1, 1), (1, 1)))),
    ((1, 1, 2, 1), Pool2dAttrs((4, 3), (1, 2), ((3, 2), (2, 1)))),  # more padding than image
    ((3, 2, 5, 4), Pool2dAttrs((5, 4))),  # as large as the image
    ((2, 1, 1, 9), Pool2dAttrs((1, 3), (1, 2))),
)
"""Image and window of the samples: each has something awkward."""


def _place_type(attrs: Pool2dAttrs, x: Shape) -> TensorType:
    return _pooled("pool", attrs, f32(*x))


def _average(attrs: Pool2dAttrs, *, count_padding: bool) -> AvgPool2dAttrs:
    return AvgPool2dAttrs(attrs.window, attrs.strides, attrs.padding, count_padding)


@samples.rule(max_pool2d)
def max_pool2d_samples() -> Iterable[Sample]:
    """Try the cases with elements that keep apart."""
    return [Sample((f32(*x),), attrs, distinct=True) for x, attrs in _CASES]


@samples.rule(max_pool2d_grad)
def max_pool2d_grad_samples() -> Iterable[Sample]:
    """Try the cases, and equal elements everywhere: the first one takes the gradient."""
    for x, attrs in _CASES:
        yield Sample((f32(*x), _place_type(attrs, x)), attrs, distinct=True, differentiable=(1,))
    x, attrs = _CASES[2]
    operands = (f32(*x), _place_type(attrs, x))
    yield Sample(operands, attrs, low=1.0, high=1.0, differentiable=(1,))


@samples.rule(max_pool2d_gather)
def max_pool2d_gather_samples() -> Iterable[Sample]:
    """Try the cases."""
    for x, attrs in _CASES:
        yield Sample((f32(*x), f32(*x)), attrs, distinct=True, differentiable=(1,))


@samples.rule(avg_pool2d)
def avg_pool2d_samples() -> Iterable[Sample]:
    """Try the cases with both divisors."""
    for x, attrs in _CASES:
        for count_padding in (False, True):
            yield Sample((f32(*x),), _average(attrs, count_padding=count_padding))


@samples.rule(avg_pool2d_grad)
def avg_pool2d_grad_samples() -> Iterable[Sample]:
    """Try the cases with both divisors."""
    for x, a in _CASES:
        for counted in (False, True):
            record = AvgPool2dGradAttrs(a.window, a.strides, a.padding, counted, x)
            yield Sample((_place_type(a, x),), record)


@samples.rule(global_avg_pool, global_max_pool)
def global_pool_samples() -> Iterable[Sample]:
    """Try images of unequal sides, one pixel, one row."""
    shapes = ((2, 3, 4, 5), (1, 1, 1, 1), (2, 1, 1, 7), (1, 4, 6, 1))
    return [Sample((f32(*shape),), distinct=True) for shape in shapes]
