"""Frames: what of an image a convolution reads, zeros around it included, laid out for it.

With a frame no border needs a test. For strided outputs in the lanes of a vector, columns that
one tap sees lie side by side: a row is cut into as many stretches as a stride has pixels.
"""

from __future__ import annotations

from dataclasses import dataclass

from cnndsl.backends.cpu.emit import Chunk
from cnndsl.backends.cpu.kernel import (
    LINE_BYTES,
    Buffer,
    KernelBuilder,
    Memory,
    PhaseEmitter,
    ceil_div,
    element,
    pieces,
)
from cnndsl.backends.cpu.kernels.conv_taps import TapSum
from cnndsl.backends.cpu.lanes import conjunction, each_chunk, load_strided, mask_within, splat
from cnndsl.backends.cpu.llvm import I64, Index, LType, V, constant

FRAME_UNITS = 32
"""Units that a copy is cut into, at least."""


@dataclass(frozen=True, slots=True)
class Frame:
    """A part of an image plane. Element (y, x) counts from the frame's corner."""

    corner: tuple[int, int]
    """Row and column of the image where it begins; below 0 in the padding."""
    rows: int
    """How many rows it has."""
    columns: int
    """Columns of each stretch of a row."""
    stretch: int
    """Stretches of a row: column x lies in stretch x % stretch."""
    spacing: tuple[int, int]
    """Pixels of the image from row to row and from column to column of the frame."""
    image: tuple[int, int]
    """Height and width of the image."""
    copied: bool
    """Whether it is a copy; else it is the image itself."""

    @property
    def pitch(self) -> int:
        """Elements from row to row."""
        return self.columns * self.stretch

    @property
    def plane(self) -> int:
        """Elements of one channel."""
        return self.rows * self.pitch

    def offset(self, y: int, x: int) -> int:
        """Give the place of an element within a plane, counted from the frame's corner."""
        return y * self.pitch + (x % self.stretch) * self.columns + x // self.stretch

    def write_rows(
        self, f: PhaseEmitter, kind: LType, source: V, target: V, rows: tuple[Index, Index]
    ) -> None:
        """Copy rows of one channel: `source` points at its image, `target` at its frame."""
        with f.loop(*rows) as y:
            line = f.iadd(f.imul(y, self.spacing[0]), self.corner[0])
            inside = self._row_is_real(f, line)
            begin = f.imul(line, self.image[1])
            for part in range(self.stretch):
                place = f.iadd(f.imul(f.isub(y, rows[0]), self.pitch), part * self.columns)
                self._write_stretch(f, kind, (source, begin), (target, place), part, inside)

    def ask(self, f: PhaseEmitter, kind: LType, source: V, rows: tuple[Index, int]) -> None:
        """Ask for what a copy of so many rows from the first one on reads of a channel."""
        begin = f.imul(f.iadd(f.imul(rows[0], self.spacing[0]), self.corner[0]), self.image[1])
        with f.loop(0, rows[1] * self.image[1], LINE_BYTES // kind.nbytes) as i:
            f.prefetch(source, kind, f.iadd(begin, i))

    def _row_is_real(self, f: PhaseEmitter, line: Index) -> V | None:
        low, high = self.corner[0], self.corner[0] + (self.rows - 1) * self.spacing[0]
        if low >= 0 and high < self.image[0]:
            return None
        return f.compare("ult", f.index(line), constant(I64, self.image[0]))

    def _write_stretch(
        self,
        f: PhaseEmitter,
        kind: LType,
        source: tuple[V, Index],
        target: tuple[V, Index],
        part: int,
        inside: V | None,
    ) -> None:
        apart = self.stretch * self.spacing[1]
        first = self.corner[1] + part * self.spacing[1]
        lanes = max(2, f.target.vector_bytes // kind.nbytes)

        def body(chunk: Chunk) -> None:
            wide = kind.times(lanes)
            column = f.iadd(f.imul(chunk.index, apart), first)
            mask: V | None = mask_within(f, column, self.image[1], lanes, step=apart)
            if inside is not None:
                mask = conjunction(f, mask, splat(f, inside, lanes))
            value = load_strided(f, wide, source[0], f.iadd(source[1], column), apart, mask)
            at = Chunk(f.iadd(target[1], chunk.index), lanes, chunk.mask)
            f.store_chunk(value, target[0], at)

        each_chunk(f, self.columns, lanes, body)


def frame_of(sums: TapSum, *, apart: bool) -> Frame:
    """Give the frame for `sums`; `apart` asks for the columns of one tap to lie side by side."""
    (top, bottom), (left, right) = sums.span(0), sums.span(1)
    apart = apart and sums.strides[1] > 1
    if sums.is_pointwise and not sums.is_dense:
        # One tap: only the pixels it sees, as many as there are places.
        return Frame((top, left), *sums.places, 1, sums.strides, sums.image, copied=True)
    if sums.is_inside and not apart:
        return Frame((0, 0), *sums.image, 1, (1, 1), sums.image, copied=False)
    stretch = sums.strides[1] if apart else 1
    columns = -(-(right - left) // stretch)
    return Frame((top, left), bottom - top, columns, stretch, (1, 1), sums.image, copied=True)


def write_frames(k: KernelBuilder, sums: TapSum, frame: Frame, *, operand: int = 0) -> Buffer:
    """Write the phase that copies the frames of all images of an operand; gives where they lie."""
    kind = element(k.operands[operand])
    planes = sums.images * sums.groups * sums.inputs
    nbytes = planes * frame.plane * kind.nbytes
    buffer = k.buffer(Memory.SHARED, nbytes)
    size = frame.image[0] * frame.image[1]
    # Few planes are cut into bands, so that there is enough to share.
    height = ceil_div(frame.rows, max(1, FRAME_UNITS // planes))
    bands = ceil_div(frame.rows, height)
    with k.phase(planes * bands, nbytes=2.0 * nbytes) as f:
        plane, band = f.unravel(f.unit, (planes, bands))
        first, stop = pieces(f, frame.rows, height, band)
        source = f.at(f.operand(operand), kind, f.imul(plane, size))
        start = f.iadd(f.imul(plane, frame.plane), f.imul(first, frame.pitch))
        frame.write_rows(f, kind, source, f.at(f.place(buffer), kind, start), (first, stop))
    return buffer
