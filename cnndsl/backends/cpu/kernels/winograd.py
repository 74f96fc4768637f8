"""Winograd's convolution of 3x3 filters at every pixel: F(4x4, 3x3) and F(2x2, 3x3).

Tiles of the image overlap by two pixels. Each is transformed, channels in the lanes; for each
element of a transformed tile the tiles and filters make a matrix product; the products are
transformed back and turned so that pixels fill the lanes. F(4x4) takes 36 multiplications for 16
outputs instead of 144, F(2x2) 16 for 4 instead of 36.

Accuracy: rounding errors of the transforms are amplified by the norms of their matrices. Measured
against double precision the largest error of a layer is some 3e-6 (F(4x4)) or 5e-7 (F(2x2)) of its
largest output, where the direct sum has 3e-7; `precision="exact"` forbids both.
"""

from __future__ import annotations

from dataclasses import dataclass

from cnndsl.backends.cpu.kernel import (
    Buffer,
    KernelBuilder,
    Memory,
    PhaseEmitter,
    ceil_div,
    element,
)
from cnndsl.backends.cpu.kernels.conv_pack import block_start
from cnndsl.backends.cpu.kernels.conv_steps import Side, Walk, accumulate, tile_cycles, tile_fits
from cnndsl.backends.cpu.kernels.conv_store import Finish
from cnndsl.backends.cpu.kernels.conv_taps import TapSum
from cnndsl.backends.cpu.kernels.winograd_image import ImageTiles
from cnndsl.backends.cpu.kernels.winograd_filter import write_filters
from cnndsl.backends.cpu.kernels.winograd_points import minimal
from cnndsl.backends.cpu.kernels.winograd_result import ResultTiles
from cnndsl.backends.cpu.llvm import Index, LType, V

NEAR_BYTES = 640 << 10
"""Bytes of transformed tiles that stay in a core's second cache beside what is streamed."""
FEW_BLOCKS = 16
"""Blocks of tiles below which filters are dealt out as well."""


@dataclass(frozen=True, slots=True)
class Cuts:
    """How the tiles of a batch are cut into blocks; edge blocks lie upon others."""

    outputs: int
    """Outputs of a tile each way."""
    grid: tuple[int, int]
    """Tiles of an image, down and across."""
    block: tuple[int, int, int]
    """Images, rows of tiles and tiles of a row in a block."""
    blocks: tuple[int, int, int]
    """How many blocks there are, for each of them."""

    @property
    def tiles(self) -> int:
        """Tiles of a block."""
        return self.block[0] * self.block[1] * self.block[2]

    @property
    def count(self) -> int:
        """Blocks in all."""
        return self.blocks[0] * self.blocks[1] * self.blocks[2]


def cut_tiles(sums: TapSum, outputs: int, *, item: int) -> Cuts:
    """Choose blocks: whole rows of tiles if they are few, several rows or images if very few."""
    grid = ceil_div(sums.places[0], outputs), ceil_div(sums.places[1], outputs)
    area = (outputs + 2) ** 2
    most = max(14, min(64, NEAR_BYTES // (area * sums.inputs * item)))
    across = ceil_div(grid[1], ceil_div(grid[1], most))
    down = ceil_div(grid[0], ceil_div(grid[0], max(1, most // across)))
    images = 1
    if across * down == grid[0] * grid[1]:
        images = ceil_div(sums.images, ceil_div(sums.images, max(1, most // (across * down))))
    block = images, down, across
    blocks = (
        ceil_div(sums.images, images),
        ceil_div(grid[0], down),
        ceil_div(grid[1], across),
    )
    return Cuts(outputs, grid, block, blocks)


def fits_winograd(sums: TapSum) -> bool:
    """Tell whether a sum over taps is a 3x3 filter at every pixel."""
    if sums.strides != (1, 1) or any(lattice.step != 1 for lattice in sums.lattices):
        return False
    for taps in (sums.down, sums.across):
        distances = [distance for distance, _ in taps]
        if len(distances) != 3 or [d - distances[0] for d in distances] != [0, 1, 2]:
            return False
    return True


class Winograd:
    """Writes the phases of one convolution."""

    def __init__(self, k: KernelBuilder, sums: TapSum, outputs: int) -> None:
        """Make tiles of `outputs` x `outputs` results."""
        self.k, self.sums = k, sums
        self.kind, self.lanes = element(k.results[0]), k.lanes(k.results[0])
        self.form = minimal(outputs, 3)
        self.cuts = cut_tiles(sums, outputs, item=self.kind.nbytes)
        self.rows, self.vectors = self._tile()
        self.filters = self.vectors * self.lanes
        """Filters of a panel."""
        self.panels = ceil_div(sums.outputs, self.filters)

    def _tile(self) -> tuple[int, int]:
        """Give the tile that wastes least: image tiles times vectors of filters."""
        best, least = (1, 1), float("inf")
        for vectors in range(1, min(4, ceil_div(self.sums.outputs, self.lanes)) + 1):
            for rows in range(1, self.cuts.tiles + 1):
                if not tile_fits(self.k.target, rows, vectors):
                    break
                count = ceil_div(self.cuts.tiles, rows)
                count *= ceil_div(self.sums.outputs, vectors * self.lanes)
                cycles = count * tile_cycles(rows, vectors)
                if cycles < least:
                    best, least = (rows, vectors), cycles
        return best

    @property
    def spacing(self) -> int:
        """Elements from one element of the transformed tiles to the next, in the image's."""
        return self.cuts.tiles * self.depth + self.lanes

    @property
    def depth(self) -> int:
        """Channels, rounded up to full vectors."""
        return ceil_div(self.sums.inputs, self.lanes) * self.lanes

    @property
    def product_spacing(self) -> int:
        """The same, in the products."""
        return self.cuts.tiles * self.filters + self.lanes

    def write(self, finish: Finish, *, operands: tuple[int, int] = (0, 1)) -> None:
        """Write the phases; `operands` are the image's number and the weight's."""
        k, sums, cuts, area = self.k, self.sums, self.cuts, self.form.tile**2
        packed = write_filters(
            k, sums, self.form, operand=operands[1], filters=self.filters, depth=self.depth
        )
        item = self.kind.nbytes
        image = ImageTiles(k, sums, self.form, cuts, operands[0], self.depth, self.spacing)
        result = ResultTiles(k, sums, self.form, cuts, self.filters, self.product_spacing, finish)
        blocks = sums.groups * cuts.count
        shared, few = None, blocks < FEW_BLOCKS
        nbytes = area * self.spacing * item
        if few:
            shared = k.buffer(Memory.SHARED, blocks * nbytes)
            image.write_phase(shared)
        mine = None if few else k.buffer(Memory.THREAD, nbytes)
        products = k.buffer(Memory.THREAD, area * self.product_spacing * item)
        parts = min(self.panels, ceil_div(2 * FEW_BLOCKS, blocks)) if few else 1
        each = ceil_div(self.panels, parts)
        parts = ceil_div(self.panels, each)
        flops = 2.0 * blocks * cuts.tiles * area * self.depth * sums.outputs
        traffic = float(area * self.depth * sums.outputs * item)
        with k.phase(blocks * parts, flops=flops, nbytes=traffic) as f:
            group, *block, part = f.unravel(f.unit, (sums.groups, *cuts.blocks, parts))
            where = block[0], block[1], block[2]
            if mine is not None:
                tiles = f.place(mine)
                image.write_block(f, group, where, tiles)
            else:
                assert shared is not None, "tiles lie in either memory"
                tiles = f.at(f.place(shared), self.kind, f.imul(f.idiv(f.unit, parts), nbytes // item))
            first = f.imul(part, each)
            with f.loop(first, f.imin(f.iadd(first, each), self.panels)) as panel:
                number = f.iadd(f.imul(group, self.panels), panel)
                self._multiply(f, tiles, self._panel(f, packed, number), f.place(products))
                result.write_block(f, group, where, panel, f.place(products))

    def _panel(self, f: PhaseEmitter, packed: Buffer, number: Index) -> V:
        size = self.form.tile**2 * self.depth * self.filters
        return f.at(f.place(packed), self.kind, f.imul(number, size))

    def _multiply(self, f: PhaseEmitter, tiles: V, filters: V, products: V) -> None:
        """Multiply each element of the tiles with that of the filters, over all channels."""
        wide: LType = self.kind.times(self.lanes)
        area = self.form.tile**2
        with f.loop(0, area) as i, f.loop(0, ceil_div(self.cuts.tiles, self.rows)) as number:
            tile = block_start(f, number, self.rows, self.cuts.tiles)
            start = f.iadd(f.imul(i, self.spacing), f.imul(tile, self.depth))
            left = Side(
                f.at(tiles, self.kind, start), [r * self.depth for r in range(self.rows)]
            )
            panel = f.at(filters, self.kind, f.imul(i, self.depth * self.filters))
            right = Side(panel, [v * self.lanes for v in range(self.vectors)])
            walk = Walk(self.depth, 1, self.filters)
            sums = accumulate(f, wide, left, right, [walk])
            place = f.iadd(f.imul(i, self.product_spacing), f.imul(tile, self.filters))
            for r, row in enumerate(sums):
                for v, value in enumerate(row):
                    f.store(value, products, f.iadd(place, r * self.filters + v * self.lanes))
