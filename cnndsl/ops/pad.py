"""Padding: elements around an array, constant or taken from the array itself."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from cnndsl.ir.builder import Builder
from cnndsl.ir.graph import Node, Value
from cnndsl.ir.op import Attrs, define_op
from cnndsl.ir.types import DType, Shape, TensorType, f32
from cnndsl.ops.rules import Array, Sample, cost, reference, samples, vjp
from cnndsl.ops.shape import SliceAttrs, movement_cost, slice_
from cnndsl.support.diagnostics import TypeRuleError

MODES = ("constant", "edge", "reflect")


@dataclass(frozen=True, slots=True)
class PadAttrs(Attrs):
    """Attributes of `pad` and `pad_grad`."""

    lo: tuple[int, ...]
    """Elements put before the first, per axis."""
    hi: tuple[int, ...]
    """Elements put after the last, per axis."""
    mode: str = "constant"
    """"constant": one value; "edge": the outermost element again; "reflect": mirrored at it."""
    value: float = 0.0
    """The value of the mode "constant"."""


def _padded(name: str, attrs: PadAttrs, x: TensorType) -> TensorType:
    if attrs.mode not in MODES:
        raise TypeRuleError(f"{name} has no mode {attrs.mode!r}; it has {', '.join(MODES)}")
    if not len(attrs.lo) == len(attrs.hi) == x.rank or min((*attrs.lo, *attrs.hi, 0)) < 0:
        raise TypeRuleError(
            f"{name} of {x} by {list(attrs.lo)} before and {list(attrs.hi)} after: "
            "a number of elements, 0 or more, for each axis"
        )
    for axis, (lo, hi, length) in enumerate(zip(attrs.lo, attrs.hi, x.shape, strict=True)):
        if attrs.mode == "reflect" and max(lo, hi) >= length:
            raise TypeRuleError(
                f"{name} of {x} by reflection: axis {axis} has {length} elements, "
                f"which is {length - 1} beside the edge, not {max(lo, hi)}"
            )
        if attrs.mode == "edge" and not length and max(lo, hi):
            raise TypeRuleError(f"{name} of {x} by its edge: axis {axis} has none")
    lengths = zip(attrs.lo, x.shape, attrs.hi, strict=True)
    return x.with_shape(tuple(map(sum, lengths)))


def _sources(attrs: PadAttrs, shape: Shape) -> list[Array]:
    """Give, per axis, the index in the operand that each index of the result is taken from."""
    found = []
    for lo, hi, length in zip(attrs.lo, attrs.hi, shape, strict=True):
        index = np.arange(-lo, length + hi)
        if attrs.mode == "reflect":
            index = np.abs(index)
            index = (length - 1) - np.abs((length - 1) - index)
        found.append(np.clip(index, 0, length - 1))
    return found


@define_op("pad")
def pad(attrs: PadAttrs, x: TensorType) -> TensorType:
    """The operand with elements put around it along each axis."""
    return _padded("pad", attrs, x)


@reference.rule(pad)
def pad_reference(node: Node[PadAttrs], x: Array) -> Array:
    """Write into the middle of a constant, or gather."""
    attrs = node.attrs
    if attrs.mode != "constant":
        return x[np.ix_(*_sources(attrs, x.shape))]
    whole = np.full(node.type.shape, attrs.value, dtype=x.dtype)
    whole[_middle(attrs, x.shape)] = x
    return whole


def _middle(attrs: PadAttrs, shape: Shape) -> tuple[slice, ...]:
    return tuple(slice(lo, lo + length) for lo, length in zip(attrs.lo, shape, strict=True))


@vjp.rule(pad)
def pad_vjp(b: Builder, node: Node[PadAttrs], grad: Value) -> Sequence[Value]:
    """Cut the middle out; elements taken from the operand give their gradient back to it."""
    shape = b.type_of(node.operands[0]).shape
    if node.attrs.mode != "constant":
        attrs = PadGradAttrs(shape, node.attrs)
        return (b.emit(pad_grad, grad, attrs=attrs),)
    middle = _middle(node.attrs, shape)
    cut = SliceAttrs(tuple(s.start for s in middle), tuple(s.stop for s in middle))
    return (b.emit(slice_, grad, attrs=cut),)


@dataclass(frozen=True, slots=True)
class PadGradAttrs(Attrs):
    """Attributes of `pad_grad`."""

    shape: Shape
    """Shape of what was padded."""
    pad: PadAttrs
    """How it was padded; not with a constant."""


@define_op("pad_grad")
def pad_grad(attrs: PadGradAttrs, grad: TensorType) -> TensorType:
    """The gradient of `pad` by edge or reflection: every element's, summed where it came from."""
    whole = grad.with_shape(attrs.shape)
    if attrs.pad.mode == "constant" or _padded("pad_grad", attrs.pad, whole) != grad:
        raise TypeRuleError(f"pad_grad of {grad} to {whole} does not undo {attrs.pad}")
    return whole


@reference.rule(pad_grad)
def pad_grad_reference(node: Node[PadGradAttrs], grad: Array) -> Array:
    """Scatter with sums."""
    whole = np.zeros(node.attrs.shape, dtype=grad.dtype)
    np.add.at(whole, np.ix_(*_sources(node.attrs.pad, node.attrs.shape)), grad)
    return whole


@vjp.rule(pad_grad)
def pad_grad_vjp(b: Builder, node: Node[PadGradAttrs], grad: Value) -> Sequence[Value]:
    """Pad."""
    return (b.emit(pad, grad, attrs=node.attrs.pad),)


cost.rule(pad, pad_grad)(movement_cost)


@samples.rule(pad)
def pad_samples() -> Iterable[Sample]:
    """Each mode, uneven sides, as far as reflection goes, nothing to do, integers."""
    image = f32(1, 2, 3, 4)
    for mode in MODES:
        yield Sample((image,), PadAttrs((0, 0, 1, 2), (0, 0, 2, 0), mode))
    yield Sample((f32(3, 2),), PadAttrs((2, 1), (2, 1), "reflect"))
    yield Sample((f32(2, 1),), PadAttrs((0, 3), (0, 4), "edge"))
    yield Sample((f32(2, 3),), PadAttrs((1, 0), (0, 1), value=-7.5))
    yield Sample((f32(2, 3),), PadAttrs((0, 0), (0, 0), "reflect"))
    yield Sample((TensorType(DType.U8, (2, 2)),), PadAttrs((1, 1), (1, 1)), integers=256)


@samples.rule(pad_grad)
def pad_grad_samples() -> Iterable[Sample]:
    """Images, and corners that meet several times."""
    uneven = ((0, 0, 1, 2), (0, 0, 2, 0))
    yield Sample((f32(1, 2, 6, 6),), PadGradAttrs((1, 2, 3, 4), PadAttrs(*uneven, "reflect")))
    yield Sample((f32(1, 2, 6, 6),), PadGradAttrs((1, 2, 3, 4), PadAttrs(*uneven, "edge")))
    twice = PadAttrs((2, 1), (2, 1), "reflect")
    yield Sample((f32(7, 4),), PadGradAttrs((3, 2), twice))
