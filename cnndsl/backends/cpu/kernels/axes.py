"""Walks along one axis of an array: in vectors along it, or beside it where it is not the last."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod

from cnndsl.backends.cpu.emit import Chunk, Slot
from cnndsl.backends.cpu.kernel import KernelBuilder, PhaseEmitter, ceil_div, element
from cnndsl.backends.cpu.lanes import across, each_chunk, mask_below, splat
from cnndsl.backends.cpu.llvm import Index, LType, V, constant
from cnndsl.ir.types import Shape, TensorType

Combine = Callable[[V, V], V]


@dataclass(frozen=True, slots=True)
class AxisWalk:
    """An array as [outer, length, inner], walked along the middle.

    If inner is 1, a unit is one row, whose elements fill the vectors. Else a unit is as many
    neighbouring columns as a vector holds, each lane a column of its own.
    """

    outer: int
    """Elements before the axis."""
    length: int
    """Elements of the axis."""
    inner: int
    """Elements after the axis."""
    lanes: int
    """Elements of a vector."""

    @classmethod
    def of(cls, k: KernelBuilder, kind: TensorType, axis: int) -> AxisWalk:
        """Make the walk along an axis of a tensor."""
        shape: Shape = kind.shape
        return cls(prod(shape[:axis]), shape[axis], prod(shape[axis + 1 :]), k.lanes(kind))

    @property
    def along(self) -> bool:
        """Whether vectors lie along the axis."""
        return self.inner == 1

    @property
    def groups(self) -> int:
        """Vectors of neighbouring columns."""
        return ceil_div(self.inner, self.lanes)

    @property
    def units(self) -> int:
        """Units of work."""
        return self.outer if self.along else self.outer * self.groups

    def begin(self, f: PhaseEmitter, kind: LType) -> Column:
        """Give the rows or columns of the emitter's unit."""
        if self.along:
            return Column(self, f, f.imul(f.unit, self.length), None, kind)
        row, group = f.idiv(f.unit, self.groups), f.irem(f.unit, self.groups)
        first = f.imul(group, self.lanes)
        mask = None
        if self.inner % self.lanes:
            mask = mask_below(f, f.isub(self.inner, first), self.lanes)
        base = f.iadd(f.imul(row, self.length * self.inner), first)
        return Column(self, f, base, mask, kind)


@dataclass(frozen=True, slots=True)
class Column:
    """What one unit walks over."""

    walk: AxisWalk
    """The whole walk."""
    f: PhaseEmitter
    """Where it is written."""
    base: Index
    """The first element."""
    mask: V | None
    """Which columns are real."""
    kind: LType
    """Type of an element."""

    @property
    def wide(self) -> LType:
        """Type of a vector."""
        return self.kind.times(self.walk.lanes)

    def each(self, body: Callable[[Chunk, Index], None]) -> None:
        """Write `body` for the chunks of the walk; it also gets the position along the axis."""
        walk, f = self.walk, self.f
        if walk.along:

            def row(chunk: Chunk) -> None:
                body(Chunk(f.iadd(self.base, chunk.index), chunk.lanes, chunk.mask), chunk.index)

            each_chunk(f, walk.length, walk.lanes, row)
            return
        with f.loop(0, walk.length) as i:
            place = f.iadd(self.base, f.imul(i, walk.inner))
            body(Chunk(place, walk.lanes, self.mask), i)

    def fold(self, first: float, combine: Combine, value: Callable[[Chunk], V]) -> V:
        """Combine values along the axis, one result for each lane; along the axis it is splat.

        Lanes that are not real must not count: `value` gives `first` there.
        """
        f, total = self.f, self.f.variable(constant(self.wide, first))

        def body(chunk: Chunk, position: Index) -> None:
            f.set(total, combine(f.get(total), value(chunk)))

        self.each(body)
        return self.joined(total, combine)

    def joined(self, total: Slot, combine: Combine) -> V:
        """Give what was combined lane by lane for the whole row or for each column."""
        found = self.f.get(total)
        if not self.walk.along:
            return found
        return splat(self.f, across(self.f, found, combine), self.walk.lanes)

    def only(self, chunk: Chunk, value: V, other: float) -> V:
        """Give `value` where the chunk is real, else `other`."""
        if chunk.mask is None:
            return value
        return self.f.select(chunk.mask, value, constant(value.type, other))


def element_walk(k: KernelBuilder, operand: int, axis: int) -> tuple[AxisWalk, LType]:
    """Give the walk along an axis of an operand, and the type of its elements."""
    kind = k.operands[operand]
    return AxisWalk.of(k, kind, axis), element(kind)
