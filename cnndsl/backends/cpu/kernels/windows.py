"""Windows that slide over the planes of an image, neighbouring places in the lanes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod

from cnndsl.backends.cpu.emit import Chunk
from cnndsl.backends.cpu.kernel import (
    LINE_BYTES,
    KernelBuilder,
    PhaseEmitter,
    ceil_div,
    element,
    pieces,
)
from cnndsl.backends.cpu.kernels.caches import SHARED_SIZE
from cnndsl.backends.cpu.kernels.maps import GRAIN
from cnndsl.backends.cpu.lanes import (
    conjunction,
    iota,
    load_strided,
    mask_within,
    shuffle,
    splat,
)
from cnndsl.backends.cpu.llvm import I64, Index, LType, V, constant
from cnndsl.ir.types import Shape, TensorType
from cnndsl.ops.pool import Pool2dAttrs

AHEAD = 1024
"""Pixels between what is read and what is asked for."""


@dataclass(frozen=True, slots=True)
class Tap:
    """What all places of a chunk see under one tap of their windows."""

    number: int
    """Which tap of the window's row."""
    value: V
    """The elements."""
    valid: V | None
    """Which of them are real; nothing means all."""


@dataclass(frozen=True, slots=True)
class Windows:
    """Windows over planes [planes, height, width], their places [planes, rows, columns]."""

    k: KernelBuilder
    """The kernel."""
    attrs: Pool2dAttrs
    """How the window slides."""
    kind: LType
    """Type of an element."""
    lanes: int
    """Places in a vector."""
    planes: int
    """Images times channels."""
    image: tuple[int, int]
    """Height and width."""
    places: tuple[int, int]
    """Rows and columns of places."""

    @classmethod
    def of(cls, k: KernelBuilder, attrs: Pool2dAttrs, x: Shape, y: TensorType) -> Windows:
        """Make the windows of images `x` with results `y`."""
        planes = prod(x[:2])
        return cls(k, attrs, element(y), k.lanes(y), planes, (x[2], x[3]), (y.shape[2], y.shape[3]))

    @property
    def padded(self) -> bool:
        """Whether a window may reach beyond the left or the right edge."""
        (left, right), width = self.attrs.padding[1], self.image[1]
        reach = (self.places[1] - 1) * self.attrs.strides[1] - left + self.attrs.window[1]
        return left > 0 or right > 0 or reach > width

    @property
    def apart(self) -> bool:
        """Whether windows stand side by side, no padding between: no pixel is seen twice."""
        a = self.attrs
        return a.strides == a.window and not any(sum(a.padding, ()))

    @contextmanager
    def phase(self, flops: float, nbytes: float) -> Iterator[tuple[PhaseEmitter, Index]]:
        """Write a phase whose inside is done for each plane."""
        several = max(1, GRAIN // prod(self.image))
        with self.k.phase(ceil_div(self.planes, several), flops=flops, nbytes=nbytes) as f:
            begin, stop = pieces(f, self.planes, several, f.unit)
            with f.loop(begin, stop) as plane:
                yield f, plane

    def source(self, f: PhaseEmitter, tensor: V, plane: Index) -> V:
        """Point at a plane of an image."""
        return f.at(tensor, self.kind, f.imul(plane, prod(self.image)))

    def target(self, f: PhaseEmitter, tensor: V, plane: Index) -> V:
        """Point at a plane of places."""
        return f.at(tensor, self.kind, f.imul(plane, prod(self.places)))

    def tap_rows(self, f: PhaseEmitter, row: Index, body: Callable[[Index, Index], None]) -> None:
        """Write `body(tap row, image row)` for the tap rows that are on the image."""
        (top, bottom), taps = self.attrs.padding[0], self.attrs.window[0]
        first = f.iadd(f.imul(row, self.attrs.strides[0]), -top)
        if not top and not bottom:
            for number in range(taps):
                body(number, f.iadd(first, number))
            return
        low = f.imax(f.isub(0, first), 0)
        high = f.imin(f.isub(self.image[0], first), taps)
        with f.loop(low, high) as tap:
            body(tap, f.iadd(first, tap))

    def taps(self, f: PhaseEmitter, line: V, chunk: Chunk, other: float) -> list[Tap]:
        """Load what the places of a chunk see under each tap of one image row."""
        (left, _), step, count = self.attrs.padding[1], self.attrs.strides[1], self.attrs.window[1]
        wide = self.kind.times(self.lanes)
        first = f.iadd(f.imul(chunk.index, step), -left)
        valid: list[V | None] = [None] * count
        if self.padded:
            valid = [
                mask_within(f, f.iadd(first, tap), self.image[1], self.lanes, step=step)
                for tap in range(count)
            ]
        if step == 2:
            values = self._pairs(f, line, first, other)
        else:
            masks = [conjunction(f, mask, chunk.mask) for mask in valid]
            values = [
                load_strided(f, wide, line, f.iadd(first, tap), step, masks[tap], other)
                for tap in range(count)
            ]
        return [Tap(tap, values[tap], valid[tap]) for tap in range(count)]

    def ask(self, f: PhaseEmitter, line: V, chunk: Chunk) -> None:
        """Ask for the pixels that are read some rows later, where images come from memory."""
        pixels = self.planes * prod(self.image)
        if pixels * self.kind.nbytes <= SHARED_SIZE:
            return
        first = f.iadd(f.imul(chunk.index, self.attrs.strides[1]), AHEAD)
        for begin in range(0, self.attrs.strides[1] * self.lanes, LINE_BYTES // self.kind.nbytes):
            f.prefetch(line, self.kind, f.iadd(first, begin))

    def _pairs(self, f: PhaseEmitter, line: V, first: Index, other: float) -> list[V]:
        """Load pairs of neighbouring taps together, and part them."""
        count, lanes, wide = self.attrs.window[1], self.lanes, self.kind.times(self.lanes)
        found = []
        for tap in range(0, count, 2):
            halves = []
            for part in range(2):
                start = f.iadd(first, tap + part * lanes)
                # Beyond the last place there may be no memory of this image, but there is some.
                mask = mask_within(f, start, self.image[1], lanes)
                halves.append(f.masked_load(wide, line, start, mask, constant(wide, other)))
            for parity in range(min(2, count - tap)):
                picks = [2 * lane + parity for lane in range(lanes)]
                found.append(shuffle(f, halves[0], halves[1], picks))
        return found

    def shares(self, f: PhaseEmitter, row: Index, chunk: Chunk, *, whole: bool) -> V:
        """Give one over the elements that each place sees; with `whole`, padding counts."""
        wide = self.kind.times(self.lanes)
        if whole or not any(sum(self.attrs.padding, ())):
            return constant(wide, 1.0 / prod(self.attrs.window))
        (top, _), (left, _) = self.attrs.padding
        first = f.iadd(f.imul(row, self.attrs.strides[0]), -top)
        rows = f.isub(f.imin(f.iadd(first, self.attrs.window[0]), self.image[0]), f.imax(first, 0))
        start = f.iadd(f.imul(chunk.index, self.attrs.strides[1]), -left)
        steps = iota(self.lanes, step=self.attrs.strides[1])
        begins = f.add(splat(f, f.index(start), self.lanes), steps)
        integers = I64.times(self.lanes)
        name = f"v{self.lanes}i64"
        ends = f.add(begins, constant(integers, self.attrs.window[1]))
        ends = f.intrinsic(f"smin.{name}", integers, ends, constant(integers, self.image[1]))
        begins = f.intrinsic(f"smax.{name}", integers, begins, constant(integers, 0))
        count = f.mul(f.sub(ends, begins), splat(f, f.index(rows), self.lanes))
        # Lanes beyond the last place may have no element; what they hold is never stored.
        return f.div(constant(wide, 1.0), f.convert("sitofp", count, wide))
