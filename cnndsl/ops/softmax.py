"""Activations that look along an axis: softmax, log-softmax, maxout."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cnndsl.ir.builder import Builder
from cnndsl.ir.graph import Node, Value
from cnndsl.ir.op import Attrs, define_op
from cnndsl.ir.types import TensorType, f32
from cnndsl.ops.elementwise import float_type, mul, sub
from cnndsl.ops.reduce import ReduceAttrs, reduce_max, reduce_max_grad, reduce_sum
from cnndsl.ops.rules import (
    Array,
    Cost,
    Sample,
    cost,
    decompose,
    elementwise_cost,
    reference,
    samples,
    vjp,
)
from cnndsl.ops.shape import check_axis, emit_reshape
from cnndsl.ops.unary import exp
from cnndsl.support.diagnostics import TypeRuleError


@dataclass(frozen=True, slots=True)
class SoftmaxAttrs(Attrs):
    """Attributes of `softmax` and `log_softmax`."""

    axis: int = 1
    """The axis whose elements compete; the channels by default."""


@define_op("softmax")
def softmax(attrs: SoftmaxAttrs, x: TensorType) -> TensorType:
    """e^x over its sum along an axis, without overflow."""
    check_axis("softmax", attrs.axis, x)
    return float_type("softmax", x)


@reference.rule(softmax)
def softmax_reference(node: Node[SoftmaxAttrs], x: Array) -> Array:
    """Subtract the maximum, exponentiate, normalise."""
    axis = node.attrs.axis
    powers = np.exp(x - x.max(axis=axis, keepdims=True))
    return np.asarray(powers / powers.sum(axis=axis, keepdims=True))


@vjp.rule(softmax)
def softmax_vjp(b: Builder, node: Node[SoftmaxAttrs], grad: Value) -> Sequence[Value]:
    """Give y (g - sum(g y))."""
    y = node.results[0]
    along = ReduceAttrs((node.attrs.axis,), keepdims=True)
    mean = b.emit(reduce_sum, b.emit(mul, grad, y), attrs=along)
    return (b.emit(mul, y, b.emit(sub, grad, mean)),)


@define_op("log_softmax")
def log_softmax(attrs: SoftmaxAttrs, x: TensorType) -> TensorType:
    """The logarithm of the softmax: x less log(sum(e^x)) along an axis."""
    check_axis("log_softmax", attrs.axis, x)
    return float_type("log_softmax", x)


@reference.rule(log_softmax)
def log_softmax_reference(node: Node[SoftmaxAttrs], x: Array) -> Array:
    """Subtract the maximum, then the logarithm of the sum."""
    axis = node.attrs.axis
    centred = x - x.max(axis=axis, keepdims=True)
    return np.asarray(centred - np.log(np.exp(centred).sum(axis=axis, keepdims=True)))


@vjp.rule(log_softmax)
def log_softmax_vjp(b: Builder, node: Node[SoftmaxAttrs], grad: Value) -> Sequence[Value]:
    """Give g - e^y sum(g)."""
    along = ReduceAttrs((node.attrs.axis,), keepdims=True)
    total = b.emit(reduce_sum, grad, attrs=along)
    return (b.emit(sub, grad, b.emit(mul, b.emit(exp, node.results[0]), total)),)


@samples.rule(softmax, log_softmax)
def softmax_samples() -> Iterable[Sample]:
    """Classes of a batch, of each pixel, another axis, one class, large numbers."""
    yield Sample((f32(2, 5),))
    yield Sample((f32(2, 3, 2, 2),))
    yield Sample((f32(2, 3),), SoftmaxAttrs(axis=0))
    yield Sample((f32(2, 1),))
    yield Sample((f32(2, 4),), low=-40.0, high=40.0)
    yield Sample((f32(2, 3),), low=900.0, high=903.0, tolerance=1e-4)


@cost.rule(softmax, log_softmax)
def softmax_cost(node: Node[Any], operands: Sequence[TensorType]) -> Cost:
    """Five operations an element: maximum, difference, exponential, sum, quotient."""
    return elementwise_cost(node, operands, flops_per_element=5)


# --- maxout


@dataclass(frozen=True, slots=True)
class MaxoutAttrs(Attrs):
    """Attributes of `maxout`."""

    pieces: int
    """How many neighbouring channels share one maximum."""


@define_op("maxout")
def maxout(attrs: MaxoutAttrs, x: TensorType) -> TensorType:
    """The maximum over groups of `pieces` neighbouring channels (arXiv 1302.4389).

    [N, C * pieces, ...] becomes [N, C, ...]; of equal channels the first gets the gradient.
    """
    check_axis("maxout", 1, x)
    if attrs.pieces < 1 or x.shape[1] % attrs.pieces:
        raise TypeRuleError(
            f"maxout of {x} over {attrs.pieces} pieces: "
            f"{x.shape[1]} channels do not divide into groups of {attrs.pieces}"
        )
    return float_type("maxout", x).with_shape(
        (x.shape[0], x.shape[1] // attrs.pieces, *x.shape[2:])
    )


def _grouped(node: Node[MaxoutAttrs], shape: tuple[int, ...]) -> tuple[int, ...]:
    pieces = node.attrs.pieces
    return (shape[0], shape[1] // pieces, pieces, *shape[2:])


@reference.rule(maxout)
def maxout_reference(node: Node[MaxoutAttrs], x: Array) -> Array:
    """Group the channels, take the maximum."""
    return np.asarray(x.reshape(_grouped(node, x.shape)).max(axis=2))


@decompose.rule(maxout)
def maxout_decompose(b: Builder, node: Node[MaxoutAttrs]) -> Sequence[Value]:
    """Group the channels, take the maximum."""
    x = node.operands[0]
    groups = emit_reshape(b, x, _grouped(node, b.type_of(x).shape))
    return (b.emit(reduce_max, groups, attrs=ReduceAttrs((2,))),)


@vjp.rule(maxout)
def maxout_vjp(b: Builder, node: Node[MaxoutAttrs], grad: Value) -> Sequence[Value]:
    """Give the gradient to the channel that was taken."""
    x = node.operands[0]
    shape = b.type_of(x).shape
    groups = emit_reshape(b, x, _grouped(node, shape))
    spread = b.emit(reduce_max_grad, grad, groups, attrs=ReduceAttrs((2,)))
    return (emit_reshape(b, spread, shape),)


@samples.rule(maxout)
def maxout_samples() -> Iterable[Sample]:
    """Images and vectors, pairs and triples, groups of one."""
    yield Sample((f32(2, 6, 2, 2),), MaxoutAttrs(2), distinct=True)
    yield Sample((f32(2, 6),), MaxoutAttrs(3), distinct=True)
    yield Sample((f32(2, 3),), MaxoutAttrs(1), distinct=True)
    yield Sample((f32(1, 4, 1, 3),), MaxoutAttrs(4), distinct=True)


@cost.rule(maxout)
def maxout_cost(node: Node[MaxoutAttrs], operands: Sequence[TensorType]) -> Cost:
    """One comparison an element of the operand."""
    return elementwise_cost(node, operands, flops_per_element=node.attrs.pieces)
