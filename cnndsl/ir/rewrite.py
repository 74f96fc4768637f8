"""Patterns and rules: small local rewrites, driven by a work list."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from cnndsl.ir.builder import Builder
from cnndsl.ir.graph import Graph, Node, NodeId, Origin, Value
from cnndsl.ir.op import Op, Trait
from cnndsl.support.diagnostics import VerifyError


def _always(node: Node[Any]) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Pattern:
    """A shape of a piece of graph: any value, or a node of an op whose operands fit patterns."""

    op: Op[Any] | None = None
    """The op of the node; nothing fits any value."""
    operands: tuple[Pattern, ...] = ()
    """One a operand, in order; a commutative op's two may change places."""
    name: str | None = None
    """What the match calls it; the same name twice means the same value twice."""
    where: Callable[[Node[Any]], bool] = _always
    """A further condition on the node."""
    any_operands: bool = False
    """Whether operands after the ones that have a pattern may be anything, as many as there are."""
    shared: bool = False
    """Whether an inner node may have other readers; without, a rule never repeats its work."""


@dataclass(frozen=True, slots=True)
class Match:
    """Where a pattern fits."""

    root: Node[Any]
    """The node that the whole pattern fits."""
    values: Mapping[str, Value] = field(default_factory=dict)
    """The named values; of a named node its first result."""
    nodes: Mapping[str, Node[Any]] = field(default_factory=dict)
    """The named nodes."""


@dataclass(frozen=True, slots=True)
class Rule:
    """Replace the first result of what a pattern fits by what `build` makes of it."""

    name: str
    """What it does, in words: "transpose of transpose"."""
    pattern: Pattern
    """Where it applies."""
    build: Callable[[Builder, Match], Value | None]
    """Make the new value, of the same type, or nothing when the rule does not apply after all."""


def var(name: str) -> Pattern:
    """Fit any value and call it `name`."""
    return Pattern(name=name)


def pattern(
    op: Op[Any],
    *operands: Pattern,
    name: str | None = None,
    where: Callable[[Node[Any]], bool] = _always,
    any_operands: bool = False,
    shared: bool = False,
) -> Pattern:
    """Fit a node of `op` whose operands fit `operands`; see `Pattern` for the conditions."""
    return Pattern(op, operands, name, where, any_operands, shared)


def find_match(graph: Graph, rule: Rule, root: Node[Any]) -> Match | None:
    """Fit a rule's pattern at `root`; of several fits the first."""
    for values, nodes in _fit(graph, rule.pattern, root.results[0], {}, {}, is_root=True):
        return Match(root, values, nodes)
    return None


_Values = dict[str, Value]
_Nodes = dict[str, Node[Any]]


def _fit(
    graph: Graph, want: Pattern, value: Value, values: _Values, nodes: _Nodes, *, is_root: bool
) -> Iterator[tuple[_Values, _Nodes]]:
    """Give every way in which `want` fits `value`, as bindings that extend the given ones."""
    if want.name is not None:
        if values.get(want.name, value) != value:
            return
        values = {**values, want.name: value}
    if want.op is None:
        yield values, nodes
        return
    node = graph[value]
    if node.op is not want.op or value.index or not _fits_count(want, node):
        return
    if not is_root and not want.shared and is_shared(graph, node):
        return
    if not want.where(node):
        return
    if want.name is not None:
        nodes = {**nodes, want.name: node}
    orders = [want.operands]
    if Trait.COMMUTATIVE in node.op.traits and len(want.operands) == 2:
        orders.append(want.operands[::-1])
    for order in orders:
        yield from _fit_all(graph, list(zip(order, node.operands, strict=False)), values, nodes)


def _fits_count(want: Pattern, node: Node[Any]) -> bool:
    if want.any_operands:
        return len(node.operands) >= len(want.operands)
    return len(node.operands) == len(want.operands)


def _fit_all(
    graph: Graph, pairs: list[tuple[Pattern, Value]], values: _Values, nodes: _Nodes
) -> Iterator[tuple[_Values, _Nodes]]:
    if not pairs:
        yield values, nodes
        return
    (want, value), *rest = pairs
    for more_values, more_nodes in _fit(graph, want, value, values, nodes, is_root=False):
        yield from _fit_all(graph, rest, more_values, more_nodes)


def is_shared(graph: Graph, node: Node[Any]) -> bool:
    """Tell whether anything but one operand slot reads the node."""
    readers = sum(len(graph.uses(value)) for value in node.results)
    return readers != 1 or any(graph.is_root(value) for value in node.results)


def replace_node(graph: Graph, root: NodeId, new: Value) -> None:
    """Let `new` stand for the one result of `root`, and erase `root` and what only it needed.

    A node that was made for the purpose, and that nothing else reads, takes over the name and
    the place of `root`: a name goes on meaning the same value.
    """
    old = graph[root]
    made = graph[new]
    if made.id == root:
        return
    if graph.type_of(new) != old.type:
        raise VerifyError(f"{root} is {old.type}, but would be replaced by a {graph.type_of(new)}")
    # The first result of a younger, unread node: it was made just now.
    is_new = made.origin.of == root and len(made.types) == 1 and not graph.users(made.id)
    if is_new and not graph.is_root(new) and len(old.types) == 1:
        graph.remove(made.id)
        graph.put(replace(made, id=root))
        dead = [value.node for value in old.operands]
    else:
        graph.replace_uses(old.results[0], new)
        dead = [root]
    erase_dead(graph, dead)


def erase_dead(graph: Graph, candidates: Sequence[NodeId]) -> tuple[NodeId, ...]:
    """Remove those of `candidates` that nothing needs, then what only they needed.

    Inputs and parameters stay: they are what a run is given, not what it does.
    """
    removed: list[NodeId] = []
    work = deque(dict.fromkeys(candidates))
    while work:
        node_id = work.popleft()
        if node_id not in graph or not is_dead(graph, graph[node_id]):
            continue
        operands = dict.fromkeys(value.node for value in graph[node_id].operands)
        graph.remove(node_id)
        removed.append(node_id)
        work.extend(operands)
    return tuple(removed)


def is_dead(graph: Graph, node: Node[Any]) -> bool:
    """Tell whether nothing reads a node and no run gives it back, stores it or is given it."""
    return (
        node.op.name not in ("input", "parameter")
        and not graph.users(node.id)
        and not any(graph.is_root(value) for value in node.results)
    )


def apply_rules(
    graph: Graph,
    rules: Sequence[Rule],
    *,
    made_by: str,
    limit: int = 100_000,
    on_apply: Callable[[str, NodeId], None] | None = None,
) -> Graph:
    """Apply `rules` until none fits, in a copy; `limit` applications mean that they never end.

    Each node is looked at in topological order, rules in the order given; after a change the new
    nodes and the readers of the changed value are looked at again. `on_apply` is told each rule
    that was applied, with the node that it replaced.
    """
    graph = graph.copy()
    by_op: dict[Op[Any], list[Rule]] = {}
    for rule in rules:
        if rule.pattern.op is None:
            raise ValueError(f"the pattern of rule {rule.name!r} fits everything")
        by_op.setdefault(rule.pattern.op, []).append(rule)
    work = deque(node.id for node in graph.nodes())
    queued = set(work)
    applied = 0
    while work:
        node_id = work.popleft()
        queued.discard(node_id)
        if node_id not in graph:
            continue
        for rule in by_op.get(graph[node_id].op, ()):
            touched = _apply(graph, rule, node_id, made_by)
            if touched is None:
                continue
            applied += 1
            if on_apply is not None:
                on_apply(rule.name, node_id)
            if applied > limit:
                raise VerifyError(f"{made_by} does not end: rule {rule.name!r} goes on applying")
            fresh = [other for other in touched if other in graph and other not in queued]
            work.extend(fresh)
            queued.update(fresh)
            break
    return graph


def _apply(graph: Graph, rule: Rule, node_id: NodeId, made_by: str) -> list[NodeId] | None:
    """Apply one rule at one node; give the nodes worth another look, or nothing for no change."""
    root = graph[node_id]
    match = find_match(graph, rule, root)
    if match is None:
        return None
    builder = Builder(graph, Origin(root.origin.span, made_by, root.id))
    new = rule.build(builder, match)
    if new is None or new == root.results[0]:
        erase_dead(graph, builder.made[::-1])
        return None
    readers = list(graph.users(node_id))
    sources = [value.node for value in root.operands]
    replace_node(graph, node_id, new)
    erase_dead(graph, builder.made[::-1])
    return [*builder.made, *sources, new.node, node_id, *readers]
