"""The gradient of a convolution for its weight, places in the lanes: for few channels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from cnndsl.backends.cpu.emit import Chunk
from cnndsl.backends.cpu.kernel import (
    KernelBuilder,
    Memory,
    PhaseEmitter,
    ceil_div,
    element,
    pieces,
)
from cnndsl.backends.cpu.kernels.conv_frame import Frame, frame_of, write_frames
from cnndsl.backends.cpu.kernels.conv_pack import block_start
from cnndsl.backends.cpu.kernels.conv_parts import Parts, write_parts
from cnndsl.backends.cpu.kernels.conv_taps import TapSum
from cnndsl.backends.cpu.kernels.tiles import Tile, TileSize
from cnndsl.backends.cpu.lanes import mask_below, sums_across
from cnndsl.backends.cpu.llvm import I64, Index, V, constant

FETCH_BYTES = 30.0
"""Bytes a cycle from a core's second cache, several channels read at once."""


class WeightDots:
    """Pixels fill the lanes; what the lanes have summed is added up at the end."""

    def __init__(self, k: KernelBuilder, sums: TapSum) -> None:
        """Choose the tile of `sums`, the convolution whose gradient is wanted."""
        if sums.is_dense:
            # Rows of an image that is read as it lies are one long row.
            long = (1, sums.places[0] * sums.places[1])
            sums = replace(sums, image=long, places=long, result=long)
        self.k, self.sums = k, sums
        self.kind, self.lanes = element(k.results[0]), k.lanes(k.results[0])
        self.frame: Frame = frame_of(sums, apart=True)
        taps = len(sums.down) * len(sums.across)
        most = 4 if k.target.registers >= 32 else 2
        most_sums = 24 if k.target.registers >= 32 else 10
        # Columns of a tile are neighbours in the weight: a row of taps, all taps, or all taps of
        # several inputs.
        if taps <= most_sums // 2:
            self.inputs = max(1, min(sums.inputs, (most_sums // most) // taps))
            self.columns = self.inputs * taps
        else:
            self.inputs, self.columns = 1, min(len(sums.across), most_sums)
        self.pieces = ceil_div(taps, self.columns) if self.inputs == 1 else 1
        if self.inputs == 1 and self.pieces > 1:
            self.pieces = len(sums.down) * ceil_div(len(sums.across), self.columns)
        self.outputs = max(1, min(sums.outputs, most_sums // self.columns, 8))

    @property
    def cycles(self) -> float:
        """Estimated processor cycles for all images and groups."""
        sums = self.sums
        rows = sums.images * sums.groups * sums.places[0]
        tiles = ceil_div(sums.outputs, self.outputs) * ceil_div(sums.inputs, self.inputs)
        loads = self.outputs + 1.9 * self.columns
        # Each tile reads its channels anew, from the second cache at best.
        fetched = (self.outputs + self.inputs) * self.lanes * self.kind.nbytes / FETCH_BYTES
        step = max(self.outputs * self.columns / 2, loads / 2, fetched, 4.0)
        return rows * ceil_div(sums.places[1], self.lanes) * tiles * self.pieces * step

    def write(self) -> None:
        """Write the phases."""
        sums = self.sums
        shared = write_frames(self.k, sums, self.frame) if self.frame.copied else None
        blocks = ceil_div(sums.outputs, self.outputs), ceil_div(sums.inputs, self.inputs)
        cut = Parts.of(sums, sums.groups * blocks[0] * blocks[1] * self.pieces)
        weight = self.k.results[0]
        partial = None
        if cut.count > 1:
            partial = self.k.buffer(Memory.SHARED, cut.count * weight.nbytes)
        shape = (*cut.parts, sums.groups, blocks[0], blocks[1], self.pieces)
        units = cut.count * sums.groups * blocks[0] * blocks[1] * self.pieces
        nbytes = float(sum(kind.nbytes for kind in self.k.operands))
        with self.k.phase(units, flops=sums.flops, nbytes=nbytes) as f:
            part, band, group, output, input_, piece = f.unravel(f.unit, shape)
            target = f.result()
            if partial is not None:
                number = f.iadd(f.imul(part, cut.parts[1]), band)
                target = f.at(f.place(partial), self.kind, f.imul(number, weight.size))
            o = block_start(f, output, self.outputs, sums.outputs)
            c = block_start(f, input_, self.inputs, sums.inputs)
            images = pieces(f, sums.images, cut.images, part)
            rows = pieces(f, sums.places[0], cut.rows, band)
            source = f.operand(0) if shared is None else f.place(shared)
            self._write_tile(f, (source, target), (group, o, c), piece, (images, rows))
        if partial is not None:
            write_parts(self.k, cut.count, partial)

    def _taps(self) -> tuple[list[list[int]], int, int]:
        """Give the offsets of the columns in a frame, one list a piece; and both row strides."""
        frame, sums = self.frame, self.sums
        strides, corner = sums.strides, frame.corner
        down, across = [d for d, _ in sums.down], [a for a, _ in sums.across]
        if sums.is_pointwise and frame.copied:
            down, across, strides, corner = [0], [0], (1, 1), (0, 0)
        offsets = [[frame.offset(d - corner[0], a - corner[1]) for a in across] for d in down]
        every = [offset for row in offsets for offset in row]
        if self.inputs > 1 or self.columns == len(every):
            several = [c * frame.plane + o for c in range(self.inputs) for o in every]
            return [several], strides[0] * frame.pitch, 0
        found = []
        for row in offsets:
            for begin in range(0, len(row), self.columns):
                start = min(begin, len(row) - self.columns)
                found.append(row[start : start + self.columns])
        return found, strides[0] * frame.pitch, 0

    def _piece_places(self) -> list[int]:
        """Give the first tap of each piece."""
        across = len(self.sums.across)
        if self.pieces == 1:
            return [0]
        return [
            i * across + min(begin, across - self.columns)
            for i in range(len(self.sums.down))
            for begin in range(0, across, self.columns)
        ]

    def _write_tile(
        self,
        f: PhaseEmitter,
        memory: tuple[V, V],
        block: tuple[Index, Index, Index],
        piece: Index,
        cut: tuple[tuple[Index, Index], tuple[Index, Index]],
    ) -> None:
        """Write the sums of some outputs and some columns."""
        sums, frame = self.sums, self.frame
        group, o, c = block
        taps, pitch, _ = self._taps()
        places = self._piece_places()
        firsts = [row[0] for row in taps]
        shift, begin = self._of_piece(f, piece, firsts), self._of_piece(f, piece, places)
        offsets = self._relative(taps)
        tile = Tile(f, TileSize(self.outputs, self.columns), self.kind.times(self.lanes))
        area = sums.places[0] * sums.places[1]
        with f.loop(*cut[0]) as image, f.loop(*cut[1]) as y:
            plane = f.iadd(f.imul(f.iadd(f.imul(image, sums.groups), group), sums.inputs), c)
            start = f.iadd(f.imul(plane, frame.plane), f.imul(y, pitch), shift)
            seen = f.at(memory[0], self.kind, start)
            channel = f.iadd(f.imul(f.iadd(f.imul(image, sums.groups), group), sums.outputs), o)
            place = f.iadd(f.imul(channel, area), f.imul(y, sums.places[1]))
            grad = f.at(f.operand(1), self.kind, place)
            self._write_row(f, tile, (grad, area), (seen, offsets))
        whole = len(sums.down) * len(sums.across)
        for r in range(self.outputs):
            output = f.iadd(f.imul(group, sums.outputs), o, r)
            start = f.iadd(f.imul(f.iadd(f.imul(output, sums.inputs), c), whole), begin)
            self._store_sums(f, tile, r, f.at(memory[1], self.kind, start))

    def _of_piece(self, f: PhaseEmitter, piece: Index, values: Sequence[int]) -> Index:
        if len(values) == 1:
            return values[0]
        return f.load(I64, self.k.module.table(I64, list(values)), piece)

    def _relative(self, taps: list[list[int]]) -> list[int] | None:
        """Give the columns' offsets from the first one of their piece, if all pieces agree."""
        found = [offset - taps[0][0] for offset in taps[0]]
        assert all([o - row[0] for o in row] == found for row in taps), "rows of taps are alike"
        return found

    def _write_row(
        self,
        f: PhaseEmitter,
        tile: Tile,
        grad: tuple[V, int],
        seen: tuple[V, list[int] | None],
    ) -> None:
        """Add the products along one row of places."""
        width, offsets = self.sums.places[1], seen[1] or [0]

        def add(start: Index, mask: V | None) -> None:
            rows = [
                f.load_chunk(
                    self.kind, grad[0], Chunk(f.iadd(start, r * grad[1]), self.lanes, mask)
                )
                for r in range(self.outputs)
            ]
            columns = [
                f.load_chunk(self.kind, seen[0], Chunk(f.iadd(start, o), self.lanes, mask))
                for o in offsets
            ]
            tile.inner(f, rows, columns)

        full = width - width % self.lanes
        if full:
            with f.loop(0, full, self.lanes) as x:
                add(x, None)
        if width % self.lanes:
            add(full, mask_below(f, width % self.lanes, self.lanes))

    def _store_sums(self, f: PhaseEmitter, tile: Tile, row: int, target: V) -> None:
        """Add up the lanes of a row of sums and store them side by side."""
        zero = constant(self.kind.times(self.lanes), 0.0)
        for begin in range(0, self.columns, self.lanes):
            count = min(self.lanes, self.columns - begin)
            size = 1 << (count - 1).bit_length()
            values = [tile.get(f, row, begin + i) for i in range(count)]
            found = sums_across(f, values + [zero] * (size - count))
            mask = None if size == count else mask_below(f, count, size)
            f.store_chunk(found, target, Chunk(begin, size, mask))
