"""Fuse neighbouring elementwise ops into one that reads its operands and writes its result once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from cnndsl.ir.builder import Builder
from cnndsl.ir.graph import Graph, Node, NodeId, Origin
from cnndsl.ir.rewrite import replace_node
from cnndsl.ops.fused import FusedElementwiseAttrs, fused_elementwise
from cnndsl.passes.base import PASSES
from cnndsl.passes.prepared import runs_each_time
from cnndsl.passes.programs import is_uniform, merge, program_of


@PASSES.named("fuse-elementwise")
@dataclass(frozen=True, slots=True)
class FuseElementwise:
    """Grow groups of elementwise nodes upwards from one result and make each a fused_elementwise.

    A node joins when all its readers are in the group, so that nothing is computed twice or kept,
    and when it has the type of the group's result, so that nothing is computed anew for each
    element that it would be broadcast to. What depends on parameters alone, and so is computed
    once, does not join what runs each time. The same operations in the same order: exact.
    """

    name: ClassVar[str] = "fuse-elementwise"
    reason: ClassVar[str] = "values between them stay in registers and take no memory"

    max_steps: int = 32
    """Longest chain, so that a kernel's registers suffice."""
    max_operands: int = 8
    """Most values that a chain reads."""

    def __call__(self, graph: Graph, /) -> Graph:
        """Give the graph with fused chains."""
        graph = graph.copy()
        # A fused group may fit where its parts did not; the passes after the first find the rest.
        while self._fuse_all(graph):
            pass
        return graph

    def _fuse_all(self, graph: Graph) -> bool:
        order = {node.id: index for index, node in enumerate(graph.nodes())}
        running = runs_each_time(graph)
        has_changed = False
        for node_id in reversed(list(order)):
            if node_id not in graph or not _is_candidate(graph, graph[node_id]):
                continue
            group = self._grow(graph, node_id, order, running)
            if len(group) < 2:
                continue
            root = graph[node_id]
            program, operands = merge([graph[member] for member in group])
            builder = Builder(graph, Origin(root.origin.span, self.name, root.id))
            attrs = FusedElementwiseAttrs(program)
            replace_node(graph, root.id, builder.emit(fused_elementwise, *operands, attrs=attrs))
            has_changed = True
        return has_changed

    def _grow(
        self, graph: Graph, root: NodeId, order: dict[NodeId, int], running: frozenset[NodeId]
    ) -> list[NodeId]:
        """Give the members of the group that ends in `root`, in order."""
        group = {root}
        grows = True
        while grows:
            grows = False
            # The youngest first: a node's readers are asked before the node itself.
            border = {value.node for member in group for value in graph[member].operands} - group
            for source in sorted(border, key=order.__getitem__, reverse=True):
                is_as_often = (source in running) == (root in running)
                if is_as_often and self._joins(graph, source, root, group):
                    group.add(source)
                    grows = True
                    break
        return sorted(group, key=order.__getitem__)

    def _joins(self, graph: Graph, source: NodeId, root: NodeId, group: set[NodeId]) -> bool:
        node = graph[source]
        if (
            not _is_candidate(graph, node)
            or node.type != graph[root].type
            or not group.issuperset(graph.users(source))
            or graph.is_root(node.results[0])
        ):
            return False
        members = [graph[member] for member in (*group, source)]
        steps = sum(len(program.steps) for m in members if (program := program_of(m)))
        made = {member.results[0] for member in members}
        read = {value for member in members for value in member.operands} - made
        return steps <= self.max_steps and len(read) <= self.max_operands


def _is_candidate(graph: Graph, node: Node[Any]) -> bool:
    return program_of(node) is not None and bool(node.operands) and is_uniform(graph, node)
