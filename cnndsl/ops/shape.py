"""Ops that move elements without changing them: reshape, transpose, concat, split, slice, ..."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import numpy as np

from cnndsl.ir.builder import Builder
from cnndsl.ir.graph import Node, Value
from cnndsl.ir.op import Attrs, Trait, define_op
from cnndsl.ir.types import DType, Shape, TensorType, f32
from cnndsl.ops.rules import Array, Cost, Sample, cost, reference, samples, vjp
from cnndsl.ops.structural import FullAttrs, full
from cnndsl.support.diagnostics import TypeRuleError


def check_axis(name: str, axis: int, x: TensorType) -> None:
    """Raise `TypeRuleError` unless `axis` counts an axis of `x` from 0."""
    if not 0 <= axis < x.rank:
        raise TypeRuleError(f"{name} along axis {axis}: {x} has axes 0 to {x.rank - 1}")


def full_like(b: Builder, value: float, like: TensorType) -> Value:
    """Emit an array of the type `like` that holds `value` everywhere."""
    return b.emit(full, attrs=FullAttrs(like, value))


# --- reshape


@dataclass(frozen=True, slots=True)
class ReshapeAttrs(Attrs):
    """Attributes of `reshape`."""

    shape: Shape
    """The new shape; its product is the number of elements."""


@define_op("reshape", Trait.VIEW)
def reshape(attrs: ReshapeAttrs, x: TensorType) -> TensorType:
    """The same elements in the same (C) order under another shape; flattening is a reshape."""
    if math.prod(attrs.shape) != x.size or any(length < 0 for length in attrs.shape):
        product = " x ".join(map(str, attrs.shape)) or "1"
        raise TypeRuleError(
            f"reshape of {x} to {list(attrs.shape)}: "
            f"{product} = {math.prod(attrs.shape)} elements, not {x.size}"
        )
    return x.with_shape(attrs.shape)


@reference.rule(reshape)
def reshape_reference(node: Node[ReshapeAttrs], x: Array) -> Array:
    """Give a view where NumPy can."""
    return x.reshape(node.attrs.shape)


@vjp.rule(reshape)
def reshape_vjp(b: Builder, node: Node[ReshapeAttrs], grad: Value) -> Sequence[Value]:
    """Reshape back."""
    return (emit_reshape(b, grad, b.type_of(node.operands[0]).shape),)


def emit_reshape(b: Builder, x: Value, shape: Shape) -> Value:
    """Emit `x` under `shape`; nothing is emitted where it has that shape already."""
    return x if b.type_of(x).shape == shape else b.emit(reshape, x, attrs=ReshapeAttrs(shape))


@samples.rule(reshape)
def reshape_samples() -> Iterable[Sample]:
    """Flatten, split an axis, to and from a scalar, size-1 axes."""
    yield Sample((f32(2, 3, 4),), ReshapeAttrs((2, 12)))
    yield Sample((f32(6, 2),), ReshapeAttrs((3, 1, 4)))
    yield Sample((f32(1, 1),), ReshapeAttrs(()))
    yield Sample((f32(),), ReshapeAttrs((1, 1, 1)))
    yield Sample((TensorType(DType.I64, (4,)),), ReshapeAttrs((2, 2)))


@cost.rule(reshape)
def reshape_cost(node: Node[Any], operands: Sequence[TensorType]) -> Cost:
    """Nothing: the result is a view."""
    return Cost()


# --- transpose


@dataclass(frozen=True, slots=True)
class TransposeAttrs(Attrs):
    """Attributes of `transpose`."""

    permutation: tuple[int, ...]
    """Axis i of the result is axis `permutation[i]` of the operand."""


@define_op("transpose")
def transpose(attrs: TransposeAttrs, x: TensorType) -> TensorType:
    """The operand with its axes in another order."""
    if sorted(attrs.permutation) != list(range(x.rank)):
        raise TypeRuleError(
            f"transpose of {x} by {list(attrs.permutation)}, "
            f"which is not an order of the axes {list(range(x.rank))}"
        )
    return x.with_shape(tuple(x.shape[axis] for axis in attrs.permutation))


@reference.rule(transpose)
def transpose_reference(node: Node[TransposeAttrs], x: Array) -> Array:
    """Transpose into C order."""
    return np.ascontiguousarray(np.transpose(x, node.attrs.permutation)).reshape(node.type.shape)


@vjp.rule(transpose)
def transpose_vjp(b: Builder, node: Node[TransposeAttrs], grad: Value) -> Sequence[Value]:
    """Transpose by the inverse permutation."""
    order = node.attrs.permutation
    back = tuple(sorted(range(len(order)), key=order.__getitem__))
    return (b.emit(transpose, grad, attrs=TransposeAttrs(back)),)


@samples.rule(transpose)
def transpose_samples() -> Iterable[Sample]:
    """Matrix, NCHW to NHWC, a cycle that is not its own inverse, nothing to do."""
    yield Sample((f32(2, 3),), TransposeAttrs((1, 0)))
    yield Sample((f32(2, 3, 4, 5),), TransposeAttrs((0, 2, 3, 1)))
    yield Sample((f32(2, 1, 3),), TransposeAttrs((1, 2, 0)))
    yield Sample((f32(),), TransposeAttrs(()))


# --- concat and split


@dataclass(frozen=True, slots=True)
class ConcatAttrs(Attrs):
    """Attributes of `concat`."""

    axis: int
    """The axis along which the operands are laid end to end."""


def _without(shape: Shape, axis: int) -> Shape:
    return shape[:axis] + shape[axis + 1 :]


@define_op("concat")
def concat(attrs: ConcatAttrs, *parts: TensorType) -> TensorType:
    """The operands laid end to end along an axis; the other axes agree."""
    if not parts:
        raise TypeRuleError("concat of nothing")
    first = parts[0]
    check_axis("concat", attrs.axis, first)
    for part in parts[1:]:
        agree = part.rank == first.rank and part.dtype == first.dtype
        if not agree or _without(part.shape, attrs.axis) != _without(first.shape, attrs.axis):
            raise TypeRuleError(
                f"concat of {first} and {part} along axis {attrs.axis}: "
                "the other axes and the element types must be equal"
            )
    shape = list(first.shape)
    shape[attrs.axis] = sum(part.shape[attrs.axis] for part in parts)
    return first.with_shape(tuple(shape))


@reference.rule(concat)
def concat_reference(node: Node[ConcatAttrs], *parts: Array) -> Array:
    """Lay end to end."""
    return np.concatenate(parts, axis=node.attrs.axis)


@vjp.rule(concat)
def concat_vjp(b: Builder, node: Node[ConcatAttrs], grad: Value) -> Sequence[Value]:
    """Split at the same places."""
    axis = node.attrs.axis
    sizes = tuple(b.type_of(part).shape[axis] for part in node.operands)
    return b.emit_all(split, grad, attrs=SplitAttrs(axis, sizes))


@samples.rule(concat)
def concat_samples() -> Iterable[Sample]:
    """Channels of several widths, first and last axis, a single operand."""
    yield Sample((f32(2, 3, 2, 2), f32(2, 1, 2, 2), f32(2, 2, 2, 2)), ConcatAttrs(1))
    yield Sample((f32(1, 3), f32(2, 3)), ConcatAttrs(0))
    yield Sample((f32(2, 3), f32(2, 1)), ConcatAttrs(1))
    yield Sample((f32(2, 3),), ConcatAttrs(1))


@dataclass(frozen=True, slots=True)
class SplitAttrs(Attrs):
    """Attributes of `split`."""

    axis: int
    """The axis that is cut."""
    sizes: tuple[int, ...]
    """Length of each result along the axis."""


@define_op("split")
def split(attrs: SplitAttrs, x: TensorType) -> tuple[TensorType, ...]:
    """The operand cut along an axis into results of the given sizes."""
    check_axis("split", attrs.axis, x)
    if sum(attrs.sizes) != x.shape[attrs.axis] or any(size < 1 for size in attrs.sizes):
        raise TypeRuleError(
            f"split of {x} along axis {attrs.axis} into {' + '.join(map(str, attrs.sizes))} = "
            f"{sum(attrs.sizes)}; the axis has {x.shape[attrs.axis]}"
        )
    shapes = ((*x.shape[: attrs.axis], size, *x.shape[attrs.axis + 1 :]) for size in attrs.sizes)
    return tuple(x.with_shape(shape) for shape in shapes)


@reference.rule(split)
def split_reference(node: Node[SplitAttrs], x: Array) -> tuple[Array, ...]:
    """Cut."""
    cuts = list(accumulate(node.attrs.sizes))[:-1]
    return tuple(np.split(x, cuts, axis=node.attrs.axis))


@vjp.rule(split)
def split_vjp(b: Builder, node: Node[SplitAttrs], *grads: Value | None) -> Sequence[Value]:
    """Concatenate; a part that the loss does not reach counts as zeros."""
    parts = (
        full_like(b, 0.0, kind) if grad is None else grad
        for grad, kind in zip(grads, node.types, strict=True)
    )
    return (b.emit(concat, *parts, attrs=ConcatAttrs(node.attrs.axis)),)


@samples.rule(split)
def split_samples() -> Iterable[Sample]:
    """Uneven parts, one part, first axis."""
    yield Sample((f32(2, 6, 2, 2),), SplitAttrs(1, (1, 3, 2)))
    yield Sample((f32(2, 3),), SplitAttrs(1, (3,)))
    yield Sample((f32(4, 3),), SplitAttrs(0, (2, 2)))


# --- slice


@dataclass(frozen=True, slots=True)
class SliceAttrs(Attrs):
    """Attributes of `slice`."""

    starts: tuple[int, ...]
    """First index taken, per axis."""
    stops: tuple[int, ...]
    """First index not taken, per axis."""
    steps: tuple[int, ...] = ()
    """Distance between indices taken, per axis; empty means 1 everywhere."""


def _slices(starts: Shape, stops: Shape, steps: tuple[int, ...]) -> tuple[slice, ...]:
    return tuple(map(slice, starts, stops, steps or (1,) * len(starts)))


@define_op("slice")
def slice_(attrs: SliceAttrs, x: TensorType) -> TensorType:
    """Indices starts, starts + steps, ... below stops, of each axis."""
    steps = attrs.steps or (1,) * x.rank
    if not len(attrs.starts) == len(attrs.stops) == len(steps) == x.rank:
        raise TypeRuleError(f"slice of {x} needs a start, stop and step for each axis")
    bounds = zip(attrs.starts, attrs.stops, steps, x.shape, strict=True)
    for axis, (start, stop, step, length) in enumerate(bounds):
        if not 0 <= start < stop <= length or step < 1:
            raise TypeRuleError(
                f"slice of {x}: {start}:{stop}:{step} lies outside axis {axis}, 0 to {length}"
            )
    counts = (
        (stop - start + step - 1) // step
        for start, stop, step in zip(attrs.starts, attrs.stops, steps, strict=True)
    )
    return x.with_shape(tuple(counts))


@reference.rule(slice_)
def slice_reference(node: Node[SliceAttrs], x: Array) -> Array:
    """Index with slices."""
    return x[_slices(node.attrs.starts, node.attrs.stops, node.attrs.steps)].copy()


@vjp.rule(slice_)
def slice_vjp(b: Builder, node: Node[SliceAttrs], grad: Value) -> Sequence[Value]:
    """Put the gradient where the elements came from."""
    shape = b.type_of(node.operands[0]).shape
    attrs = SliceGradAttrs(shape, node.attrs.starts, node.attrs.stops, node.attrs.steps)
    return (b.emit(slice_grad, grad, attrs=attrs),)


@dataclass(frozen=True, slots=True)
class SliceGradAttrs(Attrs):
    """Attributes of `slice_grad`."""

    shape: Shape
    """Shape of what was sliced."""
    starts: tuple[int, ...]
    """As of the slice."""
    stops: tuple[int, ...]
    """As of the slice."""
    steps: tuple[int, ...] = ()
    """As of the slice."""


@define_op("slice_grad")
def slice_grad(attrs: SliceGradAttrs, grad: TensorType) -> TensorType:
    """Zeros of the given shape that hold the operand where a slice would read it."""
    whole = grad.with_shape(attrs.shape)
    taken = slice_.infer(SliceAttrs(attrs.starts, attrs.stops, attrs.steps), whole)[0]
    if taken != grad:
        raise TypeRuleError(f"slice_grad of {grad}: the slice of {whole} gives {taken}")
    return whole


@reference.rule(slice_grad)
def slice_grad_reference(node: Node[SliceGradAttrs], grad: Array) -> Array:
    """Write into zeros."""
    whole = np.zeros(node.attrs.shape, dtype=grad.dtype)
    whole[_slices(node.attrs.starts, node.attrs.stops, node.attrs.steps)] = grad
    return whole


@vjp.rule(slice_grad)
def slice_grad_vjp(b: Builder, node: Node[SliceGradAttrs], grad: Value) -> Sequence[Value]:
    """Slice."""
    attrs = SliceAttrs(node.attrs.starts, node.attrs.stops, node.attrs.steps)
    return (b.emit(slice_, grad, attrs=attrs),)


@samples.rule(slice_)
def slice_samples() -> Iterable[Sample]:
    """Inner box, steps that do not divide the length, everything."""
    yield Sample((f32(2, 5, 4),), SliceAttrs((0, 1, 2), (2, 4, 4)))
    yield Sample((f32(5, 6),), SliceAttrs((1, 0), (5, 6), (3, 2)))
    yield Sample((f32(2, 3),), SliceAttrs((0, 0), (2, 3)))


@samples.rule(slice_grad)
def slice_grad_samples() -> Iterable[Sample]:
    """The gradients of an inner box and of uneven steps."""
    yield Sample((f32(2, 3, 2),), SliceGradAttrs((2, 5, 4), (0, 1, 2), (2, 4, 4)))
    yield Sample((f32(2, 3),), SliceGradAttrs((5, 6), (1, 0), (5, 6), (3, 2)))


# --- broadcast_to; its vjp stands in reduce.py


@dataclass(frozen=True, slots=True)
class BroadcastToAttrs(Attrs):
    """Attributes of `broadcast_to`."""

    shape: Shape
    """The new shape."""


@define_op("broadcast_to")
def broadcast_to(attrs: BroadcastToAttrs, x: TensorType) -> TensorType:
    """The operand repeated along its axes of length 1; a scalar fills any shape."""
    fits = x.rank == len(attrs.shape) and all(
        have in (1, want) for have, want in zip(x.shape, attrs.shape, strict=True)
    )
    if x.rank and not fits:
        raise TypeRuleError(
            f"broadcast of {x} to {list(attrs.shape)}: only axes of length 1 are repeated"
        )
    return x.with_shape(attrs.shape)


@reference.rule(broadcast_to)
def broadcast_to_reference(node: Node[BroadcastToAttrs], x: Array) -> Array:
    """Repeat."""
    return np.broadcast_to(x, node.attrs.shape).copy()


@samples.rule(broadcast_to)
def broadcast_to_samples() -> Iterable[Sample]:
    """Channels over an image, a scalar, nothing to do."""
    yield Sample((f32(1, 3, 1, 1),), BroadcastToAttrs((2, 3, 2, 4)))
    yield Sample((f32(),), BroadcastToAttrs((2, 3)))
    yield Sample((f32(1, 1),), BroadcastToAttrs((1, 1)))


@cost.rule(transpose, concat, split, slice_, slice_grad, broadcast_to)
def movement_cost(node: Node[Any], operands: Sequence[TensorType]) -> Cost:
    """Bytes only: every element of the results is moved once."""
    written = sum(kind.nbytes for kind in node.types)
    return Cost(
        bytes_read=min(written, sum(kind.nbytes for kind in operands)), bytes_written=written
    )
