"""Ops that move elements: maps of one operand onto a result at other strides."""

from __future__ import annotations

from itertools import accumulate

from cnndsl.backends.cpu.kernel import KernelBuilder, PhaseEmitter, row_major
from cnndsl.backends.cpu.kernels.maps import (
    Stream,
    broadcast_strides,
    copied,
    write_fill,
    write_map,
)
from cnndsl.backends.cpu.llvm import LType, V, constant
from cnndsl.backends.cpu.table import kernels
from cnndsl.ir.graph import Node
from cnndsl.ir.types import DType, Shape
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
from cnndsl.ops.unary import CastAttrs, cast


@kernels.rule(reshape)
def reshape_cpu(k: KernelBuilder, node: Node[ReshapeAttrs]) -> None:
    """Copy: only where a plan does not let the result show the operand's memory."""
    write_map(
        k,
        (k.results[0].size,),
        [Stream(0, k.operands[0], (1,))],
        Stream(0, k.results[0], (1,)),
        copied,
    )


@kernels.rule(transpose)
def transpose_cpu(k: KernelBuilder, node: Node[TransposeAttrs]) -> None:
    """Walk the operand with its strides in another order."""
    (x,), y = k.operands, k.results[0]
    strides = row_major(x.shape)
    source = Stream(0, x, tuple(strides[axis] for axis in node.attrs.permutation))
    write_map(k, y.shape, [source], Stream(0, y, row_major(y.shape)), copied)


@kernels.rule(broadcast_to)
def broadcast_to_cpu(k: KernelBuilder, node: Node[BroadcastToAttrs]) -> None:
    """Walk the operand with strides of 0."""
    (x,), y = k.operands, k.results[0]
    source = Stream(0, x, broadcast_strides(x, y.shape, row_major(x.shape)))
    write_map(k, y.shape, [source], Stream(0, y, row_major(y.shape)), copied)


@kernels.rule(concat)
def concat_cpu(k: KernelBuilder, node: Node[ConcatAttrs]) -> None:
    """Copy each operand to its place."""
    y, axis = k.results[0], node.attrs.axis
    strides = row_major(y.shape)
    begin = 0
    for number, part in enumerate(k.operands):
        source = Stream(number, part, row_major(part.shape))
        target = Stream(0, y, strides, begin * strides[axis])
        write_map(k, part.shape, [source], target, copied)
        begin += part.shape[axis]


@kernels.rule(split)
def split_cpu(k: KernelBuilder, node: Node[SplitAttrs]) -> None:
    """Copy each part out."""
    (x,), axis = k.operands, node.attrs.axis
    strides = row_major(x.shape)
    begins = [0, *accumulate(node.attrs.sizes)]
    for number, part in enumerate(k.results):
        source = Stream(0, x, strides, begins[number] * strides[axis])
        target = Stream(number, part, row_major(part.shape))
        write_map(k, part.shape, [source], target, copied)


def _box(shape: Shape, starts: Shape, steps: Shape) -> tuple[Shape, int]:
    """Give the strides and the first element of a slice of an array of `shape`."""
    own = row_major(shape)
    strides = tuple(s * step for s, step in zip(own, steps or (1,) * len(own), strict=True))
    return strides, sum(s * start for s, start in zip(own, starts, strict=True))


@kernels.rule(slice_)
def slice_cpu(k: KernelBuilder, node: Node[SliceAttrs]) -> None:
    """Walk the operand from where the slice begins."""
    (x,), y = k.operands, k.results[0]
    strides, offset = _box(x.shape, node.attrs.starts, node.attrs.steps)
    source = Stream(0, x, strides, offset)
    write_map(k, y.shape, [source], Stream(0, y, row_major(y.shape)), copied)


@kernels.rule(slice_grad)
def slice_grad_cpu(k: KernelBuilder, node: Node[SliceGradAttrs]) -> None:
    """Fill with zeros, then walk the result from where the slice begins."""
    (grad,), x = k.operands, k.results[0]
    strides, offset = _box(x.shape, node.attrs.starts, node.attrs.steps)
    write_fill(k, 0, 0.0)
    source = Stream(0, grad, row_major(grad.shape))
    write_map(k, grad.shape, [source], Stream(0, x, strides, offset), copied)


@kernels.rule(cast)
def cast_cpu(k: KernelBuilder, node: Node[CastAttrs]) -> None:
    """Convert element by element."""
    (x,), y = k.operands, k.results[0]

    def compute(f: PhaseEmitter, kind: LType, values: list[V]) -> V:
        return convert(f, values[0], x.dtype, y.dtype, kind)

    write_map(k, (y.size,), [Stream(0, x, (1,))], Stream(0, y, (1,)), compute)


_UNSIGNED = (DType.U8, DType.BOOL)


def convert(f: PhaseEmitter, value: V, source: DType, target: DType, kind: LType) -> V:
    """Convert a value of elements `source` to `kind`, which stands for elements `target`.

    Floats go to integers toward 0; those out of range to the nearest integer there is, NaN to 0.
    """
    if source is target:
        return value
    if target is DType.BOOL:
        relation = "une" if value.type.is_float else "ne"
        truth = f.compare(relation, value, constant(value.type, 0))
        return f.convert("zext", truth, kind)
    if source.is_float and target.is_float:
        return f.convert("fpext" if target is DType.F64 else "fptrunc", value, kind)
    if target.is_float:
        return f.convert("uitofp" if source in _UNSIGNED else "sitofp", value, kind)
    if source.is_float:
        sign = "u" if target in _UNSIGNED else "s"
        name = f"fpto{sign}i.sat.{kind.mangled}.{value.type.mangled}"
        return f.intrinsic(name, kind, value)
    if kind.nbytes <= value.type.nbytes:
        return f.convert("trunc", value, kind)
    return f.convert("zext" if source in _UNSIGNED else "sext", value, kind)
