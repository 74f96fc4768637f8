"""Losses of a prediction against a target: the mean of a scalar program over all elements."""

from __future__ import annotations

from collections.abc import Callable

from cnndsl.backends.cpu.emit import Chunk
from cnndsl.backends.cpu.kernel import KernelBuilder, Memory, ceil_div, element, pieces
from cnndsl.backends.cpu.kernels.loss import write_mean
from cnndsl.backends.cpu.kernels.maps import GRAIN
from cnndsl.backends.cpu.lanes import across, each_chunk
from cnndsl.backends.cpu.llvm import V, constant
from cnndsl.backends.cpu.scalars import LlvmScalars
from cnndsl.backends.cpu.table import kernels
from cnndsl.ir.graph import Node
from cnndsl.ir.op import Attrs
from cnndsl.ops.elementwise_loss import (
    SmoothL1Attrs,
    binary_cross_entropy,
    binary_cross_entropy_logits,
    l1,
    smooth_l1,
    squared_error,
)
from cnndsl.ops.loss import FLOOR

Loss = Callable[[LlvmScalars, V, V], V]
"""`(s, prediction, target) -> loss of one element`."""


def _write_mean_of(k: KernelBuilder, loss: Loss, flops: int) -> None:
    """Write the mean of a loss: sums of pieces, then the sum of those in order."""
    prediction = k.operands[0]
    size, kind, lanes = prediction.size, element(prediction), k.lanes(prediction)
    count = ceil_div(size, GRAIN)
    parts = k.buffer(Memory.SHARED, count * kind.nbytes)
    with k.phase(count, flops=flops * size, nbytes=2 * prediction.nbytes) as f:
        begin, stop = pieces(f, size, GRAIN, f.unit)
        total = f.variable(constant(kind.times(lanes), 0.0))

        def body(chunk: Chunk) -> None:
            values = [f.load_chunk(kind, f.operand(i), chunk) for i in range(2)]
            scalars = LlvmScalars(f, kind.times(chunk.lanes), prediction.dtype)
            found = loss(scalars, *values)
            if chunk.mask is not None:
                found = f.select(chunk.mask, found, constant(found.type, 0.0))
            f.set(total, f.add(f.get(total), found))

        each_chunk(f, stop, lanes, body, start=begin)
        f.store(across(f, f.get(total), f.add), f.place(parts), f.unit)
    write_mean(k, parts, count, size)


@kernels.rule(squared_error)
def squared_error_cpu(k: KernelBuilder, node: Node[Attrs]) -> None:
    """Average the squares."""

    def loss(s: LlvmScalars, prediction: V, target: V) -> V:
        difference = s.sub(prediction, target)
        return s.mul(difference, difference)

    _write_mean_of(k, loss, 3)


@kernels.rule(l1)
def l1_cpu(k: KernelBuilder, node: Node[Attrs]) -> None:
    """Average the absolute values."""
    _write_mean_of(k, lambda s, prediction, target: s.abs(s.sub(prediction, target)), 3)


@kernels.rule(smooth_l1)
def smooth_l1_cpu(k: KernelBuilder, node: Node[SmoothL1Attrs]) -> None:
    """Average both pieces."""
    beta = node.attrs.beta

    def loss(s: LlvmScalars, prediction: V, target: V) -> V:
        d = s.abs(s.sub(prediction, target))
        bent = s.mul(s.mul(d, d), s.const(0.5 / beta))
        return s.select(s.less(d, s.const(beta)), bent, s.sub(d, s.const(beta / 2)))

    _write_mean_of(k, loss, 6)


@kernels.rule(binary_cross_entropy)
def binary_cross_entropy_cpu(k: KernelBuilder, node: Node[Attrs]) -> None:
    """Average both logarithms."""

    def loss(s: LlvmScalars, prediction: V, target: V) -> V:
        one, floor = s.const(1.0), s.const(FLOOR)
        yes = s.log(s.maximum(prediction, floor))
        no = s.log(s.maximum(s.sub(one, prediction), floor))
        both = s.add(s.mul(target, yes), s.mul(s.sub(one, target), no))
        return s.sub(s.const(0.0), both)

    _write_mean_of(k, loss, 50)


@kernels.rule(binary_cross_entropy_logits)
def binary_cross_entropy_logits_cpu(k: KernelBuilder, node: Node[Attrs]) -> None:
    """Average max(x, 0) - x t + log(1 + e**-|x|)."""

    def loss(s: LlvmScalars, x: V, target: V) -> V:
        bend = s.log1p(s.exp(s.sub(s.const(0.0), s.abs(x))))
        return s.add(s.sub(s.maximum(x, s.const(0.0)), s.mul(x, target)), bend)

    _write_mean_of(k, loss, 60)
