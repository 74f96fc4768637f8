"""What the kernels of batch norms share: an image's channels, cut for statistics."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod

from cnndsl.backends.cpu.emit import Chunk
from cnndsl.backends.cpu.kernel import (
    Buffer,
    KernelBuilder,
    Memory,
    PhaseEmitter,
    ceil_div,
    element,
    pieces,
)
from cnndsl.backends.cpu.kernels.maps import GRAIN
from cnndsl.backends.cpu.lanes import across, each_chunk
from cnndsl.backends.cpu.llvm import Index, LType, V, constant
from cnndsl.ir.types import TensorType

Use = Callable[[PhaseEmitter, Chunk], None]
"""Writes what is done with a chunk of an image or of channels."""


def rate_of(f: PhaseEmitter, variance: V, eps: float) -> V:
    """Give 1/sqrt(variance + eps)."""
    kind = variance.type
    total = f.add(variance, constant(kind, eps))
    return f.div(constant(kind, 1.0), f.intrinsic(f"sqrt.{kind.mangled}", kind, total))


@dataclass(frozen=True, slots=True)
class ChannelImage:
    """x as [images, channels, area], and how its images are cut for statistics."""

    k: KernelBuilder
    kind: LType
    lanes: int
    images: int
    channels: int
    area: int
    cut: int
    """Images of a cut."""

    @classmethod
    def of(cls, k: KernelBuilder, x: TensorType) -> ChannelImage:
        """Cut the images of x."""
        images, channels, area = x.shape[0], x.shape[1], prod(x.shape[2:])
        # Enough units for many threads, each with some thousand elements.
        cuts = max(1, min(images, ceil_div(64, channels), images * area // GRAIN))
        return cls(k, element(x), k.lanes(x), images, channels, area, ceil_div(images, cuts))

    @property
    def cuts(self) -> int:
        """Count the cuts."""
        return ceil_div(self.images, self.cut)

    def parts(self) -> Buffer:
        """Reserve two numbers for each cut and channel."""
        return self.k.buffer(Memory.SHARED, 2 * self.cuts * self.channels * self.kind.nbytes)

    def part(self, f: PhaseEmitter, parts: Buffer, cut: Index, which: int) -> V:
        """Point at the numbers `which` of a cut, one for each channel."""
        place = f.imul(f.iadd(f.imul(cut, 2), which), self.channels)
        return f.at(f.place(parts), self.kind, place)

    def row(self, f: PhaseEmitter, tensor: V, image: Index, channel: Index) -> V:
        """Point at the first element of an image's channel."""
        place = f.imul(f.iadd(f.imul(image, self.channels), channel), self.area)
        return f.at(tensor, self.kind, place)

    def fold(self, f: PhaseEmitter, value: Callable[[Chunk], V]) -> V:
        """Sum values over an area."""
        total = f.variable(constant(self.kind.times(self.lanes), 0.0))

        def body(chunk: Chunk) -> None:
            found = value(chunk)
            if chunk.mask is not None:
                found = f.select(chunk.mask, found, constant(found.type, 0.0))
            f.set(total, f.add(f.get(total), found))

        each_chunk(f, self.area, self.lanes, body)
        return across(f, f.get(total), f.add)

    def each_channel(self, f: PhaseEmitter, body: Callable[[Chunk], None]) -> None:
        """Write `body` for all channels, as many at once as a vector holds."""
        each_chunk(f, self.channels, self.lanes, body)

    def write_rows(self, flops: int, body: Callable[[PhaseEmitter, Index, Index], None]) -> None:
        """Write a phase with `body(f, image, channel)` for every row."""
        rows = self.images * self.channels
        several = max(1, GRAIN // self.area)
        size = rows * self.area
        nbytes = 3 * size * self.kind.nbytes
        with self.k.phase(ceil_div(rows, several), flops=flops * size, nbytes=nbytes) as f:
            begin, stop = pieces(f, rows, several, f.unit)
            with f.loop(begin, stop) as row:
                body(f, f.idiv(row, self.channels), f.irem(row, self.channels))


def vector_phase(k: KernelBuilder, image: ChannelImage, flops: int, body: Use) -> None:
    """Write a phase for images of one pixel: neighbouring channels in the lanes."""
    groups = ceil_div(image.channels, image.lanes)
    size = image.images * image.channels
    with k.phase(groups, flops=flops * size, nbytes=2 * size * image.kind.nbytes) as f:
        begin, stop = pieces(f, image.channels, image.lanes, f.unit)
        if image.channels % image.lanes == 0:
            body(f, Chunk(begin, image.lanes))
        else:
            each_chunk(f, stop, image.lanes, lambda at: body(f, at), start=begin)


def down(f: PhaseEmitter, image: ChannelImage, at: Chunk, value: Callable[[Chunk], V]) -> V:
    """Sum values over the images, for some channels."""
    total = f.variable(constant(image.kind.times(at.lanes), 0.0))
    with f.loop(0, image.images) as number:
        row = Chunk(f.iadd(f.imul(number, image.channels), at.index), at.lanes, at.mask)
        f.set(total, f.add(f.get(total), value(row)))
    return f.get(total)
