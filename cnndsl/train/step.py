"""The training step: a forward graph with a loss becomes one graph that also moves parameters."""

from __future__ import annotations

from functools import reduce

from cnndsl.autodiff.backward import backward
from cnndsl.ir.builder import Builder
from cnndsl.ir.graph import Graph, NodeId, Origin, Value
from cnndsl.ir.types import TensorType
from cnndsl.ops.reduce import ReduceAttrs, reduce_sum
from cnndsl.ops.structural import InputAttrs, input_, parameter
from cnndsl.recipes.formula import Term
from cnndsl.recipes.loss_scale import LossScale
from cnndsl.recipes.optimizers import Optimizer

RATE = NodeId("learning_rate")
"""The input under which a step is fed the learning rate, a scalar."""


def trainable_parameters(graph: Graph) -> tuple[Value, ...]:
    """Give the parameters that an optimizer may move, in the order of the graph."""
    return tuple(
        node.results[0] for node in graph.nodes() if node.op is parameter and node.attrs.trainable
    )


def train_step(
    graph: Graph,
    *,
    optimizer: Optimizer,
    loss: str = "loss",
    clip: float | None = None,
    scale: LossScale | None = None,
) -> Graph:
    """Give the graph of one training step.

    `graph` is a forward graph in training mode with the scalar output `loss`. The result has the
    same outputs, one more input (`RATE`), and updates for every trainable parameter and for the
    state of the optimizer. With `clip`, gradients are scaled so that their norm over all
    parameters is at most `clip` (Pascanu, Mikolov, Bengio 2013). With `scale`, gradients are those
    of a multiple of the loss on their way to the parameters, and a step whose gradients are not all
    finite changes nothing but the scale.
    """
    parameters = trainable_parameters(graph)
    aim = graph.outputs[loss]
    scale = scale if parameters else None
    if scale is not None:
        graph = graph.copy()
        b = Builder(graph, Origin(made_by="optimizer"))
        aim = (Term(b, aim) * scale.begin(b, graph.type_of(aim)).scale).value
    step, grads = backward(graph, aim, parameters)
    b = Builder(step, Origin(made_by="optimizer"))
    kind = TensorType(step.type_of(step.outputs[loss]).dtype, ())
    rate = b.emit(input_, attrs=InputAttrs(kind), name=RATE)
    scaling = None if scale is None else scale.begin(b, kind)
    if scaling is not None:
        grads = scaling.unscaled(grads)
    if clip is not None and parameters:
        grads = _clipped(b, grads, clip)
    for value in parameters:
        b.origin = Origin(made_by="optimizer", of=value.node)
        step.updates[value.node] = optimizer.update(b, value, grads[value], rate)
    if scaling is not None:
        b.origin = Origin(made_by="optimizer")
        scaling.guard(tuple(step.updates))
    return step


def _clipped(b: Builder, grads: dict[Value, Value], clip: float) -> dict[Value, Value]:
    terms = {value: Term(b, grad) for value, grad in grads.items()}
    squares = [_sum(term.square()) for term in terms.values()]
    norm = reduce(Term.__add__, squares).sqrt()
    # max() keeps the scale at 1 for small norms and away from 0/0 for a norm of zero.
    scale = norm.constant(clip) / norm.maximum(clip)
    return {value: (term * scale).value for value, term in terms.items()}


def _sum(term: Term) -> Term:
    axes = tuple(range(term.type.rank))
    attrs = ReduceAttrs(axes=axes, keepdims=False)
    return Term(term.b, term.b.emit(reduce_sum, term.value, attrs=attrs))
