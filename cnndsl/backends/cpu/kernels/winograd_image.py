"""Tiles of images transformed for Winograd's convolution, channels in the lanes."""

from __future__ import annotations

from dataclasses import dataclass

from cnndsl.backends.cpu.kernel import (
    Buffer,
    KernelBuilder,
    Memory,
    PhaseEmitter,
    ceil_div,
    element,
)
from cnndsl.backends.cpu.kernels.conv_turn import turn
from cnndsl.backends.cpu.kernels.winograd_cuts import Cuts
from cnndsl.backends.cpu.kernels.winograd_points import Matrix
from cnndsl.backends.cpu.kernels.winograd_transform import sandwich
from cnndsl.backends.cpu.lanes import conjunction, mask_within, splat
from cnndsl.backends.cpu.llvm import I64, Index, LType, V, constant
from cnndsl.ops.window import Pair


@dataclass(frozen=True, slots=True)
class Tiles:
    """Writes [tile element][tile of a block][channel] of M d M' for tiles d of an operand."""

    k: KernelBuilder
    """Where it is written."""
    operand: int
    """What is read: [images, groups * channels, height, width]."""
    channels: int
    """Channels of a group."""
    groups: int
    """Groups."""
    corner: Pair
    """Row and column where the first tile begins; below 0 in the padding."""
    matrix: Matrix
    """M, [size of a transformed tile, size of a tile]."""
    cuts: Cuts
    """The blocks; tiles begin `cuts.outputs` pixels apart."""
    depth: int
    """Channels that are written, rounded up to full vectors."""
    spacing: int
    """Elements from one element of the tiles to the next."""

    @property
    def _kind(self) -> LType:
        return element(self.k.results[0])

    @property
    def _lanes(self) -> int:
        return self.k.lanes(self.k.results[0])

    @property
    def _strip(self) -> tuple[int, int]:
        """Rows and columns that a block's tiles read of an image."""
        _, down, across = self.cuts.block
        overlap = len(self.matrix[0]) - self.cuts.outputs
        return down * self.cuts.outputs + overlap, across * self.cuts.outputs + overlap

    def _strip_buffer(self) -> Buffer:
        rows, columns = self._strip
        wide = ceil_div(columns, self._lanes) * self._lanes
        return self.k.buffer(Memory.THREAD, rows * wide * self._lanes * self._kind.nbytes)

    def write_phase(self, shared: Buffer) -> None:
        """Write the phase that transforms the tiles of every block, a vector of channels a unit."""
        cuts, lanes = self.cuts, self._lanes
        blocks = self.groups * cuts.count
        vectors = self.depth // lanes
        strip = self._strip_buffer()
        area = len(self.matrix) ** 2
        flops = float(blocks * cuts.tiles * self.depth * area * 16)
        with self.k.phase(blocks * vectors, flops=flops) as f:
            group, *block, vector = f.unravel(f.unit, (self.groups, *cuts.blocks, vectors))
            number = f.idiv(f.unit, vectors)
            target = f.at(f.place(shared), self._kind, f.imul(number, area * self.spacing))
            where = block[0], block[1], block[2]
            place = f.at(target, self._kind, f.imul(vector, lanes))
            self._write_vector(f, group, where, vector, f.place(strip), place)

    def write_block(
        self,
        f: PhaseEmitter,
        group: Index,
        block: tuple[Index, Index, Index],
        target: V,
        *,
        first: Index = 0,
    ) -> None:
        """Transform the tiles of one block, from the vector of channels number `first` on."""
        strip = f.place(self._strip_buffer())
        with f.loop(0, self.depth // self._lanes) as vector:
            place = f.at(target, self._kind, f.imul(vector, self._lanes))
            self._write_vector(f, group, block, f.iadd(first, vector), strip, place)

    def _write_vector(
        self,
        f: PhaseEmitter,
        group: Index,
        block: tuple[Index, Index, Index],
        vector: Index,
        strip: V,
        target: V,
    ) -> None:
        cuts, outputs = self.cuts, self.cuts.outputs
        first = cuts.first(f, 0, block[0])
        row, column = cuts.first(f, 1, block[1]), cuts.first(f, 2, block[2])
        corner = (
            f.iadd(f.imul(row, outputs), self.corner[0]),
            f.iadd(f.imul(column, outputs), self.corner[1]),
        )
        with f.loop(0, cuts.block[0]) as image:
            number = f.iadd(f.imul(f.iadd(first, image), self.groups), group)
            channel = f.imul(vector, self._lanes)
            plane = f.iadd(f.imul(number, self.channels), channel)
            self._turn(f, plane, channel, corner, strip)
            tile = f.imul(image, cuts.block[1] * cuts.block[2])
            self._transform(f, strip, f.at(target, self._kind, f.imul(tile, self.depth)))

    def _turn(
        self, f: PhaseEmitter, plane: Index, channel: Index, corner: tuple[Index, Index], strip: V
    ) -> None:
        """Copy the pixels of a vector of channels, channels side by side; zeros at the border."""
        lanes, wide = self._lanes, self._kind.times(self._lanes)
        height, width = self.k.operands[self.operand].shape[2:]
        rows, columns = self._strip
        pitch = ceil_div(columns, lanes) * lanes
        partial = self.channels % lanes != 0
        with f.loop(0, rows) as y, f.loop(0, pitch, lanes) as x:
            line, across = f.iadd(corner[0], y), f.iadd(corner[1], x)
            inside = f.compare("ult", f.index(line), constant(I64, height))
            mask = conjunction(f, mask_within(f, across, width, lanes), splat(f, inside, lanes))
            assert mask is not None, "it was joined of two"
            start = f.iadd(f.imul(plane, height * width), f.imul(line, width), across)
            pixels = []
            for c in range(lanes):
                chosen = mask
                if partial:
                    real = f.compare(
                        "slt", f.index(f.iadd(channel, c)), constant(I64, self.channels)
                    )
                    chosen = f.bits("and", mask, splat(f, real, lanes))
                at = f.iadd(start, c * height * width)
                zero = constant(wide, 0.0)
                # The next vector of channels: what is read of them lies in too many places.
                f.prefetch(f.operand(self.operand), wide, f.iadd(at, lanes * height * width))
                pixels.append(f.masked_load(wide, f.operand(self.operand), at, chosen, zero))
            place = f.imul(f.iadd(f.imul(y, pitch), x), lanes)
            for i, value in enumerate(turn(f, pixels)):
                f.store(value, strip, f.iadd(place, i * lanes))

    def _transform(self, f: PhaseEmitter, strip: V, target: V) -> None:
        """Transform the tiles of a strip."""
        lanes, wide, size = self._lanes, self._kind.times(self._lanes), len(self.matrix[0])
        _, down, across = self.cuts.block
        pitch = ceil_div(self._strip[1], lanes) * lanes
        with f.loop(0, down) as y, f.loop(0, across) as x:
            corner = f.imul(f.iadd(f.imul(y, pitch), x), self.cuts.outputs * lanes)
            grid = [
                [f.load(wide, strip, f.iadd(corner, (i * pitch + j) * lanes)) for j in range(size)]
                for i in range(size)
            ]
            place = f.imul(f.iadd(f.imul(y, across), x), self.depth)
            for i, row in enumerate(sandwich(f, self.matrix, grid)):
                for j, value in enumerate(row):
                    f.store(value, target, f.iadd(place, (i * len(self.matrix) + j) * self.spacing))
