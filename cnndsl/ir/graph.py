"""The graph: SSA dataflow on a networkx multigraph. The only module that touches networkx.

It is imported when the first graph is made: programs are checked and summarised without one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Generic, NewType, TypeVar

from cnndsl.ir.op import Attrs, Op
from cnndsl.ir.types import TensorType
from cnndsl.support.source import Span

if TYPE_CHECKING:
    import networkx as nx

_PLAIN_REF = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+/-]*")

A = TypeVar("A", bound=Attrs)

NodeId = NewType("NodeId", str)
"""Readable and unique in its graph: "conv1", "relu_3", "conv1.weight"."""


@dataclass(frozen=True, slots=True)
class Value:
    """One result of one node."""

    node: NodeId
    """The node that makes it."""
    index: int = 0
    """Which of the node's results."""

    def __str__(self) -> str:
        return f"%{self.node}" if self.index == 0 else f"%{self.node}#{self.index}"


def format_ref(ref: NodeId | Value) -> str:
    """Give a value or node as it is written: `%conv1.weight`, `%bn1#2`."""
    node, index = (ref.node, ref.index) if isinstance(ref, Value) else (ref, 0)
    name = node if _PLAIN_REF.fullmatch(node) else json.dumps(node)
    return f"%{name}" if index == 0 else f"%{name}#{index}"


@dataclass(frozen=True, slots=True)
class Use:
    """One operand slot that reads a value."""

    node: NodeId
    """The node that reads."""
    operand: int
    """Which of its operands."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a node comes from; it never changes what the node computes."""

    span: Span | None = None
    """The source text that asked for it."""
    made_by: str = "lower"
    """The stage or pass that made it."""
    of: NodeId | None = None
    """The layer or node it was made for."""


@dataclass(frozen=True, slots=True)
class Node(Generic[A]):
    """One application of an op."""

    id: NodeId
    """Its name in the graph."""
    op: Op[A]
    """What it computes."""
    operands: tuple[Value, ...]
    """What it reads."""
    attrs: A
    """The op's attributes."""
    types: tuple[TensorType, ...]
    """One per result, set by the builder."""
    origin: Origin = field(default=Origin(), compare=False)
    """Where it comes from."""

    @property
    def results(self) -> tuple[Value, ...]:
        """The values it makes."""
        return tuple(Value(self.id, index) for index in range(len(self.types)))

    @property
    def type(self) -> TensorType:
        """The type of the first result."""
        return self.types[0]


class Graph:
    """SSA dataflow: node data is the `Node`, edge data is (result, operand).

    A graph holds no arrays but constants. `outputs` are what a run gives back, by name; `updates`
    are what a run leaves in the parameters, by parameter.
    """

    def __init__(self, name: str) -> None:
        import networkx as nx

        self.name = name
        self.outputs: dict[str, Value] = {}
        self.updates: dict[NodeId, Value] = {}
        self._graph: nx.MultiDiGraph = nx.MultiDiGraph()
        self._age: dict[NodeId, int] = {}
        self._born = 0
        # A name means one value for ever, so that graphs before and after a pass can be compared.
        self._names: set[str] = set()
        self._counts: dict[str, int] = {}
        self._order: tuple[NodeId, ...] | None = None
        """The order that `nodes` walks in, if it is known and nothing has changed since."""

    def __getitem__(self, ref: NodeId | Value) -> Node[Any]:
        node_id = ref.node if isinstance(ref, Value) else ref
        node: Node[Any] = self._graph.nodes[node_id]["node"]
        return node

    def __contains__(self, ref: object) -> bool:
        return ref in self._age

    def __len__(self) -> int:
        return len(self._graph)

    def type_of(self, value: Value) -> TensorType:
        """Give the type of `value`."""
        return self[value].types[value.index]

    def nodes(self) -> Iterator[Node[Any]]:
        """Walk the nodes in topological order; ties go by age, so the order is deterministic."""
        nodes = self._graph.nodes
        for node_id in self._ordered():
            yield nodes[node_id]["node"]

    def _ordered(self) -> tuple[NodeId, ...]:
        """Give the order of the nodes; it is kept until something changes."""
        import networkx as nx

        if self._order is None:
            key = self._age.__getitem__
            self._order = tuple(nx.lexicographical_topological_sort(self._graph, key=key))
        return self._order

    def has_order(self) -> bool:
        """Tell whether no node depends on itself."""
        import networkx as nx

        try:
            self._ordered()
        except nx.NetworkXUnfeasible:
            return False
        return True

    def ids(self) -> tuple[NodeId, ...]:
        """Give the names of all nodes by age; works for malformed graphs too."""
        return tuple(sorted(self._age, key=self._age.__getitem__))

    def uses(self, value: Value) -> tuple[Use, ...]:
        """Give the operand slots that read `value`, in the age of their nodes."""
        found = [
            Use(reader, operand)
            for _, reader, (result, operand) in self._graph.out_edges(value.node, data="slot")
            if result == value.index
        ]
        return tuple(sorted(found, key=lambda use: (self._age[use.node], use.operand)))

    def links(self) -> list[tuple[NodeId, int, NodeId, int]]:
        """Give all uses at once, as (maker, its result, reader, its operand)."""
        edges = self._graph.edges(data="slot")
        return [(maker, result, reader, operand) for maker, reader, (result, operand) in edges]

    def users(self, node_id: NodeId) -> tuple[NodeId, ...]:
        """Give the nodes that read any result of a node, each once, by age."""
        return tuple(sorted(self._graph.successors(node_id), key=self._age.__getitem__))

    def roots(self) -> tuple[Value, ...]:
        """Give the values that a run must compute: outputs, then updates."""
        return (*self.outputs.values(), *self.updates.values())

    def is_root(self, value: Value) -> bool:
        """Tell whether a run gives back or stores `value`."""
        return value in self.outputs.values() or value in self.updates.values()

    def ancestors(self, values: Iterable[Value]) -> set[NodeId]:
        """Give the nodes that `values` depend on, their own nodes included."""
        seen: set[NodeId] = set()
        work = [value.node for value in values]
        while work:
            node_id = work.pop()
            if node_id not in seen:
                seen.add(node_id)
                work.extend(self._graph.predecessors(node_id))
        return seen

    def fresh_id(self, stem: str) -> NodeId:
        """Give a name that no node has or ever had: `stem`, else `stem_1`, `stem_2`, ..."""
        if stem not in self._names:
            return NodeId(stem)
        count = self._counts.get(stem, 1)
        while f"{stem}_{count}" in self._names:
            count += 1
        self._counts[stem] = count
        return NodeId(f"{stem}_{count}")

    def add(self, node: Node[Any]) -> None:
        """Add a node whose operands are already there."""
        if node.id in self._graph:
            raise ValueError(f"{self.name} already has a node {node.id!r}")
        missing = [str(v) for v in node.operands if v.node not in self._graph]
        if missing:
            raise ValueError(f"{node.id} reads {', '.join(missing)}, which {self.name} has not")
        self._order = None
        self._graph.add_node(node.id, node=node)
        self._names.add(node.id)
        self._age[node.id] = self._born
        self._born += 1
        for operand, value in enumerate(node.operands):
            self._graph.add_edge(value.node, node.id, slot=(value.index, operand))

    def replace_uses(self, old: Value, new: Value) -> None:
        """Let everything that reads, gives back or stores `old` do so with `new`."""
        for reader in {use.node for use in self.uses(old)}:
            node = self[reader]
            self.set_operands(reader, tuple(new if v == old else v for v in node.operands))
        self.outputs = {name: new if v == old else v for name, v in self.outputs.items()}
        self.updates = {name: new if v == old else v for name, v in self.updates.items()}

    def set_operands(self, node_id: NodeId, operands: tuple[Value, ...]) -> None:
        """Let a node read other values of the same types."""
        node = self[node_id]
        self._order = None
        self._graph.remove_edges_from(list(self._graph.in_edges(node_id, keys=True)))
        for operand, value in enumerate(operands):
            self._graph.add_edge(value.node, node_id, slot=(value.index, operand))
        self._graph.nodes[node_id]["node"] = replace(node, operands=operands)

    def put(self, node: Node[Any]) -> None:
        """Let `node` take the place, the age and the readers of the node of the same name."""
        self._graph.nodes[node.id]["node"] = node
        self.set_operands(node.id, node.operands)

    def remove(self, node_id: NodeId) -> None:
        """Remove a node that nothing reads."""
        if self._graph.out_degree(node_id):
            raise ValueError(f"{node_id} is still read by {', '.join(self.users(node_id))}")
        self._order = None
        self._graph.remove_node(node_id)
        del self._age[node_id]

    def renamed(self, names: Mapping[NodeId, NodeId]) -> Graph:
        """Give a copy in which the nodes in `names` have the names it says."""
        import networkx as nx

        def value(old: Value) -> Value:
            return Value(names.get(old.node, old.node), old.index)

        twin = Graph(self.name)
        twin._graph = nx.relabel_nodes(self._graph, dict(names), copy=True)
        for node_id, data in twin._graph.nodes(data=True):
            node: Node[Any] = data["node"]
            operands = tuple(value(operand) for operand in node.operands)
            data["node"] = replace(node, id=node_id, operands=operands)
        twin._age = {names.get(node_id, node_id): age for node_id, age in self._age.items()}
        twin._born = self._born
        twin._names = self._names | set(names.values())
        twin._counts = dict(self._counts)
        twin.outputs = {name: value(v) for name, v in self.outputs.items()}
        twin.updates = {names.get(p, p): value(v) for p, v in self.updates.items()}
        return twin

    def copy(self, name: str | None = None) -> Graph:
        """Give an independent graph with the same nodes, ages, outputs and updates."""
        twin = Graph(self.name if name is None else name)
        twin._graph = self._graph.copy()
        twin._order = self._order
        twin._age = dict(self._age)
        twin._born = self._born
        twin._names = set(self._names)
        twin._counts = dict(self._counts)
        twin.outputs = dict(self.outputs)
        twin.updates = dict(self.updates)
        return twin

    def _repr_html_(self) -> str:
        """Give the table of nodes that a notebook shows."""
        from cnndsl.ir.attributes import format_fields
        from cnndsl.support.html import html_table

        columns = [(title, False) for title in ("node", "op", "reads", "with", "gives")]
        rows = [
            [
                format_ref(node.id),
                node.op.name,
                ", ".join(map(format_ref, node.operands)),
                format_fields(node.attrs),
                ", ".join(map(str, node.types)),
            ]
            for node in self.nodes()
        ]
        ends = ", ".join(f"{name} = {format_ref(value)}" for name, value in self.outputs.items())
        return html_table(columns, rows, caption=f"{self.name}: {ends}")
