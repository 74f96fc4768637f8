"""Depthwise convolution: each channel has a filter of its own, neighbouring places in the lanes.

There is little to compute, so nothing is copied: rows above and below the image are read from a
row of zeros, and pixels beside it are masked, in the chunks at the edges alone. A tile is some rows
of one chunk of places; what it loads serves every row that sees it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cnndsl.backends.cpu.kernel import KernelBuilder, PhaseEmitter, ceil_div, element, pieces
from cnndsl.backends.cpu.kernels.conv_pack import block_start
from cnndsl.backends.cpu.kernels.conv_store import Finish
from cnndsl.backends.cpu.kernels.conv_taps import TapSum
from cnndsl.backends.cpu.kernels.tiles import even_rows
from cnndsl.backends.cpu.lanes import shuffle, splat
from cnndsl.backends.cpu.llvm import I1, I32, I64, Index, LType, V, constant, vector_constant

ENOUGH_UNITS = 32
"""Units that can be dealt to some threads without one being idle for long."""


def fits_depthwise(sums: TapSum, lanes: int) -> bool:
    """Tell whether each channel is summed on its own, with strides that loads can follow."""
    return sums.inputs == sums.outputs == 1 and sums.strides[1] <= 2 and lanes > 1


@dataclass(frozen=True, slots=True)
class _Chunk:
    """Neighbouring places of a row: the first, and whether all they see is on the image."""

    start: int
    inside: bool


class Depthwise:
    """Writes the phase of one sum over taps."""

    def __init__(self, k: KernelBuilder, sums: TapSum, operands: tuple[int, int] = (0, 1)) -> None:
        """Take the sums; `operands` are the image's number and the weight's."""
        self.k, self.sums, self.operands = k, sums, operands
        self.kind, self.lanes = element(k.results[0]), k.lanes(k.results[0])
        self.wide: LType = self.kind.times(self.lanes)
        most = 7 if k.target.registers >= 32 else 4
        self.rows = even_rows(sums.places[0], most)
        """Rows of a tile."""

    def __str__(self) -> str:
        return f"depthwise, pixels in {self.rows} rows"

    def write(self, finish: Finish) -> None:
        """Write it."""
        sums, kind = self.sums, self.kind
        planes = sums.images * sums.groups
        blocks = ceil_div(sums.places[0], self.rows)
        each = ceil_div(blocks, ceil_div(ENOUGH_UNITS, planes))
        bands = ceil_div(blocks, each)
        nbytes = (planes * sums.image[0] * sums.image[1] + self.k.results[0].size) * kind.nbytes
        zeros = self._zeros()
        # Most of the time goes into loads.
        with self.k.phase(planes * bands, flops=3 * sums.flops, nbytes=float(nbytes)) as f:
            image, group, band = f.unravel(f.unit, (sums.images, sums.groups, bands))
            plane = f.iadd(f.imul(image, sums.groups), group)
            whole = f.operand(self.operands[0])
            source = f.at(whole, kind, f.imul(plane, sums.image[0] * sums.image[1]))
            weights = self._weights(f, group)
            first, stop = pieces(f, blocks, each, band)
            with f.loop(first, stop) as number:
                y = block_start(f, number, self.rows, sums.places[0])
                lines = self._lines(f, source, zeros, y)
                for chunk, last in self._runs():
                    if chunk == last:
                        self._write_tile(f, lines, weights, chunk, chunk.start, finish,
                                         (image, group, y))  # fmt: skip
                        continue
                    with f.loop(chunk.start, last.start + 1, self.lanes) as x:
                        self._write_tile(f, lines, weights, chunk, x, finish, (image, group, y))

    def _zeros(self) -> V | None:
        """Give a row of zeros, as long as what is read of a row and what is loaded in vain."""
        (low, high), height = self.sums.span(0), self.sums.image[0]
        if low >= 0 and high <= height:
            return None
        low, high = self.sums.span(1)
        elements = high - min(low, 0) + 3 * self.lanes
        return self.k.module.table(I32, [0] * (elements * self.kind.nbytes // I32.nbytes))

    def _weights(self, f: PhaseEmitter, group: Index) -> list[list[V]]:
        """Load the weights of a channel and spread each over a vector."""
        place = f.at(f.operand(self.operands[1]), self.kind, f.imul(group, self.sums.weights[0]))
        return [
            [splat(f, f.load(self.kind, place, i + j), self.lanes) for _, j in self.sums.across]
            for _, i in self.sums.down
        ]

    def _seen(self) -> list[int]:
        """Give the distances of the image's rows that a tile's rows see."""
        step = self.sums.strides[0]
        return sorted({r * step + d for r in range(self.rows) for d, _ in self.sums.down})

    def _lines(self, f: PhaseEmitter, source: V, zeros: V | None, y: Index) -> dict[int, V]:
        """Point at column 0 of each row that a tile sees; at zeros where there is none."""
        height, width = self.sums.image
        top = f.imul(y, self.sums.strides[0])
        low = min(self.sums.span(1)[0], 0)
        found = {}
        for distance in self._seen():
            line = f.iadd(top, distance)
            place = f.at(source, self.kind, f.imul(line, width))
            if zeros is not None:
                real = f.compare("ult", f.index(line), constant(I64, height))
                place = f.select(real, place, f.at(zeros, self.kind, -low))
            found[distance] = place
        return found

    def _runs(self) -> list[tuple[_Chunk, _Chunk]]:
        """Give the first and the last of neighbouring chunks for which the same code serves."""
        width, lanes = self.sums.places[1], self.lanes
        starts = list(range(0, max(1, width - lanes + 1), lanes))
        if width > lanes and width % lanes:
            starts.append(width - lanes)
        chunks = [_Chunk(start, self._is_inside(start)) for start in starts]
        runs: list[tuple[_Chunk, _Chunk]] = []
        for chunk in chunks:
            if runs and chunk.inside and runs[-1][1].inside:
                first, last = runs[-1]
                if chunk.start - last.start == lanes:
                    runs[-1] = first, chunk
                    continue
            runs.append((chunk, chunk))
        return runs

    def _is_inside(self, start: int) -> bool:
        step, (low, high) = self.sums.strides[1], self._reach()
        count = min(self.lanes, self.sums.places[1])
        last = (start + count - 1) * step + high
        return count == self.lanes and start * step + low >= 0 and last < self.sums.image[1]

    def _reach(self) -> tuple[int, int]:
        distances = [distance for distance, _ in self.sums.across]
        return min(distances), max(distances)

    def _write_tile(
        self,
        f: PhaseEmitter,
        lines: dict[int, V],
        weights: Sequence[Sequence[V]],
        chunk: _Chunk,
        x: Index,
        finish: Finish,
        where: tuple[Index, Index, Index],
    ) -> None:
        """Write the sums of a tile's rows of one chunk."""
        sums, step = self.sums, self.sums.strides[0]
        found: list[V] = [constant(self.wide, 0.0)] * self.rows
        for distance, line in lines.items():
            seen: list[V] | None = None
            for row in range(self.rows):
                for i, (down, _) in enumerate(sums.down):
                    if row * step + down != distance:
                        continue
                    seen = seen or self._load(f, line, chunk, x)
                    for weight, value in zip(weights[i], seen, strict=True):
                        found[row] = f.fma(weight, value, found[row])
        width = sums.places[1]
        mask = None
        if width < self.lanes:
            real = [int(lane < width) for lane in range(self.lanes)]
            mask = vector_constant(I1.times(self.lanes), real)
        image, channel, y = where
        for row, value in enumerate(found):
            finish.store(f, value, (image, channel, f.iadd(y, row), x), mask)

    def _load(self, f: PhaseEmitter, line: V, chunk: _Chunk, x: Index) -> list[V]:
        """Load what the places of a chunk see of a row under each tap."""
        step = self.sums.strides[1]
        start = f.imul(x, step)
        if step == 1:
            return [
                self._vector(f, line, f.iadd(start, across), None if chunk.inside else chunk.start,
                             across) for across, _ in self.sums.across
            ]  # fmt: skip
        # Neighbouring taps see neighbouring pixels: both are in the same two vectors.
        least = self._reach()[0]
        known: dict[int, list[V]] = {}
        found = []
        for across, _ in self.sums.across:
            parity = (across - least) % 2
            base = across - parity
            if base not in known:
                edge = None if chunk.inside else chunk.start * step
                known[base] = [
                    self._vector(f, line, f.iadd(start, base + part), edge, base + part)
                    for part in (0, self.lanes)
                ]
            picks = [2 * lane + parity for lane in range(self.lanes)]
            found.append(shuffle(f, known[base][0], known[base][1], picks))
        return found

    def _vector(self, f: PhaseEmitter, line: V, place: Index, edge: int | None, distance: int) -> V:
        """Load neighbouring pixels; at an edge, those that there are."""
        if edge is None:
            return f.load(self.wide, line, place)
        pixels = range(edge + distance, edge + distance + self.lanes)
        real = [int(0 <= pixel < self.sums.image[1]) for pixel in pixels]
        if all(real):
            return f.load(self.wide, line, place)
        zero = constant(self.wide, 0.0)
        if not any(real):
            return zero
        mask = vector_constant(I1.times(self.lanes), real)
        return f.masked_load(self.wide, line, place, mask, zero)
