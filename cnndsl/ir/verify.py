"""The verifier: what must hold of every graph between any two passes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from cnndsl.ir.graph import Graph, Node, NodeId, Use, Value
from cnndsl.support.diagnostics import TypeRuleError, VerifyError


def verify(graph: Graph) -> None:
    """Check a graph; raises `VerifyError` that lists every fault.

    Every operand, output and update exists; no node depends on itself; every node's types are
    what its op's type rule infers; an update has the type of its parameter, and only nodes that
    keep a value between runs, called "parameter", are updated. Nodes that nothing reads are fine.
    """
    faults = [*_node_faults(graph), *_root_faults(graph)]
    if not faults:
        faults += _use_faults(graph)
        if not faults and (cycle := _cycle(graph)):
            faults.append(f"a cycle lies in or before {', '.join(sorted(cycle))}")
    if faults:
        raise VerifyError(f"{graph.name} is malformed: " + "; ".join(faults))


def _node_faults(graph: Graph) -> Iterator[str]:
    for node_id in graph.ids():
        node = graph[node_id]
        missing = [value for value in node.operands if not _exists(graph, value)]
        if node.id != node_id:
            yield f"{node_id} calls itself {node.id}"
        elif missing:
            yield f"{node_id} reads {', '.join(map(str, missing))}, which nothing makes"
        else:
            yield from _type_faults(graph, node)


def _type_faults(graph: Graph, node: Node[Any]) -> Iterator[str]:
    if not isinstance(node.attrs, node.op.attrs):
        yield (
            f"{node.id} ({node.op.name}) has attributes {type(node.attrs).__name__}, "
            f"not {node.op.attrs.__name__}"
        )
        return
    try:
        types = node.op.infer(node.attrs, *(graph.type_of(value) for value in node.operands))
    except TypeRuleError as refusal:
        yield f"{node.id} ({node.op.name}): {refusal}"
        return
    if types != node.types:
        was, must = (", ".join(map(str, some)) for some in (node.types, types))
        yield f"{node.id} ({node.op.name}) is typed {was}, but its operands make it {must}"


def _use_faults(graph: Graph) -> Iterator[str]:
    """The uses that the graph keeps must be the operands that the nodes name."""
    named: dict[Value, set[Use]] = {}
    for node_id in graph.ids():
        for operand, value in enumerate(graph[node_id].operands):
            named.setdefault(value, set()).add(Use(node_id, operand))
    for node_id in graph.ids():
        for value in graph[node_id].results:
            kept = graph.uses(value)
            if len(kept) != len(set(kept)) or set(kept) != named.get(value, set()):
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
