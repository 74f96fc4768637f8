"""Gradients of the batch norms, and second derivatives."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cnndsl.ir.builder import Builder
from cnndsl.ir.graph import Node, Value
from cnndsl.ops.elementwise import add, div, emit_scalar, mul, sub
from cnndsl.ops.norm import (
    BatchNormAttrs,
    BatchNormGradAttrs,
    batch_norm,
    batch_norm_grad,
    batch_norm_train,
    channel_axes,
)
from cnndsl.ops.reduce import ReduceAttrs, reduce_sum
from cnndsl.ops.rules import vjp
from cnndsl.ops.scalar import ScalarProgram
from cnndsl.ops.shape import BroadcastToAttrs, broadcast_to, emit_reshape, full_like
from cnndsl.ops.unary import sqrt
from cnndsl.support.diagnostics import VerifyError


def _refuse_fused(node: Node[Any], program: ScalarProgram | None) -> None:
    """Raise `VerifyError` for a node that fusion has changed."""
    if program is not None:
        raise VerifyError(f"{node.id} is fused, and fusion comes after differentiation")


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
    return b.emit(reduce_sum, x, attrs=ReduceAttrs(channel_axes(b.type_of(x).rank)))


def _centred(
    b: Builder,
    attrs: BatchNormAttrs | BatchNormGradAttrs,
    x: Value,
    mean: Value,
    variance: Value,
) -> tuple[Value, Value]:
    """Emit x - mean, and 1/sqrt(variance + eps) of shape [C]."""
    root = b.emit(sqrt, _plus(b, variance, emit_scalar(b, attrs.eps, variance)))
    rate = b.emit(div, emit_scalar(b, 1.0, root), root)
    return b.emit(sub, x, _lay(b, mean, x)), rate


@vjp.rule(batch_norm)
def batch_norm_vjp(b: Builder, node: Node[BatchNormAttrs], grad: Value) -> Sequence[Value]:
    """Gradients for all five; the statistics are operands like the others."""
    _refuse_fused(node, node.attrs.epilogue)
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
    _refuse_fused(node, node.attrs.epilogue)
    x, scale, _ = node.operands
    _, mean, variance = node.results
    for_y, for_mean, for_variance = grads
    share = b.type_of(scale).size / b.type_of(x).size
    parts: list[Value] = []
    d_scale = d_shift = None
    if for_y is not None:
        d_x, d_scale, d_shift = b.emit_all(
            batch_norm_grad,
            for_y,
            x,
            scale,
            mean,
            variance,
            attrs=BatchNormGradAttrs(node.attrs.eps),
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
    b: Builder, node: Node[BatchNormGradAttrs], *grads: Value | None
) -> Sequence[Value]:
    """Second derivatives, by the chain rule over the sums that `batch_norm_grad` takes.

    With c = x - mean, r = 1/sqrt(variance + eps), h = c*r, S = sum(grad), T = sum(grad*h) and the
    incoming u (for x), p (for dscale), q (for dshift), what is differentiated is
    scale*r*(sum(u*grad) - (S*sum(u) + T*sum(u*h))/m) + p*T + q*S.
    """
    _refuse_fused(node, node.attrs.prologue)
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
