"""Softmax, log-softmax and maxout."""

from __future__ import annotations

import math

from cnndsl.backends.cpu import vector_math
from cnndsl.backends.cpu.emit import Chunk
from cnndsl.backends.cpu.kernel import KernelBuilder, PhaseEmitter, element
from cnndsl.backends.cpu.kernels.axes import Column, element_walk
from cnndsl.backends.cpu.kernels.maps import GRAIN
from cnndsl.backends.cpu.lanes import each_chunk
from cnndsl.backends.cpu.llvm import Index, V, constant
from cnndsl.backends.cpu.table import kernels
from cnndsl.ir.graph import Node
from cnndsl.ops.softmax import MaxoutAttrs, SoftmaxAttrs, log_softmax, maxout, softmax

FLOPS = 40
"""Operations of an element: two exponentials, mostly."""


def largest(f: PhaseEmitter, column: Column, source: V) -> V:
    """Give the largest element of each row or column."""
    return column.fold(
        -math.inf, f.maximum, lambda c: f.load_chunk(column.kind, source, c, -math.inf)
    )


def sum_of_powers(f: PhaseEmitter, column: Column, source: V, most: V) -> V:
    """Give the sum of e to the elements less `most`."""

    def power(chunk: Chunk) -> V:
        x = f.load_chunk(column.kind, source, chunk, -math.inf)
        return column.only(chunk, vector_math.exp(f, f.sub(x, most)), 0.0)

    return column.fold(0.0, f.add, power)


@kernels.rule(softmax)
def softmax_cpu(k: KernelBuilder, node: Node[SoftmaxAttrs]) -> None:
    """Find the maximum, sum the powers, divide."""
    walk, kind = element_walk(k, 0, node.attrs.axis)
    x = k.operands[0]
    with k.phase(walk.units, flops=FLOPS * x.size, nbytes=2 * x.nbytes) as f:
        column = walk.begin(f, kind)
        most = largest(f, column, f.operand(0))
        total = f.variable(constant(column.wide, 0.0))

        def powers(chunk: Chunk, position: Index) -> None:
            x = f.load_chunk(kind, f.operand(0), chunk)
            power = vector_math.exp(f, f.sub(x, most))
            f.store_chunk(power, f.result(), chunk)
            f.set(total, f.add(f.get(total), column.only(chunk, power, 0.0)))

        column.each(powers)
        sums = column.joined(total, f.add)

        def shares(chunk: Chunk, position: Index) -> None:
            share = f.div(f.load_chunk(kind, f.result(), chunk), sums)
            f.store_chunk(share, f.result(), chunk)

        column.each(shares)


@kernels.rule(log_softmax)
def log_softmax_cpu(k: KernelBuilder, node: Node[SoftmaxAttrs]) -> None:
    """Find the maximum, sum the powers, subtract."""
    walk, kind = element_walk(k, 0, node.attrs.axis)
    x = k.operands[0]
    with k.phase(walk.units, flops=FLOPS * x.size, nbytes=2 * x.nbytes) as f:
        column = walk.begin(f, kind)
        most = largest(f, column, f.operand(0))
        less = vector_math.log(f, sum_of_powers(f, column, f.operand(0), most))

        def body(chunk: Chunk, position: Index) -> None:
            x = f.load_chunk(kind, f.operand(0), chunk)
            f.store_chunk(f.sub(f.sub(x, most), less), f.result(), chunk)

        column.each(body)


@kernels.rule(maxout)
def maxout_cpu(k: KernelBuilder, node: Node[MaxoutAttrs]) -> None:
    """Take the larger, piece by piece; a unit is some images' channels."""
    (x,), y = k.operands, k.results[0]
    pieces, kind, lanes = node.attrs.pieces, element(x), k.lanes(x)
    inner = y.size // (y.shape[0] * y.shape[1])
    rows = y.shape[0] * y.shape[1]
    several = max(1, GRAIN // (inner * pieces))
    with k.phase(-(-rows // several), flops=x.size, nbytes=x.nbytes + y.nbytes) as f:
        begin = f.imul(f.unit, several)
        with f.loop(begin, f.imin(f.iadd(begin, several), rows)) as row:
            source = f.at(f.operand(0), kind, f.imul(row, pieces * inner))
            target = f.at(f.result(), kind, f.imul(row, inner))

            def body(chunk: Chunk) -> None:
                most = f.load_chunk(kind, source, chunk)
                for piece in range(1, pieces):
                    at = Chunk(f.iadd(chunk.index, piece * inner), chunk.lanes, chunk.mask)
                    most = f.maximum(most, f.load_chunk(kind, source, at))
                f.store_chunk(most, target, chunk)

            each_chunk(f, inner, lanes if inner > 1 else 0, body)
