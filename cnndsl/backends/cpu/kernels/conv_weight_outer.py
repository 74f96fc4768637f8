"""The gradient of a convolution for its weight, filters in the lanes.

The gradient of the result is turned so that the channels of a place are neighbours; each number of
the image that a tap sees is multiplied with vectors of them. Bands of places that fit a cache are
gone through one after the other, with the sums kept in memory between them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

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
from cnndsl.backends.cpu.kernels.conv_frame import Frame, frame_of, write_frames
from cnndsl.backends.cpu.kernels.conv_pack import block_start
from cnndsl.backends.cpu.kernels.conv_parts import ENOUGH_UNITS, Parts
from cnndsl.backends.cpu.kernels.conv_steps import (
    STEP_CYCLES,
    Side,
    Walk,
    accumulate,
    tile_cycles,
    tile_fits,
)
from cnndsl.backends.cpu.kernels.conv_taps import TapSum
from cnndsl.backends.cpu.kernels.conv_turn import turn
from cnndsl.backends.cpu.lanes import mask_below
from cnndsl.backends.cpu.llvm import I64, Index, V, constant
from cnndsl.backends.cpu.target import CpuTarget

BAND_BYTES = 128 << 10
"""Bytes of turned gradients that are gone through before the next sums."""


@dataclass(frozen=True, slots=True)
class OuterTile:
    """Which sums are held in registers at once."""

    channels: int
    """Channels of the image whose taps are all in the tile; 0: one row of taps of one channel."""
    numbers: int
    """Numbers of the image."""
    vectors: int
    """Vectors of filters."""
    cycles: float
    """Estimated processor cycles for all images and groups."""


def outer_tile(sums: TapSum, target: CpuTarget, lanes: int) -> OuterTile:
    """Choose the tile that wastes least."""
    places = sums.images * sums.groups * sums.places[0] * sums.places[1]
    found = [
        OuterTile(
            channels,
            numbers,
            vectors,
            places * count * (tile_cycles(numbers, vectors) + STEP_CYCLES),
        )
        for channels, numbers, vectors, count in _tiles(sums, target, lanes)
    ]
    return min(found, key=lambda tile: tile.cycles)


def _tiles(sums: TapSum, target: CpuTarget, lanes: int) -> Iterator[tuple[int, int, int, int]]:
    """Give channels, numbers, vectors of a tile, and how many tiles there are."""
    rows, columns = len(sums.down), len(sums.across)
    taps = rows * columns
    for vectors in range(1, min(6, ceil_div(sums.outputs, lanes)) + 1):
        panels = ceil_div(sums.outputs, vectors * lanes)
        if vectors == 1 or tile_fits(target, columns, vectors):
            yield 0, columns, vectors, sums.inputs * rows * panels
        for channels in range(1, min(14, sums.inputs) + 1):
            if not tile_fits(target, channels * taps, vectors):
                break
            count = ceil_div(sums.inputs, channels) * panels
            yield channels, channels * taps, vectors, count


class WeightOuter:
    """Writes the phases."""

    def __init__(self, k: KernelBuilder, sums: TapSum, tile: OuterTile) -> None:
        """Make tiles of a shape for the weight's gradient of `sums`, the convolution."""
        self.k, self.sums, self.tile = k, sums, tile
        self.kind, self.lanes = element(k.results[0]), k.lanes(k.results[0])
        self.frame: Frame = frame_of(sums, apart=False)
        self.taps = len(sums.down) * len(sums.across)
        self.filters = tile.vectors * self.lanes
        self.panels = ceil_div(sums.outputs, self.filters)
        self.blocks = ceil_div(sums.outputs, self.lanes)
        """Vectors of filters."""
        if tile.channels:
            self.tiles = ceil_div(sums.inputs, tile.channels)
        else:
            self.tiles = sums.inputs * len(sums.down)
        self.size = self.taps * sums.inputs
        """Numbers of a filter."""

    def write(self) -> None:
        """Write them."""
        sums, k = self.sums, self.k
        shared = write_frames(k, sums, self.frame) if self.frame.copied else None
        turned = self._write_turned()
        cut = Parts.of(sums, sums.groups * self.panels * self.tiles)
        several = sums.groups * self.panels * cut.count
        each = ceil_div(self.tiles, min(self.tiles, ceil_div(2 * ENOUGH_UNITS, several)))
        stretches = ceil_div(self.tiles, each)
        whole = sums.groups * self.panels * self.tiles * self._tile_size
        partial = k.buffer(Memory.SHARED, cut.count * whole * self.kind.nbytes)
        shape = (*cut.parts, sums.groups, self.panels, stretches)
        nbytes = float(sum(kind.nbytes for kind in k.operands))
        with k.phase(several * stretches, flops=sums.flops, nbytes=nbytes) as f:
            part, band, group, panel, stretch = f.unravel(f.unit, shape)
            number = f.iadd(f.imul(part, cut.parts[1]), band)
            target = f.at(f.place(partial), self.kind, f.imul(number, whole))
            images = pieces(f, sums.images, cut.images, part)
            rows = pieces(f, sums.places[0], cut.rows, band)
            tiles = pieces(f, self.tiles, each, stretch)
            seen = f.operand(0) if shared is None else f.place(shared)
            block = self._first_block(f, panel)
            grads = f.iadd(f.imul(group, self.blocks), block)
            first = f.imul(f.iadd(f.imul(group, self.panels), panel), self.tiles)
            target = f.at(target, self.kind, f.imul(first, self._tile_size))
            self._write_unit(
                f, (seen, f.place(turned), target), (group, grads), (images, rows), tiles
            )
        self._write_result(cut.count, partial, whole)

    @property
    def _tile_size(self) -> int:
        """Elements of a tile's sums. Tiles that lie upon others have sums of their own."""
        return self.tile.numbers * self.filters

    def _first_block(self, f: PhaseEmitter, panel: Index) -> Index:
        """Give the first vector of filters of a panel; the last panel may lie upon another."""
        return block_start(f, panel, self.tile.vectors, self.blocks)

    def _write_turned(self) -> Buffer:
        """Write the phase that lays the gradient out as [image, group, vector][place][lane]."""
        sums, lanes, wide = self.sums, self.lanes, self.kind.times(self.lanes)
        area = sums.places[0] * sums.places[1]
        rounded = ceil_div(area, lanes) * lanes
        units = sums.images * sums.groups * self.blocks
        nbytes = units * rounded * lanes * self.kind.nbytes
        buffer = self.k.buffer(Memory.SHARED, nbytes)
        with self.k.phase(units, nbytes=2.0 * nbytes) as f:
            several, block = f.idiv(f.unit, self.blocks), f.irem(f.unit, self.blocks)
            first = f.imul(block, lanes)
            channel = f.iadd(f.imul(several, sums.outputs), first)
            target = f.imul(f.unit, rounded * lanes)
            with f.loop(0, rounded, lanes) as place:
                mask = None
                if area % lanes:
                    mask = mask_below(f, f.isub(area, place), lanes)
                rows = []
                for c in range(lanes):
                    # A filter beyond the last is the last again; its sums are not stored.
                    real = f.imin(f.iadd(first, c), sums.outputs - 1)
                    offset = f.iadd(channel, f.isub(real, first))
                    at = Chunk(f.iadd(f.imul(offset, area), place), lanes, mask)
                    rows.append(f.load_chunk(self.kind, f.operand(1), at))
                for i, value in enumerate(turn(f, rows)):
                    f.store(value, f.place(buffer), f.iadd(target, f.imul(f.iadd(place, i), lanes)))
        assert wide.lanes == lanes, "a vector is a row of the square"
        return buffer

    def _write_unit(
        self,
        f: PhaseEmitter,
        memory: tuple[V, V, V],
        where: tuple[Index, Index],
        cut: tuple[tuple[Index, Index], tuple[Index, Index]],
        tiles: tuple[Index, Index],
    ) -> None:
        """Write some tiles of sums, band by band."""
        sums, lanes = self.sums, self.lanes
        width = sums.places[1]
        area = ceil_div(sums.places[0] * width, lanes) * lanes
        group, block = where
        rows = max(1, BAND_BYTES // (width * self.filters * self.kind.nbytes))
        self._clear(f, memory[2], tiles)
        with f.loop(*cut[0]) as image, f.loop(*cut[1], rows) as top:
            count = f.imin(f.isub(cut[1][1], top), rows)
            vectors = f.iadd(
                f.imul(f.imul(image, sums.groups * self.blocks), area * lanes),
                f.imul(block, area * lanes),
                f.imul(top, width * lanes),
            )
            grads = f.at(memory[1], self.kind, vectors)
            plane = f.imul(f.iadd(f.imul(image, sums.groups), group), sums.inputs)
            line = f.imul(top, self._row_stride)
            seen = f.at(memory[0], self.kind, f.iadd(f.imul(plane, self.frame.plane), line))
            with f.loop(*tiles) as number:
                self._write_tile(f, (seen, grads, memory[2]), area, number, count)

    @property
    def _row_stride(self) -> int:
        """Elements of a frame from a row of places to the next."""
        return self._strides[0] * self.frame.pitch

    @property
    def _strides(self) -> tuple[int, int]:
        alone = self.frame.copied and self.sums.is_pointwise
        return (1, 1) if alone else self.sums.strides

    def _offsets(self) -> list[list[int]]:
        """Give where each tap is seen, by rows of taps."""
        frame, sums = self.frame, self.sums
        if frame.copied and sums.is_pointwise:
            return [[0]]
        corner = frame.corner
        return [
            [frame.offset(d - corner[0], a - corner[1]) for a, _ in sums.across]
            for d, _ in sums.down
        ]

    def _numbers(self, f: PhaseEmitter, number: Index) -> tuple[Index, list[int]]:
        """Give where a tile's numbers begin in a frame, and their offsets from there."""
        offsets, plane = self._offsets(), self.frame.plane
        if self.tile.channels:
            c = block_start(f, number, self.tile.channels, self.sums.inputs)
            every = [offset for row in offsets for offset in row]
            found = [i * plane + offset for i in range(self.tile.channels) for offset in every]
            return f.imul(c, plane), found
        rows = len(offsets)
        c, row = f.idiv(number, rows), f.irem(number, rows)
        first: Index = offsets[0][0]
        if rows > 1:
            first = f.load(I64, self.k.module.table(I64, [o[0] for o in offsets]), row)
        relative = [offset - offsets[0][0] for offset in offsets[0]]
        return f.iadd(f.imul(c, plane), first), relative

    def _clear(self, f: PhaseEmitter, sums: V, tiles: tuple[Index, Index]) -> None:
        zero = constant(self.kind.times(self.lanes), 0.0)
        begin, end = (f.imul(number, self._tile_size) for number in tiles)
        with f.loop(begin, end, self.lanes) as place:
            f.store(zero, sums, place)

    def _write_tile(
        self,
        f: PhaseEmitter,
        memory: tuple[V, V, V],
        area: int,
        number: Index,
        rows: Index,
    ) -> None:
        """Add the products of a band of places to the sums of one tile."""
        seen, grads, total = memory
        lanes, width, wide = self.lanes, self.sums.places[1], self.kind.times(self.lanes)
        start, offsets = self._numbers(f, number)
        numbers = Side(f.at(seen, self.kind, start), offsets)
        vectors = Side(grads, [v * area * lanes for v in range(self.tile.vectors)])
        total = f.at(total, self.kind, f.imul(number, self._tile_size))
        walks = [
            Walk(rows, self._row_stride, width * lanes),
            Walk(width, self._strides[1], lanes),
        ]
        if self._row_stride == width and self._strides[1] == 1:
            walks = [Walk(f.imul(rows, width), 1, lanes)]
        found = accumulate(f, wide, numbers, vectors, walks)
        for r, row in enumerate(found):
            for v, value in enumerate(row):
                # Bands are summed up on their own first: rounding errors grow with a sum's length.
                place = r * self.filters + v * lanes
                f.store(f.add(f.load(wide, total, place), value), total, place)

    def _write_result(self, parts: int, partial: Buffer, whole: int) -> None:
        """Write the phase that adds the parts up in their order and turns them into the weight."""
        sums, lanes, wide = self.sums, self.lanes, self.kind.times(self.lanes)
        squares = ceil_div(self.size, lanes)
        units = sums.groups * self.blocks
        nbytes = float((parts + 1) * whole * self.kind.nbytes)
        with self.k.phase(units, nbytes=nbytes) as f, f.loop(0, squares) as square:
            group, block = f.idiv(f.unit, self.blocks), f.irem(f.unit, self.blocks)
            begin = f.imul(square, lanes)
            panel = f.idiv(block, self.tile.vectors)
            vector = f.isub(block, block_start(f, panel, self.tile.vectors, self.blocks))
            first = f.imul(f.iadd(f.imul(group, self.panels), panel), self.tiles)
            rows = []
            for i in range(lanes):
                # A number beyond the last is the last again.
                number = f.imin(f.iadd(begin, i), self.size - 1)
                tile = f.idiv(number, self.tile.numbers)
                line = f.isub(number, block_start(f, tile, self.tile.numbers, self.size))
                start = f.iadd(
                    f.imul(f.iadd(first, tile), self._tile_size),
                    f.imul(line, self.filters),
                    f.imul(vector, lanes),
                )
                total = f.load(wide, f.place(partial), start)
                for part in range(1, parts):
                    at = f.iadd(start, part * whole)
                    total = f.add(total, f.load(wide, f.place(partial), at))
                rows.append(total)
            mask = None
            if self.size % lanes:
                mask = mask_below(f, f.isub(self.size, begin), lanes)
            first = f.imul(block, lanes)
            for i, value in enumerate(turn(f, rows)):
                output = f.iadd(first, i)
                place = f.iadd(
                    f.imul(f.iadd(f.imul(group, sums.outputs), output), self.size), begin
                )
                if sums.outputs % lanes == 0:
                    f.store_chunk(value, f.result(), Chunk(place, lanes, mask))
                    continue
                with f.when(f.compare("slt", f.index(output), constant(I64, sums.outputs))):
                    f.store_chunk(value, f.result(), Chunk(place, lanes, mask))
