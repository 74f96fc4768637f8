"""The tiles of direct convolution: which shape wastes least."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from cnndsl.backends.cpu.kernel import ceil_div
from cnndsl.backends.cpu.kernels.conv_steps import STEP_CYCLES, tile_cycles, tile_fits
from cnndsl.backends.cpu.kernels.conv_taps import TapSum
from cnndsl.backends.cpu.target import CpuTarget

MOST_WRITTEN = 25
"""Most taps that are all written out."""


@dataclass(frozen=True, slots=True)
class DirectTile:
    """The shape of a tile, and which side fills the lanes."""

    by_filter: bool
    """Whether filters fill the lanes; else pixels."""
    numbers: int
    """Pixels of a row, or filters, that are spread over vectors."""
    rows: int
    """Rows of pixels; 1 with filters in the lanes."""
    vectors: int
    """Vectors of filters, or of a row's pixels."""
    cycles: float
    """Estimated processor cycles for an image and group."""

    def __str__(self) -> str:
        if self.by_filter:
            return f"filters in {self.vectors} vectors, {self.numbers} pixels"
        return f"{self.numbers} filters, pixels in {self.rows} rows of {self.vectors} vectors"

    def outputs(self, lanes: int) -> int:
        """Give the filters of a tile."""
        return self.vectors * lanes if self.by_filter else self.numbers

    def columns(self, lanes: int) -> int:
        """Give the places of a row in a tile."""
        return self.numbers if self.by_filter else self.vectors * lanes


def choose_tile(sums: TapSum, target: CpuTarget, lanes: int) -> DirectTile:
    """Give the tile that takes the fewest cycles, what is computed in vain included."""
    found = [*_filter_tiles(sums, target, lanes), *_pixel_tiles(sums, target, lanes)]
    return min(found, key=lambda tile: tile.cycles)


def _filter_tiles(sums: TapSum, target: CpuTarget, lanes: int) -> Iterator[DirectTile]:
    height, width = sums.places
    for vectors in range(1, min(6, ceil_div(sums.outputs, lanes)) + 1):
        for numbers in range(1, min(lanes, width) + 1):
            if not tile_fits(target, numbers, vectors):
                break
            tiles = height * ceil_div(width, numbers) * ceil_div(sums.outputs, vectors * lanes)
            each = sums.steps * (tile_cycles(numbers, vectors) + STEP_CYCLES)
            # Lanes are turned into pixels: four exchanges and a store for each filter.
            store = vectors * lanes * 4.5
            yield DirectTile(True, numbers, 1, vectors, tiles * (each + store))


def _pixel_tiles(sums: TapSum, target: CpuTarget, lanes: int) -> Iterator[DirectTile]:
    height, width = sums.places
    split = 1.0 if sums.is_dense and width % lanes == 0 else 1.9
    for vectors in range(1, min(6, ceil_div(width, lanes)) + 1):
        for rows in range(1, min(4, height) + 1):
            for numbers in range(1, min(24, sums.outputs) + 1):
                if not tile_fits(target, numbers, vectors * rows):
                    break
                tiles = ceil_div(height, rows) * ceil_div(width, vectors * lanes)
                tiles *= ceil_div(sums.outputs, numbers)
                each = _pixel_cycles(sums, target, (numbers, rows, vectors), split)
                store = numbers * vectors * rows * 2.0
                yield DirectTile(False, numbers, rows, vectors, tiles * (each + store + 10))


def _pixel_cycles(
    sums: TapSum, target: CpuTarget, tile: tuple[int, int, int], split: float
) -> float:
    """Give the cycles of one tile of numbers, rows and vectors."""
    numbers, rows, vectors = tile
    taps = len(sums.down) * len(sums.across)
    seen = ((rows - 1) * sums.strides[0] + len(sums.down)) * len(sums.across) * vectors
    written = sums.inputs == 1 and taps <= MOST_WRITTEN
    if written and numbers * rows * vectors + seen <= target.registers:
        # Rows of pixels share what they see.
        return max(numbers * rows * vectors * taps, seen * split + numbers * taps) / 2
    each = tile_cycles(numbers, vectors * rows, split=split) + STEP_CYCLES
    return sums.steps * each
