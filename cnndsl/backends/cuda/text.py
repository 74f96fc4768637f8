"""Text of kernels: templates with places to fill in, and indices as expressions of C++."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from cnndsl.ir.types import Shape

_PLACE = re.compile(r"^([ \t]*)\$(\w+)[ \t]*$|\$(\w+)", re.MULTILINE)


def render(template: str, **values: object) -> str:
    """Put `values` in the places `$name` of a template.

    A place alone on its line takes text of several lines, indented as the place is; an empty text
    there leaves no line. Raises `KeyError` for a place without a value and for a value without a
    place, `ValueError` for a text of several lines in the middle of a line.

    >>> render("if ($n) {\\n    $body\\n}", n=3, body="a();\\nb();")
    'if (3) {\\n    a();\\n    b();\\n}'
    """
    used: set[str] = set()

    def put(match: re.Match[str]) -> str:
        indent, alone, inline = match.groups()
        name = alone or inline
        used.add(name)
        text = str(values[name])
        if inline:
            if "\n" in text:
                raise ValueError(f"the text of ${name} has several lines")
            return text
        return "\n".join(indent + line if line else "" for line in text.split("\n"))

    found = _PLACE.sub(put, template)
    if unused := set(values) - used:
        raise KeyError(f"the template has no place for {', '.join(sorted(unused))}")
    return re.sub(r"\n[ \t]*(?=\n)", "", found)


def row_major(shape: Sequence[int]) -> tuple[int, ...]:
    """Give the strides of a contiguous array, in elements.

    >>> row_major((2, 3, 4))
    (12, 4, 1)
    """
    return tuple(math.prod(shape[axis + 1 :]) for axis in range(len(shape)))


@dataclass(frozen=True, slots=True)
class Walk:
    """Axes that one running number counts through, the last the fastest, with a stride each."""

    shape: Shape
    """Lengths."""
    strides: tuple[int, ...]
    """How far one step along each axis goes, in elements."""

    @property
    def size(self) -> int:
        """Numbers that are counted."""
        return math.prod(self.shape)

    @property
    def collapsed(self) -> Walk:
        """Join neighbouring axes that are walked as one, and drop those of length 1.

        >>> Walk((2, 1, 3, 4), (12, 5, 4, 1)).collapsed
        Walk(shape=(24,), strides=(1,))
        """
        axes: list[tuple[int, int]] = []
        for length, stride in zip(self.shape, self.strides, strict=True):
            if length == 1:
                continue
            if axes and axes[-1][1] == stride * length:
                axes[-1] = (axes[-1][0] * length, stride)
            else:
                axes.append((length, stride))
        return Walk(tuple(n for n, _ in axes), tuple(s for _, s in axes))

    @property
    def is_contiguous(self) -> bool:
        """Whether number i lies at offset i."""
        return self.collapsed.strides in ((), (1,))

    @property
    def is_one_place(self) -> bool:
        """Whether every number lies at offset 0."""
        return not any(self.collapsed.strides)

    def packs(self, count: int) -> bool:
        """Whether numbers from a multiple of `count` on lie side by side, at a multiple of it.

        >>> Walk((2, 3, 8), (24, 8, 1)).packs(4), Walk((2, 3), (4, 1)).packs(2)
        (True, False)
        """
        walk = self.collapsed
        if walk.strides[-1:] != (1,) or walk.shape[-1] % count:
            return False
        return all(stride % count == 0 for stride in walk.strides[:-1])

    def repeats(self, count: int) -> bool:
        """Whether numbers from a multiple of `count` on lie in one place.

        >>> Walk((2, 3, 8), (3, 1, 0)).repeats(4), Walk((), ()).repeats(4)
        (True, True)
        """
        walk = self.collapsed
        if not any(walk.strides):
            return True
        return walk.strides[-1] == 0 and walk.shape[-1] % count == 0

    def offset(self, number: str) -> str:
        """Write the offset of element `number`, an expression, as an expression.

        >>> Walk((2, 3, 4), (0, 1, 0)).offset("i")
        '(i / 4 % 3)'
        >>> Walk((2, 3), (1, 2)).offset("i")
        '(i / 3 + i % 3 * 2)'
        """
        walk = self.collapsed
        parts = []
        inner = walk.size
        for axis, (length, stride) in enumerate(zip(walk.shape, walk.strides, strict=True)):
            inner //= length
            if not stride:
                continue
            part = number if inner == 1 else f"{number} / {inner}"
            part = part if axis == 0 else f"{part} % {length}"
            parts.append(part if stride == 1 else f"{part} * {stride}")
        if not parts:
            return "0"
        return parts[0] if parts == [number] else f"({' + '.join(parts)})"


def index_type(*sizes: int) -> str:
    """Give the C++ type that counts so many elements.

    >>> index_type(100, 7), index_type(3 << 30)
    ('int', 'long long')
    """
    # Sums of a base and a few strides stay within twice the largest array.
    return "int" if max(sizes, default=0) < 1 << 30 else "long long"
