"""The largest magnitude in several arrays: one search a piece, then one among what they found."""

from __future__ import annotations

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
from cnndsl.backends.cpu.llvm import Index, V, constant
from cnndsl.backends.cpu.table import kernels
from cnndsl.ir.graph import Node
from cnndsl.ir.op import Attrs
from cnndsl.ops.magnitude import largest_magnitude


def _largest(f: PhaseEmitter, array: V, begin: Index, stop: Index) -> V:
    """Give the largest magnitude in [begin, stop) of an array; NaN where there is one."""
    kind = element(f.kernel.results[0])
    lanes = f.kernel.lanes(f.kernel.results[0])
    total = f.variable(constant(kind.times(lanes), 0.0))

    def body(chunk: Chunk) -> None:
        value = f.load_chunk(kind, array, chunk)
        found = f.intrinsic(f"fabs.{value.type.mangled}", value.type, value)
        if not chunk.lanes:
            found = f.op(total.type, f"insertelement {constant(total.type, 0.0)}, {found}, i32 0")
        f.set(total, f.maximum(f.get(total), found))

    each_chunk(f, stop, lanes, body, start=begin)
    return across(f, f.get(total), lambda a, b: f.maximum(a, b))


@kernels.rule(largest_magnitude)
def largest_magnitude_cpu(k: KernelBuilder, node: Node[Attrs]) -> None:
    """A piece of an array a unit, then one unit for all pieces."""
    y = k.results[0]
    counts = [ceil_div(x.size, 4 * GRAIN) for x in k.operands]
    found = k.buffer(Memory.SHARED, max(1, sum(counts)) * y.dtype.nbytes)
    begin = 0
    for index, count in enumerate(counts):
        if count:
            _search(k, index, found, begin, count)
        begin += count
    with k.phase(1, flops=begin) as f:
        f.store(_largest(f, f.place(found), 0, begin), f.result(), 0)


def _search(k: KernelBuilder, index: int, found: Buffer, begin: int, count: int) -> None:
    x = k.operands[index]
    with k.phase(count, flops=x.size, nbytes=x.nbytes) as f:
        start, stop = pieces(f, x.size, 4 * GRAIN, f.unit)
        f.store(_largest(f, f.operand(index), start, stop), f.place(found), f.iadd(f.unit, begin))
