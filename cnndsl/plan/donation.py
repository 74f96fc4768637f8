"""Donation: updates that are written straight into the parameter they replace."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cnndsl.ir.graph import Graph, Node, NodeId, Value
from cnndsl.ir.op import Trait
from cnndsl.plan.partition import Partition
from cnndsl.plan.storage import PLAIN, Storage


@dataclass(frozen=True, slots=True)
class Donations:
    """Which updates take the place of their parameter, and what that asks of the order."""

    into: Mapping[Value, NodeId]
    """Update value (never a view) to the parameter whose slot it is written to."""
    after: Mapping[NodeId, tuple[NodeId, ...]]
    """Node that overwrites a parameter to the nodes that read the old value before."""
    order: tuple[NodeId, ...]
    """The run's nodes in an order that keeps to `after`: the program's where it can."""


def overwritable(
    node: Node[Any],
    graph: Graph,
    origin: Mapping[Value, Value],
    storage: Storage = PLAIN,
) -> Iterator[Value]:
    """Walk the operands whose memory the first result of `node` may take, if nobody needs it later.

    An elementwise op reads each element before it writes it, so any operand of the result's type
    will do; another in-place op promises so for the first such operand only, which must then not
    be read a second time under another name.
    """
    if Trait.INPLACE not in node.op.traits:
        return
    width = storage.element_bytes(node.results[0], node.type)
    fitting = [
        value
        for value in node.operands
        if graph.type_of(value) == node.type and storage.element_bytes(value, node.type) == width
    ]
    if Trait.ELEMENTWISE in node.op.traits:
        yield from fitting
        return
    memory = [origin[value] for value in node.operands]
    yield from (value for value in fitting[:1] if memory.count(origin[value]) == 1)


def donations(graph: Graph, part: Partition, storage: Storage = PLAIN) -> Donations:
    """Decide which updates are written in place.

    An update may be when every other node that reads the old value can come earlier, nothing
    reads the old value at the end of the run, and the node that makes the new value either does
    not read the old one or may overwrite it. Where updates wait for one another in a circle, the
    oldest of the circle is copied instead.
    """
    readers = _readers(graph, part)
    at_end = {part.origin[value] for value in graph.roots()}
    run = set(part.run)
    into: dict[Value, NodeId] = {}
    after: dict[NodeId, set[NodeId]] = {}
    for parameter, value in graph.updates.items():
        old, new = Value(parameter), part.origin[value]
        if new.node not in run or new in into or old in at_end:
            continue
        earlier = readers.get(old, [])
        if new.node in earlier and not _overwrites(graph, part.origin, old, new, storage):
            continue
        into[new] = parameter
        after.setdefault(new.node, set()).update(set(earlier) - {new.node})
    order, refused = _order(part.run, _needs(graph, part), after)
    kept = {value: p for value, p in into.items() if value.node not in refused}
    return Donations(
        into=kept,
        after={n: tuple(sorted(e)) for n, e in after.items() if n not in refused and e},
        order=order,
    )


def no_donations(part: Partition) -> Donations:
    """Give the decision to copy every update."""
    return Donations({}, {}, part.run)


def _overwrites(
    graph: Graph, origin: Mapping[Value, Value], old: Value, new: Value, storage: Storage
) -> bool:
    fitting = overwritable(graph[new], graph, origin, storage)
    return new.index == 0 and any(origin[value] == old for value in fitting)


def _readers(graph: Graph, part: Partition) -> dict[Value, list[NodeId]]:
    """Memory to the nodes of the run that read it, each once."""
    readers: dict[Value, list[NodeId]] = {}
    for node_id in part.run:
        for memory in dict.fromkeys(part.origin[value] for value in graph[node_id].operands):
            readers.setdefault(memory, []).append(node_id)
    return readers


def _needs(graph: Graph, part: Partition) -> dict[NodeId, set[NodeId]]:
    """Node of the run to the nodes of the run whose results it reads, views looked through."""
    run = set(part.run)
    return {
        node_id: {part.origin[value].node for value in graph[node_id].operands} & run
        for node_id in part.run
    }


def _order(
    nodes: Sequence[NodeId],
    needs: Mapping[NodeId, set[NodeId]],
    wishes: Mapping[NodeId, set[NodeId]],
) -> tuple[tuple[NodeId, ...], set[NodeId]]:
    """Order `nodes` after what they need and, where possible, after what they wish for.

    Gives the order and the nodes whose wishes could not be met.
    """
    age = {node_id: index for index, node_id in enumerate(nodes)}
    waiting = {n: len(needs[n]) for n in nodes}
    wishing = {n: len(wishes.get(n, ())) for n in nodes}
    followers: dict[NodeId, list[NodeId]] = {n: [] for n in nodes}
    admirers: dict[NodeId, list[NodeId]] = {n: [] for n in nodes}
    for n in nodes:
        for earlier in needs[n]:
            followers[earlier].append(n)
        for earlier in wishes.get(n, ()):
            admirers[earlier].append(n)
    ready = [age[n] for n in nodes if not waiting[n] and not wishing[n]]
    blocked = [age[n] for n in nodes if not waiting[n] and wishing[n]]
    heapq.heapify(ready)
    heapq.heapify(blocked)
    order: list[NodeId] = []
    refused: set[NodeId] = set()
    while ready or blocked:
        if not ready:
            # Everything that could run waits for a read that waits for it: give up one donation.
            n = nodes[heapq.heappop(blocked)]
            if wishing[n]:
                refused.add(n)
                wishing[n] = 0
                heapq.heappush(ready, age[n])
            continue
        n = nodes[heapq.heappop(ready)]
        order.append(n)
        for later in followers[n]:
            waiting[later] -= 1
            if not waiting[later]:
                heapq.heappush(blocked if wishing[later] else ready, age[later])
        for later in admirers[n]:
            if later not in refused:
                wishing[later] -= 1
                if not wishing[later] and not waiting[later]:
                    heapq.heappush(ready, age[later])
    return tuple(order), refused
