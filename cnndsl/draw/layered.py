"""Layered layout of a graph: ranks, an order within each rank, places.

The method of Sugiyama, Tagawa and Toda (1981): nodes get ranks by their longest path from a source;
edges over several ranks get a bend in each rank between; sweeps of barycentres lower the number of
crossings; `places` says where in its rank each node stands.

Everything is said along two axes, so that one layout serves pictures from top to bottom and from
left to right: `along` runs from rank to rank, `across` within a rank.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from cnndsl.draw.places import Gaps, Net, Node, place_across

BEND = 9.0
"""Room on both sides of an edge that passes through a rank."""
SWEEPS = 12
"""Rounds of crossing reduction."""


@dataclass(frozen=True, slots=True)
class Edge:
    """A value on its way."""

    source: int
    """Index of the node that it leaves."""
    target: int
    """Index of the node that reads it."""
    value: str = ""
    """What flows."""


@dataclass(frozen=True, slots=True)
class Route:
    """The way of an edge: points (across, along), alternately straight on and over a gap."""

    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class Layout:
    """Where everything is; the smallest coordinates are 0."""

    across: tuple[float, ...]
    """Axis of each node."""
    along: tuple[float, ...]
    """Where each node begins."""
    routes: tuple[Route, ...]
    """One for each edge."""
    breadth: float
    """Extent across."""
    length: float
    """Extent along."""


def lay_out(
    nodes: Sequence[Node],
    edges: Sequence[Edge],
    gaps: Gaps,
    *,
    tied: tuple[int, int] | None = None,
) -> Layout:
    """Place nodes so that every edge goes forward; the graph must have no cycle.

    Nodes come in an order in which sources stand before targets, and branches that were written
    first stand first. Two `tied` nodes share an axis where that is possible.
    """
    if not nodes:
        return Layout((), (), (), 0.0, 0.0)
    net = _with_bends(nodes, edges, _ranks(nodes, edges))
    _reduce_crossings(net)
    across = place_across(net, gaps, tied=tied)
    least = min(across[i] - node.before for i, node in enumerate(net.nodes))
    across = [place - least for place in across]
    starts, ends = _along(net, across, edges, gaps)
    rank_of = {i: r for r, row in enumerate(net.ranks) for i in row}
    routes = []
    for edge, chain in zip(edges, net.chains, strict=True):
        routes.append(_route(net, edge, chain, across, starts, ends, rank_of))
    breadth = max(across[i] + node.after for i, node in enumerate(net.nodes))
    return Layout(
        tuple(across[: net.real]),
        tuple(starts[rank_of[i]] for i in range(net.real)),
        tuple(routes),
        breadth,
        ends[-1],
    )


def _ranks(nodes: Sequence[Node], edges: Sequence[Edge]) -> list[int]:
    """Give each node its rank: the longest path; sources that feed late ones move to them."""
    ranks = [0] * len(nodes)
    outgoing: list[list[int]] = [[] for _ in nodes]
    incoming = [0] * len(nodes)
    for edge in edges:
        outgoing[edge.source].append(edge.target)
        incoming[edge.target] += 1
    for index in range(len(nodes)):
        for target in outgoing[index]:
            ranks[target] = max(ranks[target], ranks[index] + 1)
    last = max(ranks)
    for index, node in enumerate(nodes):
        if node.at_end:
            ranks[index] = last
    for index, node in enumerate(nodes):
        if index and outgoing[index] and not (incoming[index] or node.at_start):
            ranks[index] = min(ranks[target] for target in outgoing[index]) - 1
    return ranks


def _with_bends(nodes: Sequence[Node], edges: Sequence[Edge], ranks: Sequence[int]) -> Net:
    """Put a bend into every rank that an edge passes through."""
    everything = list(nodes)
    rows: list[list[int]] = [[] for _ in range(max(ranks) + 1)]
    chains = []
    rank_of = list(ranks)
    up: list[list[tuple[int, float]]] = [[] for _ in nodes]
    down: list[list[tuple[int, float]]] = [[] for _ in nodes]
    for edge in edges:
        chain = [edge.source]
        for rank in range(ranks[edge.source] + 1, ranks[edge.target]):
            chain.append(len(everything))
            everything.append(Node(BEND, BEND, 0.0))
            rank_of.append(rank)
            up.append([])
            down.append([])
        chain.append(edge.target)
        chains.append(chain)
        leaves = nodes[edge.source].outs.get(edge.value, 0.0)
        enters = nodes[edge.target].ins.get(edge.value, 0.0)
        for place, (one, two) in enumerate(pairwise(chain)):
            shift = (leaves if place == 0 else 0.0) - (enters if place == len(chain) - 2 else 0.0)
            down[one].append((two, -shift))
            up[two].append((one, shift))
    for index in _first_order(len(everything), down):
        rows[rank_of[index]].append(index)
    return Net(everything, rows, up, down, chains, len(nodes))


def _first_order(count: int, down: Sequence[Sequence[tuple[int, float]]]) -> list[int]:
    """Walk depth first, so that branches begin in the order in which they were written."""
    seen: dict[int, None] = {}
    for start in range(count):
        stack = [start]
        while stack:
            index = stack.pop()
            if index in seen:
                continue
            seen[index] = None
            stack.extend(target for target, _ in reversed(down[index]))
    return list(seen)


def _reduce_crossings(net: Net) -> None:
    """Reorder ranks by barycentres, up and down, and keep the best order found."""
    best = [list(row) for row in net.ranks]
    fewest = _crossings(net)
    for sweep in range(SWEEPS):
        if fewest == 0:
            break
        forward = sweep % 2 == 0
        rows = net.ranks[1:] if forward else net.ranks[-2::-1]
        sides = net.up if forward else net.down
        position = {i: p for row in net.ranks for p, i in enumerate(row)}
        for row in rows:
            centre = {i: float(position[i]) for i in row}
            for i in row:
                if sides[i]:
                    centre[i] = sum(position[n] for n, _ in sides[i]) / len(sides[i])
            row.sort(key=centre.__getitem__)
            position.update((i, p) for p, i in enumerate(row))
        now = _crossings(net)
        if now < fewest:
            fewest, best = now, [list(row) for row in net.ranks]
    net.ranks[:] = best


def _crossings(net: Net) -> int:
    """Count how often edges between neighbouring ranks cross."""
    total = 0
    for row, after in pairwise(net.ranks):
        position = {i: p for p, i in enumerate(after)}
        ends: list[int] = []
        for index in row:
            targets = sorted(position[t] for t, _ in net.down[index])
            total += sum(len(ends) - bisect_left(ends, t + 1) for t in targets)
            for target in targets:
                insort(ends, target)
    return total


def _along(
    net: Net, across: Sequence[float], edges: Sequence[Edge], gaps: Gaps
) -> tuple[list[float], list[float]]:
    """Give where each rank begins and ends; gaps grow with the edges that slant through them."""
    starts, ends = [0.0], [max(net.nodes[i].length for i in net.ranks[0])]
    for row, after in pairwise(net.ranks):
        slants = [abs(across[t] + shift - across[i]) for i in row for t, shift in net.down[i]]
        extra = min(gaps.most, gaps.slope * max(slants, default=0.0))
        starts.append(ends[-1] + gaps.along + extra)
        ends.append(starts[-1] + max(net.nodes[i].length for i in after))
    return starts, ends


def _route(
    net: Net,
    edge: Edge,
    chain: Sequence[int],
    across: Sequence[float],
    starts: Sequence[float],
    ends: Sequence[float],
    rank_of: Mapping[int, int],
) -> Route:
    """Give the points of an edge: straight to the end of its rank, over gaps, through bends."""
    source, target = net.nodes[edge.source], net.nodes[edge.target]
    first = across[edge.source] + source.outs.get(edge.value, 0.0)
    rank = rank_of[edge.source]
    points = [(first, starts[rank] + source.length), (first, ends[rank])]
    for bend in chain[1:-1]:
        rank = rank_of[bend]
        points += [(across[bend], starts[rank]), (across[bend], ends[rank])]
    last = across[edge.target] + target.ins.get(edge.value, 0.0)
    points.append((last, starts[rank_of[edge.target]]))
    return Route(tuple(points))
