"""Direct convolution: tiles of sums over taps, with pixels or with filters in the lanes."""

from __future__ import annotations

from dataclasses import dataclass, replace

from cnndsl.backends.cpu.kernel import (
    Buffer,
    KernelBuilder,
    Memory,
    PhaseEmitter,
    ceil_div,
    element,
)
from cnndsl.backends.cpu.kernels.conv_cuts import (
    ENOUGH_UNITS,
    FAR_BYTES,
    FRAME_BYTES,
    IMAGE_BYTES,
    WEIGHT_BYTES,
    Cuts,
    Pixels,
)
from cnndsl.backends.cpu.kernels.conv_frame import Frame, frame_of, write_frames
from cnndsl.backends.cpu.kernels.conv_layout import Layout, layout_of, may_flatten, moves
from cnndsl.backends.cpu.kernels.conv_pack import FEW_INPUTS, Panels, block_start, input_block
from cnndsl.backends.cpu.kernels.conv_steps import (
    AHEAD,
    ONE_STEP,
    Side,
    Unrolled,
    Walk,
    accumulate,
)
from cnndsl.backends.cpu.kernels.conv_store import Finish
from cnndsl.backends.cpu.kernels.conv_taps import TapSum
from cnndsl.backends.cpu.kernels.conv_tile import MOST_WRITTEN, DirectTile, choose_tile
from cnndsl.backends.cpu.kernels.conv_turn import turn
from cnndsl.backends.cpu.lanes import mask_below
from cnndsl.backends.cpu.llvm import Index, LType, V


def write_taps(
    k: KernelBuilder, sums: TapSum, finish: Finish, *, operands: tuple[int, int] = (0, 1)
) -> DirectTile:
    """Write the phases of `sums`; `operands` are the image's number and the weight's.

    Gives the tile that was chosen.
    """
    lanes, kind = k.lanes(k.results[0]), element(k.results[0])
    flat_finish = finish.flat() if may_flatten(sums) else None
    seen = sums
    if flat_finish is not None:
        size = sums.places[0] * sums.places[1]
        seen = replace(
            sums, image=(1, size), places=(1, size), strides=(1, 1), down=((0, 0),),
            across=((0, 0),), result=(1, size),
        )  # fmt: skip
    tile = choose_tile(seen, k.target, lanes)
    frame = frame_of(sums, apart=not tile.by_filter and flat_finish is None)
    layout = layout_of(sums, frame, flat=flat_finish is not None)
    depth = input_block(sums.inputs, pointwise=sums.is_pointwise)
    panels = Panels(sums, tile.outputs(lanes), depth)
    packed = panels.write(k, operands[1], kind)
    read = k, kind, lanes, sums, tile, frame, layout
    _Direct(*read, panels, packed, flat_finish or finish, operands[0]).write()
    return tile


FEW_PANELS = 16
"""Panels of filters that go through the same pixels."""
CHANNELS_AHEAD = 2
"""Channels between what is copied and what is asked for."""
ROWS_AHEAD = 2
"""Rows of tiles between what is computed and where there is made room for."""


@dataclass(frozen=True, slots=True)
class _Direct:
    """Writes the phases of one sum over taps."""

    k: KernelBuilder
    kind: LType
    lanes: int
    sums: TapSum
    tile: DirectTile
    frame: Frame
    layout: Layout
    panels: Panels
    packed: Buffer
    finish: Finish
    operand: int

    def write(self) -> None:
        """Write them."""
        sums, own = self.sums, self._own_frame()
        cuts = self._cuts(own=own)
        shared = None
        if self.frame.copied and not own:
            shared = write_frames(self.k, sums, self.frame, operand=self.operand)
        pixels = None
        if cuts.by_part:
            pixels = self._pixels()
            shared = pixels.write(self.k, self.kind, self.operand, shared)
        mine = self.k.buffer(Memory.THREAD, self._band_bytes(cuts.rows)) if own else None
        units = sums.images * sums.groups * cuts.count
        nbytes = float(self.panels.elements() * self.kind.nbytes)
        with self.k.phase(units, flops=sums.flops, nbytes=nbytes) as f:
            image, group, band, stretch, part = cuts.unravel(f, (sums.images, sums.groups))
            row = block_start(f, band, cuts.rows, self.layout.places[0])
            channel = f.imul(f.iadd(f.imul(image, sums.groups), group), sums.inputs)
            if mine is not None:
                source = self._write_band(f, f.place(mine), channel, row, cuts.rows)
                plane = self._band_rows(cuts.rows) * self.frame.pitch
            elif pixels is not None and shared is not None:
                plane = pixels.width
                index = f.iadd(f.imul(image, sums.groups), group)
                start = f.imul(index, pixels.tiles * pixels.tile)
                source = f.at(f.place(shared), self.kind, start)
            else:
                whole = f.operand(self.operand) if shared is None else f.place(shared)
                plane = self.layout.plane
                start = f.iadd(f.imul(channel, plane), f.imul(row, self.layout.row))
                source = f.at(whole, self.kind, start)
            self._write_unit(f, cuts, (image, group, row, stretch, part), source, plane)

    def _pixels(self) -> Pixels:
        sums = self.sums
        planes, width = sums.images * sums.groups, self.tile.columns(self.lanes)
        return Pixels(planes, sums.inputs, self.layout.places[1], width)

    def _own_frame(self) -> bool:
        """Tell whether each thread makes the frame of what it works on, or one is made for all."""
        if not self.frame.copied or self.frame.spacing != (1, 1) or self._far_weights:
            return False
        bands = ceil_div(self.layout.places[0], self._rows_that_fit())
        return self.sums.images * self.sums.groups * bands >= ENOUGH_UNITS // 2

    def _band_rows(self, rows: int) -> int:
        """Give the frame's rows that so many rows of places read."""
        low, high = self.sums.span(0)
        reach = high - low - (self.sums.places[0] - 1) * self.sums.strides[0]
        return (rows - 1) * self.sums.strides[0] + reach

    def _band_bytes(self, rows: int) -> int:
        return self.sums.inputs * self._band_rows(rows) * self.frame.pitch * self.kind.nbytes

    def _rows_that_fit(self) -> int:
        """Give the rows of a band whose frame leaves room in the cache; a multiple of a tile's."""
        step = self.tile.rows
        height = self.layout.places[0]
        rows = step
        while rows + step <= height and self._band_bytes(rows + step) <= FRAME_BYTES:
            rows += step
        return rows

    def _cuts(self, *, own: bool) -> Cuts:
        height, width = self.layout.places
        columns = self.tile.columns(self.lanes)
        tiles = ceil_div(width, columns)
        step = self.tile.rows
        most = self._rows_that_fit()
        several = self.sums.images * self.sums.groups
        # A band is a number of tiles; even bands waste least.
        wanted = ceil_div(ENOUGH_UNITS, several)
        rows = min(most, max(step, ceil_div(ceil_div(height, wanted), step) * step))
        bands = ceil_div(height, rows)
        rows = min(rows, ceil_div(ceil_div(height, bands), step) * step)
        bands = ceil_div(height, rows)
        each = tiles
        if height == 1 and not own and self._reads_weights_once():
            parts = min(self.panels.count, wanted)
            each = ceil_div(tiles, ceil_div(wanted, parts))
            panels = ceil_div(self.panels.count, parts)
            parts = ceil_div(self.panels.count, panels)
            return Cuts(rows, bands, each, ceil_div(tiles, each), panels, parts, by_part=True)
        if height == 1 and not own:
            depth = self.sums.inputs * self.kind.nbytes * columns
            each = max(1, min(tiles, FRAME_BYTES // depth, ceil_div(tiles, wanted)))
        stretches = ceil_div(tiles, each)
        if height > 1 and self._far_weights and not own:
            count = self.panels.count
            rows = max(step, ceil_div(ceil_div(height, ceil_div(wanted, count)), step) * step)
            bands = ceil_div(height, rows)
            return Cuts(rows, bands, each, stretches, 1, count, by_part=False, parts_first=True)
        parts = min(self.panels.count, ceil_div(ENOUGH_UNITS, several * bands * stretches))
        panels = ceil_div(self.panels.count, 1 if own else parts)
        parts = ceil_div(self.panels.count, panels)
        return Cuts(rows, bands, each, stretches, panels, parts, by_part=False)

    @property
    def _far_weights(self) -> bool:
        """Tell whether going through all images anew for each panel of weights reads less."""
        item, sums = self.kind.nbytes, self.sums
        weights = self._group_size * item
        images = sums.images * sums.inputs * self.frame.plane * item
        able = self.tile.by_filter and not sums.is_pointwise
        return able and weights > FAR_BYTES and sums.images > 1 and sums.images * weights > images

    def _reads_weights_once(self) -> bool:
        """Tell whether a row of weights is read by all pixels before the next; else turned round.

        Weights that no core's own cache holds are worth that, if it holds the pixels.
        """
        item = self.kind.nbytes
        pixels = self.sums.inputs * self.layout.places[1] * item
        weights = self._group_size * item
        return self.tile.by_filter and weights > WEIGHT_BYTES and pixels <= IMAGE_BYTES

    def _write_band(self, f: PhaseEmitter, target: V, channel: Index, row: Index, rows: int) -> V:
        """Copy the part of the frame that a band reads; gives where it lies."""
        frame, count = self.frame, self._band_rows(rows)
        size = frame.image[0] * frame.image[1]
        first = f.imul(row, self.sums.strides[0])
        with f.loop(0, self.sums.inputs) as c:
            source = f.at(f.operand(self.operand), self.kind, f.imul(f.iadd(channel, c), size))
            place = f.at(target, self.kind, f.imul(c, count * frame.pitch))
            ahead = f.at(source, self.kind, CHANNELS_AHEAD * size)
            frame.ask(f, self.kind, ahead, (first, count))
            frame.write_rows(f, self.kind, source, place, (first, f.iadd(first, count)))
        return target

    def _write_unit(
        self,
        f: PhaseEmitter,
        cuts: Cuts,
        unit: tuple[Index, Index, Index, Index, Index],
        source: V,
        plane: int,
    ) -> None:
        image, group, row, stretch, part = unit
        layout, tile, width = self.layout, self.tile, self.tile.columns(self.lanes)
        weights = f.at(f.place(self.packed), self.kind, f.imul(group, self._group_size))
        first = f.imul(part, cuts.panels)
        panels = first, f.imin(f.iadd(first, cuts.panels), self.panels.count)
        begin = f.imul(stretch, cuts.columns)
        columns = begin, f.imin(f.iadd(begin, cuts.columns), ceil_div(layout.places[1], width))

        def write(panel: Index, y: Index, column: Index) -> None:
            output = block_start(f, panel, self.panels.outputs, self.sums.outputs)
            x = block_start(f, column, width, layout.places[1])
            start = f.iadd(f.imul(y, layout.row), f.imul(x, layout.column))
            if cuts.by_part:
                start = f.imul(column, self._pixels().tile)
            sides = (
                f.at(source, self.kind, start),
                f.at(weights, self.kind, f.imul(panel, self.panels.size)),
            )
            channel = f.iadd(f.imul(group, self.sums.outputs), output)
            self._write_tile(f, sides, plane, (image, channel, f.iadd(row, y), x))

        if tile.by_filter:
            with f.loop(*panels) as panel, f.loop(0, cuts.rows) as y, f.loop(*columns) as column:
                write(panel, y, column)
        else:
            rows = f.loop(0, cuts.rows, tile.rows)
            with rows as y, f.loop(*columns) as column, f.loop(*panels) as panel:
                write(panel, y, column)

    @property
    def _group_size(self) -> int:
        return self.panels.count * self.panels.size

    def _write_tile(
        self,
        f: PhaseEmitter,
        sides: tuple[V, V],
        plane: int,
        where: tuple[Index, Index, Index, Index],
    ) -> None:
        """Write one tile: its sums, then bias, epilogue and stores."""
        tile, layout, wide = self.tile, self.layout, self.kind.times(self.lanes)
        walks, unrolled, first = self._walks(f, plane)
        image = f.at(sides[0], self.kind, first)
        self._ask(f, where)
        if tile.by_filter:
            pixels = Side(image, [i * layout.column for i in range(tile.numbers)])
            filters = Side(sides[1], [v * self.lanes for v in range(tile.vectors)])
            sums = accumulate(f, wide, pixels, filters, walks, unrolled=unrolled, ahead=(0, AHEAD))
            self._store_filters(f, sums, where)
            return
        filters = Side(sides[1], range(tile.numbers))
        places = [(r, v) for r in range(tile.rows) for v in range(tile.vectors)]
        pixels = Side(image, [r * layout.row + v * self.lanes for r, v in places])
        turned = [Walk(w.count, w.vectors, w.numbers) for w in walks]
        swapped = [(b, a) for a, b in unrolled]
        sums = accumulate(f, wide, filters, pixels, turned, unrolled=swapped, ahead=self._ahead)
        self._store_pixels(f, sums, where)

    def _ask(self, f: PhaseEmitter, where: tuple[Index, Index, Index, Index]) -> None:
        """Ask for what the epilogue of a tile will read, and for where later tiles will store."""
        image, channel, y, x = where
        tile = self.tile
        room = not tile.by_filter and self.layout.places[0] > 1 and self.finish.is_large
        across = range(0, tile.columns(self.lanes), self.lanes)
        for filter_ in range(min(tile.outputs(self.lanes), self.sums.outputs)):
            for r in range(tile.rows):
                for column in across:
                    place = image, f.iadd(channel, filter_), f.iadd(y, r), f.iadd(x, column)
                    self.finish.ask(f, place)
                    if room:
                        below = f.iadd(place[2], ROWS_AHEAD * tile.rows)
                        self.finish.make_room(f, (*place[:2], below, place[3]))

    @property
    def _ahead(self) -> tuple[int, int]:
        """Give how far ahead weights are asked for, and pixels, which lie in the next tile.

        A channel's pixels are on pages of their own; where many panels go through them it is enough
        that the first one waits.
        """
        sums, tile = self.sums, self.tile
        far = sums.images * sums.inputs * self.layout.plane * self.kind.nbytes > FAR_BYTES
        few = sums.is_pointwise and self.panels.count <= FEW_PANELS
        return AHEAD, tile.columns(self.lanes) if far and few else 0

    def _walks(self, f: PhaseEmitter, plane: int) -> tuple[list[Walk], Unrolled, int]:
        """Give the loops, image first; the steps written out; and where the image begins."""
        layout, panels = self.layout, self.panels
        block, outputs = panels.inputs, panels.outputs
        rows, columns = len(layout.down), len(layout.across)
        whole = panels.taps * block * outputs
        walks = [Walk(self.sums.inputs // block, block * plane, whole)]
        if block == 1 and self.sums.inputs < FEW_INPUTS:
            steps = [(a, j * outputs) for j, a in enumerate(layout.across)]
            if self.sums.inputs == 1 and rows * columns <= MOST_WRITTEN:
                written = [
                    (d + a, i * columns * outputs + to)
                    for i, d in enumerate(layout.down)
                    for a, to in steps
                ]
                if self._stays_in_registers(written):
                    return [], written, 0
            if self._stays_in_registers(steps):
                first, down = moves(self.k.module, layout.down)
                return [*walks, Walk(rows, down, columns * outputs)], steps, first
        first, down = moves(self.k.module, layout.down)
        left, across = moves(self.k.module, layout.across)
        walks += [
            Walk(rows, down, columns * block * outputs),
            Walk(columns, across, block * outputs),
            Walk(block, plane, outputs),
        ]
        return walks, ONE_STEP, first + left

    def _stays_in_registers(self, steps: Unrolled) -> bool:
        """Tell whether steps may be written out.

        What one output sees under a tap another sees under the next: such numbers or vectors are
        loaded once and kept, and there must be registers for them.
        """
        tile, layout = self.tile, self.layout
        if tile.by_filter:
            own = [i * layout.column for i in range(tile.numbers)]
            sums = tile.numbers * tile.vectors + tile.vectors
        else:
            own = [
                r * layout.row + v * self.lanes
                for r in range(tile.rows)
                for v in range(tile.vectors)
            ]
            sums = tile.numbers * tile.rows * tile.vectors
        seen = {offset + to for offset in own for to, _ in steps}
        shared = len(own) * len(steps) > len(seen)
        return not shared or sums + len(seen) <= self.k.target.registers

    def _store_filters(
        self,
        f: PhaseEmitter,
        sums: list[list[V]],
        where: tuple[Index, Index, Index, Index],
    ) -> None:
        """Turn filters in the lanes into pixels in the lanes, and store a filter at a time."""
        image, channel, y, x = where
        wide = self.kind.times(self.lanes)
        mask = None if len(sums) == self.lanes else mask_below(f, len(sums), self.lanes)
        for v in range(self.tile.vectors):
            rows = [row[v] for row in sums]
            rows += [V("poison", wide)] * (self.lanes - len(rows))
            for i, value in enumerate(turn(f, rows)):
                filter_ = v * self.lanes + i
                if filter_ < self.sums.outputs:
                    place = (image, f.iadd(channel, filter_), y, x)
                    self.finish.store(f, value, place, mask)

    def _store_pixels(
        self,
        f: PhaseEmitter,
        sums: list[list[V]],
        where: tuple[Index, Index, Index, Index],
    ) -> None:
        image, channel, y, x = where
        for filter_, row in enumerate(sums):
            for number, value in enumerate(row):
                r, v = divmod(number, self.tile.vectors)
                begin = v * self.lanes
                real = min(self.lanes, self.layout.places[1] - begin)
                mask = None if real == self.lanes else mask_below(f, real, self.lanes)
                place = (image, f.iadd(channel, filter_), f.iadd(y, r), f.iadd(x, begin))
                self.finish.store(f, value, place, mask)
