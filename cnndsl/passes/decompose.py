"""Replace composite ops by the simpler ops that they are made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from cnndsl.ir.builder import Builder
from cnndsl.ir.graph import Graph, Origin
from cnndsl.ir.rewrite import erase_dead, replace_node
from cnndsl.ops.rules import decompose
from cnndsl.passes.base import PASSES


@PASSES.named("decompose")
@dataclass(frozen=True, slots=True)
class Decompose:
    """Apply the `decompose` rules until no op has one; equal up to rounding."""

    name: ClassVar[str] = "decompose"
    reason: ClassVar[str] = "the parts are ops that every backend has, and fuse with neighbours"

    keep: tuple[str, ...] = ("fused_elementwise",)
    """Ops that stay as they are; a fused chain would only be fused again."""

    def __call__(self, graph: Graph, /) -> Graph:
        """Give the graph in simpler ops."""
        graph = graph.copy()
        work = [node.id for node in graph.nodes()]
        while work:
            node = graph[work.pop(0)]
            if node.op.name in self.keep or node.op not in decompose:
                continue
            builder = Builder(graph, Origin(node.origin.span, self.name, node.id))
            results = decompose[node.op](builder, node)
            work.extend(builder.made)
            if len(results) == 1:
                replace_node(graph, node.id, results[0])
                work = [node.id if made not in graph else made for made in work]
                continue
            for old, new in zip(node.results, results, strict=True):
                graph.replace_uses(old, new)
            erase_dead(graph, [node.id])
        return graph
