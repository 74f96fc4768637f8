"""The gradient of batch normalisation: both sums cut by cut, then one pass over the image.

A prologue is computed in both passes, and y anew from x for it: that reads less than a gradient
that was written and read again would.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from cnndsl.backends.cpu.emit import Chunk
from cnndsl.backends.cpu.kernel import Buffer, KernelBuilder, PhaseEmitter, pieces
from cnndsl.backends.cpu.kernels.norm_image import ChannelImage, down, rate_of, vector_phase
from cnndsl.backends.cpu.lanes import across, each_chunk, splat
from cnndsl.backends.cpu.llvm import Index, V, constant
from cnndsl.backends.cpu.scalars import LlvmScalars
from cnndsl.backends.cpu.table import kernels
from cnndsl.ir.graph import Node
from cnndsl.ops.norm import BatchNormGradAttrs, batch_norm_grad

GRAD, X, SCALE, MEAN, VARIANCE, SHIFT = range(6)
"""Operands; those of the prologue follow the shift."""

Load = Callable[[int], V]
"""Gives the values of an operand."""


@dataclass(frozen=True, slots=True)
class _Channel:
    """One channel in all lanes, or some side by side: its numbers, computed before the loop."""

    f: PhaseEmitter
    attrs: BatchNormGradAttrs
    mean: V
    factor: V | None
    """scale/sqrt(variance + eps); only for a prologue, like the shift."""
    shift: V | None

    @classmethod
    def of(cls, f: PhaseEmitter, attrs: BatchNormGradAttrs, load: Load) -> _Channel:
        """Take the numbers from operands [C], which `load` gives."""
        if attrs.prologue is None:
            return cls(f, attrs, load(MEAN), None, None)
        factor = f.mul(load(SCALE), rate_of(f, load(VARIANCE), attrs.eps))
        return cls(f, attrs, load(MEAN), factor, load(SHIFT))

    def values(self, load: Load) -> tuple[V, V]:
        """Give the gradient after the prologue, and x - mean; `load` gives elements."""
        f, prologue = self.f, self.attrs.prologue
        away = f.sub(load(X), self.mean)
        grad = load(GRAD)
        if prologue is None or self.factor is None or self.shift is None:
            return grad, away
        y = f.fma(away, self.factor, self.shift)
        extras = [load(i) for i in range(SHIFT + 1, len(f.kernel.operands))]
        scalars = LlvmScalars(f, y.type, f.kernel.results[0].dtype)
        return prologue(scalars, grad, y, *extras), away


def _in_all_lanes(f: PhaseEmitter, image: ChannelImage, channel: Index) -> Load:
    """Give what loads one channel's number of an operand into all lanes."""
    return lambda i: splat(f, f.load(image.kind, f.operand(i), channel), image.lanes)


def _rows(f: PhaseEmitter, image: ChannelImage, number: Index, channel: Index) -> dict[int, V]:
    """Point at the first element of a channel in each operand of the image's shape."""
    numbers = (GRAD, X, *range(SHIFT + 1, len(f.kernel.operands)))
    return {i: image.row(f, f.operand(i), number, channel) for i in numbers}


@kernels.rule(batch_norm_grad)
def batch_norm_grad_cpu(k: KernelBuilder, node: Node[BatchNormGradAttrs]) -> None:
    """Both sums, cut by cut; then what is left of the gradient without its mean and slope."""
    image = ChannelImage.of(k, k.operands[X])
    attrs, kind = node.attrs, image.kind
    parts = image.parts()
    if image.area == 1:
        vector_phase(k, image, 4, lambda f, at: _sums_down(f, image, attrs, parts, at))
    else:
        size = k.operands[X].size
        units = image.channels * image.cuts
        with k.phase(units, flops=4 * size, nbytes=2 * k.operands[X].nbytes) as f:
            _sums(f, image, attrs, parts)
    with k.phase(1, flops=4 * image.channels * image.cuts) as f:

        def join(at: Chunk) -> None:
            totals = []
            for which in range(2):
                total = constant(kind.times(at.lanes), 0.0)
                for cut in range(image.cuts if image.area > 1 else 1):
                    part = f.load_chunk(kind, image.part(f, parts, cut, which), at)
                    total = f.add(total, part)
                totals.append(total)
            rate = rate_of(f, f.load_chunk(kind, f.operand(VARIANCE), at), attrs.eps)
            f.store_chunk(totals[0], f.result(2), at)
            f.store_chunk(f.mul(totals[1], rate), f.result(1), at)

        image.each_channel(f, join)
    _write_grad(k, image, attrs)


def _sums(f: PhaseEmitter, image: ChannelImage, attrs: BatchNormGradAttrs, parts: Buffer) -> None:
    """Write a cut's sum of grad and of grad*(x - mean) for one channel."""
    kind = image.kind
    cut, channel = f.irem(f.unit, image.cuts), f.idiv(f.unit, image.cuts)
    begin, stop = pieces(f, image.images, image.cut, cut)
    here = _Channel.of(f, attrs, _in_all_lanes(f, image, channel))
    zero = constant(kind.times(image.lanes), 0.0)
    total, along = f.variable(zero), f.variable(zero)
    with f.loop(begin, stop) as number:
        rows = _rows(f, image, number, channel)

        def body(chunk: Chunk) -> None:
            grad, away = here.values(lambda i: f.load_chunk(kind, rows[i], chunk))
            if chunk.mask is not None and attrs.prologue is not None:
                # What the prologue makes of zeros need not be zero.
                grad = f.select(chunk.mask, grad, constant(grad.type, 0.0))
            f.set(total, f.add(f.get(total), grad))
            f.set(along, f.fma(grad, away, f.get(along)))

        each_chunk(f, image.area, image.lanes, body)
    f.store(across(f, f.get(total), f.add), image.part(f, parts, cut, 0), channel)
    f.store(across(f, f.get(along), f.add), image.part(f, parts, cut, 1), channel)


def _sums_down(
    f: PhaseEmitter, image: ChannelImage, attrs: BatchNormGradAttrs, parts: Buffer, at: Chunk
) -> None:
    """Write the same sums for images of one pixel."""
    kind = image.kind
    here = _Channel.of(f, attrs, lambda i: f.load_chunk(kind, f.operand(i), at))

    def values(row: Chunk) -> tuple[V, V]:
        return here.values(lambda i: f.load_chunk(kind, f.operand(i), row))

    total = down(f, image, at, lambda row: values(row)[0])
    along = down(f, image, at, lambda row: f.mul(*values(row)))
    f.store_chunk(total, image.part(f, parts, 0, 0), at)
    f.store_chunk(along, image.part(f, parts, 0, 1), at)


def _write_grad(k: KernelBuilder, image: ChannelImage, attrs: BatchNormGradAttrs) -> None:
    """Map: scale/sqrt(variance + eps)*(grad - (dshift + h*dscale)/m)."""
    share = 1.0 / (image.images * image.area)

    def body(f: PhaseEmitter, number: Index, channel: Index) -> None:
        lanes, kind = image.lanes, image.kind
        here = _Channel.of(f, attrs, _in_all_lanes(f, image, channel))
        named = [f.load(kind, f.operand(i), channel) for i in (SCALE, VARIANCE)]
        named += [f.load(kind, f.result(i), channel) for i in (1, 2)]
        scale, variance, d_scale, d_shift = (splat(f, value, lanes) for value in named)
        rate = rate_of(f, variance, attrs.eps)
        slope = f.mul(f.mul(d_scale, rate), constant(rate.type, share))
        level = f.mul(d_shift, constant(rate.type, share))
        outer = f.mul(scale, rate)
        rows = _rows(f, image, number, channel)
        target = image.row(f, f.result(), number, channel)

        def one(chunk: Chunk) -> None:
            grad, away = here.values(lambda i: f.load_chunk(kind, rows[i], chunk))
            less = f.fma(away, slope, level)
            f.store_chunk(f.mul(outer, f.sub(grad, less)), target, chunk)

        each_chunk(f, image.area, lanes, one)

    image.write_rows(8, body)
