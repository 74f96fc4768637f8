"""A program while it is gathered from a slide: lines, sizes, claims, defaults, assertions."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

ARITHMETIC = "input [1]  # no network: arithmetic only"
"""What a program begins with that only checks numbers."""

REMARK_WIDTH = 96
"""Where a remark made of a slide's prose is cut."""


@dataclass(frozen=True, slots=True)
class Options:
    """Conventions that a slide leaves to its reader."""

    input: str = ""
    """The input where a slide shows none: "32x32x3"."""
    layout: str = "hwc"
    """How the slide writes sizes: "hwc", or "chw" with the channels first."""
    rounding: str = ""
    """What to do with sizes that do not come out whole: "", "floor" or "ceil"."""

    def size(self, text: str) -> str:
        """Bring a size into the language's order of axes.

        >>> Options(layout="chw").size("3x32x30")
        '32x30x3'
        """
        axes = text.replace(" ", "").split("x")
        if self.layout == "chw" and len(axes) == 3:
            axes = [axes[1], axes[2], axes[0]]
        return "x".join(axes)


@dataclass(slots=True)
class Row:
    """One line that makes a layer."""

    words: str
    """The layer's words."""
    label: str = ""
    """What stands before its colon."""
    size: str = ""
    """The size that it must make."""
    claims: dict[str, str] = field(default_factory=dict)
    """What the slide says about it, by key."""
    remark: str = ""
    """A remark behind it."""

    @property
    def is_input(self) -> bool:
        """Whether it declares the input."""
        return re.match(r"input\b", self.label or self.words, re.IGNORECASE) is not None

    def text(self, number: int) -> str:
        """Write the line; a claim needs a label before it, so line `number` gets one."""
        before = f"[{self.size}] " if self.size and not self.is_input else ""
        claims = "".join(f"  {key}: {value}" for key, value in self.claims.items())
        name = self.label or (f"L{number}" if claims else "")
        label = f"{name}: " if name else ""
        remark = f"  # {self.remark}" if self.remark else ""
        return f"{before}{label}{self.words}{claims}{remark}"


@dataclass(slots=True)
class Sheet:
    """The program of one page."""

    head: list[str] = field(default_factory=list)
    """Parameters, defaults, blocks: what stands before the layers."""
    rows: list[Row | str] = field(default_factory=list)
    """Layers and other lines, in order."""
    tail: list[str] = field(default_factory=list)
    """Assertions."""
    counting: dict[str, None] = field(default_factory=dict)
    """Conventions of its claims, in order."""

    def copy(self) -> Sheet:
        """Give a sheet that goes on where this one ends."""
        rows = [
            Row(r.words, r.label, r.size, dict(r.claims), r.remark) if isinstance(r, Row) else r
            for r in self.rows
        ]
        return Sheet(list(self.head), rows, list(self.tail), dict(self.counting))

    @property
    def layers(self) -> list[Row]:
        """The lines that make layers or the input."""
        return [row for row in self.rows if isinstance(row, Row)]

    @property
    def last(self) -> Row | None:
        """The last layer, the input left out."""
        layers = [row for row in self.layers if not row.is_input]
        return layers[-1] if layers else None

    @property
    def is_empty(self) -> bool:
        """Whether nothing but remarks was found."""
        return not (self.layers or self.tail or [h for h in self.head if not h.startswith("#")])

    def add(self, words: str, *, label: str = "", size: str = "", remark: str = "") -> Row:
        """Add a layer."""
        row = Row(words, label, size, remark=remark)
        self.rows.append(row)
        return row

    def note(self, text: str) -> None:
        """Keep a line of prose as a remark."""
        shown = " ".join(text.split())
        if shown:
            self.rows.append(f"# {shown[:REMARK_WIDTH]}")

    def claim(self, test: str) -> None:
        """Add an assertion, once."""
        line = f"assert {test}"
        if line not in self.tail:
            self.tail.append(line)

    def text(self) -> str:
        """Write the program."""
        rows = [
            row.text(number) if isinstance(row, Row) else row
            for number, row in enumerate(self.rows, 1)
        ]
        if not self.layers and self.tail and not any("net " in h for h in self.head):
            rows.append(ARITHMETIC)
        counting = [f"counting: {', '.join(self.counting)}"] if self.counting else []
        return "\n".join([*self.head, *counting, *rows, *self.tail, ""])


def hyphened(name: str) -> str:
    """Make one word of a name: "A-LRN" to "A_LRN", "3x3 Conv" to "Conv3x3".

    >>> hyphened("3x3 Conv"), hyphened("inception (3a)"), hyphened("VGG-16")
    ('Conv3x3', 'inception3a', 'VGG16')
    """
    words = re.findall(r"[A-Za-z0-9_]+", name)
    if words and words[0][:1].isdigit() and len(words) > 1:
        words = [*words[1:], words[0]]
    if len(words) == 2 and words[1].isupper() and len(words[1]) > 1 and not words[1].isdigit():
        return "_".join(words)
    text = "".join(words)
    return f"n{text}" if text[:1].isdigit() else text
