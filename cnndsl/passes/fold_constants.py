"""Compute now what depends on constants only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from cnndsl.ir.builder import Builder
from cnndsl.ir.graph import Graph, Node, Origin, Value
from cnndsl.ir.rewrite import erase_dead, replace_node
from cnndsl.ir.types import TensorType
from cnndsl.ops.rules import Array, compute
from cnndsl.ops.structural import ConstantAttrs, FullAttrs, constant, full
from cnndsl.passes.base import PASSES


@PASSES.named("fold-constants")
@dataclass(frozen=True, slots=True)
class FoldConstants:
    """Run nodes whose operands are all constants, with the reference rules and nothing else.

    The array is the one that the reference computes at run time, bit for bit. One that is the same
    number everywhere becomes a `full`, which takes no room.
    """

    name: ClassVar[str] = "fold-constants"
    reason: ClassVar[str] = "it depends on constants only, so it is computed once, here"

    max_bytes: int = 65536
    """Results larger than this stay computed at run time, so that programs stay small."""

    def __call__(self, graph: Graph, /) -> Graph:
        """Give the graph with constant nodes computed."""
        graph = graph.copy()
        for node_id in [node.id for node in graph.nodes()]:
            if node_id not in graph:
                continue
            node = graph[node_id]
            if node.op in (constant, full) or not node.operands:
                continue
            sources = [graph[value] for value in node.operands]
            if all(source.op in (constant, full) for source in sources):
                self._fold(graph, node, sources)
        return graph

    def _fold(self, graph: Graph, node: Node[Any], sources: Sequence[Node[Any]]) -> None:
        sizes = [kind.nbytes for kind in (*node.types, *(source.type for source in sources))]
        if max(sizes) > self.max_bytes:
            return
        # An overflow here is the overflow that the program would have had; it is no news.
        with np.errstate(all="ignore"):
            arrays = compute(node, *(compute(source)[0] for source in sources))
        builder = Builder(graph, Origin(node.origin.span, self.name, node.id))
        values = [
            emit_constant(builder, array, kind)
            for array, kind in zip(arrays, node.types, strict=True)
        ]
        if len(values) == 1:
            replace_node(graph, node.id, values[0])
            return
        for old, new in zip(node.results, values, strict=True):
            graph.replace_uses(old, new)
        erase_dead(graph, [node.id, *builder.made])


def emit_constant(builder: Builder, array: Array, kind: TensorType) -> Value:
    """Emit an array as a `full` where all its elements have the same bits, else as a constant."""
    flat = np.asarray(array, order="C").reshape(-1)
    bits = flat.view(np.dtype(f"u{flat.itemsize}"))
    # A full holds a Python float, which is exact for floats and for integers up to 2^53.
    is_exact = flat.size > 0 and (kind.dtype.is_float or abs(int(flat[0])) < 2**53)
    if is_exact and bool((bits == bits[0]).all()):
        return builder.emit(full, attrs=FullAttrs(kind, float(flat[0])))
    return builder.emit(constant, attrs=ConstantAttrs.of(np.asarray(array, order="C")))
