"""A number of a layer's result and how it comes about, as the workers of `element` give it.

Places are as the language writes sizes: (row, column, channel) of an image, (number,) of a vector,
counted from 0. Arrays are [C, H, W] or [N].
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from cnndsl.layers.base import LayerSpec
from cnndsl.layers.network import Layer

Floats: TypeAlias = npt.NDArray[np.float64]
"""Numbers of one image."""
Place: TypeAlias = tuple[int, ...]
"""(row, column, channel), or (number,)."""


@dataclass(frozen=True, slots=True)
class Plane:
    """One channel of what is looked at; 2-D, or 1-D for vectors."""

    title: str
    """Which channel of which stream."""
    values: Floats
    """The numbers; nan where the window lies over the border."""
    weights: Floats | None = None
    """What each is multiplied by."""
    products: Floats | None = None
    """Number times weight; 0 over the border."""


@dataclass(frozen=True, slots=True)
class Step:
    """One line of the calculation."""

    text: str
    """What is done, with numbers."""
    value: float
    """What it gives."""


@dataclass(frozen=True, slots=True)
class Element:
    """One number and how it comes about."""

    at: Place
    """Where it is in the result."""
    value: float
    """What it is."""
    steps: tuple[Step, ...]
    """The calculation; the last step gives the value."""
    planes: tuple[Plane, ...] = ()
    """The window, channel by channel."""
    window: tuple[tuple[int, int], tuple[int, int]] | None = None
    """First and last row, first and last column of the input; over the border where negative."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What a layer works on, for one image."""

    layer: Layer
    """The layer."""
    inputs: Sequence[Floats]
    """What it reads."""
    parameters: Mapping[str, Floats] = field(default_factory=dict)
    """Its arrays by name."""

    @property
    def spec(self) -> LayerSpec:
        """Kind and settings."""
        return self.layer.spec

    def number(self, at: Place, which: int = 0) -> float:
        """Give a number of an input."""
        return float(self.inputs[which][index_of(at)])


def index_of(at: Place) -> tuple[int, ...]:
    """Give the index into an array: channel first."""
    return (at[-1], *at[:-1])


def show(number: float) -> str:
    """Write a number with six digits.

    >>> show(0.123456789), show(-2.0), show(1e-9)
    ('0.123457', '-2', '1e-09')
    """
    return f"{number:.6g}"


def counted(number: int, what: str) -> str:
    """Write a number of things: `1 product`, `1,200 products`."""
    return f"{number:,} {what}" + ("" if number == 1 else "s")
