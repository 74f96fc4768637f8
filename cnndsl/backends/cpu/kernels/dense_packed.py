"""The dense layer for batches: weights laid out in panels, outputs in the lanes.

Numbers of the inputs are spread over vectors, as in a convolution with filters in the lanes; they
are read where they lie. A panel of weights serves all rows of the batch before the next one.
"""

from __future__ import annotations

from dataclasses import dataclass

from cnndsl.backends.cpu.emit import Chunk
from cnndsl.backends.cpu.kernel import (
    KernelBuilder,
    Memory,
    PhaseEmitter,
    ceil_div,
    element,
    pieces,
)
from cnndsl.backends.cpu.kernels.conv_pack import Panels, block_start
from cnndsl.backends.cpu.kernels.conv_steps import (
    STEP_CYCLES,
    Side,
    Walk,
    accumulate,
    tile_cycles,
    tile_fits,
)
from cnndsl.backends.cpu.kernels.conv_taps import TapSum
from cnndsl.backends.cpu.kernels.gemm import Finish, Product
from cnndsl.backends.cpu.lanes import mask_below
from cnndsl.backends.cpu.llvm import Index, V, constant
from cnndsl.backends.cpu.target import CpuTarget

ENOUGH_UNITS = 32
"""Units that can be dealt to some threads without one being idle for long."""
PANEL_BYTES = 256 << 10
"""Bytes of a panel that stay in a core's own cache; a deeper one is gone through in parts."""
LEAST_ROWS = 16
"""Rows of a batch from which on a second copy of the weights is worth its memory."""
LEAST_CHANGING_ROWS = 48
"""The same where weights are laid out anew at each run."""


def fits_packed(k: KernelBuilder, p: Product) -> bool:
    """Tell whether a dense layer's product should be computed so."""
    least = LEAST_CHANGING_ROWS if k.policy.weights_change else LEAST_ROWS
    return p.rows >= least and p.columns >= k.lanes(p.kind) > 1 and p.depth > 0


@dataclass(frozen=True, slots=True)
class _Tile:
    """Rows of the batch and vectors of outputs whose sums are held in registers."""

    rows: int
    vectors: int


def _choose_tile(target: CpuTarget, lanes: int, p: Product) -> _Tile:
    """Give the tile that takes the fewest cycles, what is computed in vain included."""
    able = [
        _Tile(rows, vectors)
        for vectors in range(1, min(4, ceil_div(p.columns, lanes)) + 1)
        for rows in range(1, min(p.rows, 24) + 1)
        if tile_fits(target, rows, vectors)
    ]

    def cycles(tile: _Tile) -> float:
        count = ceil_div(p.rows, tile.rows) * ceil_div(p.columns, tile.vectors * lanes)
        return count * (tile_cycles(tile.rows, tile.vectors) + STEP_CYCLES)

    return min(able, key=cycles)


class PackedDense:
    """Writes operand 0 times the transpose of operand 1, [rows, depth] and [columns, depth]."""

    def __init__(self, k: KernelBuilder, p: Product, finish: Finish) -> None:
        """Take the product and what is done to results before they are stored."""
        self.k, self.p, self.finish = k, p, finish
        self.kind, self.lanes = element(p.kind), k.lanes(p.kind)
        self.tile = _choose_tile(k.target, self.lanes, p)
        self.width = self.tile.vectors * self.lanes
        """Outputs of a panel."""
        sums = TapSum(
            images=1, groups=1, inputs=p.depth, outputs=p.columns, image=(1, p.rows),
            places=(1, p.rows), strides=(1, 1), down=((0, 0),), across=((0, 0),),
            weights=(p.depth * p.columns, p.depth, 1), result=(1, p.rows),
        )  # fmt: skip
        self.panels = Panels(sums, self.width, p.depth)
        self.tiles = ceil_div(p.rows, self.tile.rows)
        self.each = ceil_div(self.tiles, min(self.tiles, ceil_div(ENOUGH_UNITS, self.panels.count)))
        """Tiles of a unit."""
        parts = ceil_div(p.depth * self.width * self.kind.nbytes, PANEL_BYTES)
        self.part = ceil_div(p.depth, parts)
        """Depth that a unit's tiles go through before the rest."""
        self.parts = ceil_div(p.depth, self.part)

    def __str__(self) -> str:
        return f"packed, {self.tile.rows} rows, outputs in {self.tile.vectors} vectors"

    @property
    def _tile_size(self) -> int:
        return self.tile.rows * self.width

    def write(self) -> None:
        """Write the phases."""
        k, p, kind = self.k, self.p, self.kind
        packed = self.panels.write(k, 1, kind)
        bands = ceil_div(self.tiles, self.each)
        # Tiles may lie upon each other in the result, so sums are kept elsewhere.
        nbytes = self.each * self._tile_size * kind.nbytes
        kept = k.buffer(Memory.THREAD, nbytes) if self.parts > 1 else None
        with k.phase(self.panels.count * bands, flops=p.flops, nbytes=p.nbytes) as f:
            panel, band = f.unravel(f.unit, (self.panels.count, bands))
            column = block_start(f, panel, self.width, p.columns)
            weights = f.at(f.place(packed), kind, f.imul(panel, self.panels.size))
            tiles = pieces(f, self.tiles, self.each, band)
            place = None
            if kept is not None:
                place = f.place(kept)
                self._write_parts(f, weights, place, tiles)
            with f.loop(*tiles) as number:
                sums = self._sums(f, weights, number, ((self.parts - 1) * self.part, p.depth))
                if place is not None:
                    sums = self._joined(f, sums, place, f.isub(number, tiles[0]))
                self._store(f, sums, block_start(f, number, self.tile.rows, p.rows), column)

    def _write_parts(
        self, f: PhaseEmitter, weights: V, kept: V, tiles: tuple[Index, Index]
    ) -> None:
        """Sum all parts of the depth but the last."""
        zero = constant(self.kind.times(self.lanes), 0.0)
        with f.loop(0, f.imul(f.isub(tiles[1], tiles[0]), self._tile_size), self.lanes) as i:
            f.store(zero, kept, i)
        with f.loop(0, self.parts - 1) as part, f.loop(*tiles) as number:
            begin = f.imul(part, self.part)
            sums = self._sums(f, weights, number, (begin, f.iadd(begin, self.part)))
            where = f.isub(number, tiles[0])
            for r, line in enumerate(self._joined(f, sums, kept, where)):
                for v, value in enumerate(line):
                    f.store(value, kept, self._kept_at(f, where, r, v))

    def _sums(
        self, f: PhaseEmitter, weights: V, number: Index, depth: tuple[Index, Index]
    ) -> list[list[V]]:
        """Sum a tile over a part of the depth."""
        p, kind = self.p, self.kind
        row = block_start(f, number, self.tile.rows, p.rows)
        rows = f.at(f.operand(0), kind, f.iadd(f.imul(row, p.depth), depth[0]))
        numbers = Side(rows, [r * p.depth for r in range(self.tile.rows)])
        start = f.at(weights, kind, f.imul(depth[0], self.width))
        vectors = Side(start, [v * self.lanes for v in range(self.tile.vectors)])
        walk = Walk(f.isub(depth[1], depth[0]), 1, self.width)
        return accumulate(f, kind.times(self.lanes), numbers, vectors, [walk])

    def _kept_at(self, f: PhaseEmitter, where: Index, row: int, vector: int) -> Index:
        return f.iadd(f.imul(where, self._tile_size), row * self.width + vector * self.lanes)

    def _joined(self, f: PhaseEmitter, sums: list[list[V]], kept: V, where: Index) -> list[list[V]]:
        """Add sums to those that were kept of the parts before."""
        return [
            [
                f.add(f.load(value.type, kept, self._kept_at(f, where, r, v)), value)
                for v, value in enumerate(line)
            ]
            for r, line in enumerate(sums)
        ]

    def _store(self, f: PhaseEmitter, sums: list[list[V]], row: Index, column: Index) -> None:
        """Finish a tile's sums and store those that there are."""
        columns, lanes = self.p.columns, self.lanes
        for r, line in enumerate(sums):
            for v, value in enumerate(line):
                mask = None
                if columns < (v + 1) * lanes:
                    mask = mask_below(f, max(0, columns - v * lanes), lanes)
                where = f.iadd(row, r), f.iadd(column, v * lanes)
                done = self.finish(f, value, where, mask)
                start = f.iadd(f.imul(where[0], columns), where[1])
                f.store_chunk(done, f.result(), Chunk(start, lanes, mask))
