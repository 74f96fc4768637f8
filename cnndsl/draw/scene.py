"""What a picture shows: boxes for layers, clusters for blocks, and what flows between them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

from cnndsl.layers.base import Hwc


@dataclass(frozen=True, slots=True)
class Strip:
    """One layer within a box."""

    kind: str
    """The canonical word of its kind; "input" and "output" for the ends, "block" for a block."""
    words: str
    """The layer as a program writes it."""


@dataclass(frozen=True, slots=True)
class Outlet:
    """A value that leaves a box."""

    value: str
    """The layer or input whose result it is."""
    sizes: tuple[Hwc, ...]
    """Its size, in each copy of what is collapsed."""

    @property
    def size(self) -> str:
        """The size as text; sides that differ from copy to copy are ranges.

        >>> Outlet("concat1", ((56, 56, 96), (56, 56, 256))).size
        '56x56x96..256'
        """
        first = self.sizes[0]
        if any(len(size) != len(first) for size in self.sizes):
            return " .. ".join("x".join(map(str, s)) for s in (first, self.sizes[-1]))
        sides = []
        for values in zip(*self.sizes, strict=True):
            low, high = min(values), max(values)
            sides.append(str(low) if low == high else f"{low}..{high}")
        return "x".join(sides)


@dataclass(frozen=True, slots=True)
class Box:
    """A layer with those that only refine its result, or a closed block."""

    names: tuple[str, ...]
    """What it is called, in each copy; the first names the box itself."""
    strips: tuple[Strip, ...]
    """Its layers from top to bottom."""
    inputs: tuple[str, ...]
    """The values that it reads, each once."""
    outlets: tuple[Outlet, ...]
    """The values that leave it; one, unless it is a closed block with several."""
    members: tuple[str, ...]
    """All layers that it stands for."""
    copies: int = 1
    """How many there are of it in a row."""
    params: int = 0
    """Numbers that training moves, in all copies."""
    macs: int = 0
    """Multiply-adds for one image, in all copies."""
    labelled: bool = False
    """Whether the program gave the name."""

    @property
    def key(self) -> str:
        """What no other item of the picture is called."""
        return self.names[0]

    @property
    def kind(self) -> str:
        """The kind of its first layer."""
        return self.strips[0].kind

    @property
    def title(self) -> str:
        """Its names in short: `conv3`, `CONV2..12`, `conv12, ..`."""
        return _names_in_short(self.names)

    @property
    def about(self) -> str:
        """What a viewer shows on hovering: names, layers, sizes and counts, a line each."""
        lines = [self.title + (f" (×{self.copies})" if self.copies > 1 else "")]
        lines.append(", ".join(strip.words for strip in self.strips))
        lines += [f"gives {outlet.size}" for outlet in self.outlets]
        lines += [f"{self.params:,} parameters"] if self.params else []
        lines += [f"{self.macs:,} multiply-adds"] if self.macs else []
        return "\n".join(lines)


@dataclass(frozen=True, slots=True)
class Cluster:
    """An open block, or several items that repeat."""

    key: str
    """What no other item of the picture is called."""
    title: str
    """The use of the block: `bottleneck(64)`; empty for a repeated run of layers."""
    children: tuple[Item, ...]
    """What is in it."""
    exits: tuple[str, ...]
    """The values that leave it."""
    copies: int = 1
    """How many there are of it in a row; one is shown."""

    @property
    def members(self) -> tuple[str, ...]:
        """All layers in it."""
        return tuple(name for child in self.children for name in child.members)

    @property
    def inputs(self) -> tuple[str, ...]:
        """The values that it reads and does not make itself, each once."""
        made = {outlet.value for box in boxes_of(self.children) for outlet in box.outlets}
        read = [value for box in boxes_of(self.children) for value in box.inputs]
        return tuple(dict.fromkeys(value for value in read if value not in made))


Item: TypeAlias = Box | Cluster
"""A part of a picture."""


@dataclass(frozen=True, slots=True)
class Scene:
    """A whole picture."""

    name: str
    """The network's name."""
    items: tuple[Item, ...]
    """Its parts, each after those it reads."""

    @property
    def boxes(self) -> tuple[Box, ...]:
        """Every box, inside clusters too."""
        return tuple(boxes_of(self.items))


def boxes_of(items: tuple[Item, ...]) -> Iterator[Box]:
    """Walk the boxes of items and of the clusters among them."""
    for item in items:
        if isinstance(item, Box):
            yield item
        else:
            yield from boxes_of(item.children)


def _names_in_short(names: tuple[str, ...]) -> str:
    """Write names as a range where they count up, else the first of them.

    >>> _names_in_short(("CONV2", "CONV3", "CONV4")), _names_in_short(("conv5", "conv8"))
    ('CONV2..4', 'conv5, ..')
    """
    if len(names) == 1:
        return names[0]
    stem = names[0].rstrip("0123456789")
    numbers = [name.removeprefix(stem) for name in names]
    if all(n.isascii() and n.isdigit() for n in numbers):
        counted = list(map(int, numbers))
        if counted == list(range(counted[0], counted[0] + len(names))):
            return f"{names[0]}..{numbers[-1]}"
    return f"{names[0]}, .."
