"""The matrices of Winograd's minimal filtering, made from the points of its polynomials.

F(m, r) gives m outputs of a filter of r taps from m + r - 1 inputs with as many multiplications:
y = A' ((G g) * (B' d)). Two polynomials of degrees below m and r are multiplied by their values at
m + r - 2 points and their leading coefficient (the point at infinity); a correlation is the
transpose of that (Winograd, Arithmetic Complexity of Computations, 1980; Lavin and Gray, Fast
Algorithms for Convolutional Neural Networks, 2016). Points come in pairs p, -p, which share work.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from math import prod, sqrt

Matrix = tuple[tuple[float, ...], ...]
"""Rows of numbers."""

POINTS = {4: (0.0, 1.0, -1.0), 6: (0.0, sqrt(0.5), -sqrt(0.5), sqrt(2.0), -sqrt(2.0))}
"""Size of a tile to the points; for 6 those whose powers and their inverses stay near 1, which
halves the error that 0, 1, -1, 2, -2 give."""


@dataclass(frozen=True, slots=True)
class Minimal:
    """F(outputs, taps) along one axis."""

    outputs: int
    """Outputs of a tile."""
    taps: int
    """Taps of the filter."""
    image: Matrix
    """B', [tile, tile]."""
    filter: Matrix
    """G, [tile, taps]."""
    result: Matrix
    """A', [outputs, tile]."""

    @property
    def tile(self) -> int:
        """Inputs of a tile."""
        return self.outputs + self.taps - 1


@cache
def minimal(outputs: int, taps: int) -> Minimal:
    """Make the matrices of F(outputs, taps), for tiles of 4 or 6.

    >>> minimal(2, 3).image[0], minimal(2, 3).result[1]
    ((1.0, 0.0, -1.0, 0.0), (0.0, 1.0, -1.0, 1.0))
    """
    tile = outputs + taps - 1
    points = POINTS[tile]
    # Rows of the image's matrix: the polynomial with all other points as roots. The filter's rows
    # are divided by its value at the point, so that the product is the identity.
    image = [_polynomial([q for q in points if q != p], tile) for p in points]
    image.append(_polynomial(points, tile))
    scales = [prod(p - q for q in points if q != p) for p in points]
    filter_ = [
        tuple(p**j / scale for j in range(taps)) for p, scale in zip(points, scales, strict=True)
    ]
    filter_.append((*(0.0,) * (taps - 1), 1.0))
    result = [
        (*(p**i if i else 1.0 for p in points), float(i == outputs - 1)) for i in range(outputs)
    ]
    # A sign that both matrices of a point share may go: the first rows begin with +.
    for row, values in enumerate(image[:-1]):
        if next(value for value in values if value) < 0:
            image[row] = tuple(0.0 - value for value in values)
            filter_[row] = tuple(0.0 - value for value in filter_[row])
    return Minimal(outputs, taps, tuple(image), tuple(filter_), tuple(result))


def _polynomial(roots: list[float] | tuple[float, ...], size: int) -> tuple[float, ...]:
    """Give the coefficients of the product of (x - root), the constant first, `size` of them."""
    found = [1.0]
    for root in roots:
        raised = [0.0, *found]
        lowered = [root * value for value in found] + [0.0]
        found = [a - b for a, b in zip(raised, lowered, strict=True)]
    rounded = [0.0 if abs(value) < 1e-12 else value for value in found]
    return (*rounded, *(0.0,) * (size - len(rounded)))
