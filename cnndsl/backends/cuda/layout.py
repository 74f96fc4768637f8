"""Channels last: how arrays lie in device memory.

Shapes are those of the graph everywhere, N,C,H,W for images and O,I,H,W for filters; in memory the
second axis of whatever has four comes last, so images are N,H,W,C and filters O,H,W,I. Arrays of
another rank are row-major.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeVar

import numpy as np

from cnndsl.backends.cuda.text import Walk
from cnndsl.ir.types import Shape
from cnndsl.ops.rules import Array

IMAGE = (0, 2, 3, 1)
"""Axes of an array with four, from the outermost in memory to the innermost."""
T = TypeVar("T")


def axes_in_memory(rank: int) -> tuple[int, ...]:
    """Give the axes from the outermost in memory to the innermost."""
    return IMAGE if rank == len(IMAGE) else tuple(range(rank))


def in_memory(parts: Sequence[T]) -> tuple[T, ...]:
    """Sort what belongs to the axes of an array from the outermost in memory to the innermost.

    >>> in_memory("NCHW"), in_memory((5, 7))
    (('N', 'H', 'W', 'C'), (5, 7))
    """
    return tuple(parts[axis] for axis in axes_in_memory(len(parts)))


def strides_of(shape: Shape) -> tuple[int, ...]:
    """Give the stride of each axis, in elements.

    >>> strides_of((2, 3, 4, 5)), strides_of((2, 3))
    ((60, 1, 15, 3), (3, 1))
    """
    found = dict[int, int]()
    step = 1
    for axis in reversed(axes_in_memory(len(shape))):
        found[axis] = step
        step *= shape[axis]
    return tuple(found[axis] for axis in range(len(shape)))


def broadcast_strides(shape: Shape, to: Shape) -> tuple[int, ...]:
    """Give the strides with which an array of `shape` is read as one of shape `to`.

    >>> broadcast_strides((1, 3, 1), (2, 3, 4)), broadcast_strides((), (2, 3))
    ((0, 1, 0), (0, 0))
    """
    if not shape:
        return (0,) * len(to)
    strides = strides_of(shape)
    return tuple(0 if n == 1 else s for n, s in zip(shape, strides, strict=True))


def walk_over(shape: Shape, strides: Sequence[int]) -> Walk:
    """Count the elements of an array as they lie; `strides` are where each axis leads."""
    return Walk(in_memory(shape), in_memory(tuple(strides)))


def rows_in_order(shape: Shape) -> Walk:
    """Count the elements of an array in row-major order of its axes; gives where they lie."""
    return Walk(shape, strides_of(shape))


def same_order(a: Shape, b: Shape) -> bool:
    """Tell whether an array of shape `a`, read in row-major order, is one of shape `b` as it lies.

    >>> same_order((2, 3, 1, 1), (2, 3)), same_order((2, 3, 4, 5), (2, 60))
    (True, False)
    """
    return 0 in a or rows_in_order(a).collapsed == rows_in_order(b).collapsed


def coordinates(shape: Shape, number: str) -> list[str]:
    """Write the place of the element that lies at `number` along each axis.

    >>> coordinates((2, 3), "i"), coordinates((2, 3, 4, 5), "i")[1]
    (['i / 3', 'i % 3'], 'i % 3')
    """
    found = []
    for axis, (length, inner) in enumerate(zip(shape, strides_of(shape), strict=True)):
        part = number if inner == 1 else f"{number} / {inner}"
        found.append(part if axis == 0 else f"{part} % {length}")
    return found


def to_device(array: Array) -> Array:
    """Give an array of the host as its elements lie on the device."""
    return np.asarray(array.transpose(axes_in_memory(array.ndim)), order="C")


def from_device(array: Array) -> Array:
    """Give an array of the host from one whose axes are those of the device's memory."""
    return np.asarray(array.transpose(np.argsort(axes_in_memory(array.ndim))), order="C")


def is_turned(shape: Shape) -> bool:
    """Tell whether an array lies otherwise than row-major."""
    steps = tuple(math.prod(shape[axis + 1 :]) for axis in range(len(shape)))
    return 0 not in shape and Walk(shape, steps).collapsed != rows_in_order(shape).collapsed
