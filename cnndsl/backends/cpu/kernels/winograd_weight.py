"""The gradient for 3x3 filters by Winograd's minimal filtering: F(3x3, 4x4).

A tile of 4x4 of the result's gradient is a filter that slides over the 6x6 pixels that its places
saw and gives 3x3 sums. Both are transformed, multiplied and added up over all tiles of all images;
the sums are transformed back once. 36 multiplications do the work of 144.

A unit has some channels of the image, some of the gradient, and a part of the tiles; it transforms
a block of tiles of both and multiplies them before it goes on to the next block.
"""

from __future__ import annotations

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
from cnndsl.backends.cpu.kernels.conv_parts import ENOUGH_UNITS
from cnndsl.backends.cpu.kernels.conv_steps import Side, Walk, accumulate, tile_cycles, tile_fits
from cnndsl.backends.cpu.kernels.conv_taps import TapSum
from cnndsl.backends.cpu.kernels.conv_turn import turn
from cnndsl.backends.cpu.kernels.winograd_cuts import Cuts
from cnndsl.backends.cpu.kernels.winograd_image import Tiles
from cnndsl.backends.cpu.kernels.winograd_points import minimal
from cnndsl.backends.cpu.kernels.winograd_transform import multiply
from cnndsl.backends.cpu.lanes import mask_below
from cnndsl.backends.cpu.llvm import I64, Index, V, constant

BLOCK_CHANNELS = 64
"""Channels of either side in a unit: their sums of all elements stay in a core's second cache."""
BLOCK_TILES = 48
"""Tiles that are transformed before they are multiplied."""
GRADIENT_TILE = 4
"""Places of the gradient each way that make a filter."""


def weight_cuts(sums: TapSum) -> Cuts:
    """Cut tiles into blocks that lie beside each other; tiles beyond the places are zero."""
    down, across = (ceil_div(places, GRADIENT_TILE) for places in sums.places)
    wide = ceil_div(across, ceil_div(across, BLOCK_TILES))
    high = ceil_div(down, ceil_div(down, max(1, BLOCK_TILES // wide)))
    images = 1
    if wide == across and high == down:
        most = max(1, BLOCK_TILES // (wide * high))
        images = max(i for i in range(1, sums.images + 1) if sums.images % i == 0 and i <= most)
    blocks = sums.images // images, ceil_div(down, high), ceil_div(across, wide)
    whole = sums.images, down, across
    return Cuts(GRADIENT_TILE, (down, across), (images, high, wide), blocks, whole, upon=False)


class WinogradWeight:
    """Writes the phases."""

    def __init__(self, k: KernelBuilder, sums: TapSum) -> None:
        """Take the convolution whose weight's gradient is wanted."""
        self.k, self.sums = k, sums
        self.kind, self.lanes = element(k.results[0]), k.lanes(k.results[0])
        self.form = minimal(3, GRADIENT_TILE)
        self.area = self.form.tile**2
        self.cuts = weight_cuts(sums)
        self.inputs = self._block(sums.inputs)
        self.outputs = self._block(sums.outputs)
        self.input_blocks = ceil_div(sums.inputs, self.inputs)
        self.output_blocks = ceil_div(sums.outputs, self.outputs)
        self.rows, self.vectors = self._tile()
        pairs = sums.groups * self.input_blocks * self.output_blocks
        self.each = ceil_div(self.cuts.count, min(self.cuts.count, ceil_div(ENOUGH_UNITS, pairs)))
        """Blocks of tiles of a part."""
        self.parts = ceil_div(self.cuts.count, self.each)
        self.pairs = pairs

    def _block(self, channels: int) -> int:
        """Give the channels of a unit: full vectors, the units even."""
        vectors = ceil_div(channels, self.lanes)
        most = max(1, BLOCK_CHANNELS // self.lanes)
        return ceil_div(vectors, ceil_div(vectors, most)) * self.lanes

    def _tile(self) -> tuple[int, int]:
        """Give the best register tile that divides a unit's channels: no sum is made twice."""
        wide = self.outputs // self.lanes
        able = [
            (rows, vectors)
            for vectors in range(1, wide + 1)
            for rows in range(1, self.inputs + 1)
            if wide % vectors == 0
            and self.inputs % rows == 0
            and tile_fits(self.k.target, rows, vectors)
        ]
        return min(able, key=lambda tile: (tile_cycles(*tile) + 1.0) / (tile[0] * tile[1]))

    @property
    def cycles(self) -> float:
        """Estimated processor cycles for all images and groups."""
        tiles = self.cuts.count * self.cuts.tiles * self.pairs
        count = self.inputs // self.rows * (self.outputs // self.lanes // self.vectors)
        steps = count * tile_cycles(self.rows, self.vectors)
        # Sums go to memory and come back once a block.
        kept = 3.0 * self.inputs * self.outputs / self.lanes / self.cuts.tiles
        moved = 300.0 * (self.inputs + self.outputs) / self.lanes
        whole = self.pairs * self.parts * self.area * self.inputs * self.outputs
        return tiles * (self.area * (steps + kept) + moved) + whole * 1.0

    @property
    def _sums_size(self) -> int:
        """Elements of a unit's sums: [tile element][channel of the image][of the gradient]."""
        return self.area * self._sums_spacing

    @property
    def _sums_spacing(self) -> int:
        return self.inputs * self.outputs + self.lanes

    def write(self) -> None:
        """Write them."""
        k, sums, cuts, item = self.k, self.sums, self.cuts, self.kind.nbytes
        seen_spacing = cuts.tiles * self.inputs + self.lanes
        grad_spacing = cuts.tiles * self.outputs + self.lanes
        corner = sums.down[0][0], sums.across[0][0]
        seen = Tiles(
            *(k, 0, sums.inputs, sums.groups, corner, self.form.image),
            *(cuts, self.inputs, seen_spacing),
        )
        grad = Tiles(
            *(k, 1, sums.outputs, sums.groups, (0, 0), self.form.filter),
            *(cuts, self.outputs, grad_spacing),
        )
        mine = [
            k.buffer(Memory.THREAD, self.area * spacing * item)
            for spacing in (seen_spacing, grad_spacing)
        ]
        totals = k.buffer(Memory.SHARED, self.parts * self.pairs * self._sums_size * item)
        shape = (self.parts, sums.groups, self.input_blocks, self.output_blocks)
        nbytes = float(sum(kind.nbytes for kind in k.operands))
        with k.phase(self.parts * self.pairs, flops=sums.flops / 3, nbytes=nbytes) as f:
            part, group, input_, output = f.unravel(f.unit, shape)
            total = f.at(f.place(totals), self.kind, f.imul(f.unit, self._sums_size))
            first = f.imul(input_, self.inputs // self.lanes)
            other = f.imul(output, self.outputs // self.lanes)
            blocks = pieces(f, cuts.count, self.each, part)
            with f.loop(*blocks) as number:
                block = f.unravel(number, cuts.blocks)
                where = block[0], block[1], block[2]
                places = [f.place(buffer) for buffer in mine]
                seen.write_block(f, group, where, places[0], first=first)
                grad.write_block(f, group, where, places[1], first=other)
                begins = f.compare("eq", f.index(number), f.index(blocks[0]))
                memory = places[0], places[1], total
                self._multiply(f, memory, (seen_spacing, grad_spacing), begins)
        self._write_result(totals)

    def _multiply(
        self, f: PhaseEmitter, memory: tuple[V, V, V], spacing: tuple[int, int], begins: V
    ) -> None:
        """Add the products of a block's tiles to the sums of every element.

        The first block of a part `begins` the sums.
        """
        seen, grad, total = memory
        lanes, wide = self.lanes, self.kind.times(self.lanes)
        across = self.outputs // lanes // self.vectors
        down = self.inputs // self.rows
        walk = Walk(self.cuts.tiles, self.inputs, self.outputs)
        with f.loop(0, self.area) as i, f.loop(0, across) as v, f.loop(0, down) as r:
            row = f.imul(r, self.rows)
            column = f.imul(v, self.vectors * lanes)
            left = f.at(seen, self.kind, f.iadd(f.imul(i, spacing[0]), row))
            right = f.at(grad, self.kind, f.iadd(f.imul(i, spacing[1]), column))
            place = f.iadd(f.imul(i, self._sums_spacing), column)
            sums = accumulate(
                *(f, wide, Side(left, range(self.rows))),
                *(Side(right, [w * lanes for w in range(self.vectors)]), [walk]),
            )
            keeps = f.bits("xor", begins, constant(begins.type, 1))
            for n, line in enumerate(sums):
                at = f.iadd(place, f.imul(f.iadd(row, n), self.outputs))
                with f.when(keeps):
                    known = [f.load(wide, total, f.iadd(at, w * lanes)) for w in range(len(line))]
                    for w, value in enumerate(line):
                        f.store(f.add(known[w], value), total, f.iadd(at, w * lanes))
                with f.when(begins):
                    for w, value in enumerate(line):
                        f.store(value, total, f.iadd(at, w * lanes))

    def _write_result(self, totals: Buffer) -> None:
        """Write the phase that adds parts up in their order and transforms the sums back."""
        sums, lanes, wide = self.sums, self.lanes, self.kind.times(self.lanes)
        size, taps = self.form.tile, self.form.outputs
        vectors = self.outputs // lanes
        shape = (sums.groups, self.input_blocks, self.output_blocks, self.inputs, vectors)
        units = self.pairs * self.inputs * vectors
        nbytes = float(self.parts * self.pairs * self._sums_size * self.kind.nbytes)
        with self.k.phase(units, nbytes=nbytes) as f:
            group, input_, output, c, v = f.unravel(f.unit, shape)
            pair = f.idiv(f.unit, self.inputs * vectors)
            start = f.iadd(f.imul(pair, self._sums_size), f.imul(c, self.outputs), f.imul(v, lanes))
            grid: list[list[V]] = []
            for i in range(size):
                row = []
                for j in range(size):
                    at = f.iadd(start, (i * size + j) * self._sums_spacing)
                    total = f.load(wide, f.place(totals), at)
                    for part in range(1, self.parts):
                        other = f.iadd(at, part * self.pairs * self._sums_size)
                        total = f.add(total, f.load(wide, f.place(totals), other))
                    row.append(total)
                grid.append(row)
            columns = [
                multiply(f, self.form.result, list(column)) for column in zip(*grid, strict=True)
            ]
            found = [
                value
                for row in zip(*columns, strict=True)
                for value in multiply(f, self.form.result, list(row))
            ]
            channel = f.iadd(f.imul(input_, self.inputs), c)
            first = f.iadd(f.imul(output, self.outputs), f.imul(v, lanes))
            self._store(f, found, (group, channel, first), taps * taps)

    def _store(
        self, f: PhaseEmitter, found: list[V], where: tuple[Index, Index, Index], taps: int
    ) -> None:
        """Turn taps of filters in the lanes so that each filter's taps are neighbours."""
        sums, lanes = self.sums, self.lanes
        group, channel, first = where
        real = f.compare("slt", f.index(channel), constant(I64, sums.inputs))
        with f.when(real):
            for begin in range(0, taps, lanes):
                some = found[begin : begin + lanes]
                count = len(some)
                some += [V("poison", some[0].type)] * (lanes - count)
                mask = None if count == lanes else mask_below(f, count, lanes)
                for i, value in enumerate(turn(f, some)):
                    output = f.iadd(first, i)
                    filter_ = f.iadd(f.imul(group, sums.outputs), output)
                    line = f.iadd(f.imul(filter_, sums.inputs), channel)
                    place = f.iadd(f.imul(line, taps), begin)
                    inside = f.compare("slt", f.index(output), constant(I64, sums.outputs))
                    with f.when(inside):
                        f.store_chunk(value, f.result(), Chunk(place, lanes, mask))
