"""Dropout masks: Philox4x32-10 in vectors, a block of four words to a lane."""

from __future__ import annotations

from cnndsl.backends.cpu.emit import Chunk
from cnndsl.backends.cpu.kernel import KernelBuilder, PhaseEmitter, ceil_div, element
from cnndsl.backends.cpu.kernels.maps import GRAIN
from cnndsl.backends.cpu.lanes import interleave, iota, mask_below, splat
from cnndsl.backends.cpu.llvm import I64, V, constant
from cnndsl.backends.cpu.table import kernels
from cnndsl.ir.graph import Node
from cnndsl.ops.random import (
    KEY_STEPS,
    MASK,
    MULTIPLIERS,
    ROUNDS,
    DropoutMaskAttrs,
    dropout_mask,
    dropout_threshold,
)

BLOCK = 4
"""Words of a block."""


def _halves(f: PhaseEmitter, number: V, lanes: int) -> tuple[V, V]:
    """Give the low and the high 32 bits, in every lane."""
    low = f.bits("and", number, constant(I64, MASK))
    high = f.bits("lshr", number, constant(I64, 32))
    return splat(f, low, lanes), splat(f, high, lanes)


def _philox(f: PhaseEmitter, counter: list[V], key: tuple[V, V]) -> list[V]:
    """Give the four words of each lane's block; all are i64 below 2**32."""
    wide = counter[0].type
    mask, half = constant(wide, MASK), constant(wide, 32)
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(ROUNDS):
        first = f.mul(c0, constant(wide, MULTIPLIERS[0]))
        second = f.mul(c2, constant(wide, MULTIPLIERS[1]))
        c0 = f.bits("xor", f.bits("xor", f.bits("lshr", second, half), c1), k0)
        c2 = f.bits("xor", f.bits("xor", f.bits("lshr", first, half), c3), k1)
        c1, c3 = f.bits("and", second, mask), f.bits("and", first, mask)
        k0 = f.bits("and", f.add(k0, constant(wide, KEY_STEPS[0])), mask)
        k1 = f.bits("and", f.add(k1, constant(wide, KEY_STEPS[1])), mask)
    return [c0, c1, c2, c3]


@kernels.rule(dropout_mask)
def dropout_mask_cpu(k: KernelBuilder, node: Node[DropoutMaskAttrs]) -> None:
    """Compare the generator's words with the threshold."""
    attrs, y = node.attrs, k.results[0]
    kind, size = element(y), y.size
    lanes = max(1, f64_lanes(k))
    wide = I64.times(lanes)
    batch = BLOCK * lanes
    several = max(1, GRAIN // batch)
    batches = ceil_div(size, batch)
    with k.phase(ceil_div(batches, several), flops=60 * size, nbytes=y.nbytes) as f:
        key = _halves(f, f.load(I64, f.operand(0)), lanes)
        step = _halves(f, f.load(I64, f.operand(1)), lanes)
        begin = f.imul(f.unit, several)
        with f.loop(begin, f.imin(f.iadd(begin, several), batches)) as number:
            blocks = f.add(splat(f, f.index(f.imul(number, lanes)), lanes), iota(lanes))
            low = f.bits("and", blocks, constant(wide, MASK))
            words = _philox(f, [low, constant(wide, attrs.stream), *step], key)
            threshold = constant(wide, dropout_threshold(attrs.rate))
            values = [
                f.select(
                    f.compare("ult", word, threshold),
                    constant(kind.times(lanes), 0.0),
                    constant(kind.times(lanes), 1.0 / (1.0 - attrs.rate)),
                )
                for word in words
            ]
            for part, vector in enumerate(interleave(f, values)):
                place = f.iadd(f.imul(number, batch), part * lanes)
                mask = mask_below(f, f.isub(size, place), lanes) if size % batch else None
                f.store_chunk(vector, f.result(), Chunk(place, lanes, mask))


def f64_lanes(k: KernelBuilder) -> int:
    """Give the 64-bit words of a vector."""
    return k.target.vector_bytes // I64.nbytes
