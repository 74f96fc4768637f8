"""The inner loops of convolutions: sums of products over nested steps, held in registers.

One side gives single numbers, each of which is spread over a vector; the other gives whole
vectors. A tile of R numbers and V vectors does R*V fused multiply-adds for R + V loads, so the
processor's multiply-add units are the limit.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from cnndsl.backends.cpu.emit import FunctionEmitter
from cnndsl.backends.cpu.kernels.tiles import Tile, TileSize
from cnndsl.backends.cpu.llvm import I64, Index, LType, V
from cnndsl.backends.cpu.target import CpuTarget


@dataclass(frozen=True, slots=True)
class Side:
    """One side of the product at the first step."""

    pointer: V
    """Where it begins."""
    offsets: Sequence[Index]
    """Elements from there to each number, or to the first lane of each vector."""


@dataclass(frozen=True, slots=True)
class Walk:
    """A loop of steps: how far both sides move with each."""

    count: Index
    """How many steps."""
    numbers: int | V
    """Elements that the numbers move by; or a table of offsets, one a step."""
    vectors: int | V
    """Elements that the vectors move by, or a table."""


STEP_CYCLES = 0.4
"""What a step takes beside its multiply-adds: a larger tile has fewer steps."""
AHEAD = 2048
"""Elements between what is read and what is asked for, of weights that come from memory: a stream
of which the processor by itself asks for too little in advance."""
Unrolled = Sequence[tuple[int, int]]
"""Offsets of numbers and vectors for steps that are written out."""
ONE_STEP: Unrolled = ((0, 0),)


def tile_fits(target: CpuTarget, numbers: int, vectors: int) -> bool:
    """Tell whether a tile, its vectors and one number fit into the registers.

    >>> from cnndsl.backends.cpu.target import HASWELL
    >>> tile_fits(HASWELL, 4, 3), tile_fits(HASWELL, 6, 2), tile_fits(HASWELL, 7, 2)
    (True, True, False)
    """
    return numbers * vectors + vectors + 1 <= target.registers


def tile_cycles(numbers: int, vectors: int, *, split: float = 1.0) -> float:
    """Give the processor cycles of one step: two multiply-adds or loads in each.

    `split` is the loads that one vector takes; more than 1 where it straddles cache lines. Fewer
    than 8 sums in flight wait for each other's results.
    """
    return max(numbers * vectors / 2, (numbers + vectors * split) / 2, 4.0)


def accumulate(
    f: FunctionEmitter,
    wide: LType,
    numbers: Side,
    vectors: Side,
    walks: Sequence[Walk],
    *,
    unrolled: Unrolled = ONE_STEP,
    ahead: tuple[int, int] = (0, 0),
) -> list[list[V]]:
    """Sum number[r] * vector[v] over all steps of the nested `walks`, the last innermost.

    Gives the sums [r][v]. Each sum is made in the order of the steps, rounded once a step.
    What lies `ahead` elements further on a side is asked for at each step, unless that is 0.
    """
    size = TileSize(len(numbers.offsets), len(vectors.offsets))
    tile = Tile(f, size, wide)
    with ExitStack() as stack:
        moved: tuple[list[Index], list[Index]] = ([], [])
        for walk in walks:
            step = stack.enter_context(f.loop(0, walk.count))
            for side, move in zip(moved, (walk.numbers, walk.vectors), strict=True):
                side.append(f.load(I64, move, step) if isinstance(move, V) else f.imul(step, move))
        left, right = (
            f.at(side.pointer, wide, f.iadd(*offsets))
            for side, offsets in zip((numbers, vectors), moved, strict=True)
        )
        for to_number, to_vector in unrolled:
            loaded = [f.load(wide, right, f.iadd(o, to_vector)) for o in vectors.offsets]
            if ahead[0]:
                f.prefetch(left, wide, f.iadd(to_number, ahead[0]))
            for offset in vectors.offsets if ahead[1] else ():
                f.prefetch(right, wide, f.iadd(offset, to_vector, ahead[1]))
            places = [f.iadd(offset, to_number) for offset in numbers.offsets]
            tile.outer(f, [f.load(wide.scalar, left, place) for place in places], loaded)
    return [[tile.get(f, r, v) for v in range(size.vectors)] for r in range(size.rows)]
