"""Scaling of images: rows are blended into a line of a thread's own, which is then spread out.

Where the width grows by a whole number, a vector of pixels makes as many vectors of the result as
that number says, and interleaves them; else the lanes gather. The gradient goes the other way: each
pixel fetches what it counts in, so that no sum is taken up twice.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
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
    pieces,
)
from cnndsl.backends.cpu.kernels.maps import GRAIN
from cnndsl.backends.cpu.lanes import each_chunk, interleave, load_strided, mask_below, splat
from cnndsl.backends.cpu.llvm import I64, Index, LType, V, constant
from cnndsl.backends.cpu.table import kernels
from cnndsl.ir.graph import Node
from cnndsl.ir.types import TensorType
from cnndsl.ops.resize import (
    BLEND_FLOPS,
    Line,
    ResizeAttrs,
    ResizeGradAttrs,
    lines_of,
    resize,
    resize_grad,
)

MOST_INTERLEAVED = 4
"""Largest factor whose vectors are interleaved."""


@dataclass(frozen=True, slots=True)
class _Rows:
    """The rows of the result, some of them a unit, and a line of memory for one at a time."""

    k: KernelBuilder
    """The kernel."""
    length: int
    """Numbers of the line."""
    margin: int
    """Numbers before and after it that may be read."""
    buffer: Buffer
    """Where it lies."""

    @classmethod
    def of(cls, k: KernelBuilder, length: int, margin: int) -> _Rows:
        """Reserve the line."""
        lanes = k.lanes(k.operands[0])
        margin = ceil_div(margin, lanes) * lanes
        whole = 2 * margin + ceil_div(length, lanes) * lanes
        nbytes = whole * element(k.operands[0]).nbytes
        return cls(k, length, margin, k.buffer(Memory.THREAD, nbytes))

    @property
    def kind(self) -> LType:
        """Type of an element."""
        return element(self.k.operands[0])

    @property
    def lanes(self) -> int:
        """Elements of a vector."""
        return self.k.lanes(self.k.operands[0])

    @property
    def wide(self) -> LType:
        """Type of a vector."""
        return self.kind.times(self.lanes)

    def line(self, f: PhaseEmitter) -> V:
        """Point at the line's first number."""
        return f.at(f.place(self.buffer), self.kind, self.margin)

    @contextmanager
    def phase(self, y: TensorType, flops: float) -> Iterator[tuple[PhaseEmitter, Index, Index]]:
        """Write what is done for a row of a plane of the result."""
        rows, several = prod(y.shape[:3]), max(1, GRAIN // max(self.length, y.shape[3]))
        nbytes = self.k.operands[0].nbytes + y.nbytes
        with (
            self.k.phase(ceil_div(rows, several), flops=flops, nbytes=nbytes) as f,
            f.loop(*pieces(f, rows, several, f.unit)) as row,
        ):
            yield f, f.idiv(row, y.shape[2]), f.irem(row, y.shape[2])


@kernels.rule(resize)
def resize_cpu(k: KernelBuilder, node: Node[ResizeAttrs]) -> None:
    """Blend two rows, then pairs of neighbours in that."""
    x, y = k.operands[0], k.results[0]
    down, across = lines_of(node.attrs, *x.shape[2:])
    rows = _Rows.of(k, across.length, 1)
    before, behind = (k.module.table(I64, pixels) for pixels in down.taps[:2])
    shares = k.module.table(rows.kind, down.taps[2])
    with rows.phase(y, BLEND_FLOPS * y.size if down.blends else 0) as (f, plane, row):
        base = f.imul(plane, x.shape[2])

        def pixels(table: V) -> V:
            place = f.imul(f.iadd(base, f.load(I64, table, row)), x.shape[3])
            return f.at(f.operand(0), rows.kind, place)

        source = pixels(before)
        if down.blends:
            share = splat(f, f.load(rows.kind, shares, row), rows.lanes)
            _blend_rows(f, rows, (source, pixels(behind)), share)
            source = rows.line(f)
        target = f.imul(f.iadd(f.imul(plane, y.shape[2]), row), y.shape[3])
        _spread(f, rows, across, source, f.at(f.result(), rows.kind, target))


def _blended(f: PhaseEmitter, first: V, second: V, share: V) -> V:
    """Give first*(1 - share) + second*share."""
    rest = f.sub(constant(share.type, 1.0), share)
    return f.fma(second, share, f.mul(first, rest))


def _blend_rows(f: PhaseEmitter, rows: _Rows, sources: tuple[V, V], share: V) -> None:
    """Fill the line, and repeat its ends beyond them."""
    line = rows.line(f)

    def body(chunk: Chunk) -> None:
        first, second = (f.load_chunk(rows.kind, source, chunk) for source in sources)
        f.store_chunk(_blended(f, first, second, share), line, chunk)

    each_chunk(f, rows.length, rows.lanes, body)
    f.store(f.load(rows.kind, line), line, -1)
    f.store(f.load(rows.kind, line, rows.length - 1), line, rows.length)


def _spread(f: PhaseEmitter, rows: _Rows, across: Line, source: V, target: V) -> None:
    """Write a row of the result from a line of pixels."""
    factor, left = divmod(across.size, across.length)
    halves = across.unit == 2 * across.size or not across.blends
    if left or not halves or factor > MOST_INTERLEAVED:
        _gather(f, rows, across, source, target)
        return
    with f.loop(0, across.length, rows.lanes) as column:
        if across.blends:
            near = [f.load(rows.wide, source, f.iadd(column, away)) for away in (-1, 0, 1)]
            values = []
            for phase in range(factor):
                away = 2 * phase + 1 - factor  # from the pixel, in 2*factor parts of one
                share = away / (2 * factor) % 1.0
                pair = near[:2] if away < 0 else near[1:]
                values.append(_blended(f, pair[0], pair[1], constant(rows.wide, share)))
        else:
            values = [f.load(rows.wide, source, column)] * factor
        for part, vector in enumerate(interleave(f, values)):
            start = f.iadd(f.imul(column, factor), part * rows.lanes)
            mask = mask_below(f, f.isub(across.size, start), rows.lanes)
            f.store_chunk(vector, target, Chunk(start, rows.lanes, mask))


def _gather(f: PhaseEmitter, rows: _Rows, across: Line, source: V, target: V) -> None:
    """Write a row of the result from pixels anywhere."""
    before, behind, shares = across.taps
    tables = [rows.k.module.table(I64, pixels) for pixels in (before, behind)]
    weights = rows.k.module.table(rows.kind, shares)

    def body(chunk: Chunk) -> None:
        wide = rows.kind.times(chunk.lanes)
        found = []
        for table in tables[: 1 + across.blends]:
            places = f.load_chunk(I64, table, chunk)
            found.append(f.gather(wide, source, places, chunk.mask, constant(wide, 0.0)))
        value = found[0]
        if across.blends:
            value = _blended(f, value, found[1], f.load_chunk(rows.kind, weights, chunk))
        f.store_chunk(value, target, chunk)

    each_chunk(f, across.size, rows.lanes, body)


@dataclass(frozen=True, slots=True)
class _Readers:
    """For each pixel of a row, the numbers that it may count in: as many for each."""

    first: list[int]
    """The first of them."""
    count: int
    """How many."""
    shares: list[float]
    """What it is of each; the first of every pixel, then the second, ..."""
    stride: int
    """How far the first of a pixel is from that of the pixel before; 0 if that varies."""

    @classmethod
    def of(cls, line: Line) -> _Readers:
        """Look where they lie."""
        readers = line.readers
        first = [numbers[0][0] if numbers else 0 for numbers in readers]
        stride, left = divmod(line.size, line.length)
        if left:
            stride = 0
        else:
            lead = max(stride * pixel - start for pixel, start in enumerate(first))
            first = [stride * pixel - lead for pixel in range(line.length)]
        ends = (numbers[-1][0] + 1 if numbers else 0 for numbers in readers)
        count = max(end - start for start, end in zip(first, ends, strict=True))
        shares = [0.0] * (count * line.length)
        for pixel, numbers in enumerate(readers):
            for number, share in numbers:
                shares[(number - first[pixel]) * line.length + pixel] = share
        return cls(first, count, shares, stride)


@kernels.rule(resize_grad)
def resize_grad_cpu(k: KernelBuilder, node: Node[ResizeGradAttrs]) -> None:
    """Sum the rows that a pixel's row counts in, then what it counts in of that sum."""
    attrs, (grad,), x = node.attrs, k.operands, k.results[0]
    down, across = lines_of(attrs.resize, attrs.height, attrs.width)
    seen = _Readers.of(across)
    reach = max(-seen.first[0], max(seen.first) + seen.count - across.size, 1)
    rows = _Rows.of(k, across.size, reach)
    readers = down.readers
    starts = [0]
    for numbers in readers:
        starts.append(starts[-1] + len(numbers))
    listed = [pair for numbers in readers for pair in numbers]
    begins = k.module.table(I64, starts)
    which = k.module.table(I64, [number for number, _ in listed])
    shares = k.module.table(rows.kind, [share for _, share in listed])
    each = len(listed) * across.size + seen.count * prod(x.shape[2:])
    with rows.phase(x, 2.0 * prod(x.shape[:2]) * each) as (f, plane, row):
        begin, stop = f.load(I64, begins, row), f.load(I64, begins, f.iadd(row, 1))
        base = f.imul(plane, grad.shape[2])
        line = rows.line(f)
        nothing = constant(rows.wide, 0.0)
        for away in range(0, rows.margin, rows.lanes):
            f.store(nothing, line, away - rows.margin)
            f.store(nothing, line, away + across.size)

        def body(chunk: Chunk) -> None:
            total = f.variable(nothing)
            with f.loop(begin, stop) as entry:
                place = f.imul(f.iadd(base, f.load(I64, which, entry)), across.size)
                source = f.at(f.operand(0), rows.kind, place)
                share = splat(f, f.load(rows.kind, shares, entry), rows.lanes)
                f.set(total, f.fma(f.load_chunk(rows.kind, source, chunk), share, f.get(total)))
            f.store_chunk(f.get(total), line, chunk)

        each_chunk(f, across.size, rows.lanes, body)
        place = f.imul(f.iadd(f.imul(plane, x.shape[2]), row), x.shape[3])
        _fetch(f, rows, (across, seen), line, f.at(f.result(), rows.kind, place))


def _fetch(f: PhaseEmitter, rows: _Rows, known: tuple[Line, _Readers], line: V, target: V) -> None:
    """Write a row of pixels from what they count in."""
    across, seen = known
    first = rows.k.module.table(I64, seen.first)
    shares = rows.k.module.table(rows.kind, seen.shares)

    def body(chunk: Chunk) -> None:
        wide = rows.kind.times(chunk.lanes)
        total = f.variable(constant(wide, 0.0))
        with f.loop(0, seen.count) as number:
            if seen.stride:
                start = f.iadd(f.imul(chunk.index, seen.stride), seen.first[0], number)
                found = load_strided(f, wide, line, start, seen.stride, chunk.mask)
            else:
                places = f.load_chunk(I64, first, chunk)
                places = f.add(places, splat(f, f.index(number), rows.lanes))
                found = f.gather(wide, line, places, chunk.mask, constant(wide, 0.0))
            at = Chunk(f.iadd(f.imul(number, across.length), chunk.index), chunk.lanes, chunk.mask)
            share = f.load_chunk(rows.kind, shares, at)
            f.set(total, f.fma(found, share, f.get(total)))
        f.store_chunk(f.get(total), target, chunk)

    each_chunk(f, across.length, rows.lanes, body)
