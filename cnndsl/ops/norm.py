"""Batch normalisation, with known statistics and with the batch's own, and its gradient."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from cnndsl.ir.builder import Builder
from cnndsl.ir.graph import Node, Value
from cnndsl.ir.op import Attrs, define_op
from cnndsl.ir.types import TensorType, f32
from cnndsl.ops.elementwise import add, div, emit_scalar, mul, sub
from cnndsl.ops.reduce import ReduceAttrs, reduce_sum
from cnndsl.ops.rules import Array, Cost, Sample, cost, elementwise_cost, reference, samples, vjp
from cnndsl.ops.shape import BroadcastToAttrs, broadcast_to, emit_reshape, full_like
from cnndsl.ops.unary import sqrt
from cnndsl.support.diagnostics import TypeRuleError


@dataclass(frozen=True, slots=True)
class BatchNormAttrs(Attrs):
    """Attributes of the batch norms."""

    eps: float = 1e-5
    """Added to the variance."""


def _check_channels(name: str, attrs: BatchNormAttrs, x: TensorType, *rest: TensorType) -> None:
    """Check x [N,C,...] against one number a channel in each of `rest`."""
    if x.rank < 2 or not x.dtype.is_float or x.size == 0:
        raise TypeRuleError(f"{name} takes floats [N,C] or [N,C,H,W]; given {x}")
    if attrs.eps < 0:
        raise TypeRuleError(f"{name} with eps {attrs.eps}: the square root of a negative number")
    for other in rest:
        if other != x.with_shape(x.shape[1:2]):
            raise TypeRuleError(f"{name} takes one number for each of {x.shape[1]} channels of {x}")


@define_op("batch_norm")
def batch_norm(
    attrs: BatchNormAttrs,
    x: TensorType,
    scale: TensorType,
    shift: TensorType,
    mean: TensorType,
    variance: TensorType,
) -> TensorType:
    """Normalise with known statistics: (x - mean)/sqrt(variance + eps)*scale + shift a channel.

    x is [N,C] or [N,C,H,W], the others [C]. Ioffe and Szegedy, 2015.
    """
    _check_channels("batch_norm", attrs, x, scale, shift, mean, variance)
    return x


@define_op("batch_norm_train")
def batch_norm_train(
    attrs: BatchNormAttrs, x: TensorType, scale: TensorType, shift: TensorType
) -> tuple[TensorType, TensorType, TensorType]:
    """Normalise with the batch's own statistics; gives (y, mean [C], variance [C]).

    The variance is the biased one: squared distance from the mean, divided by N*H*W.
    """
    _check_channels("batch_norm_train", attrs, x, scale, shift)
    return x, scale, scale


@define_op("batch_norm_grad")
def batch_norm_grad(
    attrs: BatchNormAttrs,
    grad: TensorType,
    x: TensorType,
    scale: TensorType,
    mean: TensorType,
    variance: TensorType,
) -> tuple[TensorType, TensorType, TensorType]:
    """The gradients of `batch_norm_train`'s y for x, scale and shift.

    With h = (x - mean)/sqrt(variance + eps) and m elements a channel: dshift = sum(grad),
    dscale = sum(grad*h), dx = scale/sqrt(variance + eps)*(grad - (dshift + h*dscale)/m).
    """
    _check_channels("batch_norm_grad", attrs, x, scale, mean, variance)
    if grad != x:
        raise TypeRuleError(f"batch_norm_train gives {x} here; its gradient is {grad}")
    return x, scale, scale


def _axes(rank: int) -> tuple[int, ...]:
    """All axes but the channels'."""
    return (0, *range(2, rank))


def _along(values: Array, rank: int) -> Array:
    """Lay [C] along the channels of an array of `rank` axes."""
    return values.reshape(1, -1, *(1,) * (rank - 2))


def _normalised(x: Array, mean: Array, variance: Array, eps: float) -> tuple[Array, Array]:
    """Give ((x - mean)/sqrt(variance + eps), 1/sqrt(variance + eps) of shape [C])."""
    rate = 1 / np.sqrt(variance + variance.dtype.type(eps))
    return (x - _along(mean, x.ndim)) * _along(rate, x.ndim), rate


@reference.rule(batch_norm)
def batch_norm_reference(
    node: Node[BatchNormAttrs], x: Array, scale: Array, shift: Array, mean: Array, variance: Array
) -> Array:
    """Centre, scale, shift."""
    h, _ = _normalised(x, mean, variance, node.attrs.eps)
    h *= _along(scale, x.ndim)
    h += _along(shift, x.ndim)
    return h


@reference.rule(batch_norm_train)
def batch_norm_train_reference(
    node: Node[BatchNormAttrs], x: Array, scale: Array, shift: Array
) -> tuple[Array, Array, Array]:
    """Two passes: the mean, then the squares of what is left."""
    mean = np.asarray(x.mean(axis=_axes(x.ndim), dtype=x.dtype))
    centred = x - _along(mean, x.ndim)
    variance = np.asarray(np.square(centred).mean(axis=_axes(x.ndim), dtype=x.dtype))
    rate = scale / np.sqrt(variance + variance.dtype.type(node.attrs.eps))
    centred *= _along(rate, x.ndim)
    centred += _along(shift, x.ndim)
    return centred, mean, variance


@reference.rule(batch_norm_grad)
def batch_norm_grad_reference(
    node: Node[BatchNormAttrs], grad: Array, x: Array, scale: Array, mean: Array, variance: Array
) -> tuple[Array, Array, Array]:
    """Both sums, then what is left of the gradient without its mean and its part along h."""
    h, rate = _normalised(x, mean, variance, node.attrs.eps)
    d_shift = grad.sum(axis=_axes(x.ndim))
    d_scale = (grad * h).sum(axis=_axes(x.ndim))
    count = x.dtype.type(x.size // x.shape[1])
    h *= _along(d_scale / count, x.ndim)
    h += _along(d_shift / count, x.ndim)
    return (grad - h) * _along(scale * rate, x.ndim), d_scale, d_shift


def _times(b: Builder, first: Value, *others: Value | float) -> Value:
    """Emit a product."""
    for other in others:
        factor = other if isinstance(other, Value) else emit_scalar(b, other, first)
        first = b.emit(mul, first, factor)
    return first


def _plus(b: Builder, first: Value, *others: Value) -> Value:
    """Emit a sum."""
    for other in others:
        first = b.emit(add, first, other)
    return first


def _lay(b: Builder, values: Value, x: Value) -> Value:
    """Emit [C] as [1,C,1,...], to go along the channels of `x`."""
    kind = b.type_of(x)
    return emit_reshape(b, values, (1, kind.shape[1], *(1,) * (kind.rank - 2)))


def _total(b: Builder, x: Value) -> Value:
    """Emit the sum of each channel, [C]."""
    return b.emit(reduce_sum, x, attrs=ReduceAttrs(_axes(b.type_of(x).rank)))


def _centred(
    b: Builder, attrs: BatchNormAttrs, x: Value, mean: Value, variance: Value
) -> tuple[Value, Value]:
    """Emit x - mean, and 1/sqrt(variance + eps) of shape [C]."""
    root = b.emit(sqrt, _plus(b, variance, emit_scalar(b, attrs.eps, variance)))
    rate = b.emit(div, emit_scalar(b, 1.0, root), root)
    return b.emit(sub, x, _lay(b, mean, x)), rate


@vjp.rule(batch_norm)
def batch_norm_vjp(b: Builder, node: Node[BatchNormAttrs], grad: Value) -> Sequence[Value]:
    """Gradients for all five; the statistics are operands like the others."""
    x, scale, _, mean, variance = node.operands
    centred, rate = _centred(b, node.attrs, x, mean, variance)
    total = _total(b, grad)
    along = _total(b, _times(b, grad, centred))
    factor = _times(b, scale, rate)
    return (
        _times(b, grad, _lay(b, factor, x)),
        _times(b, along, rate),
        total,
        _times(b, total, factor, -1.0),
        _times(b, along, factor, rate, rate, -0.5),
    )


@vjp.rule(batch_norm_train)
def batch_norm_train_vjp(
    b: Builder, node: Node[BatchNormAttrs], *grads: Value | None
) -> Sequence[Value | None]:
    """The gradients of y by `batch_norm_grad`; those of mean and variance are added to x's."""
    x, scale, _ = node.operands
    _, mean, variance = node.results
    for_y, for_mean, for_variance = grads
    share = b.type_of(scale).size / b.type_of(x).size
    parts: list[Value] = []
    d_scale = d_shift = None
    if for_y is not None:
        d_x, d_scale, d_shift = b.emit_all(
            batch_norm_grad, for_y, x, scale, mean, variance, attrs=node.attrs
        )
        parts.append(d_x)
    if for_variance is not None:
        centred = b.emit(sub, x, _lay(b, mean, x))
        parts.append(_times(b, centred, _lay(b, _times(b, for_variance, 2 * share), x)))
    if for_mean is not None:
        spread = BroadcastToAttrs(b.type_of(x).shape)
        laid = _lay(b, _times(b, for_mean, share), x)
        parts.append(b.emit(broadcast_to, laid, attrs=spread))
    return (_plus(b, *parts) if parts else None), d_scale, d_shift


@vjp.rule(batch_norm_grad)
def batch_norm_grad_vjp(
    b: Builder, node: Node[BatchNormAttrs], *grads: Value | None
) -> Sequence[Value]:
    """Second derivatives, by the chain rule over the sums that `batch_norm_grad` takes.

    With c = x - mean, r = 1/sqrt(variance + eps), h = c*r, S = sum(grad), T = sum(grad*h) and the
    incoming u (for x), p (for dscale), q (for dshift), what is differentiated is
    scale*r*(sum(u*grad) - (S*sum(u) + T*sum(u*h))/m) + p*T + q*S.
    """
    grad, x, scale, mean, variance = node.operands
    u, p, q = (
        full_like(b, 0.0, kind) if value is None else value
        for value, kind in zip(grads, node.types, strict=True)
    )
    share = b.type_of(scale).size / b.type_of(x).size
    c, r = _centred(b, node.attrs, x, mean, variance)
    h = _times(b, c, _lay(b, r, x))
    s, t, total_u = node.results[2], node.results[1], _total(b, u)
    along = _total(b, _times(b, u, h))
    inner = b.emit(
        sub,
        _total(b, _times(b, u, grad)),
        _times(b, _plus(b, _times(b, s, total_u), _times(b, t, along)), share),
    )
    factor = _times(b, scale, r)
    less = _times(b, factor, -share)
    for_s = _lay(b, _plus(b, q, _times(b, less, total_u)), x)
    for_t = _lay(b, _plus(b, p, _times(b, less, along)), x)
    for_along = _lay(b, _times(b, less, t), x)
    d_grad = _plus(b, _times(b, u, _lay(b, factor, x)), _times(b, h, for_t), for_s)
    d_h = _plus(b, _times(b, grad, for_t), _times(b, u, for_along))
    d_r = _plus(b, _times(b, scale, inner), _total(b, _times(b, d_h, c)))
    return (
        d_grad,
        _times(b, d_h, _lay(b, r, x)),
        _times(b, r, inner),
        _times(b, _total(b, d_h), r, -1.0),
        _times(b, d_r, r, r, r, -0.5),
    )


@cost.rule(batch_norm)
def batch_norm_cost(node: Node[BatchNormAttrs], operands: Sequence[TensorType]) -> Cost:
    """Centre, two factors, shift."""
    return elementwise_cost(node, operands, flops_per_element=4)


@cost.rule(batch_norm_train)
def batch_norm_train_cost(node: Node[BatchNormAttrs], operands: Sequence[TensorType]) -> Cost:
    """Sum; centre, square, sum; factor, shift."""
    return elementwise_cost(node, operands, flops_per_element=6)


@cost.rule(batch_norm_grad)
def batch_norm_grad_cost(node: Node[BatchNormAttrs], operands: Sequence[TensorType]) -> Cost:
    """Normalise; two sums, one of products; two factors, a sum and a difference."""
    return elementwise_cost(node, operands, flops_per_element=9)


_SHAPES = ((4, 3), (2, 3, 4, 5), (3, 1, 1, 2), (2, 5, 1, 1), (5, 2, 3))
"""Images with unequal sides, one channel, one pixel; rows; sequences."""


@samples.rule(batch_norm)
def batch_norm_samples() -> Iterable[Sample]:
    """Variances above 0, as statistics are."""
    for shape in _SHAPES:
        channels = f32(shape[1])
        operands = (f32(*shape), *(channels,) * 4)
        yield Sample(operands, BatchNormAttrs(eps=1e-3), low=0.25, high=2.0)


@samples.rule(batch_norm_train)
def batch_norm_train_samples() -> Iterable[Sample]:
    """Elements that keep apart, so that no channel's variance is near 0."""
    for shape in _SHAPES:
        operands = (f32(*shape), f32(shape[1]), f32(shape[1]))
        yield Sample(operands, BatchNormAttrs(eps=1e-2), distinct=True)


@samples.rule(batch_norm_grad)
def batch_norm_grad_samples() -> Iterable[Sample]:
    """Mean and variance need not be those of x."""
    for shape in _SHAPES:
        channels = f32(shape[1])
        operands = (f32(*shape), f32(*shape), *(channels,) * 3)
        yield Sample(operands, BatchNormAttrs(eps=1e-2), low=0.25, high=2.0)
