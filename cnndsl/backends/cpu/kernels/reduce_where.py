"""Where the largest element of each row is: the first one; a NaN is larger than any number.

Lanes are neighbours of a row where neighbours are reduced together, else neighbouring rows.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from math import prod

from cnndsl.backends.cpu.emit import Chunk
from cnndsl.backends.cpu.kernel import KernelBuilder, PhaseEmitter, ceil_div, element
from cnndsl.backends.cpu.kernels.maps import GRAIN
from cnndsl.backends.cpu.kernels.reduce import Sweep
from cnndsl.backends.cpu.lanes import each_chunk, extract, iota, mask_below, shuffle, splat
from cnndsl.backends.cpu.llvm import I64, Index, LType, V, constant
from cnndsl.backends.cpu.table import kernels
from cnndsl.ir.graph import Node
from cnndsl.ir.types import TensorType
from cnndsl.ops.reduce import (
    ArgmaxAttrs,
    ReduceAttrs,
    argmax,
    reduce_max_grad,
    reduce_max_pick,
)

NOWHERE = 1 << 62
"""Beyond every index."""


@dataclass(frozen=True, slots=True)
class _Found:
    """Where the largest elements of one row, or of several side by side, are."""

    f: PhaseEmitter
    sweep: Sweep
    place: Chunk
    """The kept indices; no lanes where it is one."""
    start: Index
    """The first element of the first of them."""
    where: V
    """The reduced index of the first maximum of each."""

    def fill(self, kind: LType, grad: V, result: V) -> None:
        """Store a gradient at the maxima, and zeros elsewhere."""
        f, sweep = self.f, self.sweep
        zero = constant(grad.type, 0.0)
        if self.place.lanes:
            with f.loop(0, prod(sweep.gone)) as i:
                here = f.compare("eq", self.where, splat(f, f.index(i), self.place.lanes))
                self._store(f.select(here, grad, zero), result, i)
            return
        lanes = f.kernel.lanes(f.kernel.results[0]) if sweep.across else 0
        zeros = constant(kind.times(lanes), 0.0)

        def row(offset: Index) -> None:
            def clear(chunk: Chunk) -> None:
                at = Chunk(f.iadd(self.start, offset, chunk.index), chunk.lanes, chunk.mask)
                f.store_chunk(zeros if chunk.lanes else zero, result, at)

            each_chunk(f, sweep.gone[-1] if sweep.across else 1, lanes, clear)

        sweep.walk(f, 0, sweep.rows, row)
        f.store(grad, result, self.element())

    def element(self) -> Index:
        """Give the element that was found in the one row."""
        offset = self.f.dot(self.f.unravel(self.where, self.sweep.gone), self.sweep.gone_strides)
        return self.f.iadd(self.start, offset)

    def pick(self, kind: LType, source: V) -> V:
        """Load another tensor's elements from where the maxima are."""
        f, lanes = self.f, self.place.lanes
        if not lanes:
            return f.load(kind, source, self.element())
        picked = f.variable(constant(kind.times(lanes), 0.0))
        with f.loop(0, prod(self.sweep.gone)) as i:
            here = f.compare("eq", self.where, splat(f, f.index(i), lanes))
            value = f.load_chunk(kind, source, self._at(i))
            f.set(picked, f.select(here, value, f.get(picked)))
        return f.get(picked)

    def _at(self, reduced: Index) -> Chunk:
        f = self.f
        offset = f.dot(f.unravel(reduced, self.sweep.gone), self.sweep.gone_strides)
        return Chunk(f.iadd(self.start, offset), self.place.lanes, self.place.mask)

    def _store(self, value: V, result: V, reduced: Index) -> None:
        self.f.store_chunk(value, result, self._at(reduced))


def _beats(f: PhaseEmitter, a: V, b: V) -> V:
    """Tell where a is larger than b."""
    if not a.type.is_float:
        return f.compare("sgt", a, b)
    return f.bits("and", f.compare("ugt", a, b), f.compare("ord", b, b))


def _search_columns(
    f: PhaseEmitter, sweep: Sweep, source: V, kind: LType, start: Index, place: Chunk
) -> V:
    """Search rows side by side; a scalar searches one."""
    first = Chunk(start, place.lanes, place.mask)
    most = f.variable(f.load_chunk(kind, source, first))
    where = f.variable(constant(I64.times(place.lanes), 0))
    with f.loop(0, prod(sweep.gone)) as i:
        offset = f.dot(f.unravel(i, sweep.gone), sweep.gone_strides)
        at = Chunk(f.iadd(start, offset), place.lanes, place.mask)
        value, known = f.load_chunk(kind, source, at), f.get(most)
        beats = _beats(f, value, known)
        f.set(most, f.select(beats, value, known))
        f.set(where, f.select(beats, splat(f, f.index(i), place.lanes), f.get(where)))
    return f.get(where)


def _search_row(
    f: PhaseEmitter, sweep: Sweep, source: V, kind: LType, start: Index, lanes: int
) -> V:
    """Search one row with neighbours in the lanes; of equals the first is found."""
    length = sweep.gone[-1]
    wide, numbers = kind.times(lanes), I64.times(lanes)
    most = f.variable(constant(wide, -math.inf))
    where = f.variable(constant(numbers, NOWHERE))

    def better(value: V, here: V, known: V, there: V) -> V:
        """Tell where a pair of value and index is larger, or as large and earlier."""
        alike = f.compare("oeq", value, known)
        unordered = f.bits("and", f.compare("uno", value, value), f.compare("uno", known, known))
        earlier = f.compare("slt", here, there)
        same = f.bits("and", f.bits("or", alike, unordered), earlier)
        return f.bits("or", _beats(f, value, known), same)

    with f.loop(0, sweep.rows) as i:
        offset = f.dot(f.unravel(i, sweep.gone[:-1]), sweep.gone_strides[:-1])

        def chunk_of(chunk: Chunk) -> None:
            at = Chunk(f.iadd(start, offset, chunk.index), chunk.lanes, chunk.mask)
            value = f.load_chunk(kind, source, at, -math.inf)
            index = f.iadd(f.imul(i, length), chunk.index)
            here = f.add(splat(f, f.index(index), lanes), iota(lanes))
            if chunk.mask is not None:
                here = f.select(chunk.mask, here, constant(numbers, NOWHERE))
            beats = better(value, here, f.get(most), f.get(where))
            f.set(most, f.select(beats, value, f.get(most)))
            f.set(where, f.select(beats, here, f.get(where)))

        each_chunk(f, length, lanes, chunk_of)
    value, place = f.get(most), f.get(where)
    while lanes > 1:
        half = lanes // 2
        low, high = range(half), range(half, lanes)
        values = [shuffle(f, value, value, picks) for picks in (low, high)]
        places = [shuffle(f, place, place, picks) for picks in (low, high)]
        beats = better(values[1], places[1], values[0], places[0])
        value = f.select(beats, values[1], values[0])
        place = f.select(beats, places[1], places[0])
        lanes = half
    return extract(f, place, 0)


def _maxima_phase(
    k: KernelBuilder, sweep: Sweep, number: int, use: Callable[[PhaseEmitter, _Found], None]
) -> None:
    """Write a phase that searches operand `number` and calls `use` with what was found."""
    x = k.operands[number]
    kind, lanes = element(x), k.lanes(x)
    if not x.dtype.is_float:
        lanes = 1
    if not sweep.across and lanes > 1 and sweep.kept and sweep.kept_strides[-1] == 1:
        _columns_phase(k, sweep, number, use)
        return
    count = prod(sweep.kept)
    several = max(1, GRAIN // max(1, prod(sweep.gone)))
    with k.phase(ceil_div(count, several), flops=_work(x, lanes if sweep.across else 1)) as f:
        begin = f.imul(f.unit, several)
        with f.loop(begin, f.imin(f.iadd(begin, several), count)) as place:
            start, source = sweep.element(f, place), f.operand(number)
            one = Chunk(place, 0)
            if sweep.across and lanes > 1:
                where = _search_row(f, sweep, source, kind, start, lanes)
            else:
                where = _search_columns(f, sweep, source, kind, start, one)
            use(f, _Found(f, sweep, one, start, where))


def _columns_phase(
    k: KernelBuilder, sweep: Sweep, number: int, use: Callable[[PhaseEmitter, _Found], None]
) -> None:
    x = k.operands[number]
    lanes, length = k.lanes(x), sweep.kept[-1]
    per_row = ceil_div(length, lanes)
    groups = prod(sweep.kept[:-1]) * per_row
    several = max(1, GRAIN // max(1, prod(sweep.gone) * lanes))
    with k.phase(ceil_div(groups, several), flops=_work(x, lanes)) as f:
        begin = f.imul(f.unit, several)
        with f.loop(begin, f.imin(f.iadd(begin, several), groups)) as group:
            column = f.imul(f.irem(group, per_row), lanes)
            line = f.idiv(group, per_row)
            mask = mask_below(f, f.isub(length, column), lanes) if length % lanes else None
            outer = f.dot(f.unravel(line, sweep.kept[:-1]), sweep.kept_strides[:-1])
            start = f.iadd(outer, column)
            place = Chunk(f.iadd(f.imul(line, length), column), lanes, mask)
            where = _search_columns(f, sweep, f.operand(number), element(x), start, place)
            use(f, _Found(f, sweep, place, start, where))


def _work(x: TensorType, lanes: int) -> float:
    """Estimate the operations of a search, in those that a whole vector does at once."""
    return 64.0 * x.size / max(1, lanes)


@kernels.rule(argmax)
def argmax_cpu(k: KernelBuilder, node: Node[ArgmaxAttrs]) -> None:
    """Search each row."""
    sweep = Sweep.of(k.operands[0].shape, (node.attrs.axis,))
    if k.results[0].size:
        _maxima_phase(
            k, sweep, 0, lambda f, found: f.store_chunk(found.where, f.result(), found.place)
        )


@kernels.rule(reduce_max_grad)
def reduce_max_grad_cpu(k: KernelBuilder, node: Node[ReduceAttrs]) -> None:
    """Write zeros, and the gradient at the first maximum."""
    x = k.operands[1]
    sweep, kind = Sweep.of(x.shape, node.attrs.axes), element(x)

    def use(f: PhaseEmitter, found: _Found) -> None:
        found.fill(kind, f.load_chunk(kind, f.operand(0), found.place), f.result())

    if x.size:
        _maxima_phase(k, sweep, 1, use)


@kernels.rule(reduce_max_pick)
def reduce_max_pick_cpu(k: KernelBuilder, node: Node[ReduceAttrs]) -> None:
    """Give another tensor's element at the first maximum."""
    values, x = k.operands
    sweep, kind = Sweep.of(x.shape, node.attrs.axes), element(values)

    def use(f: PhaseEmitter, found: _Found) -> None:
        f.store_chunk(found.pick(kind, f.operand(0)), f.result(), found.place)

    if k.results[0].size:
        _maxima_phase(k, sweep, 1, use)
