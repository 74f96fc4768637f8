"""Layout of boxes and clusters: each cluster is laid out by itself and placed as one node."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from cnndsl.draw.layered import Edge, Layout, Route, lay_out
from cnndsl.draw.places import Gaps, Node
from cnndsl.draw.scene import Item
from cnndsl.draw.svg import curve, move, straight

PORT = 3.0
"""Room on both sides of an edge that enters or leaves a cluster."""


@dataclass(frozen=True, slots=True)
class Sized:
    """An item with its extent; clusters with what is in them."""

    item: Item
    """The item."""
    node: Node
    """What the layout knows of it."""
    width: float
    """Of what is drawn, without the outlines of hidden copies."""
    height: float
    """Of the same."""
    inner: Inner | None = None
    """What is in a cluster."""


@dataclass(frozen=True, slots=True)
class Inner:
    """The inside of a cluster, or the whole picture."""

    entries: int
    """Values that come in; their nodes stand before those of the parts."""
    parts: tuple[Sized, ...]
    """The items."""
    layout: Layout
    """Places of entries, parts and exits."""
    edges: tuple[Edge, ...]
    """What flows, in the order of the layout's routes."""

    def ends_in_part(self, edge: Edge) -> bool:
        """Tell whether an edge ends in a part, and not at the border."""
        return edge.target < self.entries + len(self.parts)

    def enters(self, number: int) -> float:
        """Give the axis of the value that comes in as number `number`."""
        return self.layout.across[number]

    def leaves(self, number: int) -> float:
        """Give the axis of the value that leaves as number `number`."""
        return self.layout.across[self.entries + len(self.parts) + number]


def inside(
    items: Sequence[Item],
    entries: Sequence[str],
    exits: Sequence[str],
    sized: Callable[[Item], Sized],
    gaps: Gaps,
) -> Inner:
    """Lay out items; `entries` are values that come in, `exits` values that leave."""
    parts = tuple(sized(item) for item in items)
    nodes = [Node(PORT, PORT, 0.0, at_start=True) for _ in entries]
    nodes += [part.node for part in parts]
    last = len(nodes)
    nodes += [Node(PORT, PORT, 0.0, at_end=True) for _ in exits]
    made = {value: index for index, value in enumerate(entries)}
    edges: list[Edge] = []
    for index, part in enumerate(parts, len(entries)):
        edges += [Edge(made[value], index, value) for value in part.item.inputs]
        made.update((value, index) for value in part.node.outs)
    edges += [Edge(made[value], last + i, value) for i, value in enumerate(exits)]
    tied = (0, last) if len(entries) == len(exits) == 1 else None
    layout = lay_out(nodes, edges, gaps, tied=tied)
    return Inner(len(entries), parts, layout, tuple(edges))


def path_of(route: Route, x: float, y: float, *, sideways: bool = False) -> str:
    """Give the path of an edge whose layout begins at `x`, `y`; `sideways` for left to right."""
    commands = []
    before = route.points[0]
    for number, point in enumerate(route.points):
        (a0, b0), (a1, b1) = before, point
        if number == 0:
            commands.append(move(*_screen(a1, b1, x, y, sideways=sideways)))
        elif number % 2 == 0 and abs(a1 - a0) > 0.5:
            middle = (b0 + b1) / 2
            handles = [(a0, middle), (a1, middle), (a1, b1)]
            one, two, end = (_screen(a, b, x, y, sideways=sideways) for a, b in handles)
            commands.append(curve(*one, *two, *end))
        else:
            commands.append(straight(*_screen(a1, b1, x, y, sideways=sideways)))
        before = point
    return "".join(commands)


def _screen(
    across: float, along: float, x: float, y: float, *, sideways: bool
) -> tuple[float, float]:
    return (x + along, y + across) if sideways else (x + across, y + along)
