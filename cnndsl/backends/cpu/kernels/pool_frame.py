"""Gradients of windows that overlap: each pixel sums up what the windows that see it give."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod

from cnndsl.backends.cpu.emit import Chunk
from cnndsl.backends.cpu.kernel import Buffer, KernelBuilder, Memory, PhaseEmitter, ceil_div
from cnndsl.backends.cpu.kernels.windows import Windows
from cnndsl.backends.cpu.lanes import each_chunk, interleave, mask_within
from cnndsl.backends.cpu.llvm import I64, Index, LType, V, constant

MOST_TAPS = 49
"""Taps of a window whose sums are written out."""
MOST_STEP = 4
"""Pixels from window to window for which they are."""


@dataclass(frozen=True, slots=True)
class PlaceFrame:
    """Places of a plane in a buffer of its own, with others around them that have nothing.

    Pixels are summed up from there: what windows add to them is never read back and written again.
    """

    at: Windows
    kind: LType
    buffer: Buffer

    @classmethod
    def of(cls, k: KernelBuilder, at: Windows, kind: LType) -> PlaceFrame:
        """Reserve the buffer for elements of `kind`."""
        rows, pitch = cls._size(at)
        return cls(at, kind, k.buffer(Memory.THREAD, rows * pitch * kind.nbytes))

    @staticmethod
    def fits(at: Windows) -> bool:
        """Tell whether the windows are small enough for the code that is written out."""
        attrs = at.attrs
        return prod(attrs.window) <= MOST_TAPS and max(attrs.strides) <= MOST_STEP

    @staticmethod
    def _margins(at: Windows) -> tuple[int, int]:
        """Give how far before the first place a pixel may look, down and across."""
        both = zip(at.attrs.window, at.attrs.strides, strict=True)
        down, across = ((taps - 1) // step for taps, step in both)
        return down, across

    @staticmethod
    def _groups(at: Windows) -> tuple[int, int]:
        """Give the steps of a window that it takes to pass all pixels, down and across."""
        pads = (at.attrs.padding[0][0], at.attrs.padding[1][0])
        both = zip(at.image, pads, at.attrs.strides, strict=True)
        down, across = ((length - 1 + pad) // step + 1 for length, pad, step in both)
        return down, across

    @classmethod
    def _size(cls, at: Windows) -> tuple[int, int]:
        (down, across), (rows, columns) = cls._margins(at), cls._groups(at)
        wide = max(columns, at.places[1]) + at.lanes
        return down + max(rows, at.places[0]), across + ceil_div(wide, at.lanes) * at.lanes

    def clear(self, f: PhaseEmitter, nothing: float) -> None:
        """Let no place have anything."""
        rows, pitch = self._size(self.at)
        value, lanes = constant(self.kind.times(self.at.lanes), nothing), self.at.lanes
        each_chunk(
            f, rows * pitch, lanes, lambda chunk: f.store_chunk(value, f.place(self.buffer), chunk)
        )

    def place(self, f: PhaseEmitter, row: Index, column: Index) -> V:
        """Point at a place, or before the first one by no more than the margin."""
        (down, across), (_, pitch) = self._margins(self.at), self._size(self.at)
        start = f.iadd(f.imul(f.iadd(row, down), pitch), column, across)
        return f.at(f.place(self.buffer), self.kind, start)

    def sum_up(self, f: PhaseEmitter, target: V, term: Callable[[Index, Index, int], V]) -> None:
        """Write every pixel: the sum of `term(place's row, place's column, distance)`.

        The distance is that of the pixel from the first element of the place's window.
        """
        at = self.at
        groups, (steps, _) = self._groups(at), at.attrs.strides
        top, height = at.attrs.padding[0][0], at.image[0]
        with f.loop(0, groups[0]) as group:
            for phase in range(steps):
                row = f.iadd(f.imul(group, steps), phase - top)

                def write(row: Index = row, group: Index = group, phase: int = phase) -> None:
                    line = f.at(target, at.kind, f.imul(row, at.image[1]))
                    self._sum_row(f, line, (group, phase), term)

                if not top and groups[0] * steps == height:
                    write()
                else:
                    with f.when(f.compare("ult", f.index(row), constant(I64, height))):
                        write()

    def _sum_row(
        self,
        f: PhaseEmitter,
        line: V,
        rows: tuple[Index, int],
        term: Callable[[Index, Index, int], V],
    ) -> None:
        at, (group, first) = self.at, rows
        (down, across), (steps, step) = at.attrs.window, at.attrs.strides
        left, width = at.attrs.padding[1][0], at.image[1]
        count = self._groups(at)[1]
        with f.loop(0, count, at.lanes) as column:
            phases = []
            for phase in range(step):
                total = constant(at.kind.times(at.lanes), 0.0)
                for tap_row in range(first, down, steps):
                    for tap in range(phase, across, step):
                        place = f.isub(group, tap_row // steps), f.isub(column, tap // step)
                        found = term(*place, tap_row * width + tap)
                        total = f.add(total, found)
                phases.append(total)
            for part, vector in enumerate(interleave(f, phases)):
                start = f.iadd(f.imul(column, step), part * at.lanes - left)
                mask = mask_within(f, start, width, at.lanes)
                f.store_chunk(vector, line, Chunk(start, at.lanes, mask))
