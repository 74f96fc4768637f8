"""How the tiles of Winograd's convolution are cut into blocks of work."""

from __future__ import annotations

import functools
from dataclasses import dataclass

from cnndsl.backends.cpu.emit import FunctionEmitter
from cnndsl.backends.cpu.kernel import ceil_div
from cnndsl.backends.cpu.kernels.caches import MEMORY_BYTES, reading_cycles
from cnndsl.backends.cpu.kernels.conv_pack import block_start
from cnndsl.backends.cpu.kernels.conv_steps import tile_cycles, tile_fits
from cnndsl.backends.cpu.kernels.conv_taps import TapSum
from cnndsl.backends.cpu.llvm import Index
from cnndsl.backends.cpu.target import CpuTarget

NEAR_BYTES = 640 << 10
"""Bytes of transformed tiles that stay in a core's second cache beside what is streamed."""
MOST_TILES = 128
"""Tiles of a block: the products of more would not stay in a core's second cache."""


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
    whole: tuple[int, int, int]
    """Images, rows of tiles and tiles of a row in all."""
    upon: bool = True
    """Whether the last blocks lie upon others, or reach beyond the tiles there are."""

    def first(self, f: FunctionEmitter, axis: int, number: Index) -> Index:
        """Give the first image, row or tile of a block."""
        if not self.upon:
            return f.imul(number, self.block[axis])
        return block_start(f, number, self.block[axis], self.whole[axis])

    @property
    def tiles(self) -> int:
        """Tiles of a block."""
        return self.block[0] * self.block[1] * self.block[2]

    @property
    def count(self) -> int:
        """Blocks in all."""
        return self.blocks[0] * self.blocks[1] * self.blocks[2]


@functools.lru_cache(maxsize=1024)
def cut_tiles(sums: TapSum, outputs: int, target: CpuTarget, lanes: int) -> Cuts:
    """Choose blocks: parts of rows of tiles, whole rows, several rows, or several images.

    What is weighed: tiles that are computed twice, register tiles that do not fill up, filters that
    are read anew for each block, transformed tiles that the core's own cache does not hold, and
    pixels that neighbouring blocks both read.
    """
    grid = ceil_div(sums.places[0], outputs), ceil_div(sums.places[1], outputs)
    across = ceil_div(grid[1], ceil_div(grid[1], MOST_TILES))
    blocks = [(1, down, across) for down in _even(grid[0], MOST_TILES // across)]
    most = MOST_TILES // (grid[0] * grid[1])
    if most:
        blocks += [(images, *grid) for images in _even(sums.images, most)]
    whole = sums.images, *grid

    def cuts_of(block: tuple[int, int, int]) -> Cuts:
        count = (
            ceil_div(sums.images, block[0]),
            ceil_div(grid[0], block[1]),
            ceil_div(grid[1], block[2]),
        )
        return Cuts(outputs, grid, block, count, whole)

    return min(map(cuts_of, blocks), key=lambda cuts: _cut_cycles(sums, cuts, target, lanes))


def _even(length: int, most: int) -> list[int]:
    """Give the sizes up to `most` that cut a length into so many even pieces, or into more."""
    sizes = {ceil_div(length, count) for count in range(1, length + 1)}
    return sorted(size for size in sizes if size <= max(1, most))


def _cut_cycles(sums: TapSum, cuts: Cuts, target: CpuTarget, lanes: int) -> float:
    """Estimate the cycles of what depends on the cuts, on one core."""
    item = target.vector_bytes // lanes
    area = (cuts.outputs + len(sums.down) - 1) ** 2
    blocks = sums.groups * cuts.count
    rows, vectors = product_tile(sums, target, lanes, cuts)
    panels = ceil_div(sums.outputs, vectors * lanes)
    steps = area * sums.inputs * ceil_div(cuts.tiles, rows) * panels
    products = steps * (tile_cycles(rows, vectors) + 1.0)
    tiles = area * cuts.tiles * sums.inputs * item
    read = reading_cycles(area * sums.inputs * sums.outputs * item)
    if tiles > NEAR_BYTES:
        read += reading_cycles(tiles) * panels
    pixels = cuts.block[0] * (cuts.block[1] * cuts.outputs + 2) * cuts.block[2] * cuts.outputs
    seen = pixels * sums.inputs * item / MEMORY_BYTES
    return blocks * (products + read + seen) * idle(blocks * panels)


def fits_winograd(sums: TapSum, taps: int = 3) -> bool:
    """Tell whether a sum over taps is a filter of so many taps each way at every pixel."""
    if sums.strides != (1, 1) or any(lattice.step != 1 for lattice in sums.lattices):
        return False
    for axis in (sums.down, sums.across):
        distances = [distance for distance, _ in axis]
        if [d - distances[0] for d in distances] != list(range(taps)):
            return False
    return True


def idle(units: int) -> float:
    """Give how much longer units take than they would if all threads were busy to the end.

    Which algorithm computes something must not depend on how many threads there are, so that is
    told for two.

    >>> idle(1), idle(2), idle(3), idle(64)
    (2.0, 1.0, 1.3333333333333333, 1.0)
    """
    return ceil_div(units, 2) * 2 / units


def product_tile(sums: TapSum, target: CpuTarget, lanes: int, cuts: Cuts) -> tuple[int, int]:
    """Give the register tile that wastes least: image tiles times vectors of filters."""
    tiles, blocks = cuts.tiles, sums.groups * cuts.count
    best, least = (1, 1), float("inf")
    for vectors in range(1, min(4, ceil_div(sums.outputs, lanes)) + 1):
        for rows in range(1, tiles + 1):
            if not tile_fits(target, rows, vectors):
                break
            panels = ceil_div(sums.outputs, vectors * lanes)
            count = ceil_div(tiles, rows) * panels
            found = count * (tile_cycles(rows, vectors) + 1.0) * idle(blocks * panels)
            if found < least:
                best, least = (rows, vectors), found
    return best
