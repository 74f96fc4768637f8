"""Batch normalisation: statistics of rows merged in a fixed order, then one pass over the image."""

from __future__ import annotations

from collections.abc import Sequence

from cnndsl.backends.cpu.emit import Chunk, Slot
from cnndsl.backends.cpu.kernel import (
    Buffer,
    KernelBuilder,
    Memory,
    PhaseEmitter,
    pieces,
    row_major,
)
from cnndsl.backends.cpu.kernels.maps import Stream, write_map
from cnndsl.backends.cpu.kernels.norm_image import ChannelImage, down, rate_of, vector_phase
from cnndsl.backends.cpu.lanes import each_chunk, splat
from cnndsl.backends.cpu.llvm import Index, LType, V, constant
from cnndsl.backends.cpu.scalars import LlvmScalars
from cnndsl.backends.cpu.table import kernels
from cnndsl.ir.graph import Node
from cnndsl.ir.types import TensorType
from cnndsl.ops.norm import BatchNormAttrs, batch_norm, batch_norm_train


def _channel_streams(x: TensorType, kinds: list[TensorType], first: int) -> list[Stream]:
    """Walk [C] operands, number `first` and on, along the channels of x."""
    strides = (0, 1, *(0,) * (x.rank - 2))
    return [Stream(first + i, kind, strides) for i, kind in enumerate(kinds)]


@kernels.rule(batch_norm)
def batch_norm_cpu(k: KernelBuilder, node: Node[BatchNormAttrs]) -> None:
    """Map: centre, scale, shift; the epilogue."""
    x = k.operands[0]
    own = row_major(x.shape)
    inputs = [Stream(0, x, own), *_channel_streams(x, list(k.operands[1:5]), 1)]
    inputs += [Stream(5 + i, kind, own) for i, kind in enumerate(k.operands[5:])]

    def compute(f: PhaseEmitter, kind: LType, values: list[V]) -> V:
        here, scale, shift, mean, variance, *extras = values
        factor = f.mul(scale, rate_of(f, variance, node.attrs.eps))
        return _finished(f, node.attrs, f.fma(f.sub(here, mean), factor, shift), extras)

    steps = len(node.attrs.epilogue.steps) if node.attrs.epilogue else 0
    write_map(k, x.shape, inputs, Stream(0, x, own), compute, flops=4 + steps)


def _finished(f: PhaseEmitter, attrs: BatchNormAttrs, value: V, extras: Sequence[V]) -> V:
    """Give what the epilogue makes of a value."""
    if attrs.epilogue is None:
        return value
    return attrs.epilogue(LlvmScalars(f, value.type, f.kernel.results[0].dtype), value, *extras)


@kernels.rule(batch_norm_train)
def batch_norm_train_cpu(k: KernelBuilder, node: Node[BatchNormAttrs]) -> None:
    """Mean and squared distance of each row, merged (Chan, Golub, LeVeque 1979); normalise."""
    image = ChannelImage.of(k, k.operands[0])
    if image.area == 1:
        _train_vectors(k, image, node.attrs)
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
        others = [image.row(f, f.operand(i), number, channel) for i in range(3, len(k.operands))]
        target = image.row(f, f.result(), number, channel)

        def one(chunk: Chunk) -> None:
            x = f.load_chunk(image.kind, source, chunk)
            extras = [f.load_chunk(image.kind, other, chunk) for other in others]
            y = f.fma(f.sub(x, mean), factor, shift)
            f.store_chunk(_finished(f, node.attrs, y, extras), target, chunk)

        each_chunk(f, image.area, image.lanes, one)

    image.write_rows(4, body)


def _write_moments(f: PhaseEmitter, image: ChannelImage, parts: Buffer) -> None:
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
    f: PhaseEmitter, image: ChannelImage, parts: Buffer, factors: Buffer, at: Chunk, eps: float
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
    f.store_chunk(f.mul(scale, rate_of(f, variance, eps)), f.place(factors), at)


def _train_vectors(k: KernelBuilder, image: ChannelImage, attrs: BatchNormAttrs) -> None:
    """Normalise [N, C]: three walks down some channels."""

    def body(f: PhaseEmitter, at: Chunk) -> None:
        kind, x = image.kind, f.operand(0)
        share = constant(kind.times(at.lanes), 1.0 / image.images)
        mean = f.mul(down(f, image, at, lambda row: f.load_chunk(kind, x, row)), share)

        def square(row: Chunk) -> V:
            away = f.sub(f.load_chunk(kind, x, row), mean)
            return f.mul(away, away)

        variance = f.mul(down(f, image, at, square), share)
        f.store_chunk(mean, f.result(1), at)
        f.store_chunk(variance, f.result(2), at)
        scale, shift = (f.load_chunk(kind, f.operand(i), at) for i in (1, 2))
        factor = f.mul(scale, rate_of(f, variance, attrs.eps))
        with f.loop(0, image.images) as number:
            row = Chunk(f.iadd(f.imul(number, image.channels), at.index), at.lanes, at.mask)
            centred = f.sub(f.load_chunk(kind, x, row), mean)
            extras = [f.load_chunk(kind, f.operand(i), row) for i in range(3, len(k.operands))]
            y = f.fma(centred, factor, shift)
            f.store_chunk(_finished(f, attrs, y, extras), f.result(), row)

    vector_phase(k, image, 10, body)
