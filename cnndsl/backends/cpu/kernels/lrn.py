"""Local response normalisation and its gradient: pixels in the lanes, channels one by one."""

from __future__ import annotations

from collections.abc import Callable

from cnndsl.backends.cpu import vector_math
from cnndsl.backends.cpu.emit import Chunk
from cnndsl.backends.cpu.kernel import KernelBuilder, Memory, PhaseEmitter, ceil_div, element
from cnndsl.backends.cpu.lanes import mask_below
from cnndsl.backends.cpu.llvm import Index, LType, V, constant
from cnndsl.backends.cpu.table import kernels
from cnndsl.ir.graph import Node
from cnndsl.ops.lrn import LrnAttrs, lrn, lrn_grad

FLOPS = 60
"""Operations of an element, mostly a logarithm and an exponential."""


class _Pixels:
    """Neighbouring pixels of one image: a unit of work, one vector wide."""

    def __init__(self, k: KernelBuilder, attrs: LrnAttrs) -> None:
        x = k.operands[0]
        self.attrs = attrs
        self.kind, self.lanes = element(x), k.lanes(x)
        self.channels, self.area = x.shape[1], x.shape[2] * x.shape[3]
        self.groups = ceil_div(self.area, self.lanes)
        self.units = x.shape[0] * self.groups
        self.half = min(attrs.size // 2, self.channels - 1)

    @property
    def wide(self) -> LType:
        """Type of a vector."""
        return self.kind.times(self.lanes)

    def chunk(self, f: PhaseEmitter, channel: Index) -> Chunk:
        """Give the unit's elements in one channel."""
        image, group = f.idiv(f.unit, self.groups), f.irem(f.unit, self.groups)
        first = f.imul(group, self.lanes)
        mask = None
        if self.area % self.lanes:
            mask = mask_below(f, f.isub(self.area, first), self.lanes)
        place = f.imul(f.iadd(f.imul(image, self.channels), channel), self.area)
        return Chunk(f.iadd(place, first), self.lanes, mask)

    def around(self, f: PhaseEmitter, channel: Index, value: Callable[[Index], V]) -> V:
        """Sum `value(neighbour)` over the channels around one."""
        total = f.variable(constant(self.wide, 0.0))
        begin = f.imax(f.iadd(channel, -self.half), 0)
        stop = f.imin(f.iadd(channel, self.half + 1), self.channels)
        with f.loop(begin, stop) as neighbour:
            f.set(total, f.add(f.get(total), value(neighbour)))
        return f.get(total)

    def divisor(self, f: PhaseEmitter, source: V, channel: Index) -> V:
        """Give k + alpha * the sum of squares around a channel."""

        def square(neighbour: Index) -> V:
            x = f.load_chunk(self.kind, source, self.chunk(f, neighbour))
            return f.mul(x, x)

        total = self.around(f, channel, square)
        alpha, k = constant(self.wide, self.attrs.alpha), constant(self.wide, self.attrs.k)
        return f.fma(total, alpha, k)

    def power(self, f: PhaseEmitter, s: V) -> V:
        """Give s**-beta."""
        scaled = f.mul(vector_math.log(f, s), constant(self.wide, -self.attrs.beta))
        return vector_math.exp(f, scaled)


@kernels.rule(lrn)
def lrn_cpu(k: KernelBuilder, node: Node[LrnAttrs]) -> None:
    """Divide by the power of the neighbourhood's sum."""
    at, x = _Pixels(k, node.attrs), k.operands[0]
    with (
        k.phase(at.units, flops=FLOPS * x.size, nbytes=2 * x.nbytes) as f,
        f.loop(0, at.channels) as channel,
    ):
        factor = at.power(f, at.divisor(f, f.operand(0), channel))
        chunk = at.chunk(f, channel)
        f.store_chunk(f.mul(f.load_chunk(at.kind, f.operand(0), chunk), factor), f.result(), chunk)


@kernels.rule(lrn_grad)
def lrn_grad_cpu(k: KernelBuilder, node: Node[LrnAttrs]) -> None:
    """Compute grad*s**-beta and that times x/s for all channels, then sum around each."""
    at, x = _Pixels(k, node.attrs), k.operands[1]
    row = at.channels * at.lanes
    scaled = k.buffer(Memory.THREAD, row * at.kind.nbytes)
    pulls = k.buffer(Memory.THREAD, row * at.kind.nbytes)
    with k.phase(at.units, flops=2 * FLOPS * x.size, nbytes=3 * x.nbytes) as f:
        with f.loop(0, at.channels) as channel:
            s = at.divisor(f, f.operand(1), channel)
            chunk = at.chunk(f, channel)
            grad, here = (f.load_chunk(at.kind, f.operand(i), chunk) for i in range(2))
            part = f.mul(grad, at.power(f, s))
            f.store(part, f.place(scaled), f.imul(channel, at.lanes))
            f.store(f.div(f.mul(part, here), s), f.place(pulls), f.imul(channel, at.lanes))
        with f.loop(0, at.channels) as channel:

            def pull(neighbour: Index) -> V:
                return f.load(at.wide, f.place(pulls), f.imul(neighbour, at.lanes))

            around = at.around(f, channel, pull)
            chunk = at.chunk(f, channel)
            here = f.load_chunk(at.kind, f.operand(1), chunk)
            factor = constant(at.wide, -2.0 * node.attrs.alpha * node.attrs.beta)
            part = f.load(at.wide, f.place(scaled), f.imul(channel, at.lanes))
            f.store_chunk(f.fma(f.mul(factor, here), around, part), f.result(), chunk)
