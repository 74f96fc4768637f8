"""Convolution over planes: filters in the rows of a register tile, places in its lanes.

Serves forward convolution and, with the filters turned around, the gradient for the image.
"""

from __future__ import annotations

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
from cnndsl.backends.cpu.kernels.epilogue import Epilogue
from cnndsl.backends.cpu.kernels.planes import Planes
from cnndsl.backends.cpu.kernels.tiles import Tile, TileSize
from cnndsl.backends.cpu.lanes import each_chunk, mask_below, store_strided
from cnndsl.backends.cpu.llvm import I64, Index, V
from cnndsl.ir.types import TensorType

UNROLLED = 1
"""Most taps that are written out one by one."""


@dataclass(frozen=True, slots=True)
class Tap:
    """One tap of a filter."""

    row: int
    """Which of the planes' row distances it has."""
    column: int
    """Which of the column distances."""
    weight: int
    """Elements from a filter's beginning to its factor."""


@dataclass(frozen=True, slots=True)
class TapConv:
    """result[n, g, r, place] = sum over c, tap of factor[g, r, c, tap]*source[n, g, c, seen]."""

    planes: Planes
    """How the source is laid out."""
    taps: tuple[Tap, ...]
    """The filter's taps."""
    images: int
    """Images of the batch."""
    groups: int
    """Groups of channels."""
    channels: int
    """Channels of the source in a group."""
    filters: int
    """Channels of the result in a group."""
    weight_strides: tuple[int, int, int]
    """Elements from group to group, filter to filter, channel to channel."""
    image: tuple[int, int]
    """Height and width of the result."""
    origin: tuple[int, int]
    """Row and column of the result where the first place is."""
    spacing: tuple[int, int]
    """Rows and columns of the result from place to place."""
    tile: TileSize
    """Filters and vectors of places in a tile."""
    share: int
    """Tiles of filters that one unit works on."""

    @property
    def places(self) -> tuple[int, int]:
        """Rows and columns of places."""
        return self.planes.rows.places, self.planes.columns.places

    @property
    def flat_result(self) -> bool:
        """Whether numbers of places are numbers of the result's pixels."""
        return self.planes.pitch == self.places[1] == self.image[1] and self.spacing == (1, 1)


def write_tap_conv(k: KernelBuilder, conv: TapConv, epilogue: Epilogue, *, fenced: bool) -> None:
    """Write the phase; operand 0 is the source, operand 1 holds the filters."""
    writer = _Writer(k, conv, epilogue)
    flops = 2.0 * conv.images * conv.groups * conv.filters * conv.channels
    flops *= len(conv.taps) * prod(conv.places)
    kinds = (*k.operands, *k.results)
    nbytes = float(sum(kind.nbytes for kind in kinds))
    with k.phase(writer.units, flops=flops, nbytes=nbytes, fenced=fenced) as f:
        writer.write_unit(f)


class _Writer:
    """Writes one unit: a block of rows of one image, some filters of one group."""

    def __init__(self, k: KernelBuilder, conv: TapConv, epilogue: Epilogue) -> None:
        self.k, self.conv, self.epilogue = k, conv, epilogue
        self.planes = conv.planes
        x: TensorType = k.operands[0]
        self.kind, self.lanes = element(x), k.lanes(x)
        self.width = conv.tile.vectors * self.lanes
        self.blocks = ceil_div(conv.places[0], self.planes.block)
        self.parts = ceil_div(conv.filters, conv.share * conv.tile.rows)
        self.units = conv.images * conv.groups * self.blocks * self.parts
        self.near = self._reserve(conv.channels * self.planes.channel + 4 * self.lanes)
        self.row = ceil_div(self.planes.most_flat, self.width) * self.width
        self.aside = None if self._flat() else self._buffer(conv.tile.rows * self.row)
        if len(conv.taps) > UNROLLED:
            shifts = [self.planes.shift(t.row, t.column) for t in conv.taps]
            self.shifts = k.module.table(I64, shifts)
            self.weights = k.module.table(I64, [t.weight for t in conv.taps])

    def _buffer(self, elements: int) -> Buffer:
        return self.k.buffer(Memory.THREAD, elements * self.kind.nbytes)

    def _reserve(self, elements: int) -> Buffer | None:
        return None if self.planes.direct else self._buffer(elements)

    def _flat(self) -> bool:
        """Whether tiles can be finished in registers and stored as they are."""
        if not self.conv.flat_result:
            return False
        width = self.conv.image[1]
        strides = list(self.epilogue.strides)
        if self.epilogue.bias is not None:
            strides.append(self.epilogue.bias_strides)
        return all(down == width * across for *_, down, across in strides)

    def write_unit(self, f: PhaseEmitter) -> None:
        """Lay out the planes, then write tiles, filters outside, places inside."""
        conv, kind = self.conv, self.kind
        rest, part = f.idiv(f.unit, self.parts), f.irem(f.unit, self.parts)
        rest, block = f.idiv(rest, self.blocks), f.irem(rest, self.blocks)
        image, group = f.idiv(rest, conv.groups), f.irem(rest, conv.groups)
        rows = pieces(f, conv.places[0], self.planes.block, block)
        area = self.planes.rows.size * self.planes.columns.size
        channel = f.imul(f.unit if self.parts * self.blocks == 1 else rest, conv.channels)
        source = f.at(f.operand(0), kind, f.imul(channel, area))
        if self.near is None:
            source = f.at(source, kind, f.imul(rows[0], self.planes.pitch))
        else:
            if conv.taps:
                target = f.place(self.near)
                self.planes.write_copy(
                    f, source, target, kind, conv.channels, rows[0], self.lanes
                )
            source = f.place(self.near)
        weight = f.at(f.operand(1), kind, f.imul(group, conv.weight_strides[0]))
        filters = pieces(f, conv.filters, conv.share * conv.tile.rows, part)
        with f.loop(*filters, conv.tile.rows) as first:
            picked = [f.imin(f.iadd(first, i), conv.filters - 1) for i in range(conv.tile.rows)]
            flat = self.planes.flat(f.isub(rows[1], rows[0]), f)
            base = f.imul(group, conv.filters)
            where = _Where(image, [f.iadd(base, p) for p in picked], rows)
            factors = [f.at(weight, kind, f.imul(p, conv.weight_strides[1])) for p in picked]
            with f.loop(0, flat, self.width) as place:
                tile = self._write_sums(f, f.at(source, kind, place), factors)
                self._put(f, tile, place, flat, where)
            if self.aside is not None:
                count = f.imin(conv.tile.rows, f.isub(conv.filters, first))
                self._finish(f, count, f.iadd(base, first), where)

    def _write_sums(self, f: PhaseEmitter, source: V, factors: list[V]) -> Tile:
        """Sum over channels and taps for one tile."""
        conv = self.conv
        tile = Tile(f, conv.tile, self.kind.times(self.lanes))
        if not conv.taps:
            return tile
        with f.loop(0, conv.channels) as channel:
            line = f.imul(channel, self.planes.channel)
            step = f.imul(channel, conv.weight_strides[2])
            if len(conv.taps) > UNROLLED:
                with f.loop(0, len(conv.taps)) as number:
                    shift = f.load(I64, self.shifts, number)
                    weight = f.load(I64, self.weights, number)
                    self._add(f, tile, source, factors, f.iadd(line, shift), f.iadd(step, weight))
            else:
                for tap in conv.taps:
                    shift = self.planes.shift(tap.row, tap.column)
                    place = f.iadd(line, shift)
                    self._add(f, tile, source, factors, place, f.iadd(step, tap.weight))
        return tile

    def _add(
        self,
        f: PhaseEmitter,
        tile: Tile,
        source: V,
        factors: list[V],
        place: Index,
        step: Index,
    ) -> None:
        wide = self.kind.times(self.lanes)
        vectors = [
            f.load(wide, source, f.iadd(place, v * self.lanes)) for v in range(tile.size.vectors)
        ]
        tile.outer(f, [f.load(self.kind, factor, step) for factor in factors], vectors)

    def _put(
        self, f: PhaseEmitter, tile: Tile, place: Index, flat: Index, where: _Where
    ) -> None:
        """Store a tile: into the result, or aside where it holds places computed in vain."""
        for row in range(tile.size.rows):
            for v in range(tile.size.vectors):
                value, number = tile.get(f, row, v), f.iadd(place, v * self.lanes)
                if self.aside is not None:
                    f.store(value, f.place(self.aside), f.iadd(number, row * self.row))
                    continue
                left = f.isub(flat, number)
                mask = mask_below(f, left, self.lanes)
                pixel = f.iadd(f.imul(where.rows[0], self.conv.image[1]), number)
                spot = [where.image, where.channels[row], 0, pixel]
                done = self.epilogue.apply(f, value, spot, mask)
                at = f.iadd(self._line(f, where.image, where.channels[row], 0), pixel)
                f.store_chunk(done, f.result(), Chunk(at, self.lanes, mask))

    def _line(self, f: PhaseEmitter, image: Index, channel: Index, row: Index) -> Index:
        """Give the first element of a row of the result."""
        conv = self.conv
        total = conv.groups * conv.filters
        plane = f.iadd(f.imul(image, total), channel)
        return f.imul(f.iadd(f.imul(plane, conv.image[0]), row), conv.image[1])

    def _finish(self, f: PhaseEmitter, count: Index, first: Index, where: _Where) -> None:
        """Bring what lies aside into the result, row by row."""
        conv = self.conv
        assert self.aside is not None, "there is something to finish"
        begin, stop = where.rows
        with f.loop(0, count) as number, f.loop(begin, stop) as row:
            channel = f.iadd(first, number)
            down = f.iadd(f.imul(row, conv.spacing[0]), conv.origin[0])
            line = self._line(f, where.image, channel, down)
            start = f.iadd(
                f.imul(number, self.row), f.imul(f.isub(row, begin), self.planes.pitch)
            )
            source = f.at(f.place(self.aside), self.kind, start)

            def body(chunk: Chunk) -> None:
                value = f.load_chunk(self.kind, source, chunk)
                across = f.iadd(f.imul(chunk.index, conv.spacing[1]), conv.origin[1])
                spot = [where.image, channel, down, across]
                done = self.epilogue.apply(f, value, spot, chunk.mask)
                at = f.iadd(line, across)
                store_strided(f, done, f.result(), at, conv.spacing[1], chunk.mask)

            each_chunk(f, conv.places[1], self.lanes, body)


@dataclass(frozen=True, slots=True)
class _Where:
    """Which part of the result a tile is."""

    image: Index
    channels: list[Index]
    rows: tuple[Index, Index]


