"""The verifier: what must hold of every graph between any two passes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from cnndsl.ir.graph import Graph, Node, NodeId, Value
from cnndsl.ir.types import TensorType
from cnndsl.support.diagnostics import TypeRuleError, VerifyError

Known = dict[NodeId, tuple[Node[Any], tuple[TensorType, ...]]]
"""Nodes whose types were found right, with the types of the operands that they had then."""


def verify(graph: Graph, known: Known | None = None) -> None:
    """Check a graph; raises `VerifyError` that lists every fault.

    Every operand, output and update exists; no node depends on itself; every node's types are
    what its op's type rule infers; an update has the type of its parameter, and only nodes that
    keep a value between runs, called "parameter", are updated. Nodes that nothing reads are fine.
    What `known` holds of earlier graphs is not inferred again, and what is found right is added.
    """
    nodes = {node_id: graph[node_id] for node_id in graph.ids()}
    faults = [*_node_faults(nodes, {} if known is None else known), *_root_faults(graph)]
    if not faults:
        faults += _use_faults(graph, nodes)
        if not faults and not graph.has_order():
            cycle = _cycle(graph)
            faults.append(f"a cycle lies in or before {', '.join(sorted(cycle))}")
    if faults:
        raise VerifyError(f"{graph.name} is malformed: " + "; ".join(faults))


def _node_faults(nodes: Mapping[NodeId, Node[Any]], known: Known) -> Iterator[str]:
    for node_id, node in nodes.items():
        missing = [value for value in node.operands if not _made(nodes, value)]
        if node.id != node_id:
            yield f"{node_id} calls itself {node.id}"
        elif missing:
            yield f"{node_id} reads {', '.join(map(str, missing))}, which nothing makes"
        else:
            operands = tuple(nodes[value.node].types[value.index] for value in node.operands)
            was, given = known.get(node_id, (None, ()))
            if node is was and operands == given:
                continue
            if fault := _type_fault(node, operands):
                yield fault
            else:
                known[node_id] = (node, operands)


def _type_fault(node: Node[Any], operands: tuple[TensorType, ...]) -> str | None:
    if not isinstance(node.attrs, node.op.attrs):
        return (
            f"{node.id} ({node.op.name}) has attributes {type(node.attrs).__name__}, "
            f"not {node.op.attrs.__name__}"
        )
    try:
        types = node.op.infer(node.attrs, *operands)
    except TypeRuleError as refusal:
        return f"{node.id} ({node.op.name}): {refusal}"
    if types == node.types:
        return None
    was, must = (", ".join(map(str, some)) for some in (node.types, types))
    return f"{node.id} ({node.op.name}) is typed {was}, but its operands make it {must}"


def _use_faults(graph: Graph, nodes: Mapping[NodeId, Node[Any]]) -> Iterator[str]:
    """The uses that the graph keeps must be the operands that the nodes name."""
    named = Counter(
        (value.node, value.index, node_id, operand)
        for node_id, node in nodes.items()
        for operand, value in enumerate(node.operands)
    )
    kept = Counter(graph.links())
    if kept == named:
        return
    wrong = {(link[0], link[1]) for link in (kept - named) + (named - kept)}
    for node in nodes.values():
        for value in node.results:
            if (value.node, value.index) in wrong:
                yield f"the uses kept of {value} are not the operands that name it"


def _root_faults(graph: Graph) -> Iterator[str]:
    for name, value in graph.outputs.items():
        if not _exists(graph, value):
            yield f"output {name} is {value}, which nothing makes"
    for parameter, value in graph.updates.items():
        if parameter not in graph:
            yield f"an update of {parameter}, which is not there"
        elif (op := graph[parameter].op).name != "parameter":
            yield f"an update of {parameter}, which is no parameter but {op.name}"
        elif not _exists(graph, value):
            yield f"the update of {parameter} is {value}, which nothing makes"
        elif graph.type_of(value) != graph[parameter].type:
            yield (
                f"{parameter} is {graph[parameter].type}, but its update {value} is "
                f"{graph.type_of(value)}"
            )


def _exists(graph: Graph, value: Value) -> bool:
    return value.node in graph and 0 <= value.index < len(graph[value].types)


def _made(nodes: Mapping[NodeId, Node[Any]], value: Value) -> bool:
    node = nodes.get(value.node)
    return node is not None and 0 <= value.index < len(node.types)


def _cycle(graph: Graph) -> set[NodeId]:
    """Give the nodes that no order can place: those on a cycle and those that depend on one."""
    ids = graph.ids()
    waiting = {node_id: len({v.node for v in graph[node_id].operands}) for node_id in ids}
    ready = [node_id for node_id, count in waiting.items() if count == 0]
    while ready:
        node_id = ready.pop()
        del waiting[node_id]
        for reader in graph.users(node_id):
            waiting[reader] -= 1
            if waiting[reader] == 0:
                ready.append(reader)
    return set(waiting)
