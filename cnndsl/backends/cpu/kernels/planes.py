"""Planes: an image laid out so that every tap of a filter is a shift along one row of numbers.

The places of a filter are numbered row by row with a pitch that counts the filter's reach too, so
that place p sees, under one tap, the number p + the tap's shift of the plane; between the rows of
places lie some that are computed in vain. A stride of s makes s*s planes, each with every s-th row
and column, in which places are neighbours again. Padding is written as zeros.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from cnndsl.backends.cpu.emit import Chunk
from cnndsl.backends.cpu.kernel import PhaseEmitter
from cnndsl.backends.cpu.lanes import each_chunk, load_strided, mask_within, splat
from cnndsl.backends.cpu.llvm import I64, Index, LType, V, constant


@dataclass(frozen=True)
class Axis:
    """Rows or columns: place p sees the pixels p*step + d for every tap distance d."""

    size: int
    """Pixels."""
    places: int
    """Places."""
    step: int
    """Pixels from place to place."""
    distances: tuple[int, ...]
    """From a place's first pixel to what it sees under each tap; may be negative."""

    @cached_property
    def quotients(self) -> tuple[int, ...]:
        """Places from a place to the one whose first pixel a tap sees, or the residue after it."""
        return tuple(d // self.step for d in self.distances)

    @cached_property
    def residues(self) -> tuple[int, ...]:
        """What is left of the distances."""
        return tuple(d % self.step for d in self.distances)

    @property
    def first(self) -> int:
        """The smallest quotient."""
        return min(self.quotients, default=0)

    @property
    def reach(self) -> int:
        """Places that the taps reach beyond a place."""
        return max(self.quotients, default=0) - self.first

    @property
    def inside(self) -> bool:
        """Whether every place sees pixels only, no padding."""
        if not self.distances:
            return True
        last = (self.places - 1) * self.step + max(self.distances)
        return min(self.distances) >= 0 and last < self.size


@dataclass(frozen=True)
class Planes:
    """The planes of one channel."""

    rows: Axis
    """Down."""
    columns: Axis
    """Across."""
    block: int
    """Rows of places that are worked on at once."""
    direct: bool
    """Whether the image itself serves as its only plane."""

    @cached_property
    def phases(self) -> tuple[tuple[int, int], ...]:
        """Which residues there is a plane for."""
        return tuple(sorted({(a, b) for a in self.rows.residues for b in self.columns.residues}))

    @property
    def pitch(self) -> int:
        """Numbers from row to row."""
        if self.direct:
            return self.columns.size
        return self.columns.places + self.columns.reach

    @property
    def plane(self) -> int:
        """Numbers of one plane."""
        if self.direct:
            return self.rows.size * self.columns.size
        return (self.block + self.rows.reach) * self.pitch

    @property
    def channel(self) -> int:
        """Numbers from channel to channel."""
        return self.plane * (1 if self.direct else len(self.phases))

    def flat(self, rows: Index, f: PhaseEmitter) -> Index:
        """Give the numbers from the first place to the last one of some rows, both counted."""
        return f.iadd(f.imul(f.iadd(rows, -1), self.pitch), self.columns.places)

    @property
    def most_flat(self) -> int:
        """Numbers of a whole block."""
        return (self.block - 1) * self.pitch + self.columns.places

    def shift(self, row: int, column: int) -> int:
        """Give what a tap adds to the number of a place."""
        rows, columns = self.rows, self.columns
        if self.direct:
            return rows.distances[row] * self.pitch + columns.distances[column]
        phase = self.phases.index((rows.residues[row], columns.residues[column]))
        down = rows.quotients[row] - rows.first
        across = columns.quotients[column] - columns.first
        return phase * self.plane + down * self.pitch + across

    def write_copy(
        self,
        f: PhaseEmitter,
        source: V,
        target: V,
        kind: LType,
        channels: Index,
        first_row: Index,
        lanes: int,
    ) -> None:
        """Lay out the channels of an image for the block that begins at a row of places.

        `source` points at the first channel. What rows overhang is overwritten by the next row.
        """
        height, width = self.rows.size, self.columns.size
        with f.loop(0, channels) as channel:
            image = f.at(source, kind, f.imul(channel, height * width))
            place = f.at(target, kind, f.imul(channel, self.channel))
            for number, (down, across) in enumerate(self.phases):
                with f.loop(0, self.block + self.rows.reach) as row:
                    pixel = f.iadd(
                        f.imul(f.iadd(first_row, row, self.rows.first), self.rows.step), down
                    )
                    inside = f.compare("ult", f.index(pixel), constant(I64, height))
                    real = splat(f, inside, lanes)
                    line = f.iadd(f.imul(row, self.pitch), number * self.plane)
                    begin = f.imul(pixel, width)
                    self._write_row(f, (image, begin), (place, line), kind.times(lanes), real, across)

    def _write_row(
        self,
        f: PhaseEmitter,
        source: tuple[V, Index],
        target: tuple[V, Index],
        wide: LType,
        real: V,
        across: int,
    ) -> None:
        """Copy one row of a plane; pixels that are not there are zeros."""
        columns, lanes = self.columns, wide.lanes
        with f.loop(0, self.pitch, lanes) as column:
            start = f.iadd(f.imul(f.iadd(column, columns.first), columns.step), across)
            mask = mask_within(f, start, columns.size, lanes, step=columns.step)
            both = f.bits("and", mask, real)
            place = f.iadd(source[1], start)
            value = load_strided(f, wide, source[0], place, columns.step, both)
            f.store(value, target[0], f.iadd(target[1], column))


def write_places(
    f: PhaseEmitter,
    source: V,
    target: V,
    kind: LType,
    sizes: Sequence[Index],
    pitch: int,
    lanes: int,
) -> None:
    """Copy images of places [channels, rows, columns] with a pitch; zeros fill it up.

    `sizes` are channels, the numbers from channel to channel of the source and of the target, rows
    and columns. Each channel of the target ends with a full vector of zeros or more.
    """
    channels, far, near, rows, columns = sizes
    zero = constant(kind.times(lanes), 0.0)
    with f.loop(0, channels) as channel:
        image = f.at(source, kind, f.imul(channel, far))
        place = f.at(target, kind, f.imul(channel, near))
        with f.loop(0, rows) as row:
            line = f.imul(row, columns)
            begin = f.imul(row, pitch)

            def body(chunk: Chunk) -> None:
                at = Chunk(f.iadd(line, chunk.index), chunk.lanes, chunk.mask)
                value = f.load_chunk(kind, image, at)
                f.store(value, place, f.iadd(begin, chunk.index))

            each_chunk(f, columns, lanes, body)
            covered = -(-int(str(columns)) // lanes) * lanes
            with f.loop(covered, max(pitch, covered), lanes) as column:
                f.store(zero, place, f.iadd(begin, column))
        f.store(zero, place, f.imul(rows, pitch))
