"""Register tiles: sums of products held in vector registers through an inner loop."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cnndsl.backends.cpu.emit import FunctionEmitter, Slot
from cnndsl.backends.cpu.lanes import splat
from cnndsl.backends.cpu.llvm import LType, V, constant
from cnndsl.backends.cpu.target import CpuTarget


@dataclass(frozen=True, slots=True)
class TileSize:
    """How many rows and vectors a tile holds."""

    rows: int
    """Rows: operands that are broadcast."""
    vectors: int
    """Vectors in a row."""


def largest_tile(target: CpuTarget) -> TileSize:
    """Give the tile with the most work for each load that leaves room for the operands.

    >>> from cnndsl.backends.cpu.target import HASWELL
    >>> largest_tile(HASWELL)
    TileSize(rows=4, vectors=3)
    """
    return TileSize(8, 3) if target.registers >= 32 else TileSize(4, 3)


def even_rows(count: int, most: int) -> int:
    """Give the rows of tiles that cover `count` rows in as few and as even tiles as can be.

    >>> even_rows(20, 8), even_rows(6, 8), even_rows(64, 8), even_rows(9, 8)
    (7, 6, 8, 5)
    """
    tiles = -(-count // most)
    return -(-count // tiles)


class Tile:
    """Sums of one tile: rows of vectors."""

    def __init__(self, f: FunctionEmitter, size: TileSize, kind: LType) -> None:
        """Begin with zeros; `kind` is the type of a vector."""
        self.size = size
        self.kind = kind
        zero = constant(kind, 0.0)
        self._sums: list[list[Slot]] = [
            [f.variable(zero) for _ in range(size.vectors)] for _ in range(size.rows)
        ]

    def set(self, f: FunctionEmitter, row: int, vector: int, value: V) -> None:
        """Give a sum another value."""
        f.set(self._sums[row][vector], value)

    def get(self, f: FunctionEmitter, row: int, vector: int) -> V:
        """Give a sum."""
        return f.get(self._sums[row][vector])

    def outer(self, f: FunctionEmitter, scalars: Sequence[V], vectors: Sequence[V]) -> None:
        """Add the products of every scalar and every vector."""
        for row, scalar in enumerate(scalars):
            wide = splat(f, scalar, self.kind.lanes)
            for number, vector in enumerate(vectors):
                slot = self._sums[row][number]
                f.set(slot, f.fma(wide, vector, f.get(slot)))

    def inner(self, f: FunctionEmitter, rows: Sequence[V], columns: Sequence[V]) -> None:
        """Add the products of every row's vector and every column's, lane by lane."""
        for row, left in enumerate(rows):
            for number, right in enumerate(columns):
                slot = self._sums[row][number]
                f.set(slot, f.fma(left, right, f.get(slot)))
