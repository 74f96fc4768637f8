"""The builder: the only way a node is made, so that every node is typed."""

from __future__ import annotations

from typing import TypeVar

from cnndsl.ir.graph import Graph, Node, NodeId, Origin, Value
from cnndsl.ir.op import Attrs, Op
from cnndsl.ir.types import TensorType

A = TypeVar("A", bound=Attrs)


class Builder:
    """Adds typed nodes to a graph."""

    def __init__(self, graph: Graph, origin: Origin = Origin()) -> None:  # noqa: B008 - frozen
        """Build into `graph`; nodes carry `origin` until it is changed."""
        self.graph = graph
        self.origin = origin
        self.made: list[NodeId] = []
        """The nodes made so far, in order."""

    def emit_all(
        self, op: Op[A], *operands: Value, attrs: A | None = None, name: str | None = None
    ) -> tuple[Value, ...]:
        """Add a node and give all its results; raises `TypeRuleError` when operands do not fit."""
        record = op.attrs() if attrs is None else attrs
        types = op.infer(record, *(self.graph.type_of(value) for value in operands))
        node = Node(self.graph.fresh_id(name or op.name), op, operands, record, types, self.origin)
        self.graph.add(node)
        self.made.append(node.id)
        return node.results

    def emit(
        self, op: Op[A], *operands: Value, attrs: A | None = None, name: str | None = None
    ) -> Value:
        """Add a node and give its first result."""
        return self.emit_all(op, *operands, attrs=attrs, name=name)[0]

    def type_of(self, value: Value) -> TensorType:
        """Give the type of `value`."""
        return self.graph.type_of(value)
