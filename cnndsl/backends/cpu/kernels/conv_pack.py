"""Weights laid out in the order in which the inner loops read them."""

from __future__ import annotations

from dataclasses import dataclass

from cnndsl.backends.cpu.emit import Chunk, FunctionEmitter
from cnndsl.backends.cpu.kernel import Buffer, KernelBuilder, Memory, PhaseEmitter, ceil_div
from cnndsl.backends.cpu.kernels.conv_taps import TapSum
from cnndsl.backends.cpu.kernels.conv_turn import turn
from cnndsl.backends.cpu.lanes import mask_below
from cnndsl.backends.cpu.llvm import Index, LType, V


def block_start(f: FunctionEmitter, number: Index, size: int, length: int) -> Index:
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
        with k.phase(units, nbytes=4.0 * nbytes, packs=True) as f:
            group, panel, block = f.unravel(f.unit, (sums.groups, self.count, blocks))
            first = block_start(f, panel, self.outputs, sums.outputs)
            offset, output, each = sums.weights
            start = f.dot((group, first, f.imul(block, self.inputs)), (offset, output, each))
            source = f.at(f.operand(operand), kind, start)
            size = self.taps * self.inputs * self.outputs
            target = f.at(f.place(buffer), kind, f.imul(f.unit, size))
            if self.taps == 1 and each == 1:
                self._turn_inputs(f, kind, source, target)
            else:
                with f.loop(0, self.inputs) as c:
                    here = f.at(source, kind, f.imul(c, each))
                    self._turn_taps(f, kind, here, f.at(target, kind, f.imul(c, self.outputs)))
        return buffer

    def _groups_of_outputs(self, lanes: int) -> list[tuple[int, int, int]]:
        """Give the first output of each vector, how many are written, and how many are real."""
        found = []
        for begin in range(0, self.outputs, lanes):
            count = min(lanes, self.outputs - begin)
            found.append((begin, count, max(1, min(count, self.sums.outputs - begin))))
        return found

    def _turn_inputs(self, f: PhaseEmitter, kind: LType, source: V, target: V) -> None:
        """Write panels of weights of one tap, whose inputs lie side by side."""
        lanes = f.target.vector_bytes // kind.nbytes
        for begin, count, real in self._groups_of_outputs(lanes):
            here = f.at(source, kind, begin * self.sums.weights[1])
            whole = self.inputs - self.inputs % lanes
            with f.loop(0, whole, lanes) as c:
                place = f.iadd(f.imul(c, self.outputs), begin)
                for i, value in enumerate(self._turned(f, kind, here, c, real)):
                    self._store(f, value, target, f.iadd(place, i * self.outputs), count)
            if self.inputs % lanes:
                rest = self._turned(f, kind, here, whole, real)
                for i, value in enumerate(rest[: self.inputs % lanes]):
                    place = (whole + i) * self.outputs + begin
                    self._store(f, value, target, place, count)

    def _turn_taps(self, f: PhaseEmitter, kind: LType, source: V, target: V) -> None:
        """Write the weights of all taps of one input."""
        lanes = f.target.vector_bytes // kind.nbytes
        order = [i + j for _, i in self.sums.down for _, j in self.sums.across]
        for begin, count, real in self._groups_of_outputs(lanes):
            here = f.at(source, kind, begin * self.sums.weights[1])
            for first in range(0, max(order) + 1, lanes):
                found = self._turned(f, kind, here, first, real)
                for tap, offset in enumerate(order):
                    if first <= offset < first + lanes:
                        place = tap * self.inputs * self.outputs + begin
                        self._store(f, found[offset - first], target, place, count)

    def _turned(self, f: PhaseEmitter, kind: LType, source: V, start: Index, real: int) -> list[V]:
        """Give vectors of outputs, for as many neighbouring weights as a vector has lanes.

        Lanes beyond the last real output are not used; what lies behind weights is read in vain.
        """
        lanes, apart = f.target.vector_bytes // kind.nbytes, self.sums.weights[1]
        wide = kind.times(lanes)
        if apart == 1:
            return [f.load(wide, source, f.iadd(start, i)) for i in range(lanes)]
        return turn(
            f, [f.load(wide, source, f.iadd(start, min(i, real - 1) * apart)) for i in range(lanes)]
        )

    @staticmethod
    def _store(f: PhaseEmitter, value: V, target: V, place: Index, count: int) -> None:
        lanes = value.type.lanes
        mask = None if count == lanes else mask_below(f, count, lanes)
        f.store_chunk(value, target, Chunk(place, lanes, mask))


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
