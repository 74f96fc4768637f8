"""Winograd's convolution at every pixel: F(4x4, 3x3), F(2x2, 3x3) and F(2x2, 5x5).

Tiles of the image overlap by two pixels. Each is transformed, channels in the lanes; for each
element of a transformed tile the tiles and filters make a matrix product; the products are
transformed back and turned so that pixels fill the lanes. F(4x4) takes 36 multiplications for 16
outputs instead of 144, F(2x2) 16 for 4 instead of 36, and 36 for 4 instead of 100 with 5x5 taps.

Accuracy: rounding errors of the transforms are amplified by the norms of their matrices. Measured
against double precision the largest error of a layer is some 3e-6 (F(4x4)) or 5e-7 (F(2x2)) of its
largest output, where the direct sum has 3e-7; `precision="exact"` forbids both.
"""

from __future__ import annotations

from cnndsl.backends.cpu.kernel import (
    Buffer,
    KernelBuilder,
    Memory,
    PhaseEmitter,
    ceil_div,
    element,
)
from cnndsl.backends.cpu.kernels.caches import SHARED_SIZE
from cnndsl.backends.cpu.kernels.conv_pack import block_start
from cnndsl.backends.cpu.kernels.conv_steps import AHEAD, Side, Walk, accumulate
from cnndsl.backends.cpu.kernels.conv_store import Finish
from cnndsl.backends.cpu.kernels.conv_taps import TapSum
from cnndsl.backends.cpu.kernels.winograd_cuts import cut_tiles, product_tile
from cnndsl.backends.cpu.kernels.winograd_filter import filter_spacing, write_filters
from cnndsl.backends.cpu.kernels.winograd_image import Tiles
from cnndsl.backends.cpu.kernels.winograd_points import minimal
from cnndsl.backends.cpu.kernels.winograd_result import ResultTiles
from cnndsl.backends.cpu.llvm import Index, LType, V

FEW_BLOCKS = 16
"""Blocks of tiles below which filters are dealt out as well."""
FEW_UNITS = 2
"""Units that each transform all tiles for themselves, as that takes less than getting half of them
from another core."""
LEAST_PARTS = 4
"""Parts of filters that are dealt out, at least: each is read once, for all blocks of tiles."""
APART_BYTES = 64 << 20
"""Most bytes of transformed tiles that are kept for that, where there are many blocks."""


class Winograd:
    """Writes the phases of one convolution."""

    def __init__(self, k: KernelBuilder, sums: TapSum, outputs: int) -> None:
        """Make tiles of `outputs` x `outputs` results."""
        self.k, self.sums = k, sums
        self.kind, self.lanes = element(k.results[0]), k.lanes(k.results[0])
        self.form = minimal(outputs, len(sums.down))
        self.cuts = cut_tiles(sums, outputs, item=self.kind.nbytes)
        self.rows, self.vectors = product_tile(sums, k.target, self.lanes, self.cuts)
        self.filters = self.vectors * self.lanes
        """Filters of a panel."""
        self.panels = ceil_div(sums.outputs, self.filters)

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
        corner = sums.down[0][0], sums.across[0][0]
        image = Tiles(
            *(k, operands[0], sums.inputs, sums.groups, corner, self.form.image),
            *(cuts, self.depth, self.spacing),
        )
        result = ResultTiles(k, sums, self.form, cuts, self.filters, self.product_spacing, finish)
        blocks = sums.groups * cuts.count
        filters = area * self.depth * sums.groups * sums.outputs * item
        shared, nbytes = None, area * self.spacing * item
        # Filters that no cache holds are gone through once, with all tiles at hand.
        many = filters > SHARED_SIZE and blocks * nbytes <= APART_BYTES
        dealt = many or blocks < FEW_BLOCKS
        apart = many or (dealt and blocks * self.panels > FEW_UNITS)
        if apart:
            shared = k.buffer(Memory.SHARED, blocks * nbytes)
            image.write_phase(shared)
        mine = None if apart else k.buffer(Memory.THREAD, nbytes)
        products = k.buffer(Memory.THREAD, area * self.product_spacing * item)
        parts = min(self.panels, max(LEAST_PARTS, ceil_div(2 * FEW_BLOCKS, blocks))) if dealt else 1
        each = ceil_div(self.panels, parts)
        parts = ceil_div(self.panels, each)
        flops = 2.0 * blocks * cuts.tiles * area * self.depth * sums.outputs
        traffic = float(area * self.depth * sums.outputs * item)
        with k.phase(blocks * parts, flops=flops, nbytes=traffic) as f:
            group, part, *block = f.unravel(f.unit, (sums.groups, parts, *cuts.blocks))
            where = block[0], block[1], block[2]
            if mine is not None:
                tiles = f.place(mine)
                image.write_block(f, group, where, tiles)
            else:
                assert shared is not None, "tiles lie in either memory"
                number = f.iadd(f.imul(group, cuts.count), f.irem(f.unit, cuts.count))
                tiles = f.at(f.place(shared), self.kind, f.imul(number, nbytes // item))
            first = f.imul(part, each)
            with f.loop(first, f.imin(f.iadd(first, each), self.panels)) as panel:
                number = f.iadd(f.imul(group, self.panels), panel)
                self._multiply(f, tiles, self._panel(f, packed, number), f.place(products))
                result.write_block(f, group, where, panel, f.place(products))

    def _panel(self, f: PhaseEmitter, packed: Buffer, number: Index) -> V:
        size = self.form.tile**2 * filter_spacing(self.depth, self.filters, self.lanes)
        return f.at(f.place(packed), self.kind, f.imul(number, size))

    def _multiply(self, f: PhaseEmitter, tiles: V, filters: V, products: V) -> None:
        """Multiply each element of the tiles with that of the filters, over all channels."""
        wide: LType = self.kind.times(self.lanes)
        area = self.form.tile**2
        with f.loop(0, area) as i, f.loop(0, ceil_div(self.cuts.tiles, self.rows)) as number:
            tile = block_start(f, number, self.rows, self.cuts.tiles)
            start = f.iadd(f.imul(i, self.spacing), f.imul(tile, self.depth))
            left = Side(f.at(tiles, self.kind, start), [r * self.depth for r in range(self.rows)])
            spacing = filter_spacing(self.depth, self.filters, self.lanes)
            panel = f.at(filters, self.kind, f.imul(i, spacing))
            right = Side(panel, [v * self.lanes for v in range(self.vectors)])
            walk = Walk(self.depth, 1, self.filters)
            sums = accumulate(f, wide, left, right, [walk], ahead=(0, AHEAD))
            place = f.iadd(f.imul(i, self.product_spacing), f.imul(tile, self.filters))
            for r, row in enumerate(sums):
                for v, value in enumerate(row):
                    f.store(value, products, f.iadd(place, r * self.filters + v * self.lanes))
