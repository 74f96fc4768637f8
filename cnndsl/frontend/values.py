"""Values at compile time: what `let`, `param` and arguments can hold."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

from cnndsl.layers.base import Hwc

LARGEST = 2**53
"""Largest magnitude of a number that is worked out: every whole number up to it is exact."""


class Symbol(str):
    """A bare name that stands for itself, as the `D` of `param v in [A, D] = D`."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class SizeValue:
    """`3x3`, `7x7/2`."""

    dims: tuple[int | None, ...]
    """The numbers; nothing for `?`."""
    stride: int | None = None
    """The number after the slash."""

    def __str__(self) -> str:
        text = "x".join("?" if d is None else str(d) for d in self.dims)
        return text if self.stride is None else f"{text}/{self.stride}"


@dataclass(frozen=True, slots=True)
class ShapeValue:
    """`shape`: the size at this point of the program."""

    size: Hwc
    """Height, width, channels, or (neurons,)."""

    def axis(self, name: str) -> int | None:
        """Give the axis `h`, `w` or `c`; a vector has channels only, anything else nothing."""
        names = ("h", "w", "c") if len(self.size) == 3 else ("c",)
        return self.size[names.index(name)] if name in names else None

    def __str__(self) -> str:
        return f"[{'x'.join(map(str, self.size))}]"


@dataclass(frozen=True, slots=True)
class RangeValue:
    """`1..5`, `64..512 by 64`; both ends belong to it."""

    start: int | float
    """First."""
    stop: int | float
    """Last."""
    step: int | float | None = None
    """From one to the next; nothing is 1 for whole numbers and any number between for others."""

    @property
    def is_whole(self) -> bool:
        """Whether it consists of whole numbers."""
        return all(isinstance(v, int) for v in (self.start, self.stop, self.step or 1))

    def __len__(self) -> int:
        assert isinstance(self.start, int)
        assert isinstance(self.stop, int)
        step = int(self.step or 1)
        return max(0, (self.stop - self.start) // step + 1)

    def __iter__(self) -> Iterator[int]:
        assert isinstance(self.start, int)
        step = int(self.step or 1)
        return iter(range(self.start, self.start + len(self) * step, step))

    def holds(self, value: Value) -> bool:
        """Tell whether a value lies in the range, on one of its steps."""
        if isinstance(value, bool) or not isinstance(value, int | float):
            return False
        low, high = sorted((self.start, self.stop))
        if not low <= value <= high or (self.start > self.stop and not self.step):
            return False
        if self.is_whole and not isinstance(value, int):
            return False
        return self.step is None or (value - self.start) % self.step == 0

    def __str__(self) -> str:
        text = f"{self.start}..{self.stop}"
        return text if self.step is None else f"{text} by {self.step}"


@dataclass(frozen=True, slots=True)
class MapValue:
    """`[18: [2, 2], 34: [3, 4]]`."""

    pairs: tuple[tuple[Value, Value], ...]
    """Key and value, in order."""

    def get(self, key: Value) -> Value | None:
        """Give the value at `key`, or nothing."""
        for known, value in self.pairs:
            if same_value(known, key):
                return value
        return None


@dataclass(frozen=True, slots=True, eq=False)
class Callee:
    """Base of blocks, nets and imported files: they are values too."""

    name: str
    """As the program calls it."""


Value: TypeAlias = (
    bool
    | int
    | float
    | str
    | SizeValue
    | ShapeValue
    | RangeValue
    | MapValue
    | Callee
    | tuple["Value", ...]
)
"""Anything an expression can give; a bare name is a `Symbol`, a list is a tuple."""


def same_value(a: Value, b: Value) -> bool:
    """Compare as the language does: numbers by value, true and 1 are different."""
    if isinstance(a, bool) or isinstance(b, bool):
        return a is b
    if isinstance(a, SizeValue | ShapeValue) and isinstance(b, SizeValue | ShapeValue):
        return _sides(a) == _sides(b)
    if isinstance(a, tuple) and isinstance(b, tuple):
        return len(a) == len(b) and all(map(same_value, a, b))
    return bool(a == b)


def _sides(value: SizeValue | ShapeValue) -> tuple[int | None, ...]:
    """The numbers of a size; the 1 of an axis that a vector does not have is left out."""
    if isinstance(value, SizeValue):
        sides = value.dims if value.stride is None else (*value.dims, value.stride, None)
    else:
        sides = value.size
    return sides[2:] if sides[:2] == (1, 1) and len(sides) == 3 else sides


def show(value: Value) -> str:
    """Write a value as a program does.

    >>> show((1, 2.5, Symbol("D"), "a.npz", True))
    '[1, 2.5, D, "a.npz", true]'
    """
    match value:
        case bool():
            return "true" if value else "false"
        case float():
            return f"{value:.10g}"
        case Symbol():
            return str(value)
        case str():
            return f'"{value}"'
        case tuple():
            return f"[{', '.join(map(show, value[:12]))}{', ..' if len(value) > 12 else ''}]"
        case MapValue():
            pairs = ", ".join(f"{show(k)}: {show(v)}" for k, v in value.pairs[:12])
            return f"[{pairs}{', ..' if len(value.pairs) > 12 else ''}]"
        case Callee():
            return value.name
        case _:
            return str(value)


def kind_of(value: Value) -> str:
    """Name a value with its kind, for messages.

    >>> kind_of(64), kind_of(SizeValue((3, 3))), kind_of((1, 2))
    ('the number 64', 'the size 3x3', 'the list [1, 2]')
    """
    words: tuple[tuple[type | tuple[type, ...], str], ...] = (
        (bool, ""),
        ((int, float), "the number "),
        (Symbol, "the name "),
        (str, "the text "),
        ((SizeValue, ShapeValue), "the size "),
        (RangeValue, "the range "),
        (MapValue, "the map "),
        (tuple, "the list "),
    )
    for types, word in words:
        if isinstance(value, types):
            return word + show(value)
    return f"`{show(value)}`"
