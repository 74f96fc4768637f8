"""Fold batch normalisation with known statistics into the layer before it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

from cnndsl.ir.builder import Builder
from cnndsl.ir.graph import Graph, Node, NodeId, Origin, Value
from cnndsl.ir.rewrite import is_shared, replace_node
from cnndsl.ops.conv import conv2d
from cnndsl.ops.elementwise import add, div, emit_scalar, mul, sub
from cnndsl.ops.linalg import dense
from cnndsl.ops.norm import batch_norm
from cnndsl.ops.shape import emit_reshape
from cnndsl.ops.unary import sqrt
from cnndsl.passes.base import PASSES
from cnndsl.passes.prepared import runs_each_time


@PASSES.named("fold-batch-norm")
@dataclass(frozen=True, slots=True)
class FoldBatchNorm:
    """Scale the weight and shift the bias of a conv2d or dense instead of its result.

    With k = scale/sqrt(variance + eps): weight' = weight*k and bias' = shift + (bias - mean)*k,
    as nodes over the parameters, so that they are computed once when weights are loaded and new
    weights need no new compilation. Equal up to rounding.

    Left alone are: a layer whose result has another reader or is given back, a layer with an
    epilogue, and weights or statistics that are not computed once for all: that depend on an input
    or stand in a graph with updates. batch_norm_train, which normalises with the batch's own
    statistics, is another op and never folded.
    """

    name: ClassVar[str] = "fold-batch-norm"
    reason: ClassVar[str] = "known statistics are a scale and a shift, which the weights can carry"

    def __call__(self, graph: Graph, /) -> Graph:
        """Give the graph with batch norms folded."""
        graph = graph.copy()
        fed = runs_each_time(graph)
        for node in list(graph.nodes()):
            if node.op is batch_norm and _folds(graph, node, fed):
                layer = graph[node.operands[0]]
                builder = Builder(graph, Origin(node.origin.span, self.name, node.id))
                replace_node(graph, node.id, _emit_folded(builder, node, layer))
        return graph


def _folds(graph: Graph, norm: Node[Any], fed: frozenset[NodeId]) -> bool:
    layer = graph[norm.operands[0]]
    if layer.op not in (conv2d, dense) or layer.attrs.epilogue or norm.attrs.epilogue:
        return False
    given = (*layer.operands[1:], *norm.operands[1:])
    return not is_shared(graph, layer) and not any(value.node in fed for value in given)


def _emit_folded(b: Builder, norm: Node[Any], layer: Node[Any]) -> Value:
    _, scale, shift, mean, variance = norm.operands
    x, weight, *bias = layer.operands
    channels = b.type_of(scale).shape[0]
    spread = b.emit(sqrt, b.emit(add, variance, emit_scalar(b, norm.attrs.eps, variance)))
    k = b.emit(div, scale, spread, name=f"{norm.id}.factor")
    # Output channels are the first axis of either weight, whatever the groups.
    along_weight = (channels, *(1,) * (b.type_of(weight).rank - 1))
    factors = emit_reshape(b, k, along_weight)
    new_weight = b.emit(mul, weight, factors, name=f"{norm.id}.folded_weight")
    if bias:
        # [C], or [C,H,W] for a bias at each place.
        along_bias = (channels, *(1,) * (b.type_of(bias[0]).rank - 1))
        centred = b.emit(sub, bias[0], emit_reshape(b, mean, along_bias))
        moved = b.emit(mul, centred, emit_reshape(b, k, along_bias))
        shifts = emit_reshape(b, shift, along_bias)
        new_bias = b.emit(add, shifts, moved, name=f"{norm.id}.folded_bias")
    else:
        moved = b.emit(mul, mean, k)
        new_bias = b.emit(sub, shift, moved, name=f"{norm.id}.folded_bias")
    attrs = replace(layer.attrs, has_bias=True)
    return b.emit(layer.op, x, new_weight, new_bias, attrs=attrs)
