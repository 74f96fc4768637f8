"""Where in its rank each node of a layered layout stands.

Nodes that simply follow one another, and the bends of one edge, form segments, which stay
straight. Segments are packed in their order and then slide towards their neighbours until nothing
moves; a segment goes no further than the gaps to those beside it allow. Straight segments are the
idea of Sander (1996), "A fast heuristic for hierarchical Manhattan layout".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

ROUNDS = 100
"""The most rounds of sliding."""
STILL = 0.25
"""A round that moves nothing further than this is the last."""


@dataclass(frozen=True, slots=True)
class Node:
    """What is to be placed. Its axis is the line through which edges come in, if it is plain."""

    before: float
    """Its extent across, before its axis."""
    after: float
    """Its extent across, behind its axis."""
    length: float
    """Its extent along."""
    ins: Mapping[str, float] = field(default_factory=dict)
    """By value that it reads: where the edge ends, across, from its axis; 0 if not here."""
    outs: Mapping[str, float] = field(default_factory=dict)
    """By value that leaves it: where the edge begins."""
    at_start: bool = False
    """Whether it belongs into the first rank; other sources stand where they are needed."""
    at_end: bool = False
    """Whether it belongs into the last rank."""


@dataclass(frozen=True, slots=True)
class Gaps:
    """Room between things."""

    along: float = 22.0
    """From rank to rank, at least."""
    across: float = 22.0
    """Between nodes of a rank."""
    slope: float = 0.14
    """How much further apart ranks are for each pixel across that an edge between them spans."""
    most: float = 60.0
    """The most that adds."""


@dataclass(slots=True)
class Net:
    """Nodes and bends in ranks."""

    nodes: list[Node]
    """Nodes, then bends."""
    ranks: list[list[int]]
    """Indices, in order."""
    up: list[list[tuple[int, float]]]
    """By node: neighbours in the rank before, and how far behind their axis this one's should be
    for a straight edge."""
    down: list[list[tuple[int, float]]]
    """The same for the rank behind."""
    chains: list[list[int]]
    """By edge: source, bends, target."""
    real: int
    """How many are no bends."""

    def apart(self, one: int, two: int, gaps: Gaps) -> float:
        """Give the least distance of the axes of two neighbours in a rank."""
        bends = (one >= self.real) + (two >= self.real)
        gap = gaps.across * (1.0, 0.6, 0.0)[bends]
        return self.nodes[one].after + gap + self.nodes[two].before

    def main(
        self, index: int, side: Sequence[Sequence[tuple[int, float]]]
    ) -> list[tuple[int, float]]:
        """Give the neighbours that a node heeds: long edges only if there are no others."""
        around = side[index]
        if index >= self.real:
            return list(around)
        return [n for n in around if n[0] < self.real] or list(around)


@dataclass(slots=True)
class _Segments:
    """Nodes in straight lines."""

    of: list[int]
    """By node: its segment."""
    shift: list[float]
    """By node: its axis, from that of its segment."""
    members: list[list[int]]
    """By segment: its nodes, from rank to rank."""


def place_across(net: Net, gaps: Gaps, *, tied: tuple[int, int] | None = None) -> list[float]:
    """Give the axis of each node; the order within ranks is kept.

    Two `tied` nodes have one axis, if the order allows it.
    """
    segments = _segments(net)
    position = {i: p for row in net.ranks for p, i in enumerate(row)}
    rank_of = {i: r for r, row in enumerate(net.ranks) for i in row}
    if tied is not None:
        segments = _tied(net, segments, *tied, gaps)
    places = _packed(net, segments, gaps) or [0.0] * len(segments.members)
    pulls = [_pulls(net, segments, number) for number in range(len(segments.members))]
    for turn in range(ROUNDS):
        moved = 0.0
        order = range(len(places)) if turn % 2 == 0 else range(len(places) - 1, -1, -1)
        for number in order:
            if not pulls[number]:
                continue
            weight = sum(w for _, _, w in pulls[number])
            wanted = sum((places[s] + by) * w for s, by, w in pulls[number]) / weight
            low, high = float("-inf"), float("inf")
            for index in segments.members[number]:
                row, at = net.ranks[rank_of[index]], position[index]
                if at > 0:
                    left = row[at - 1]
                    edge = places[segments.of[left]] + segments.shift[left]
                    low = max(low, edge + net.apart(left, index, gaps) - segments.shift[index])
                if at + 1 < len(row):
                    right = row[at + 1]
                    edge = places[segments.of[right]] + segments.shift[right]
                    high = min(high, edge - net.apart(index, right, gaps) - segments.shift[index])
            goal = max(low, min(high, wanted))
            moved = max(moved, abs(goal - places[number]))
            places[number] = goal
        if moved < STILL:
            break
    return [round(places[segments.of[i]]) + segments.shift[i] for i in range(len(net.nodes))]


def _segments(net: Net) -> _Segments:
    """Join nodes to lines; of two joints that cross, the one between bends is kept."""
    joints: list[tuple[int, int, float]] = []
    position = {i: p for row in net.ranks for p, i in enumerate(row)}
    for row in net.ranks:
        taken: list[tuple[int, int]] = []
        between_bends = [j for i in row for j in _joints(net, i, bends=True)]
        between_nodes = [j for i in row for j in _joints(net, i, bends=False)]
        for one, two, shift in between_bends + between_nodes:
            here, there = position[one], position[two]
            if all((here - a) * (there - b) > 0 for a, b in taken):
                taken.append((here, there))
                joints.append((one, two, shift))
    found = _Segments([-1] * len(net.nodes), [0.0] * len(net.nodes), [])
    follows = {one: (two, shift) for one, two, shift in joints}
    led = {two for _, two, _ in joints}
    for index in (i for row in net.ranks for i in row if i not in led):
        line, at, shift = [index], index, 0.0
        found.of[index] = len(found.members)
        while at in follows:
            at, by = follows[at]
            shift += by
            found.of[at], found.shift[at] = len(found.members), shift
            line.append(at)
        found.members.append(line)
    return found


def _joints(net: Net, index: int, *, bends: bool) -> list[tuple[int, int, float]]:
    """Give the node behind `index` if they are to be in line, with its shift."""
    behind = net.main(index, net.down)
    if len(behind) != 1 or (index >= net.real) != bends:
        return []
    other, shift = behind[0]
    alike = (index >= net.real) == (other >= net.real)
    before = net.main(other, net.up) if alike else net.up[other]
    return [(index, other, -shift)] if [b[0] for b in before] == [index] else []


def _tied(net: Net, segments: _Segments, one: int, two: int, gaps: Gaps) -> _Segments:
    """Join the segments of two nodes that are to have one axis, if that is possible."""
    first, second = segments.of[one], segments.of[two]
    if first == second:
        return segments
    by = segments.shift[one] - segments.shift[two]
    moved = set(segments.members[second])
    joined = _Segments(
        [first if i in moved else n for i, n in enumerate(segments.of)],
        [shift + by if i in moved else shift for i, shift in enumerate(segments.shift)],
        list(segments.members),
    )
    joined.members[first] = [*segments.members[first], *segments.members[second]]
    joined.members[second] = []
    return joined if _packed(net, joined, gaps) else segments


def _packed(net: Net, segments: _Segments, gaps: Gaps) -> list[float]:
    """Pack segments from the left: each as far left as those before it in any rank allow.

    Gives nothing if they stand before one another in a circle.
    """
    behind: list[list[tuple[int, float]]] = [[] for _ in segments.members]
    waits = [0] * len(segments.members)
    for row in net.ranks:
        for one, two in pairwise(row):
            distance = net.apart(one, two, gaps) + segments.shift[one] - segments.shift[two]
            behind[segments.of[one]].append((segments.of[two], distance))
            waits[segments.of[two]] += 1
    places = [0.0] * len(segments.members)
    ready = [number for number, count in enumerate(waits) if count == 0]
    while ready:
        number = ready.pop()
        for other, distance in behind[number]:
            places[other] = max(places[other], places[number] + distance)
            waits[other] -= 1
            if waits[other] == 0:
                ready.append(other)
    return places if not any(waits) else []


def _pulls(net: Net, segments: _Segments, number: int) -> list[tuple[int, float, float]]:
    """Give what pulls at a segment: (other segment, how far behind it this one is to be, force)."""
    found = []
    for index in segments.members[number]:
        for side in (net.up, net.down):
            for other, shift in net.main(index, side):
                there = segments.of[other]
                if there != number:
                    by = segments.shift[other] + shift - segments.shift[index]
                    found.append((there, by, 1.0))
    return found
