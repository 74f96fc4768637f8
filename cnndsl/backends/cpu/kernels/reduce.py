"""Reductions: sum, mean and maximum over any axes, and what their gradients need.

Sums are taken in a fixed order: units of the reduced part first, then their totals.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from math import prod

from cnndsl.backends.cpu.emit import Chunk
from cnndsl.backends.cpu.kernel import (
    Buffer,
    KernelBuilder,
    Memory,
    PhaseEmitter,
    ceil_div,
    element,
    row_major,
)
from cnndsl.backends.cpu.kernels.maps import GRAIN, collapse
from cnndsl.backends.cpu.lanes import across, each_chunk, mask_below
from cnndsl.backends.cpu.llvm import Index, LType, V, constant
from cnndsl.backends.cpu.table import kernels
from cnndsl.ir.graph import Node
from cnndsl.ir.types import Shape, TensorType
from cnndsl.ops.reduce import (
    ReduceAttrs,
    reduce_max,
    reduce_mean,
    reduce_sum,
)

Combine = Callable[[PhaseEmitter, V, V], V]


def add(f: PhaseEmitter, a: V, b: V) -> V:
    """Sum."""
    return f.add(a, b)


def larger(f: PhaseEmitter, a: V, b: V) -> V:
    """Take the larger; of integers too."""
    return f.maximum(a, b) if a.type.is_float else f.select(f.compare("sgt", a, b), a, b)


@dataclass(frozen=True, slots=True)
class Sweep:
    """An array's axes, joined where they can be, split into those that stay and those that go."""

    kept: Shape
    """Lengths of the axes that stay."""
    kept_strides: Shape
    """Their strides."""
    gone: Shape
    """Lengths of the axes that are reduced."""
    gone_strides: Shape
    """Their strides."""

    @classmethod
    def of(cls, shape: Shape, axes: tuple[int, ...]) -> Sweep:
        """Sort the axes of a contiguous array."""
        # An axis that goes has no step in the result, so it joins only with its like.
        marks = tuple(int(axis in axes) for axis in range(len(shape)))
        own = row_major(shape)
        result = row_major(tuple(1 if mark else n for mark, n in zip(marks, shape, strict=True)))
        steps = tuple(0 if mark else s for mark, s in zip(marks, result, strict=True))
        lengths, (strides, steps) = collapse(shape, [own, steps])
        stays = [i for i, step in enumerate(steps) if step or lengths == (1,)]
        goes = [i for i in range(len(lengths)) if i not in stays]
        return cls(
            tuple(lengths[i] for i in stays),
            tuple(strides[i] for i in stays),
            tuple(lengths[i] for i in goes),
            tuple(strides[i] for i in goes),
        )

    @property
    def across(self) -> bool:
        """Whether neighbours in memory are reduced together."""
        return bool(self.gone) and self.gone_strides[-1] == 1

    def element(self, f: PhaseEmitter, place: Index) -> Index:
        """Give the first element of the kept index `place`."""
        return f.dot(f.unravel(place, self.kept), self.kept_strides)

    def walk(
        self, f: PhaseEmitter, begin: Index, stop: Index, body: Callable[[Index], None]
    ) -> None:
        """Write `body` for the elements that the reduced indices [begin, stop) stand for.

        Where neighbours are reduced together, an index stands for a whole row of them.
        """
        lengths, strides = self.gone, self.gone_strides
        if self.across:
            lengths, strides = lengths[:-1], strides[:-1]
        with f.loop(begin, stop) as i:
            body(f.dot(f.unravel(i, lengths), strides))

    @property
    def rows(self) -> int:
        """Reduced indices of `walk`."""
        return prod(self.gone[:-1] if self.across else self.gone)


def write_reduction(
    k: KernelBuilder, sweep: Sweep, first: float, combine: Combine, scale: float
) -> None:
    """Write a reduction of operand 0 into result 0; the total is multiplied by `scale`."""
    x, y = k.operands[0], k.results[0]
    count = prod(sweep.kept)
    width = 1 if sweep.across else k.lanes(x)
    if not sweep.across and sweep.kept_strides[-1] != 1:
        width = 1
    groups = prod(sweep.kept[:-1]) * ceil_div(sweep.kept[-1], width) if width > 1 else count
    # Few results of many elements are cut along the reduced part, always at the same places.
    cuts = max(1, min(sweep.rows, x.size // (4 * GRAIN), ceil_div(32, groups)))
    each = ceil_div(sweep.rows, cuts)
    cuts = ceil_div(sweep.rows, each)
    parts = k.buffer(Memory.SHARED, cuts * count * x.dtype.nbytes) if cuts > 1 else None
    with k.phase(groups * cuts, flops=x.size, nbytes=x.nbytes) as f:
        group, cut = f.idiv(f.unit, cuts), f.irem(f.unit, cuts)
        begin = f.imul(cut, each)
        stop = f.imin(f.iadd(begin, each), sweep.rows)
        target = (
            f.result() if parts is None else f.at(f.place(parts), element(x), f.imul(cut, count))
        )
        final = scale if parts is None else 1.0
        if width > 1:
            _columns(f, sweep, group, (begin, stop), (first, combine, final), target, x, width)
        else:
            _one(f, sweep, group, (begin, stop), (first, combine, final), target, x)
    if parts is not None:
        _join(k, parts, cuts, count, (first, combine, scale), y)


_Fold = tuple[float, Combine, float]


def _scaled(f: PhaseEmitter, value: V, scale: float) -> V:
    return value if scale == 1.0 else f.mul(value, constant(value.type, scale))


def _columns(
    f: PhaseEmitter,
    sweep: Sweep,
    group: Index,
    rows: tuple[Index, Index],
    fold: _Fold,
    target: V,
    x: TensorType,
    width: int,
) -> None:
    """Reduce as many neighbouring columns as a vector holds."""
    first, combine, scale = fold
    wide = element(x).times(width)
    per_row = ceil_div(sweep.kept[-1], width)
    begin = f.imul(f.irem(group, per_row), width)
    line = f.imul(f.idiv(group, per_row), sweep.kept[-1])
    ragged = sweep.kept[-1] % width
    mask = mask_below(f, f.isub(sweep.kept[-1], begin), width) if ragged else None
    start = f.iadd(
        f.dot(f.unravel(f.idiv(group, per_row), sweep.kept[:-1]), sweep.kept_strides[:-1]), begin
    )
    total = f.variable(constant(wide, first))

    def body(offset: Index) -> None:
        chunk = Chunk(f.iadd(start, offset), width, mask)
        f.set(total, combine(f, f.get(total), f.load_chunk(element(x), f.operand(0), chunk)))

    sweep.walk(f, *rows, body)
    f.store_chunk(_scaled(f, f.get(total), scale), target, Chunk(f.iadd(line, begin), width, mask))


def _one(
    f: PhaseEmitter,
    sweep: Sweep,
    place: Index,
    rows: tuple[Index, Index],
    fold: _Fold,
    target: V,
    x: TensorType,
) -> None:
    """Reduce to one element, in vectors where neighbours are reduced together."""
    first, combine, scale = fold
    lanes = f.kernel.lanes(x) if sweep.across else 0
    kind: LType = element(x)
    total = f.variable(constant(kind.times(lanes), first))
    start = sweep.element(f, place)

    def row(offset: Index) -> None:
        def body(chunk: Chunk) -> None:
            at = Chunk(f.iadd(start, offset, chunk.index), chunk.lanes, chunk.mask)
            value = f.load_chunk(kind, f.operand(0), at, first)
            f.set(total, combine(f, f.get(total), value))

        each_chunk(f, sweep.gone[-1] if sweep.across else 1, lanes, body)

    sweep.walk(f, *rows, row)
    found = across(f, f.get(total), lambda a, b: combine(f, a, b))
    f.store(_scaled(f, found, scale), target, place)


def _join(
    k: KernelBuilder, parts: Buffer, cuts: int, count: int, fold: _Fold, y: TensorType
) -> None:
    """Combine the parts of each result in order."""
    first, combine, scale = fold
    kind = element(y)
    with k.phase(1, flops=cuts * count) as f:

        def body(chunk: Chunk) -> None:
            total = constant(kind.times(chunk.lanes), first)
            for cut in range(cuts):
                at = Chunk(f.iadd(chunk.index, cut * count), chunk.lanes, chunk.mask)
                total = combine(f, total, f.load_chunk(kind, f.place(parts), at))
            f.store_chunk(_scaled(f, total, scale), f.result(), chunk)

        each_chunk(f, count, k.lanes(y), body)


@kernels.rule(reduce_sum)
def reduce_sum_cpu(k: KernelBuilder, node: Node[ReduceAttrs]) -> None:
    """Sum."""
    _reduce(k, node, 0.0, add, 1.0)


@kernels.rule(reduce_mean)
def reduce_mean_cpu(k: KernelBuilder, node: Node[ReduceAttrs]) -> None:
    """Sum, then divide by how many there were."""
    count = k.operands[0].size // max(1, k.results[0].size)
    _reduce(k, node, 0.0, add, 1.0 / count if count else math.nan)


@kernels.rule(reduce_max)
def reduce_max_cpu(k: KernelBuilder, node: Node[ReduceAttrs]) -> None:
    """Take the larger."""
    least = -math.inf if k.operands[0].dtype.is_float else -(2.0**62)
    _reduce(k, node, least, larger, 1.0)


def _reduce(
    k: KernelBuilder, node: Node[ReduceAttrs], first: float, combine: Combine, scale: float
) -> None:
    if k.results[0].size:
        sweep = Sweep.of(k.operands[0].shape, node.attrs.axes)
        write_reduction(k, sweep, first, combine, scale)
