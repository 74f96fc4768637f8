"""Local response normalisation, as in AlexNet, and its gradient."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from cnndsl.ir.builder import Builder
from cnndsl.ir.graph import Node, Value
from cnndsl.ir.op import Attrs, define_op
from cnndsl.ir.types import TensorType, f32
from cnndsl.ops.elementwise import add, emit_scalar, mul
from cnndsl.ops.pool import AvgPool2dAttrs, avg_pool2d
from cnndsl.ops.rules import Array, Cost, Sample, cost, elementwise_cost, reference, samples, vjp
from cnndsl.ops.shape import emit_reshape
from cnndsl.ops.unary import exp, log, square
from cnndsl.support.diagnostics import TypeRuleError


@dataclass(frozen=True, slots=True)
class LrnAttrs(Attrs):
    """Attributes of `lrn`; the defaults are AlexNet's."""

    size: int = 5
    """How many neighbouring channels are summed, itself in the middle; odd."""
    alpha: float = 1e-4
    """Weight of the sum of squares. It is not divided by `size`, as some libraries do."""
    beta: float = 0.75
    """Power of the divisor."""
    k: float = 2.0
    """Added to the weighted sum; above 0."""


@define_op("lrn")
def lrn(attrs: LrnAttrs, x: TensorType) -> TensorType:
    """Divide by neighbouring channels' activity: x/(k + alpha*sum(x**2))**beta.

    The sum goes over `size` channels around each one, fewer at the ends; x is [N,C,H,W].
    Krizhevsky, Sutskever and Hinton, 2012, section 3.3.
    """
    if x.rank != 4 or not x.dtype.is_float or x.size == 0:
        raise TypeRuleError(f"lrn takes an image [N,C,H,W] of floats; given {x}")
    if attrs.size < 1 or attrs.size % 2 == 0:
        raise TypeRuleError(f"lrn over {attrs.size} channels: only an odd number has a middle")
    if attrs.k <= 0 or attrs.alpha < 0:
        raise TypeRuleError(
            f"lrn with k {attrs.k}, alpha {attrs.alpha}: k + alpha*sum must stay above 0"
        )
    return x


@define_op("lrn_grad")
def lrn_grad(attrs: LrnAttrs, grad: TensorType, x: TensorType) -> TensorType:
    """The gradient of `lrn` at x.

    With s = k + alpha*sum(x**2): grad*s**-beta - 2*alpha*beta*x*sum(grad*x*s**(-beta - 1)).
    """
    if grad != x:
        raise TypeRuleError(f"lrn gives {x} here; its gradient is {grad}")
    return lrn.infer(attrs, x)[0]


def _channel_sums(attrs: LrnAttrs, x: Array) -> Array:
    """Sum x [N,C,H,W] over each channel's neighbourhood."""
    channels = x.shape[1]
    total = x.copy()
    for away in range(1, min(attrs.size // 2, channels - 1) + 1):
        total[:, away:] += x[:, :-away]
        total[:, :-away] += x[:, away:]
    return total


def _divisor(attrs: LrnAttrs, x: Array) -> Array:
    """Give k + alpha*sum(x**2)."""
    total = _channel_sums(attrs, np.square(x))
    total *= x.dtype.type(attrs.alpha)
    total += x.dtype.type(attrs.k)
    return total


@reference.rule(lrn)
def lrn_reference(node: Node[LrnAttrs], x: Array) -> Array:
    """Divide by the power of the neighbourhood's sum."""
    return np.asarray(x * _divisor(node.attrs, x) ** x.dtype.type(-node.attrs.beta))


@reference.rule(lrn_grad)
def lrn_grad_reference(node: Node[LrnAttrs], grad: Array, x: Array) -> Array:
    """Compute the divisor again; the neighbourhood is symmetric, so its transpose is itself."""
    attrs = node.attrs
    s = _divisor(attrs, x)
    scaled = grad * s ** x.dtype.type(-attrs.beta)
    around = _channel_sums(attrs, scaled * x / s)
    return np.asarray(scaled - x.dtype.type(2 * attrs.alpha * attrs.beta) * x * around)


def _times(b: Builder, first: Value, *others: Value | float) -> Value:
    """Emit a product."""
    for other in others:
        factor = other if isinstance(other, Value) else emit_scalar(b, other, first)
        first = b.emit(mul, first, factor)
    return first


def _emit_channel_sums(b: Builder, attrs: LrnAttrs, x: Value) -> Value:
    """Emit the sum over each channel's neighbourhood: a mean over an image of channels x pixels."""
    count, channels, height, width = b.type_of(x).shape
    half = min(attrs.size // 2, channels - 1)
    window = AvgPool2dAttrs((2 * half + 1, 1), padding=((half, half), (0, 0)), count_padding=True)
    image = emit_reshape(b, x, (count, 1, channels, height * width))
    mean = b.emit(avg_pool2d, image, attrs=window)
    return _times(b, emit_reshape(b, mean, (count, channels, height, width)), 2.0 * half + 1)


@vjp.rule(lrn)
def lrn_vjp(b: Builder, node: Node[LrnAttrs], grad: Value) -> Sequence[Value]:
    """Give the gradient op."""
    return (b.emit(lrn_grad, grad, *node.operands, attrs=node.attrs),)


@vjp.rule(lrn_grad)
def lrn_grad_vjp(b: Builder, node: Node[LrnAttrs], u: Value) -> Sequence[Value]:
    """Second derivatives, by the chain rule over the formula of `lrn_grad`.

    With W the sum over neighbours, s = k + alpha*W(x**2), c = 2*alpha*beta, f = s**-beta and
    v = W(c*u*x), what is differentiated is sum(u*grad*f) - sum(v*grad*x*f/s).
    """
    grad, x = node.operands
    a = node.attrs
    weighted = _times(b, _emit_channel_sums(b, a, b.emit(square, x)), a.alpha)
    log_s = b.emit(log, b.emit(add, weighted, emit_scalar(b, a.k, weighted)))
    f = b.emit(exp, _times(b, log_s, -a.beta))
    f_over_s = b.emit(exp, _times(b, log_s, -a.beta - 1))
    v = _emit_channel_sums(b, a, _times(b, u, x, 2 * a.alpha * a.beta))
    d_grad = b.emit(add, _times(b, u, f), _times(b, v, x, f_over_s, -1.0))
    around = _emit_channel_sums(b, a, _times(b, grad, x, f_over_s))
    twice = b.emit(exp, _times(b, log_s, -a.beta - 2))
    d_s = b.emit(
        add, _times(b, u, grad, f_over_s, -a.beta), _times(b, v, grad, x, twice, a.beta + 1)
    )
    parts = (
        _times(b, u, around, -2 * a.alpha * a.beta),
        _times(b, v, grad, f_over_s, -1.0),
        _times(b, x, _emit_channel_sums(b, a, d_s), 2 * a.alpha),
    )
    return d_grad, b.emit(add, b.emit(add, parts[0], parts[1]), parts[2])


@cost.rule(lrn)
def lrn_cost(node: Node[LrnAttrs], operands: Sequence[TensorType]) -> Cost:
    """Square, sum over neighbours, two to weight, a power and a product."""
    return elementwise_cost(node, operands, flops_per_element=node.attrs.size + 4)


@cost.rule(lrn_grad)
def lrn_grad_cost(node: Node[LrnAttrs], operands: Sequence[TensorType]) -> Cost:
    """The divisor, its power, a second sum over neighbours and the products around it."""
    return elementwise_cost(node, operands, flops_per_element=2 * node.attrs.size + 9)


_CASES = (
    ((2, 7, 3, 2), LrnAttrs()),
    ((1, 1, 2, 3), LrnAttrs(alpha=0.5)),  # one channel: no neighbours
    ((2, 3, 1, 4), LrnAttrs(size=7, alpha=0.5, beta=0.5, k=1.0)),  # more neighbours than channels
    ((1, 6, 2, 1), LrnAttrs(size=3, alpha=1.0, beta=0.75, k=1.0)),
    ((2, 4, 2, 2), LrnAttrs(size=1, alpha=1.0, beta=1.0, k=0.5)),
    ((1, 5, 2, 3), LrnAttrs(size=5, alpha=1.0, beta=2.0, k=1.0)),
)


@samples.rule(lrn)
def lrn_samples() -> Iterable[Sample]:
    """Try AlexNet's numbers, and larger ones in which neighbours count."""
    return [Sample((f32(*shape),), attrs) for shape, attrs in _CASES]


@samples.rule(lrn_grad)
def lrn_grad_samples() -> Iterable[Sample]:
    """Try the cases of `lrn`."""
    return [Sample((f32(*shape), f32(*shape)), attrs) for shape, attrs in _CASES]
