"""Which nodes run each time, and which once when weights are loaded."""

from __future__ import annotations

from cnndsl.ir.graph import Graph, NodeId
from cnndsl.ops.structural import input_


def runs_each_time(graph: Graph) -> frozenset[NodeId]:
    """Give the nodes that a run computes anew.

    In a graph without updates these are the ones that depend on an input; the others depend on
    parameters alone and are computed when a state is loaded. With updates, every node runs.
    """
    if graph.updates:
        return frozenset(graph.ids())
    fed: set[NodeId] = set()
    for node in graph.nodes():
        if node.op is input_ or any(value.node in fed for value in node.operands):
            fed.add(node.id)
    return frozenset(fed)
