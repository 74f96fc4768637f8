"""Batch normalisation: statistics of rows merged in a fixed order, then one pass over the image."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod

from cnndsl.backends.cpu.emit import Chunk, Slot
from cnndsl.backends.cpu.kernel import (
    Buffer,
    KernelBuilder,
    Memory,
    PhaseEmitter,
    ceil_div,
    element,
    pieces,
    row_major,
)
from cnndsl.backends.cpu.kernels.maps import GRAIN, Stream, write_map
from cnndsl.backends.cpu.lanes import across, each_chunk, splat
from cnndsl.backends.cpu.llvm import Index, LType, V, constant
from cnndsl.backends.cpu.table import kernels
from cnndsl.ir.graph import Node
from cnndsl.ir.types import TensorType
from cnndsl.ops.norm import BatchNormAttrs, batch_norm, batch_norm_grad, batch_norm_train

Use = Callable[[PhaseEmitter, Chunk], None]
"""Writes what is done with a chunk of an image or of channels."""


def _channel_streams(x: TensorType, kinds: list[TensorType], first: int) -> list[Stream]:
    """Walk [C] operands, number `first` and on, along the channels of x."""
    strides = (0, 1, *(0,) * (x.rank - 2))
    return [Stream(first + i, kind, strides) for i, kind in enumerate(kinds)]


def _rate(f: PhaseEmitter, variance: V, eps: float) -> V:
    """Give 1/sqrt(variance + eps)."""
    kind = variance.type
    total = f.add(variance, constant(kind, eps))
    return f.div(constant(kind, 1.0), f.intrinsic(f"sqrt.{kind.mangled}", kind, total))


@kernels.rule(batch_norm)
def batch_norm_cpu(k: KernelBuilder, node: Node[BatchNormAttrs]) -> None:
    """Map: centre, scale, shift."""
    x = k.operands[0]
    own = row_major(x.shape)
    inputs = [Stream(0, x, own), *_channel_streams(x, list(k.operands[1:]), 1)]

    def compute(f: PhaseEmitter, kind: LType, values: list[V]) -> V:
        here, scale, shift, mean, variance = values
        factor = f.mul(scale, _rate(f, variance, node.attrs.eps))
        return f.fma(f.sub(here, mean), factor, shift)

    write_map(k, x.shape, inputs, Stream(0, x, own), compute, flops=4)


@dataclass(frozen=True, slots=True)
class _Image:
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
    def of(cls, k: KernelBuilder, x: TensorType) -> _Image:
        images, channels, area = x.shape[0], x.shape[1], prod(x.shape[2:])
        # Enough units for many threads, each with some thousand elements.
        cuts = max(1, min(images, ceil_div(64, channels), images * area // GRAIN))
        return cls(k, element(x), k.lanes(x), images, channels, area, ceil_div(images, cuts))

    @property
    def cuts(self) -> int:
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


@kernels.rule(batch_norm_train)
def batch_norm_train_cpu(k: KernelBuilder, node: Node[BatchNormAttrs]) -> None:
    """Mean and squared distance of each row, merged (Chan, Golub, LeVeque 1979); normalise."""
    image = _Image.of(k, k.operands[0])
    if image.area == 1:
        _train_vectors(k, image, node.attrs.eps)
        return
    parts = image.parts()
    size = k.operands[0].size
    units = image.channels * image.cuts
    with k.phase(units, flops=6 * size, nbytes=k.operands[0].nbytes) as f:
        _write_moments(f, image, parts)
    factors = k.buffer(Memory.SHARED, image.channels * image.kind.nbytes)
    with k.phase(1, flops=20 * image.channels * image.cuts) as f:
        image.each_channel(f, lambda at: _merge(f, image, parts, factors, at, node.attrs.eps))

    def body(f: PhaseEmitter, number: Index, channel: Index) -> None:
        mean = splat(f, f.load(image.kind, f.result(1), channel), image.lanes)
        factor = splat(f, f.load(image.kind, f.place(factors), channel), image.lanes)
        shift = splat(f, f.load(image.kind, f.operand(2), channel), image.lanes)
        source = image.row(f, f.operand(0), number, channel)
        target = image.row(f, f.result(), number, channel)

        def one(chunk: Chunk) -> None:
            x = f.load_chunk(image.kind, source, chunk)
            f.store_chunk(f.fma(f.sub(x, mean), factor, shift), target, chunk)

        each_chunk(f, image.area, image.lanes, one)

    image.write_rows(4, body)


def _write_moments(f: PhaseEmitter, image: _Image, parts: Buffer) -> None:
    """Write the mean of a cut's rows of one channel, and the squared distances from it."""
    kind = image.kind
    cut, channel = f.irem(f.unit, image.cuts), f.idiv(f.unit, image.cuts)
    begin, stop = pieces(f, image.images, image.cut, cut)
    mean, spread = f.variable(constant(kind, 0.0)), f.variable(constant(kind, 0.0))
    with f.loop(begin, stop) as number:
        row = image.row(f, f.operand(0), number, channel)
        total = image.fold(f, lambda chunk: f.load_chunk(kind, row, chunk))
        own = f.mul(total, constant(kind, 1.0 / image.area))
        wide = splat(f, own, image.lanes)

        def square(chunk: Chunk, row: V = row, wide: V = wide) -> V:
            away = f.sub(f.load_chunk(kind, row, chunk), wide)
            return f.mul(away, away)

        distance = image.fold(f, square)
        known = f.convert("sitofp", f.index(f.isub(number, begin)), kind)
        _merge_one(f, mean, spread, (own, distance), known, constant(kind, 1.0), image.area)
    f.store(f.get(mean), image.part(f, parts, cut, 0), channel)
    f.store(f.get(spread), image.part(f, parts, cut, 1), channel)


def _merge_one(
    f: PhaseEmitter, mean: Slot, spread: Slot, new: tuple[V, V], known: V, more: V, area: int
) -> None:
    """Join `more` images with the mean and squared distance `new` to `known` others."""
    kind = known.type
    together = f.add(known, more)
    apart = f.sub(new[0], f.get(mean))
    f.set(mean, f.fma(apart, f.div(more, together), f.get(mean)))
    weight = f.mul(f.div(f.mul(known, more), together), constant(kind, float(area)))
    distance = f.fma(f.mul(apart, apart), weight, new[1])
    f.set(spread, f.add(f.get(spread), distance))


def _merge(
    f: PhaseEmitter, image: _Image, parts: Buffer, factors: Buffer, at: Chunk, eps: float
) -> None:
    """Join the cuts of some channels; write mean, variance and scale/sqrt(variance + eps)."""
    wide = image.kind.times(at.lanes)
    mean, spread = f.variable(constant(wide, 0.0)), f.variable(constant(wide, 0.0))
    for cut in range(image.cuts):
        known = cut * image.cut
        more = min(image.images - known, image.cut)
        new = [f.load_chunk(image.kind, image.part(f, parts, cut, i), at) for i in range(2)]
        counts = constant(wide, float(known)), constant(wide, float(more))
        _merge_one(f, mean, spread, (new[0], new[1]), *counts, image.area)
    share = 1.0 / (image.images * image.area)
    variance = f.mul(f.get(spread), constant(wide, share))
    f.store_chunk(f.get(mean), f.result(1), at)
    f.store_chunk(variance, f.result(2), at)
    scale = f.load_chunk(image.kind, f.operand(1), at)
    f.store_chunk(f.mul(scale, _rate(f, variance, eps)), f.place(factors), at)


def _vector_phase(k: KernelBuilder, image: _Image, flops: int, body: Use) -> None:
    """Write a phase for images of one pixel: neighbouring channels in the lanes."""
    groups = ceil_div(image.channels, image.lanes)
    size = image.images * image.channels
    with k.phase(groups, flops=flops * size, nbytes=2 * size * image.kind.nbytes) as f:
        begin, stop = pieces(f, image.channels, image.lanes, f.unit)
        if image.channels % image.lanes == 0:
            body(f, Chunk(begin, image.lanes))
        else:
            each_chunk(f, stop, image.lanes, lambda at: body(f, at), start=begin)


def _down(f: PhaseEmitter, image: _Image, at: Chunk, value: Callable[[Chunk], V]) -> V:
    """Sum values over the images, for some channels."""
    total = f.variable(constant(image.kind.times(at.lanes), 0.0))
    with f.loop(0, image.images) as number:
        row = Chunk(f.iadd(f.imul(number, image.channels), at.index), at.lanes, at.mask)
        f.set(total, f.add(f.get(total), value(row)))
    return f.get(total)


def _train_vectors(k: KernelBuilder, image: _Image, eps: float) -> None:
    """Normalise [N, C]: three walks down some channels."""

    def body(f: PhaseEmitter, at: Chunk) -> None:
        kind, x = image.kind, f.operand(0)
        share = constant(kind.times(at.lanes), 1.0 / image.images)
        mean = f.mul(_down(f, image, at, lambda row: f.load_chunk(kind, x, row)), share)

        def square(row: Chunk) -> V:
            away = f.sub(f.load_chunk(kind, x, row), mean)
            return f.mul(away, away)

        variance = f.mul(_down(f, image, at, square), share)
        f.store_chunk(mean, f.result(1), at)
        f.store_chunk(variance, f.result(2), at)
        scale, shift = (f.load_chunk(kind, f.operand(i), at) for i in (1, 2))
        factor = f.mul(scale, _rate(f, variance, eps))
        with f.loop(0, image.images) as number:
            row = Chunk(f.iadd(f.imul(number, image.channels), at.index), at.lanes, at.mask)
            centred = f.sub(f.load_chunk(kind, x, row), mean)
            f.store_chunk(f.fma(centred, factor, shift), f.result(), row)

    _vector_phase(k, image, 10, body)


@kernels.rule(batch_norm_grad)
def batch_norm_grad_cpu(k: KernelBuilder, node: Node[BatchNormAttrs]) -> None:
    """Both sums, cut by cut; then what is left of the gradient without its mean and slope."""
    image = _Image.of(k, k.operands[0])
    eps, kind = node.attrs.eps, image.kind
    parts = image.parts()
    if image.area == 1:
        _vector_phase(k, image, 4, lambda f, at: _grad_sums_down(f, image, parts, at))
    else:
        size = k.operands[0].size
        units = image.channels * image.cuts
        with k.phase(units, flops=4 * size, nbytes=2 * k.operands[0].nbytes) as f:
            _grad_sums(f, image, parts)
    with k.phase(1, flops=4 * image.channels * image.cuts) as f:

        def join(at: Chunk) -> None:
            totals = []
            for which in range(2):
                total = constant(kind.times(at.lanes), 0.0)
                for cut in range(image.cuts if image.area > 1 else 1):
                    part = f.load_chunk(kind, image.part(f, parts, cut, which), at)
                    total = f.add(total, part)
                totals.append(total)
            rate = _rate(f, f.load_chunk(kind, f.operand(4), at), eps)
            f.store_chunk(totals[0], f.result(2), at)
            f.store_chunk(f.mul(totals[1], rate), f.result(1), at)

        image.each_channel(f, join)
    _write_grad(k, eps)


def _grad_sums(f: PhaseEmitter, image: _Image, parts: Buffer) -> None:
    """Write a cut's sum of grad and of grad*(x - mean) for one channel."""
    kind = image.kind
    cut, channel = f.irem(f.unit, image.cuts), f.idiv(f.unit, image.cuts)
    begin, stop = pieces(f, image.images, image.cut, cut)
    mean = splat(f, f.load(kind, f.operand(3), channel), image.lanes)
    zero = constant(kind.times(image.lanes), 0.0)
    total, along = f.variable(zero), f.variable(zero)
    with f.loop(begin, stop) as number:
        grads = image.row(f, f.operand(0), number, channel)
        source = image.row(f, f.operand(1), number, channel)

        def body(chunk: Chunk) -> None:
            grad = f.load_chunk(kind, grads, chunk)
            away = f.sub(f.load_chunk(kind, source, chunk), mean)
            f.set(total, f.add(f.get(total), grad))
            f.set(along, f.fma(grad, away, f.get(along)))

        each_chunk(f, image.area, image.lanes, body)
    f.store(across(f, f.get(total), f.add), image.part(f, parts, cut, 0), channel)
    f.store(across(f, f.get(along), f.add), image.part(f, parts, cut, 1), channel)


def _grad_sums_down(f: PhaseEmitter, image: _Image, parts: Buffer, at: Chunk) -> None:
    """Write the same sums for images of one pixel."""
    kind = image.kind
    mean = f.load_chunk(kind, f.operand(3), at)
    total = _down(f, image, at, lambda row: f.load_chunk(kind, f.operand(0), row))

    def product(row: Chunk) -> V:
        away = f.sub(f.load_chunk(kind, f.operand(1), row), mean)
        return f.mul(f.load_chunk(kind, f.operand(0), row), away)

    f.store_chunk(total, image.part(f, parts, 0, 0), at)
    f.store_chunk(_down(f, image, at, product), image.part(f, parts, 0, 1), at)


def _write_grad(k: KernelBuilder, eps: float) -> None:
    """Map: scale/sqrt(variance + eps)*(grad - (dshift + h*dscale)/m)."""
    x = k.operands[1]
    area = prod(x.shape[2:])
    share = 1.0 / (x.shape[0] * area)
    image = _Image.of(k, x)

    def body(f: PhaseEmitter, number: Index, channel: Index) -> None:
        lanes, kind = image.lanes, image.kind
        named = [f.load(kind, f.operand(i), channel) for i in (2, 3, 4)]
        named += [f.load(kind, f.result(i), channel) for i in (1, 2)]
        scale, mean, variance, d_scale, d_shift = (splat(f, value, lanes) for value in named)
        rate = _rate(f, variance, eps)
        slope = f.mul(f.mul(d_scale, rate), constant(rate.type, share))
        level = f.mul(d_shift, constant(rate.type, share))
        rows = [image.row(f, f.operand(i), number, channel) for i in (0, 1)]
        target = image.row(f, f.result(), number, channel)

        def one(chunk: Chunk) -> None:
            grad, here = (f.load_chunk(kind, row, chunk) for row in rows)
            less = f.fma(f.sub(here, mean), slope, level)
            f.store_chunk(f.mul(f.mul(scale, rate), f.sub(grad, less)), target, chunk)

        each_chunk(f, area, lanes, one)

    image.write_rows(8, body)
