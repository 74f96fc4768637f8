"""Reductions over axes: sum, mean, max, argmax."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cnndsl.ir.builder import Builder
from cnndsl.ir.graph import Node, Value
from cnndsl.ir.op import OPS, Attrs, define_op
from cnndsl.ir.types import DType, Shape, TensorType, f32
from cnndsl.ops.rules import Array, Cost, Sample, cost, no_gradient, reference, samples, vjp
from cnndsl.ops.shape import (
    BroadcastToAttrs,
    broadcast_to,
    check_axis,
    emit_reshape,
    full_like,
)
from cnndsl.support.diagnostics import TypeRuleError


@dataclass(frozen=True, slots=True)
class ReduceAttrs(Attrs):
    """Attributes of the reductions."""

    axes: tuple[int, ...]
    """The axes that are reduced, counted from 0; none leaves every element alone."""
    keepdims: bool = False
    """Whether reduced axes stay, with length 1."""


def reduced_shape(shape: Shape, axes: tuple[int, ...], *, keepdims: bool) -> Shape:
    """Give the shape that is left when `axes` of `shape` are reduced.

    >>> reduced_shape((2, 3, 4), (1,), keepdims=False)
    (2, 4)
    >>> reduced_shape((2, 3, 4), (1,), keepdims=True)
    (2, 1, 4)
    """
    if keepdims:
        return tuple(1 if axis in axes else length for axis, length in enumerate(shape))
    return tuple(length for axis, length in enumerate(shape) if axis not in axes)


def _reduced(name: str, attrs: ReduceAttrs, x: TensorType) -> TensorType:
    for axis in attrs.axes:
        check_axis(name, axis, x)
    if len(set(attrs.axes)) != len(attrs.axes):
        raise TypeRuleError(f"{name} of {x} over the axes {list(attrs.axes)}: one is named twice")
    return x.with_shape(reduced_shape(x.shape, attrs.axes, keepdims=attrs.keepdims))


def _spread(b: Builder, node: Node[ReduceAttrs], value: Value) -> Value:
    """Emit a value of the result's shape repeated over the operand's shape."""
    shape = b.type_of(node.operands[0]).shape
    kept = emit_reshape(b, value, reduced_shape(shape, node.attrs.axes, keepdims=True))
    return kept if shape == b.type_of(kept).shape else _emit_broadcast(b, kept, shape)


def _emit_broadcast(b: Builder, x: Value, shape: Shape) -> Value:
    return b.emit(broadcast_to, x, attrs=BroadcastToAttrs(shape))


@define_op("reduce_sum")
def reduce_sum(attrs: ReduceAttrs, x: TensorType) -> TensorType:
    """The sum over axes."""
    return _reduced("reduce_sum", attrs, x)


@reference.rule(reduce_sum)
def reduce_sum_reference(node: Node[ReduceAttrs], x: Array) -> Array:
    """Sum in the precision of the operand."""
    return np.asarray(x.sum(axis=node.attrs.axes, keepdims=node.attrs.keepdims, dtype=x.dtype))


@vjp.rule(reduce_sum)
def reduce_sum_vjp(b: Builder, node: Node[ReduceAttrs], grad: Value) -> Sequence[Value]:
    """Repeat the gradient over the summed axes."""
    return (_spread(b, node, grad),)


@define_op("reduce_mean")
def reduce_mean(attrs: ReduceAttrs, x: TensorType) -> TensorType:
    """The mean over axes."""
    if not x.dtype.is_float:
        raise TypeRuleError(f"reduce_mean of {x}: a mean is taken of floats")
    return _reduced("reduce_mean", attrs, x)


@reference.rule(reduce_mean)
def reduce_mean_reference(node: Node[ReduceAttrs], x: Array) -> Array:
    """Average in the precision of the operand."""
    return np.asarray(x.mean(axis=node.attrs.axes, keepdims=node.attrs.keepdims, dtype=x.dtype))


@vjp.rule(reduce_mean)
def reduce_mean_vjp(b: Builder, node: Node[ReduceAttrs], grad: Value) -> Sequence[Value]:
    """Repeat the gradient, divided by the number of elements averaged."""
    kind = b.type_of(node.operands[0])
    count = kind.size // max(1, node.type.size)
    share = full_like(b, 1.0 / max(1, count), kind.with_shape(()))
    # Looked up by name: elementwise.py builds on this module.
    return (_spread(b, node, b.emit(OPS["mul"], grad, share)),)


@define_op("reduce_max")
def reduce_max(attrs: ReduceAttrs, x: TensorType) -> TensorType:
    """The largest element over axes; gradient to the first of equal ones, in row-major order."""
    if any(0 <= axis < x.rank and x.shape[axis] == 0 for axis in attrs.axes):
        raise TypeRuleError(f"reduce_max of {x}: there is no largest of no elements")
    return _reduced("reduce_max", attrs, x)


@reference.rule(reduce_max)
def reduce_max_reference(node: Node[ReduceAttrs], x: Array) -> Array:
    """Take the maximum; a NaN is the result where there is one."""
    return np.asarray(x.max(axis=node.attrs.axes, keepdims=node.attrs.keepdims))


@vjp.rule(reduce_max)
def reduce_max_vjp(b: Builder, node: Node[ReduceAttrs], grad: Value) -> Sequence[Value]:
    """Give the gradient to the element that was taken."""
    return (b.emit(reduce_max_grad, grad, node.operands[0], attrs=node.attrs),)


@define_op("reduce_max_grad")
def reduce_max_grad(attrs: ReduceAttrs, grad: TensorType, x: TensorType) -> TensorType:
    """The gradient of `reduce_max`: each goes to the first maximum of its elements."""
    if _reduced("reduce_max_grad", attrs, x) != grad:
        raise TypeRuleError(
            f"reduce_max_grad of {grad}: the maximum of {x} over {list(attrs.axes)} "
            f"is {_reduced('reduce_max_grad', attrs, x)}"
        )
    return x


def _rows(node: Node[ReduceAttrs], x: Array) -> tuple[Array, tuple[int, ...]]:
    """Give `x` as a matrix, a row per result, and the order of axes that was made for it."""
    axes = sorted(node.attrs.axes)
    order = (*(axis for axis in range(x.ndim) if axis not in axes), *axes)
    moved = x.transpose(order)
    width = math.prod(x.shape[axis] for axis in axes)
    return moved.reshape(-1, width), order


@reference.rule(reduce_max_grad)
def reduce_max_grad_reference(node: Node[ReduceAttrs], grad: Array, x: Array) -> Array:
    """Scatter into zeros."""
    rows, order = _rows(node, x)
    out = np.zeros_like(rows)
    out[np.arange(len(rows)), rows.argmax(axis=1)] = grad.reshape(-1)
    moved = out.reshape([x.shape[axis] for axis in order])
    return np.ascontiguousarray(moved.transpose(np.argsort(order))).reshape(x.shape)


@define_op("reduce_max_pick")
def reduce_max_pick(attrs: ReduceAttrs, values: TensorType, x: TensorType) -> TensorType:
    """Elements of `values` where `x` has its maxima: the adjoint of `reduce_max_grad`."""
    if values != x:
        raise TypeRuleError(f"reduce_max_pick of {values} by {x}: the types must be equal")
    return _reduced("reduce_max_pick", attrs, x)


@reference.rule(reduce_max_pick)
def reduce_max_pick_reference(node: Node[ReduceAttrs], values: Array, x: Array) -> Array:
    """Gather."""
    rows, _ = _rows(node, x)
    picked = _rows(node, values)[0][np.arange(len(rows)), rows.argmax(axis=1)]
    return np.asarray(picked.reshape(node.type.shape))


@vjp.rule(reduce_max_grad)
def reduce_max_grad_vjp(b: Builder, node: Node[ReduceAttrs], grad: Value) -> Sequence[Value | None]:
    """Pick where the maxima are; moving `x` a little moves no maximum."""
    return (b.emit(reduce_max_pick, grad, node.operands[1], attrs=node.attrs), None)


@vjp.rule(reduce_max_pick)
def reduce_max_pick_vjp(b: Builder, node: Node[ReduceAttrs], grad: Value) -> Sequence[Value | None]:
    """Put the gradient where the maxima are."""
    return (b.emit(reduce_max_grad, grad, node.operands[1], attrs=node.attrs), None)


@dataclass(frozen=True, slots=True)
class ArgmaxAttrs(Attrs):
    """Attributes of `argmax`."""

    axis: int
    """The axis that is searched and disappears."""


@define_op("argmax")
def argmax(attrs: ArgmaxAttrs, x: TensorType) -> TensorType:
    """The i64 index of the largest element along an axis, the first of equal ones."""
    check_axis("argmax", attrs.axis, x)
    shape = reduced_shape(x.shape, (attrs.axis,), keepdims=False)
    return TensorType(DType.I64, shape)


@reference.rule(argmax)
def argmax_reference(node: Node[ArgmaxAttrs], x: Array) -> Array:
    """Search."""
    return np.asarray(x.argmax(axis=node.attrs.axis))


no_gradient.add(argmax)


@vjp.rule(broadcast_to)
def broadcast_to_vjp(b: Builder, node: Node[BroadcastToAttrs], grad: Value) -> Sequence[Value]:
    """Sum over the repeated axes."""
    return (unbroadcast(b, grad, b.type_of(node.operands[0])),)


def unbroadcast(b: Builder, grad: Value, to: TensorType) -> Value:
    """Emit the sum of `grad` over the axes along which an operand of type `to` was repeated."""
    shape = b.type_of(grad).shape
    if shape == to.shape:
        return grad
    if not to.rank:
        axes = tuple(range(len(shape)))
        return b.emit(reduce_sum, grad, attrs=ReduceAttrs(axes))
    axes = tuple(axis for axis, length in enumerate(to.shape) if length != shape[axis])
    return b.emit(reduce_sum, grad, attrs=ReduceAttrs(axes, keepdims=True))


@samples.rule(reduce_sum, reduce_mean)
def reduce_samples() -> Iterable[Sample]:
    """One axis, several, all, none; kept or not; axes of length 1."""
    yield Sample((f32(2, 3, 4),), ReduceAttrs((1,)))
    yield Sample((f32(2, 3, 2, 3),), ReduceAttrs((0, 2, 3)))
    yield Sample((f32(2, 3, 4),), ReduceAttrs((2, 0), keepdims=True))
    yield Sample((f32(2, 3),), ReduceAttrs((0, 1)))
    yield Sample((f32(3, 1),), ReduceAttrs((1,)))
    yield Sample((f32(2, 3),), ReduceAttrs(()))


@samples.rule(reduce_max)
def reduce_max_samples() -> Iterable[Sample]:
    """As for the sum, without ties."""
    for sample in reduce_samples():
        yield Sample(sample.operands, sample.attrs, distinct=True)


@samples.rule(reduce_max_grad)
def reduce_max_grad_samples() -> Iterable[Sample]:
    """Rows, outer axes, kept axes."""
    yield Sample((f32(2, 4), f32(2, 3, 4)), ReduceAttrs((1,)), distinct=True)
    yield Sample((f32(3), f32(2, 3, 2)), ReduceAttrs((0, 2)), distinct=True)
    yield Sample((f32(2, 1), f32(2, 5)), ReduceAttrs((1,), keepdims=True), distinct=True)


@samples.rule(reduce_max_pick)
def reduce_max_pick_samples() -> Iterable[Sample]:
    """Rows, outer axes."""
    yield Sample((f32(2, 3, 4), f32(2, 3, 4)), ReduceAttrs((1,)), distinct=True)
    yield Sample((f32(2, 3, 2), f32(2, 3, 2)), ReduceAttrs((0, 2)), distinct=True)


@samples.rule(argmax)
def argmax_samples() -> Iterable[Sample]:
    """Classes of a batch, channels of images, a vector."""
    yield Sample((f32(4, 10),), ArgmaxAttrs(1), distinct=True)
    yield Sample((f32(2, 3, 2, 2),), ArgmaxAttrs(1), distinct=True)
    yield Sample((f32(5),), ArgmaxAttrs(0), distinct=True)


@cost.rule(reduce_sum, reduce_mean, reduce_max, reduce_max_grad, reduce_max_pick, argmax)
def reduce_cost(node: Node[Any], operands: Sequence[TensorType]) -> Cost:
    """One operation an element of the largest operand."""
    return Cost(
        flops=max(kind.size for kind in operands),
        bytes_read=sum(kind.nbytes for kind in operands),
        bytes_written=sum(kind.nbytes for kind in node.types),
    )
