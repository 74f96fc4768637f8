"""Squares of vectors turned with shuffles that take one instruction each."""

from __future__ import annotations

from collections.abc import Sequence

from cnndsl.backends.cpu.emit import FunctionEmitter
from cnndsl.backends.cpu.lanes import shuffle
from cnndsl.backends.cpu.llvm import V

BLOCK_BYTES = 16
"""Registers are made of blocks of so many bytes; within them lanes move cheaply."""


def turn(f: FunctionEmitter, rows: Sequence[V]) -> list[V]:
    """Transpose a square of vectors: as many rows as lanes, a power of two.

    First within blocks of 16 bytes, for each group of as many rows as a block has lanes; then the
    blocks of all groups change places.
    """
    lanes, item = rows[0].type.lanes, rows[0].type.nbytes
    each = min(lanes, BLOCK_BYTES // item)
    groups = [_turn_blocks(f, rows[g : g + each]) for g in range(0, lanes, each)]
    found: list[V] = [rows[0]] * lanes
    for j in range(each):
        for block, vector in enumerate(_gather_blocks(f, [group[j] for group in groups], each)):
            found[block * each + j] = vector
    return found


def _turn_blocks(f: FunctionEmitter, rows: Sequence[V]) -> list[V]:
    """Transpose within each block: result j has in its block b lane j of the rows' blocks b."""
    rows, size = list(rows), len(rows)
    if size == 1:
        return rows
    if size == 2:
        return [_unpacked(f, (rows[0], rows[1]), size, half, 1) for half in (0, 1)]
    low = [_unpacked(f, (rows[i], rows[i + 1]), size, 0, 1) for i in (0, 2)]
    high = [_unpacked(f, (rows[i], rows[i + 1]), size, 1, 1) for i in (0, 2)]
    pairs = (low[0], low[1]), (high[0], high[1])
    return [_unpacked(f, pair, size, half, 2) for pair in pairs for half in (0, 1)]


def _unpacked(f: FunctionEmitter, pair: tuple[V, V], size: int, half: int, unit: int) -> V:
    """Interleave units of one half of each block of two vectors."""
    picks: list[int] = []
    lanes = pair[0].type.lanes
    for base in range(0, lanes, size):
        for start in range(half * size // 2, (half + 1) * size // 2, unit):
            picks += [base + start + i for i in range(unit)]
            picks += [lanes + base + start + i for i in range(unit)]
    return shuffle(f, *pair, picks)


def _gather_blocks(f: FunctionEmitter, vectors: Sequence[V], each: int) -> list[V]:
    """Give vectors of all vectors' first blocks, of their second blocks, and so on."""
    if len(vectors) == 1:
        return list(vectors)

    def pick(pair: Sequence[V], blocks: Sequence[int]) -> V:
        return shuffle(
            f, pair[0], pair[1], [block * each + i for block in blocks for i in range(each)]
        )

    if len(vectors) == 2:
        return [pick(vectors, (0, 2)), pick(vectors, (1, 3))]
    assert len(vectors) == 4, "vectors have 1, 2 or 4 blocks"
    even = [pick(vectors[i : i + 2], (0, 2, 4, 6)) for i in (0, 2)]
    odd = [pick(vectors[i : i + 2], (1, 3, 5, 7)) for i in (0, 2)]
    return [
        pick(even, (0, 2, 4, 6)),
        pick(odd, (0, 2, 4, 6)),
        pick(even, (1, 3, 5, 7)),
        pick(odd, (1, 3, 5, 7)),
    ]
