"""How the tiles of Winograd's convolution are cut into blocks of work."""

from __future__ import annotations

from dataclasses import dataclass

from cnndsl.backends.cpu.emit import FunctionEmitter
from cnndsl.backends.cpu.kernel import ceil_div
from cnndsl.backends.cpu.kernels.caches import MEMORY_BYTES, SHARED_SIZE
from cnndsl.backends.cpu.kernels.conv_pack import block_start
from cnndsl.backends.cpu.kernels.conv_steps import tile_cycles, tile_fits
from cnndsl.backends.cpu.kernels.conv_taps import TapSum
from cnndsl.backends.cpu.llvm import Index
from cnndsl.backends.cpu.target import CpuTarget

NEAR_BYTES = 640 << 10
"""Bytes of transformed tiles that stay in a core's second cache beside what is streamed."""
MOST_TILES, LEAST_TILES = 64, 28
"""Tiles of a block that may be, and that always may."""
MOST_FAR_TILES = 128
"""Tiles of a block whose filters come from memory: of more, products would have to go there."""


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


def cut_tiles(sums: TapSum, outputs: int, *, item: int) -> Cuts:
    """Choose blocks: parts of rows of tiles, whole rows, several rows, or several images.

    Tiles of a block stay in the core's own cache, unless filters come from memory: then all that
    counts is how often they do.
    """
    grid = ceil_div(sums.places[0], outputs), ceil_div(sums.places[1], outputs)
    area = (outputs + len(sums.down) - 1) ** 2
    far = area * sums.groups * sums.inputs * sums.outputs * item > SHARED_SIZE
    fitting = max(LEAST_TILES, NEAR_BYTES // (area * sums.inputs * item))
    most = MOST_FAR_TILES if far else min(MOST_TILES, fitting)
    across = ceil_div(grid[1], ceil_div(grid[1], most))
    blocks = [(1, down, across) for down in _even(grid[0], most // across)]
    if grid[0] * grid[1] <= most:
        several = _even(sums.images, most // (grid[0] * grid[1]))
        blocks += [(images, *grid) for images in several]

    def cuts_of(block: tuple[int, int, int]) -> Cuts:
        count = (
            ceil_div(sums.images, block[0]),
            ceil_div(grid[0], block[1]),
            ceil_div(grid[1], block[2]),
        )
        return Cuts(outputs, grid, block, count, (sums.images, *grid))

    def cycles(cuts: Cuts) -> float:
        # A tile's products take a cycle for 32 of them; neighbouring blocks both read some pixels.
        read = 32 * item / MEMORY_BYTES / cuts.tiles if far else 0.0
        return cuts.count * cuts.tiles * (1 + read + 0.1 / cuts.block[1])

    return min(map(cuts_of, blocks), key=cycles)


def _even(length: int, most: int) -> list[int]:
    """Give the sizes up to `most` that cut a length into so many even pieces; at least 1.

    >>> _even(8, 4), _even(7, 100), _even(5, 0)
    ([1, 2, 3, 4], [1, 2, 3, 4, 7], [1])
    """
    sizes = {ceil_div(length, count) for count in range(1, length + 1)}
    return sorted(size for size in sizes if size <= max(1, most))


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
