"""Remove what no output and no update needs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from cnndsl.ir.graph import Graph
from cnndsl.ir.rewrite import erase_dead
from cnndsl.passes.base import PASSES


@PASSES.named("eliminate-dead-nodes")
@dataclass(frozen=True, slots=True)
class EliminateDeadNodes:
    """Remove nodes that no output or update depends on; exact.

    Inputs and parameters stay even if nothing reads them: they are the graph's interface, and a
    feed or a checkpoint names them.
    """

    name: ClassVar[str] = "eliminate-dead-nodes"
    reason: ClassVar[str] = "no output or update needs it"

    def __call__(self, graph: Graph, /) -> Graph:
        """Give the graph without dead nodes."""
        graph = graph.copy()
        needed = graph.ancestors(graph.roots())
        dead = [node.id for node in graph.nodes() if node.id not in needed]
        erase_dead(graph, dead[::-1])
        return graph
