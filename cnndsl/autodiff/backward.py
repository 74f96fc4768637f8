"""Reverse mode: the gradient of a loss as more nodes of the same graph.

Each op's vjp rule says how the gradient of its results becomes that of its operands; this module
walks the nodes from the loss backwards, sums what arrives at a value that is read several times,
and names what comes out: the gradient of `%conv1.weight` is `%conv1.weight.grad`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

from cnndsl.ir.builder import Builder
from cnndsl.ir.graph import Graph, Node, NodeId, Origin, Value
from cnndsl.ir.op import Attrs, Op, Trait
from cnndsl.ops.elementwise import add
from cnndsl.ops.rules import no_gradient, vjp
from cnndsl.ops.structural import FullAttrs, full
from cnndsl.support.diagnostics import TypeRuleError, VerifyError

A = TypeVar("A", bound=Attrs)


class _GradientBuilder(Builder):
    """Names the nodes that a vjp rule makes after the node it differentiates."""

    def emit_all(
        self, op: Op[A], *operands: Value, attrs: A | None = None, name: str | None = None
    ) -> tuple[Value, ...]:
        """Add a node called `<node>.<op>` and give all its results."""
        stem = f"{self.origin.of}.{name or op.name}"
        return super().emit_all(op, *operands, attrs=attrs, name=stem)


def backward(graph: Graph, loss: Value, wrt: Sequence[Value]) -> tuple[Graph, dict[Value, Value]]:
    """Differentiate `loss`, one float, by each of the values `wrt`.

    Gives a copy of the graph with the gradient nodes added, and the gradient of each value; its
    type is that of the value. A value that the loss does not depend on has a gradient of zeros.
    Nothing flows through the ops in `no_gradient`. Raises `TypeRuleError` when the loss is not one
    float or a value of `wrt` is no float, `VerifyError` when an op on the way has no vjp rule or
    its rule gives a gradient of another type.
    """
    kind = graph.type_of(loss)
    if not kind.dtype.is_float or kind.shape != ():
        raise TypeRuleError(f"a gradient is taken of one float; {loss} is {kind}")
    for value in wrt:
        if not graph.type_of(value).dtype.is_float:
            raise TypeRuleError(f"{value} is {graph.type_of(value)}; only floats have a gradient")
    forward, graph = graph, graph.copy()
    b = _GradientBuilder(graph, Origin(made_by="backward", of=loss.node))
    grads = _propagate(b, forward, loss, wrt)
    for value in dict.fromkeys(wrt):
        if value not in grads:
            b.origin = Origin(graph[value].origin.span, "backward", value.node)
            grads[value] = b.emit(full, attrs=FullAttrs(graph.type_of(value), 0.0))
    kept = {grads[value] for value in wrt}
    needed = graph.ancestors(kept)
    # What a rule made for an operand whose gradient nobody asked for; the youngest is read by none.
    for node_id in reversed(b.made):
        if node_id not in needed:
            graph.remove(node_id)
    names = _gradient_names(graph, forward, wrt, grads)
    graph = graph.renamed(names)
    return graph, {
        value: Value(names.get(grads[value].node, grads[value].node), grads[value].index)
        for value in wrt
    }


def _propagate(
    b: _GradientBuilder, forward: Graph, loss: Value, wrt: Sequence[Value]
) -> dict[Value, Value]:
    """Walk from the loss backwards; gives the gradients of all values that one arrives at."""
    active = _active(forward, loss, wrt)
    if loss.node not in active:
        return {}
    grads: dict[Value, Value] = {loss: b.emit(full, attrs=FullAttrs(b.type_of(loss), 1.0))}
    for node in reversed([node for node in forward.nodes() if node.id in active]):
        arriving = [grads.get(result) for result in node.results]
        if all(grad is None for grad in arriving) or Trait.STRUCTURAL in node.op.traits:
            continue
        b.origin = Origin(node.origin.span, "backward", node.id)
        for operand, grad in zip(node.operands, _operand_grads(b, node, arriving), strict=True):
            if grad is None or operand.node not in active:
                continue
            _check(b, node, operand, grad)
            known = grads.get(operand)
            grads[operand] = grad if known is None else b.emit(add, known, grad)
    return grads


def _active(graph: Graph, loss: Value, wrt: Sequence[Value]) -> set[NodeId]:
    """Give the nodes through which a change of `wrt` reaches the loss with a gradient."""
    reached = {value.node for value in wrt}
    for node in graph.nodes():
        reads = any(
            value.node in reached and graph.type_of(value).dtype.is_float for value in node.operands
        )
        if reads and node.op not in no_gradient:
            reached.add(node.id)
    return reached & graph.ancestors([loss])


def _operand_grads(
    b: Builder, node: Node[Any], arriving: Sequence[Value | None]
) -> Sequence[Value | None]:
    if node.op in no_gradient:
        return [None] * len(node.operands)
    if node.op not in vjp:
        raise VerifyError(f"{node.id}: {node.op.name} has no vjp rule, so no gradient can pass it")
    grads = vjp[node.op](b, node, *arriving)
    if len(grads) != len(node.operands):
        raise VerifyError(
            f"the vjp rule of {node.op.name} gives {len(grads)} gradients "
            f"for the {len(node.operands)} operands of {node.id}"
        )
    return grads


def _check(b: Builder, node: Node[Attrs], operand: Value, grad: Value) -> None:
    if b.type_of(grad) != b.type_of(operand):
        raise VerifyError(
            f"the vjp rule of {node.op.name} gives a {b.type_of(grad)} "
            f"for {operand}, which is {b.type_of(operand)}"
        )


def _gradient_names(
    graph: Graph, forward: Graph, wrt: Sequence[Value], grads: dict[Value, Value]
) -> dict[NodeId, NodeId]:
    """Name each gradient after what it belongs to; the values asked for choose first.

    A node with several results keeps the name of the node that it was made for.
    """
    names: dict[NodeId, NodeId] = {}
    taken: set[str] = set(graph.ids())
    for value in dict.fromkeys([*wrt, *grads]):
        made = grads[value].node
        if made in forward or made in names or made not in graph or len(graph[made].types) > 1:
            continue
        index = f".{value.index}" if value.index else ""
        stem = f"{value.node}{index}.grad"
        name, count = stem, 0
        while name in taken:
            count += 1
            name = f"{stem}_{count}"
        taken.add(name)
        names[made] = NodeId(name)
    return names
