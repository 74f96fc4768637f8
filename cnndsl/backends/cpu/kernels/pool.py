"""Pooling and its gradients."""

from __future__ import annotations

import math
from math import prod

from cnndsl.backends.cpu.emit import Chunk
from cnndsl.backends.cpu.kernel import KernelBuilder
from cnndsl.backends.cpu.kernels.pool_narrow import is_narrow, write_narrow_max
from cnndsl.backends.cpu.kernels.reduce import Sweep, add, larger, write_reduction
from cnndsl.backends.cpu.kernels.windows import Windows
from cnndsl.backends.cpu.lanes import (
    each_chunk,
)
from cnndsl.backends.cpu.llvm import Index, constant
from cnndsl.backends.cpu.table import kernels
from cnndsl.ir.graph import Node
from cnndsl.ir.op import Attrs
from cnndsl.ops.pool import (
    AvgPool2dAttrs,
    Pool2dAttrs,
    avg_pool2d,
    global_avg_pool,
    global_max_pool,
    max_pool2d,
)


def _pool(k: KernelBuilder, attrs: Pool2dAttrs, first: float, *, whole: bool | None = None) -> None:
    """Write a pooling: the maximum, or with `whole` the mean, with or without padding."""
    x, y = k.operands[0], k.results[0]
    at = Windows.of(k, attrs, x.shape, y)
    mean = whole is not None
    with at.phase(2.0 * y.size * prod(attrs.window), x.nbytes + y.nbytes) as (f, plane):
        source, target = at.source(f, f.operand(0), plane), at.target(f, f.result(), plane)
        with f.loop(0, at.places[0]) as row:
            line = f.at(target, at.kind, f.imul(row, at.places[1]))

            def body(chunk: Chunk) -> None:
                total = f.variable(constant(at.kind.times(at.lanes), first))

                def taps(_: Index, image_row: Index) -> None:
                    pixels = f.at(source, at.kind, f.imul(image_row, at.image[1]))
                    at.ask(f, pixels, chunk)
                    for tap in at.taps(f, pixels, chunk, first):
                        known = f.get(total)
                        joined = f.add(known, tap.value) if mean else f.maximum(known, tap.value)
                        f.set(total, joined)

                at.tap_rows(f, row, taps)
                found = f.get(total)
                if whole is not None:
                    found = f.mul(found, at.shares(f, row, chunk, whole=whole))
                f.store_chunk(found, line, chunk)

            each_chunk(f, at.places[1], at.lanes, body)


@kernels.rule(max_pool2d)
def max_pool2d_cpu(k: KernelBuilder, node: Node[Pool2dAttrs]) -> None:
    """Take the larger, tap by tap."""
    x, y = k.operands[0], k.results[0]
    at = Windows.of(k, node.attrs, x.shape, y)
    if is_narrow(at):
        write_narrow_max(at, flops=3.0 * y.size, nbytes=x.nbytes + y.nbytes)
        return
    _pool(k, node.attrs, -math.inf)


@kernels.rule(avg_pool2d)
def avg_pool2d_cpu(k: KernelBuilder, node: Node[AvgPool2dAttrs]) -> None:
    """Add tap by tap, then divide."""
    _pool(k, node.attrs, 0.0, whole=node.attrs.count_padding)


@kernels.rule(global_avg_pool)
def global_avg_pool_cpu(k: KernelBuilder, node: Node[Attrs]) -> None:
    """Sum each plane, divide."""
    x = k.operands[0]
    share = 1.0 / (x.shape[2] * x.shape[3])
    write_reduction(k, Sweep.of(x.shape, (2, 3)), 0.0, add, share)


@kernels.rule(global_max_pool)
def global_max_pool_cpu(k: KernelBuilder, node: Node[Attrs]) -> None:
    """Take each plane's largest element."""
    write_reduction(k, Sweep.of(k.operands[0].shape, (2, 3)), -math.inf, larger, 1.0)
