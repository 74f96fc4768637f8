"""Matrix products: rank-1 sums for contiguous columns, dot products for contiguous rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from cnndsl.backends.cpu.emit import Chunk
from cnndsl.backends.cpu.kernel import KernelBuilder, PhaseEmitter, ceil_div, element, pieces
from cnndsl.backends.cpu.kernels.tiles import Tile, TileSize, even_rows, largest_tile
from cnndsl.backends.cpu.lanes import each_chunk, iota, mask_below, splat, sums_across
from cnndsl.backends.cpu.llvm import I1, I32, I64, PTR, Index, V, constant
from cnndsl.ir.types import TensorType

CACHE_BYTES = 512 << 10
"""What is assumed to stay in the cache of one core."""
PANEL_BYTES = 24 << 10
"""What is assumed to stay in its innermost cache."""


@dataclass(frozen=True, slots=True)
class Matrix:
    """A batch of matrices within an operand or a result."""

    place: Callable[[PhaseEmitter], V]
    """Points at the first."""
    row: int
    """Elements from row to row."""
    column: int
    """Elements from column to column."""
    batch: int
    """Elements from matrix to matrix."""


@dataclass(frozen=True, slots=True)
class Product:
    """Sizes of a product: [rows, depth] times [depth, columns], `batch` times."""

    rows: int
    columns: int
    depth: int
    batch: int
    kind: TensorType
    """Element type, of whatever shape."""

    @property
    def flops(self) -> float:
        """Operations of all."""
        return 2.0 * self.rows * self.columns * self.depth * self.batch

    @property
    def nbytes(self) -> float:
        """Bytes of all three."""
        elements = self.rows * self.depth + self.depth * self.columns + self.rows * self.columns
        return float(elements * self.batch * self.kind.dtype.nbytes)


Finish = Callable[[PhaseEmitter, V, Sequence[Index], V | None], V]
"""`(f, vector, (row, column), mask) -> vector`: what is done to a result before it is stored."""


def unfinished(f: PhaseEmitter, value: V, where: Sequence[Index], mask: V | None) -> V:
    """Do nothing."""
    return value


# --- rank-1 sums: columns of the right operand are neighbours


@dataclass(frozen=True, slots=True)
class _Walk:
    """In which order a product's tiles are written."""

    size: TileSize
    """Of a tile."""
    group: int
    """Tiles side by side in one unit."""
    cut: int
    """Piece of the depth that is gone through before the next tile."""
    bands: int
    """Pieces of the rows."""
    rows_first: bool
    """Whether a unit writes a row of tiles before the next one below; else a column of them."""


def _outer_walk(k: KernelBuilder, p: Product) -> _Walk:
    """Choose a walk by what stays in a cache."""
    most, lanes = largest_tile(k.target), k.lanes(p.kind)
    vectors = min(most.vectors, ceil_div(p.columns, lanes))
    size = TileSize(even_rows(p.rows, most.rows), vectors)
    item = p.kind.dtype.nbytes
    panels, width = ceil_div(p.columns, vectors * lanes), vectors * lanes
    tiles = ceil_div(p.rows, size.rows)
    if p.depth * p.columns * item <= CACHE_BYTES // 2:
        # All of b stays near: long rows of c are written one after the other.
        return _Walk(size, panels, p.depth, min(tiles, 64), rows_first=True)
    if p.rows <= 2 * size.rows:
        # Every element of b is read once or twice: long pieces of few of its rows.
        group = max(1, min(16, panels // 16))
        return _Walk(size, group, min(p.depth, 128), 1, rows_first=False)
    panel = p.depth * width * item
    cut = ceil_div(p.depth, ceil_div(panel, PANEL_BYTES)) if panel > 2 * PANEL_BYTES else p.depth
    bands = max(1, min(tiles, ceil_div(32, panels * p.batch)))
    return _Walk(size, 1, cut, bands, rows_first=False)


def write_outer(k: KernelBuilder, p: Product, a: Matrix, b: Matrix, c: Matrix) -> None:
    """Write c = a b, where b's columns are neighbours in memory."""
    lanes, walk = k.lanes(p.kind), _outer_walk(k, p)
    width = walk.size.vectors * lanes
    groups = ceil_div(p.columns, walk.group * width)
    per_matrix = walk.bands * groups
    deep = ceil_div(ceil_div(p.rows, walk.size.rows), walk.bands) * walk.size.rows
    with k.phase(p.batch * per_matrix, flops=p.flops, nbytes=p.nbytes) as f:
        matrix, rest = f.idiv(f.unit, per_matrix), f.irem(f.unit, per_matrix)
        places = [f.at(m.place(f), element(p.kind), f.imul(matrix, m.batch)) for m in (a, b, c)]
        rows = pieces(f, p.rows, deep, f.idiv(rest, groups))
        columns = pieces(f, p.columns, walk.group * width, f.irem(rest, groups))
        outer = _Outer(f, p, (a, b, c), places, walk.size, lanes)
        with f.loop(0, p.depth, walk.cut) as begin:
            depth = begin, f.imin(f.iadd(begin, walk.cut), p.depth)
            if walk.rows_first:
                with f.loop(*rows, walk.size.rows) as row, f.loop(*columns, width) as first:
                    outer.write_tile(row, first, depth)
            else:
                with f.loop(*columns, width) as first, f.loop(*rows, walk.size.rows) as row:
                    outer.write_tile(row, first, depth)


class _Outer:
    """Writes the tiles of one panel."""

    def __init__(
        self,
        f: PhaseEmitter,
        p: Product,
        matrices: tuple[Matrix, Matrix, Matrix],
        places: Sequence[V],
        size: TileSize,
        lanes: int,
    ) -> None:
        self.f, self.p, self.size, self.lanes = f, p, size, lanes
        self.a, self.b, self.c = matrices
        self.places = places
        self.kind = element(p.kind)
        # Rows of b lie on pages of their own, where no processor sees what comes next.
        self.ahead = p.rows <= 2 * size.rows

    def write_tile(self, row: Index, first: Index, depth: tuple[Index, Index]) -> None:
        """Write one tile; rows beyond the last are the last one again."""
        f, kind = self.f, self.kind.times(self.lanes)
        rows = [f.imin(f.iadd(row, i), self.p.rows - 1) for i in range(self.size.rows)]
        lefts = [f.at(self.places[0], self.kind, f.imul(r, self.a.row)) for r in rows]
        masks = [self._mask(first, v) for v in range(self.size.vectors)]
        tile = Tile(f, self.size, kind)
        if depth != (0, self.p.depth):
            self._reload(tile, rows, first, depth[0], masks)
        with f.loop(*depth) as i:
            line = f.iadd(f.imul(i, self.b.row), first)
            vectors = [
                f.load_chunk(
                    self.kind,
                    self.places[1],
                    Chunk(f.iadd(line, v * self.lanes), self.lanes, masks[v]),
                )
                for v in range(self.size.vectors)
            ]
            if self.ahead:
                for v in range(self.size.vectors):
                    f.prefetch(
                        self.places[1],
                        self.kind,
                        f.iadd(line, (v + self.size.vectors) * self.lanes),
                    )
            step = f.imul(i, self.a.column)
            tile.outer(f, [f.load(self.kind, left, step) for left in lefts], vectors)
        self._store(tile, rows, first, masks)

    def _mask(self, first: Index, vector: int) -> V | None:
        width = self.size.vectors * self.lanes
        if self.p.columns % width == 0:
            return None
        left = self.f.isub(self.p.columns, self.f.iadd(first, vector * self.lanes))
        return mask_below(self.f, left, self.lanes)

    def _where(self, row: Index, first: Index, vector: int) -> Index:
        f = self.f
        column = f.iadd(first, vector * self.lanes)
        return f.iadd(f.imul(row, self.c.row), f.imul(column, self.c.column))

    def _reload(
        self,
        tile: Tile,
        rows: Sequence[Index],
        first: Index,
        begin: Index,
        masks: Sequence[V | None],
    ) -> None:
        """Go on from what the pieces of the depth before this one gave."""
        f = self.f
        zero = constant(tile.kind, 0.0)
        with f.when(f.compare("sgt", f.index(begin), constant(I64, 0))):
            for r, row in enumerate(rows):
                for v in range(self.size.vectors):
                    place = self._where(row, first, v)
                    if self.c.column == 1:
                        chunk = Chunk(place, self.lanes, masks[v])
                        known = f.load_chunk(self.kind, self.places[2], chunk)
                    else:
                        steps = f.add(
                            splat(f, f.index(place), self.lanes),
                            iota(self.lanes, step=self.c.column),
                        )
                        known = f.gather(tile.kind, self.places[2], steps, masks[v], zero)
                    tile.set(f, r, v, known)

    def _store(
        self, tile: Tile, rows: Sequence[Index], first: Index, masks: Sequence[V | None]
    ) -> None:
        f = self.f
        for r, row in enumerate(rows):
            for v in range(self.size.vectors):
                place, value = self._where(row, first, v), tile.get(f, r, v)
                if self.c.column == 1:
                    f.store_chunk(value, self.places[2], Chunk(place, self.lanes, masks[v]))
                else:
                    _scatter(f, value, self.places[2], place, self.c.column, masks[v])


def _scatter(
    f: PhaseEmitter, value: V, pointer: V, start: Index, stride: int, mask: V | None
) -> None:
    """Store lanes far apart."""
    lanes, kind = value.type.lanes, value.type
    steps = f.add(splat(f, f.index(start), lanes), iota(lanes, step=stride))
    text = f"getelementptr {kind.scalar}, {pointer}, {steps}"
    places = f.op(PTR.times(lanes), text)
    chosen = constant(I1.times(lanes), 1) if mask is None else mask
    align = constant(I32, kind.nbytes)
    f.perform(f"masked.scatter.{kind.mangled}.v{lanes}p0", value, places, align, chosen)


# --- dot products: rows of both operands run along the depth


def write_dots(
    k: KernelBuilder, p: Product, a: Matrix, b: Matrix, c: Matrix, finish: Finish = unfinished
) -> None:
    """Write c = a b', where b is given as [columns, depth] and rows of both are contiguous.

    A unit is one band of rows of a with some columns, whose part of b stays near.
    """
    lanes, kind = k.lanes(p.kind), element(p.kind)
    rows, columns = _dot_tile(k, p)
    row_bytes = p.depth * p.kind.dtype.nbytes
    group = max(1, CACHE_BYTES // max(1, row_bytes * columns)) * columns
    bands = ceil_div(p.rows, rows)
    group = min(
        group, max(columns, ceil_div(ceil_div(p.columns, ceil_div(32, bands)), columns) * columns)
    )
    groups = ceil_div(p.columns, group)
    with k.phase(p.batch * groups * bands, flops=p.flops, nbytes=p.nbytes) as f:
        matrix, rest = f.idiv(f.unit, groups * bands), f.irem(f.unit, groups * bands)
        number, band = f.idiv(rest, bands), f.irem(rest, bands)
        places = [f.at(m.place(f), kind, f.imul(matrix, m.batch)) for m in (a, b, c)]
        begin, stop = pieces(f, p.columns, group, number)
        top = f.imul(band, rows)
        tops = [f.imin(f.iadd(top, i), p.rows - 1) for i in range(rows)]
        lefts = [f.at(places[0], kind, f.imul(row, a.row)) for row in tops]
        with f.loop(begin, stop, columns) as column:
            heads = [f.imin(f.iadd(column, i), p.columns - 1) for i in range(columns)]
            rights = [f.at(places[1], kind, f.imul(head, b.row)) for head in heads]
            tile = Tile(f, TileSize(rows, columns), kind.times(lanes))

            def body(chunk: Chunk) -> None:
                left = [f.load_chunk(kind, place, chunk) for place in lefts]
                tile.inner(f, left, [f.load_chunk(kind, place, chunk) for place in rights])

            each_chunk(f, p.depth, lanes, body)
            _store_dots(f, p, tile, (tops, column), (places[2], c), finish)


def _dot_tile(k: KernelBuilder, p: Product) -> tuple[int, int]:
    """Give the rows and columns of a tile; as many columns as a power of two."""
    wide = k.target.registers >= 32
    columns = min(4, k.lanes(p.kind))
    most = 6 if wide else 3
    if p.rows <= 2 and k.lanes(p.kind) >= 8:
        columns = 8 if wide or p.rows == 1 else 4
    return even_rows(p.rows, most), columns


def _store_dots(
    f: PhaseEmitter,
    p: Product,
    tile: Tile,
    where: tuple[Sequence[Index], Index],
    target: tuple[V, Matrix],
    finish: Finish,
) -> None:
    """Sum the lanes of a tile's sums and store them, a row of neighbours at a time."""
    tops, column = where
    place, c = target
    columns = tile.size.vectors
    mask = None
    if p.columns % columns:
        mask = mask_below(f, f.isub(p.columns, column), columns)
    for row, top in enumerate(tops):
        sums = [tile.get(f, row, i) for i in range(columns)]
        found = finish(f, sums_across(f, sums), (top, column), mask)
        start = f.iadd(f.imul(top, c.row), column)
        f.store_chunk(found, place, Chunk(start, columns, mask))
