"""Lifetimes: from the step that writes a value to the last one that reads it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from cnndsl.ir.graph import Graph, NodeId, Value
from cnndsl.plan.plan import Lifetime

BEFORE = -1
"""The point before the first step of a phase."""


def lifetimes(
    graph: Graph,
    order: Sequence[NodeId],
    origin: Mapping[Value, Value],
    at_end: Iterable[Value],
) -> dict[Value, Lifetime]:
    """Give the lifetime of each value that the steps of one phase, run in `order`, touch.

    A view lives from when its memory is written. Values that no step of the phase writes live
    from `BEFORE`; those `at_end` until `len(order)`.
    """
    number = {node_id: index for index, node_id in enumerate(order)}
    last: dict[Value, int] = {}
    for index, node_id in enumerate(order):
        for value in graph[node_id].results:
            last[value] = index
        for value in graph[node_id].operands:
            last[value] = index
    for value in at_end:
        last[value] = len(order)
    return {
        value: Lifetime(number.get(origin[value].node, BEFORE), end) for value, end in last.items()
    }


def of_memory(
    values: Mapping[Value, Lifetime], origin: Mapping[Value, Value]
) -> dict[Value, Lifetime]:
    """Join the lifetimes of the values that share memory, by the value that owns the memory."""
    joined: dict[Value, Lifetime] = {}
    for value, life in values.items():
        owner = origin[value]
        known = joined.get(owner, life)
        joined[owner] = Lifetime(min(known.first, life.first), max(known.last, life.last))
    return joined


def most_live(spans: Iterable[tuple[Lifetime, int]]) -> int:
    """Give the largest sum of bytes live at one step: no placement needs less.

    >>> most_live([(Lifetime(0, 1), 10), (Lifetime(1, 2), 5), (Lifetime(2, 3), 7)])
    15
    """
    change: dict[int, int] = {}
    for life, nbytes in spans:
        change[life.first] = change.get(life.first, 0) + nbytes
        change[life.last + 1] = change.get(life.last + 1, 0) - nbytes
    live = highest = 0
    for step in sorted(change):
        live += change[step]
        highest = max(highest, live)
    return highest
