"""Kernels that move elements: each thread finds where its element of the result comes from."""

from __future__ import annotations

from math import prod

from cnndsl.backends.cuda.kernel import KernelBuilder, element
from cnndsl.backends.cuda.kernels.maps import each
from cnndsl.backends.cuda.scalars import literal
from cnndsl.backends.cuda.table import kernels
from cnndsl.backends.cuda.text import Walk, broadcast_strides, row_major
from cnndsl.ir.graph import Node
from cnndsl.ir.types import Shape
from cnndsl.ops.shape import (
    BroadcastToAttrs,
    ConcatAttrs,
    ReshapeAttrs,
    SliceAttrs,
    SliceGradAttrs,
    SplitAttrs,
    TransposeAttrs,
    broadcast_to,
    concat,
    reshape,
    slice_,
    slice_grad,
    split,
    transpose,
)


def _gather(k: KernelBuilder, walk: Walk, base: int = 0) -> None:
    """Copy from where a walk goes, beginning at element `base`."""
    offset = walk.offset("i")
    each(
        k,
        "",
        k.results[0].size,
        "y[i] = x[$offset];",
        reads=[("x", k.operand(0))],
        writes=[("y", k.result())],
        offset=f"{base} + {offset}" if base else offset,
    )


@kernels.rule(reshape)
def reshape_cuda(k: KernelBuilder, node: Node[ReshapeAttrs]) -> None:
    """Copy; plans make a view of it."""
    _gather(k, Walk((k.results[0].size,), (1,)))


@kernels.rule(transpose)
def transpose_cuda(k: KernelBuilder, node: Node[TransposeAttrs]) -> None:
    """Write in order, read with the operand's strides."""
    strides = row_major(k.operands[0].shape)
    _gather(k, Walk(k.results[0].shape, tuple(strides[a] for a in node.attrs.permutation)))


@kernels.rule(broadcast_to)
def broadcast_to_cuda(k: KernelBuilder, node: Node[BroadcastToAttrs]) -> None:
    """Read repeated axes with a stride of zero."""
    shape = k.results[0].shape
    _gather(k, Walk(shape, broadcast_strides(k.operands[0].shape, shape)))


@kernels.rule(slice_)
def slice_cuda(k: KernelBuilder, node: Node[SliceAttrs]) -> None:
    """Read with the strides times the steps."""
    a = node.attrs
    strides = row_major(k.operands[0].shape)
    steps = a.steps or (1,) * len(strides)
    walk = Walk(k.results[0].shape, tuple(s * t for s, t in zip(strides, steps, strict=True)))
    _gather(k, walk, sum(s * t for s, t in zip(strides, a.starts, strict=True)))


def coordinates(shape: Shape, number: str) -> list[str]:
    """Write the place of element `number` along each axis.

    >>> coordinates((2, 3), "i")
    ['i / 3', 'i % 3']
    """
    found = []
    for axis, (length, inner) in enumerate(zip(shape, row_major(shape), strict=True)):
        part = number if inner == 1 else f"{number} / {inner}"
        found.append(part if axis == 0 else f"{part} % {length}")
    return found


_SPREAD = """
$T value = 0;
$lets
if ($taken) value = x[$offset];
y[i] = value;
"""


@kernels.rule(slice_grad)
def slice_grad_cuda(k: KernelBuilder, node: Node[SliceGradAttrs]) -> None:
    """Each element of the whole asks whether the slice takes it."""
    a, part, whole = node.attrs, k.operands[0].shape, k.results[0].shape
    strides, steps = row_major(part), a.steps or (1,) * len(whole)
    lets, taken, offset = [], ["true"], ["0"]
    for axis, place in enumerate(coordinates(whole, "i")):
        start, step, length = a.starts[axis], steps[axis], part[axis]
        if length == whole[axis]:
            offset.append(f"{place} * {strides[axis]}")
            continue
        lets.append(f"const $I c{axis} = {place} - {start};")
        taken.append(f"c{axis} >= 0 && c{axis} % {step} == 0 && c{axis} / {step} < {length}")
        offset.append(f"c{axis} / {step} * {strides[axis]}")
    each(
        k,
        "",
        k.results[0].size,
        _SPREAD.replace("$lets", "\n".join(lets)),
        reads=[("x", k.operand(0))],
        writes=[("y", k.result())],
        T=element(k.results[0]),
        taken=" && ".join(taken),
        offset=" + ".join(offset),
    )


_JOIN = """
const $I outer = i / $WHOLE, at = i % $WHOLE;
$T value = $ZERO;
$parts
y[i] = value;
"""


@kernels.rule(concat)
def concat_cuda(k: KernelBuilder, node: Node[ConcatAttrs]) -> None:
    """Each element of the result asks which operand it lies in."""
    axis, result = node.attrs.axis, k.results[0]
    inner = prod(result.shape[axis + 1 :])
    parts, begin = [], 0
    for index, kind in enumerate(k.operands):
        length = kind.shape[axis] * inner
        if not length:
            continue
        test = "if" if not begin else "else if"
        parts.append(
            f"{test} (at < {begin + length}) value = x{index}[outer * {length} + (at - {begin})];"
        )
        begin += length
    each(
        k,
        "",
        result.size,
        _JOIN,
        reads=[(f"x{i}", k.operand(i)) for i in range(len(k.operands))],
        writes=[("y", k.result())],
        WHOLE=begin,
        T=element(result),
        ZERO=literal(0, result.dtype),
        parts="\n".join(parts),
    )


@kernels.rule(split)
def split_cuda(k: KernelBuilder, node: Node[SplitAttrs]) -> None:
    """A launch for each result."""
    axis, shape = node.attrs.axis, k.operands[0].shape
    strides, begin = row_major(shape), 0
    for index, kind in enumerate(k.results):
        walk = Walk(kind.shape, strides)
        each(
            k,
            f"part{index}",
            kind.size,
            "y[i] = x[$base + $offset];",
            reads=[("x", k.operand(0))],
            writes=[("y", k.result(index))],
            base=begin * strides[axis],
            offset=walk.offset("i"),
        )
        begin += kind.shape[axis]
