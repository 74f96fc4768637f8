"""Products transformed back into results by Winograd's convolution, and stored."""

from __future__ import annotations

from dataclasses import dataclass

from cnndsl.backends.cpu.kernel import (
    KernelBuilder,
    Memory,
    PhaseEmitter,
    ceil_div,
    element,
)
from cnndsl.backends.cpu.kernels.conv_pack import block_start
from cnndsl.backends.cpu.kernels.conv_store import Finish
from cnndsl.backends.cpu.kernels.conv_taps import TapSum
from cnndsl.backends.cpu.kernels.conv_turn import turn
from cnndsl.backends.cpu.kernels.winograd_cuts import Cuts
from cnndsl.backends.cpu.kernels.winograd_points import Minimal
from cnndsl.backends.cpu.kernels.winograd_transform import sandwich
from cnndsl.backends.cpu.lanes import mask_below
from cnndsl.backends.cpu.llvm import I64, Index, LType, V, constant


@dataclass(frozen=True, slots=True)
class ResultTiles:
    """Reads [tile element][tile of a block][filter of a panel] and stores A' m A."""

    k: KernelBuilder
    """Where it is written."""
    sums: TapSum
    """The convolution."""
    form: Minimal
    """The transform."""
    cuts: Cuts
    """The blocks."""
    filters: int
    """Filters of a panel."""
    spacing: int
    """Elements from one element of the tiles to the next."""
    finish: Finish
    """What is done to results."""

    @property
    def _kind(self) -> LType:
        return element(self.k.results[0])

    @property
    def _lanes(self) -> int:
        return self.k.lanes(self.k.results[0])

    @property
    def _pitch(self) -> int:
        """Pixels of a row of results, rounded up to full vectors."""
        return ceil_div(self.cuts.block[2] * self.form.outputs, self._lanes) * self._lanes

    def write_block(
        self,
        f: PhaseEmitter,
        group: Index,
        block: tuple[Index, Index, Index],
        panel: Index,
        products: V,
    ) -> None:
        """Write the results of a block's tiles for the filters of a panel."""
        k, cuts, lanes, sums = self.k, self.cuts, self._lanes, self.sums
        nbytes = self.form.outputs * self._pitch * lanes * self._kind.nbytes
        rows = f.place(k.buffer(Memory.THREAD, nbytes))
        first = cuts.first(f, 0, block[0])
        row = cuts.first(f, 1, block[1])
        column = f.imul(cuts.first(f, 2, block[2]), self.form.outputs)
        output = block_start(f, panel, self.filters, sums.outputs)
        _, down, across = cuts.block
        images, vectors = f.loop(0, cuts.block[0]), f.loop(0, self.filters, lanes)
        with images as image, f.loop(0, down) as y, vectors as v:
            tile = f.imul(f.iadd(f.imul(image, down), y), across)
            place = f.iadd(f.imul(tile, self.filters), v)
            self._transform(f, f.at(products, self._kind, place), rows)
            channel = f.iadd(f.imul(group, sums.outputs), output, v)
            line = f.imul(f.iadd(row, y), self.form.outputs)
            where = f.iadd(first, image), channel, line, column
            self._store(f, rows, where, v)

    def _transform(self, f: PhaseEmitter, products: V, rows: V) -> None:
        """Transform a row of tiles back, filters in the lanes."""
        lanes, wide, size = self._lanes, self._kind.times(self._lanes), self.form.tile
        outputs = self.form.outputs
        with f.loop(0, self.cuts.block[2]) as x:
            start = f.imul(x, self.filters)
            grid = [
                [
                    f.load(wide, products, f.iadd(start, (i * size + j) * self.spacing))
                    for j in range(size)
                ]
                for i in range(size)
            ]
            for i, row in enumerate(sandwich(f, self.form.result, grid)):
                for j, value in enumerate(row):
                    pixel = f.iadd(f.imul(x, outputs), i * self._pitch + j)
                    f.store(value, rows, f.imul(pixel, lanes))

    def _store(
        self, f: PhaseEmitter, rows: V, where: tuple[Index, Index, Index, Index], v: Index
    ) -> None:
        """Turn rows of pixels so that pixels fill the lanes, and store those that are real."""
        lanes, wide, sums = self._lanes, self._kind.times(self._lanes), self.sums
        image, channel, line, column = where
        height, width = sums.places
        across = self.cuts.block[2] * self.form.outputs
        real_rows = f.imin(self.form.outputs, f.isub(height, line))
        with f.loop(0, real_rows) as r, f.loop(0, across, lanes) as x:
            start = f.imul(f.iadd(f.imul(r, self._pitch), x), lanes)
            pixels = [f.load(wide, rows, f.iadd(start, i * lanes)) for i in range(lanes)]
            end = f.imin(f.isub(width, column), across)
            mask = mask_below(f, f.isub(end, x), lanes)
            for i, value in enumerate(turn(f, pixels)):
                place = image, f.iadd(channel, i), f.iadd(line, r), f.iadd(column, x)
                if self.finish.is_large:
                    below = f.iadd(place[2], self.form.outputs)
                    self.finish.make_room(f, (*place[:2], below, place[3]))
                if sums.outputs >= self.filters:
                    self.finish.store(f, value, place, mask)
                    continue
                real = f.compare("slt", f.index(f.iadd(v, i)), constant(I64, sums.outputs))
                with f.when(real):
                    self.finish.store(f, value, place, mask)
