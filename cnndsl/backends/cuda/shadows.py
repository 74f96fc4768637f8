"""Weights as halves beside the singles that are learned: what products read.

The master copy of a weight is a single, as small updates would be lost in a half (Micikevicius et
al., Mixed Precision Training, ICLR 2018, section 3.1). Products read a half of it, its shadow: half
the bytes, fetched without rounding on the way, and factors of one type, which libraries ask for.
A shadow is a node like any other, so an inference makes it once, when weights are loaded; a
training step makes all of them by one launch (`updates.py`).
"""

from __future__ import annotations

from typing import Any

from cnndsl.backends.cuda.policy import Policy
from cnndsl.ir.builder import Builder
from cnndsl.ir.graph import Graph, Node, Origin, Value
from cnndsl.ir.op import Op, Trait
from cnndsl.ir.types import DType, TensorType
from cnndsl.ops.conv import conv2d, conv2d_grad_input
from cnndsl.ops.linalg import dense, matmul
from cnndsl.ops.structural import constant, parameter
from cnndsl.ops.unary import CastAttrs, cast

READERS: dict[Op[Any], tuple[int, ...]] = {
    conv2d: (1,),
    conv2d_grad_input: (1,),
    dense: (1,),
    matmul: (0, 1),
}
"""Products, and which of their operands may be weights."""


def is_shadow(graph: Graph, node: Node[Any]) -> bool:
    """Tell whether a node is a copy of singles, which is kept in halves."""
    return node.op is cast and node.type == graph.type_of(node.operands[0]) and _fits(node.type)


def _fits(kind: TensorType) -> bool:
    return kind.dtype is DType.F32 and kind.rank > 1


def with_shadows(graph: Graph, policy: Policy) -> Graph:
    """Give the graph whose products read shadows of weights: itself if there is nothing to do."""
    wanted = _weights(graph) if policy.half else {}
    if not wanted:
        return graph
    found = graph.copy()
    b = Builder(found, Origin(made_by="shadows"))
    for value, readers in wanted.items():
        b.origin = Origin(found[value].origin.span, "shadows", value.node)
        name, attrs = f"{value.node}.half", CastAttrs(DType.F32)
        shadow = b.emit(cast, value, attrs=attrs, name=name)
        for reader, places in readers.items():
            operands = list(found[reader.id].operands)
            for place in places:
                operands[place] = shadow
            found.set_operands(reader.id, tuple(operands))
    return found


def _weights(graph: Graph) -> dict[Value, dict[Node[Any], list[int]]]:
    """Give the weights that products read, and where they read them."""
    found: dict[Value, dict[Node[Any], list[int]]] = {}
    for node in graph.nodes():
        for place in READERS.get(node.op, ()):
            value = node.operands[place]
            if _fits(graph.type_of(value)) and _is_weight(graph, value):
                found.setdefault(value, {}).setdefault(node, []).append(place)
    return found


def _is_weight(graph: Graph, value: Value) -> bool:
    """Tell whether a value shows the memory of a parameter or of a constant."""
    node = graph[value]
    while Trait.VIEW in node.op.traits:
        node = graph[node.operands[0]]
    return node.op in (parameter, constant)
