"""What a pass did to a graph, change by change, and what it saved: the answer to `cnndsl why`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from cnndsl.ir.graph import Graph, Node, NodeId, Value
from cnndsl.ops.rules import Cost, cost_of
from cnndsl.passes.base import Pass
from cnndsl.passes.canonicalize import Canonicalize


@dataclass(frozen=True, slots=True)
class Rewrite:
    """One change: some connected nodes that became others."""

    before: tuple[Node[Any], ...]
    """The nodes that went or were redefined, as they were."""
    after: tuple[Node[Any], ...]
    """The nodes that came or were redefined, as they are; a name that stays is the same value."""
    stands_in: tuple[tuple[Value, Value], ...]
    """(old, new): values that went, and the ones that their readers read instead."""
    reason: str
    """Why."""
    cost_before: Cost
    """What running `before` once takes."""
    cost_after: Cost
    """What running `after` once takes."""

    @property
    def saved(self) -> Cost:
        """What a run saves; negative where it takes more."""
        return _less(self.cost_before, self.cost_after)


@dataclass(frozen=True, slots=True)
class Rewrites:
    """Everything that a pass did."""

    name: str
    """The pass."""
    before: Graph
    """The graph that it was given."""
    after: Graph
    """The graph that it made."""
    changes: tuple[Rewrite, ...]
    """Each change, in the order of the graph before."""

    @property
    def saved(self) -> Cost:
        """What a run of the whole graph saves."""
        return _less(_cost(self.before, self.before.nodes()), _cost(self.after, self.after.nodes()))


def explain_pass(graph: Graph, pass_: Pass) -> Rewrites:
    """Run a pass and tell what it changed; `graph` itself stays as it is."""
    rules: dict[NodeId, list[str]] = {}
    if isinstance(pass_, Canonicalize):
        pass_ = replace(
            pass_, on_apply=lambda rule, node_id: rules.setdefault(node_id, []).append(rule)
        )
    after = pass_(graph)
    was = {node.id: node for node in graph.nodes()}
    now = {node.id: node for node in after.nodes()}
    stands_in = _stands_in(graph, after)
    # A node that only reads what stands in for an old operand is no change of its own.
    redefined = {
        node_id
        for node_id in was.keys() & now.keys()
        if _with_operands(was[node_id], stands_in) != _with_operands(now[node_id], stands_in)
    }
    gone, come = was.keys() - now.keys(), now.keys() - was.keys()
    changed = gone | come | redefined
    changes: list[Rewrite] = []
    for group in _groups(changed, was, now):
        old = tuple(was[node_id] for node_id in was if node_id in group)
        new = tuple(now[node_id] for node_id in now if node_id in group)
        names = dict.fromkeys(rule for node in old for rule in rules.get(node.id, ()))
        changes.append(
            Rewrite(
                before=old,
                after=new,
                stands_in=tuple((v, w) for v, w in stands_in.items() if v.node in group),
                reason="; ".join(names) or pass_.reason,
                cost_before=_cost(graph, old),
                cost_after=_cost(after, new),
            )
        )
    return Rewrites(pass_.name, graph, after, tuple(changes))


def _with_operands(node: Node[Any], stands_in: Mapping[Value, Value]) -> object:
    operands = tuple(stands_in.get(value, value) for value in node.operands)
    return node.op, operands, node.attrs, node.types


def _stands_in(graph: Graph, after: Graph) -> dict[Value, Value]:
    """Find, for values that went, what readers of theirs that are else unchanged read now."""
    found: dict[Value, Value] = {}
    for node in graph.nodes():
        if node.id not in after:
            continue
        other = after[node.id]
        if other.op is node.op and len(other.operands) == len(node.operands):
            pairs = zip(node.operands, other.operands, strict=True)
            found |= {old: new for old, new in pairs if old != new and old.node not in after}
    for name, old in graph.outputs.items():
        if old.node not in after:
            found[old] = after.outputs[name]
    for parameter, old in graph.updates.items():
        if old.node not in after:
            found[old] = after.updates[parameter]
    return found


def _groups(
    changed: set[NodeId], was: Mapping[NodeId, Node[Any]], now: Mapping[NodeId, Node[Any]]
) -> list[set[NodeId]]:
    """Split the changed nodes into connected groups, in the order of the graph before.

    A name that stays is the same value, so nothing changes across it: it ends a group.
    """
    near: dict[NodeId, set[NodeId]] = {node_id: set() for node_id in changed}
    for nodes in (was, now):
        for node_id in changed & nodes.keys():
            for value in nodes[node_id].operands:
                stays = value.node in was and value.node in now
                if value.node in changed and not stays:
                    near[node_id].add(value.node)
                    near[value.node].add(node_id)
    groups: list[set[NodeId]] = []
    seen: set[NodeId] = set()
    for start in (*was, *now):
        if start not in changed or start in seen:
            continue
        group: set[NodeId] = set()
        work = [start]
        while work:
            node_id = work.pop()
            if node_id not in group:
                group.add(node_id)
                work.extend(near[node_id])
        seen |= group
        groups.append(group)
    return groups


def _cost(graph: Graph, nodes: Iterable[Node[Any]]) -> Cost:
    total = Cost()
    for node in nodes:
        if node.op.name not in ("input", "parameter", "constant", "full"):
            total += cost_of(node, [graph.type_of(value) for value in node.operands])
    return total


def _less(a: Cost, b: Cost) -> Cost:
    return Cost(
        a.flops - b.flops,
        a.macs - b.macs,
        a.bytes_read - b.bytes_read,
        a.bytes_written - b.bytes_written,
    )
