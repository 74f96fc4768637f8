"""Weights laid out in the order in which the inner loops read them."""

from __future__ import annotations

from dataclasses import dataclass

from cnndsl.backends.cpu.emit import Chunk
from cnndsl.backends.cpu.kernel import Buffer, KernelBuilder, Memory, PhaseEmitter, ceil_div
from cnndsl.backends.cpu.kernels.conv_taps import TapSum
from cnndsl.backends.cpu.lanes import load_strided, mask_below
from cnndsl.backends.cpu.llvm import I64, Index, LType, V


def block_start(f: PhaseEmitter, number: Index, size: int, length: int) -> Index:
    """Give the first element of block `number`; the last block lies upon the one before it.

    So all blocks are full; what lies in two is computed twice, to the same bit. A single block
    that is longer than the axis begins at 0.
    """
    if length <= size:
        return 0
    start = f.imul(number, size)
    return start if length % size == 0 else f.imin(start, length - size)


@dataclass(frozen=True, slots=True)
class Panels:
    """Blocks of outputs; in each the inputs in blocks, the taps, the inputs of a block, outputs."""

    sums: TapSum
    """What the weights are for."""
    outputs: int
    """Outputs of a panel."""
    inputs: int
    """Inputs of a block; divides them."""

    @property
    def count(self) -> int:
        """Panels of a group."""
        return ceil_div(self.sums.outputs, self.outputs)

    @property
    def taps(self) -> int:
        """Taps of both axes together."""
        return len(self.sums.down) * len(self.sums.across)

    @property
    def size(self) -> int:
        """Elements of a panel."""
        return self.sums.steps * self.outputs

    def elements(self) -> int:
        """Elements of all panels of all groups."""
        return self.sums.groups * self.count * self.size

    def write(self, k: KernelBuilder, operand: int, kind: LType) -> Buffer:
        """Write the phase that fills the panels from an operand; gives where they lie."""
        sums = self.sums
        nbytes = self.elements() * kind.nbytes
        buffer = k.buffer(Memory.PACKED, nbytes, operand)
        blocks = sums.inputs // self.inputs
        units = sums.groups * self.count * blocks
        with k.phase(units, nbytes=4.0 * nbytes, packs=True, fenced=False) as f:
            group, panel, block = f.unravel(f.unit, (sums.groups, self.count, blocks))
            first = block_start(f, panel, self.outputs, sums.outputs)
            offset, output, each = sums.weights
            start = f.dot((group, first, f.imul(block, self.inputs)), (offset, output, each))
            table = k.module.table(I64, [i + j for _, i in sums.down for _, j in sums.across])
            target = f.at(f.place(buffer), kind, f.imul(f.unit, self._block_size))
            with f.loop(0, self.taps) as tap, f.loop(0, self.inputs) as c:
                tapped = f.iadd(start, f.imul(c, each), f.load(I64, table, tap))
                place = f.imul(f.iadd(f.imul(tap, self.inputs), c), self.outputs)
                self._write_outputs(f, kind, f.operand(operand), tapped, (target, place))
        return buffer

    @property
    def _block_size(self) -> int:
        return self.taps * self.inputs * self.outputs

    def _write_outputs(
        self, f: PhaseEmitter, kind: LType, source: V, start: Index, target: tuple[V, Index]
    ) -> None:
        """Write one number of every output; those beyond the last are zero."""
        lanes = f.target.vector_bytes // kind.nbytes
        for begin in range(0, self.outputs, lanes):
            count = min(lanes, self.outputs - begin)
            real = min(count, self.sums.outputs - begin)
            apart = self.sums.weights[1]
            place = f.iadd(target[1], begin)
            mask = None if real == lanes else mask_below(f, max(real, 0), lanes)
            here = f.iadd(start, begin * apart)
            if count == 1:
                f.store(f.load(kind, source, here), target[0], place)
                continue
            value = load_strided(f, kind.times(lanes), source, here, apart, mask)
            stored = None if count == lanes else mask_below(f, count, lanes)
            f.store_chunk(value, target[0], Chunk(place, lanes, stored))


def input_block(inputs: int, *, pointwise: bool) -> int:
    """Give the inputs of a block, so that what a tile reads of them stays in the nearest cache.

    >>> input_block(256, pointwise=False), input_block(48, pointwise=False)
    (32, 24)
    >>> input_block(3, pointwise=False), input_block(37, pointwise=False)
    (1, 37)
    """
    if pointwise:
        return inputs
    if inputs < FEW_INPUTS:
        return 1
    divisors = [size for size in range(8, 33) if inputs % size == 0]
    return max(divisors, default=inputs)


FEW_INPUTS = 8
"""Below it the taps of a row are written out, and inputs are the outer loop."""
