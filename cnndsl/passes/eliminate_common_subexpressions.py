"""Compute once what is computed twice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from cnndsl.ir.attributes import format_fields
from cnndsl.ir.graph import Graph, Node, Value
from cnndsl.ir.op import Trait
from cnndsl.passes.base import PASSES


@PASSES.named("eliminate-common-subexpressions")
@dataclass(frozen=True, slots=True)
class EliminateCommonSubexpressions:
    """Merge nodes with the same op, attributes and operands into the first of them; exact.

    Inputs and parameters are never merged: two parameters may begin alike and part ways. A random
    mask is a function of its operands and attributes (the stream among them) like any other op,
    so two masks merge only when they are the same numbers.
    """

    name: ClassVar[str] = "eliminate-common-subexpressions"
    reason: ClassVar[str] = "the same value is computed already"

    def __call__(self, graph: Graph, /) -> Graph:
        """Give the graph without repetitions."""
        graph = graph.copy()
        first: dict[object, Node[Any]] = {}
        for node_id in [node.id for node in graph.nodes()]:
            node = graph[node_id]  # its operands may have been merged meanwhile
            if node.op.name in ("input", "parameter"):
                continue
            twin = first.setdefault(_key(node), node)
            if twin.id == node.id:
                continue
            for old, new in zip(node.results, twin.results, strict=True):
                graph.replace_uses(old, new)
            graph.remove(node.id)
        return graph


def _key(node: Node[Any]) -> object:
    """Equal for nodes that compute the same; attributes as text tell -0.0 from 0.0."""
    operands: tuple[Value, ...] = node.operands
    if Trait.COMMUTATIVE in node.op.traits:
        operands = tuple(sorted(operands, key=lambda value: (value.node, value.index)))
    return node.op, operands, format_fields(node.attrs), node.types
