"""Multiplying vectors by the small constant matrices of Winograd's filtering, sharing work."""

from __future__ import annotations

from collections.abc import Sequence

from cnndsl.backends.cpu.emit import FunctionEmitter
from cnndsl.backends.cpu.kernels.winograd_points import Matrix
from cnndsl.backends.cpu.llvm import V, constant

Grid = list[list[V]]
"""Vectors, one an element of a small matrix."""


def sandwich(f: FunctionEmitter, matrix: Matrix, grid: Grid) -> Grid:
    """Give M X M' for a small square X of vectors."""
    columns = [multiply(f, matrix, list(column)) for column in zip(*grid, strict=True)]
    rows = zip(*columns, strict=True)
    return [multiply(f, matrix, list(row)) for row in rows]


def multiply(f: FunctionEmitter, matrix: Matrix, values: Sequence[V]) -> list[V]:
    """Give M x. Two columns, or two rows, that differ by signs alone are worked out together."""
    matrix, values = _join_columns(f, matrix, values)
    found: dict[int, V] = {}
    for row in range(len(matrix)):
        if row in found:
            continue
        other = next(
            (i for i in range(row + 1, len(matrix)) if _differ_by_signs(matrix[row], matrix[i])),
            None,
        )
        if other is None:
            found[row] = _required(_combination(f, matrix[row], values))
            continue
        same = tuple(a if a == b else 0.0 for a, b in zip(matrix[row], matrix[other], strict=True))
        turned = tuple(a - s for a, s in zip(matrix[row], same, strict=True))
        kept = _required(_combination(f, same, values))
        moved = _required(_combination(f, turned, values))
        found[row], found[other] = f.add(kept, moved), f.sub(kept, moved)
    return [found[row] for row in range(len(matrix))]


def _join_columns(
    f: FunctionEmitter, matrix: Matrix, values: Sequence[V]
) -> tuple[Matrix, list[V]]:
    """Put sum and difference of two values in their place where rows want nothing else."""
    columns = [list(column) for column in zip(*matrix, strict=True)]
    joined = list(values)
    for i, a in enumerate(columns):
        for j in range(i + 1, len(columns)):
            b = columns[j]
            if not _differ_by_signs(a, b) or len(a) < 2:
                continue
            joined[i], joined[j] = f.add(values[i], values[j]), f.sub(values[i], values[j])
            columns[i] = [x if x == y else 0.0 for x, y in zip(a, b, strict=True)]
            columns[j] = [0.0 if x == y else x for x, y in zip(a, b, strict=True)]
            break
    return tuple(zip(*columns, strict=True)), joined


def _differ_by_signs(a: Sequence[float], b: Sequence[float]) -> bool:
    """Tell whether some numbers agree and others are each other's negatives."""
    pairs = [(x, y) for x, y in zip(a, b, strict=True) if x or y]
    if any(abs(x) != abs(y) for x, y in pairs):
        return False
    return any(x == y for x, y in pairs) and any(x != y for x, y in pairs)


def _combination(f: FunctionEmitter, row: Sequence[float], values: Sequence[V]) -> V | None:
    """Give the sum of multiples of values, those with a factor of 1 first."""
    terms = [(factor, v) for factor, v in zip(row, values, strict=True) if factor]
    terms.sort(key=lambda term: (term[0] != 1.0, abs(term[0]) != 1.0))
    total: V | None = None
    for factor, value in terms:
        scaled = constant(value.type, factor)
        if total is None:
            total = value if factor == 1.0 else f.mul(value, scaled)
        elif abs(factor) == 1.0:
            total = f.add(total, value) if factor > 0 else f.sub(total, value)
        else:
            total = f.fma(value, scaled, total)
    return total


def _required(value: V | None) -> V:
    assert value is not None, "no row of these matrices is zero"
    return value
