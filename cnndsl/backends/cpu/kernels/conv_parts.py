"""Sums over images and places cut into parts that are added up in a fixed order."""

from __future__ import annotations

from dataclasses import dataclass

from cnndsl.backends.cpu.emit import Chunk
from cnndsl.backends.cpu.kernel import Buffer, KernelBuilder, ceil_div, element, pieces
from cnndsl.backends.cpu.kernels.conv_taps import TapSum
from cnndsl.backends.cpu.lanes import each_chunk

ENOUGH_UNITS = 32
"""Units that can be dealt to some threads without one being idle for long."""


@dataclass(frozen=True, slots=True)
class Parts:
    """How the sums over images and places are cut; the parts are added up in a fixed order."""

    images: int
    """Images of a part."""
    rows: int
    """Rows of places of a part."""
    parts: tuple[int, int]
    """Parts of the images and of the rows."""

    @property
    def count(self) -> int:
        """How many parts."""
        return self.parts[0] * self.parts[1]

    @classmethod
    def of(cls, sums: TapSum, blocks: int) -> Parts:
        """Cut so that there are enough units where the weight alone gives `blocks`."""
        wanted = ceil_div(ENOUGH_UNITS, blocks)
        images = ceil_div(sums.images, min(sums.images, wanted))
        several = ceil_div(sums.images, images)
        bands = min(sums.places[0], ceil_div(wanted, several))
        rows = ceil_div(sums.places[0], bands)
        return cls(images, rows, (several, ceil_div(sums.places[0], rows)))


def write_parts(k: KernelBuilder, count: int, partial: Buffer) -> None:
    """Write the phase that adds parts up, in their order."""
    size, kind, lanes = k.results[0].size, element(k.results[0]), k.lanes(k.results[0])
    piece = 64 * lanes
    with k.phase(ceil_div(size, piece), nbytes=float(count * size * kind.nbytes)) as f:
        begin, stop = pieces(f, size, piece, f.unit)
        source = f.place(partial)

        def body(chunk: Chunk) -> None:
            total = f.load_chunk(kind, source, chunk)
            for part in range(1, count):
                at = Chunk(f.iadd(chunk.index, part * size), chunk.lanes, chunk.mask)
                total = f.add(total, f.load_chunk(kind, source, at))
            f.store_chunk(total, f.result(), chunk)

        each_chunk(f, stop, lanes, body, start=begin)
