"""Losses of a prediction against a target of the same shape, each the mean over all elements.

Both operands get gradients; that of a target which nothing learns through is never computed, as
nobody reads it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cnndsl.ir.builder import Builder
from cnndsl.ir.graph import Node, Value
from cnndsl.ir.op import Attrs, define_op
from cnndsl.ir.types import TensorType, f32
from cnndsl.ops.activations import sigmoid
from cnndsl.ops.elementwise import (
    div,
    emit_scalar,
    float_type,
    maximum,
    minimum,
    mul,
    neg,
    sub,
)
from cnndsl.ops.loss import FLOOR
from cnndsl.ops.rules import Array, Cost, Sample, cost, reference, samples, vjp
from cnndsl.ops.unary import log, sign
from cnndsl.support.diagnostics import TypeRuleError


def _paired(name: str, prediction: TensorType, target: TensorType) -> TensorType:
    if prediction != target or not prediction.size:
        raise TypeRuleError(
            f"{name} of the prediction {prediction} and the target {target}: "
            "they must be of one type and hold something"
        )
    return float_type(name, prediction).with_shape(())


def _difference(b: Builder, node: Node[Any]) -> Value:
    return b.emit(sub, *node.operands)


def _share(b: Builder, node: Node[Any], grad: Value, factor: float = 1.0) -> Value:
    """Emit the loss's gradient over the number of elements, times a factor."""
    count = b.type_of(node.operands[0]).size
    return b.emit(mul, grad, emit_scalar(b, factor / count, grad))


def _opposite(b: Builder, slope: Value) -> Sequence[Value]:
    """Give the gradients of a loss that depends on the difference alone."""
    return (slope, b.emit(neg, slope))


# --- regression


@define_op("squared_error")
def squared_error(attrs: Attrs, prediction: TensorType, target: TensorType) -> TensorType:
    """The mean of (prediction - target)^2."""
    return _paired("squared_error", prediction, target)


@reference.rule(squared_error)
def squared_error_reference(node: Node[Attrs], prediction: Array, target: Array) -> Array:
    """Average the squares."""
    return np.asarray(np.mean((prediction - target) ** 2))


@vjp.rule(squared_error)
def squared_error_vjp(b: Builder, node: Node[Attrs], grad: Value) -> Sequence[Value]:
    """Give 2 (prediction - target) / n."""
    return _opposite(b, b.emit(mul, _difference(b, node), _share(b, node, grad, 2.0)))


@define_op("l1")
def l1(attrs: Attrs, prediction: TensorType, target: TensorType) -> TensorType:
    """The mean of |prediction - target|; its gradient at 0 is 0."""
    return _paired("l1", prediction, target)


@reference.rule(l1)
def l1_reference(node: Node[Attrs], prediction: Array, target: Array) -> Array:
    """Average the absolute values."""
    return np.asarray(np.mean(np.abs(prediction - target)))


@vjp.rule(l1)
def l1_vjp(b: Builder, node: Node[Attrs], grad: Value) -> Sequence[Value]:
    """Give the sign of the difference over n."""
    return _opposite(b, b.emit(mul, b.emit(sign, _difference(b, node)), _share(b, node, grad)))


@dataclass(frozen=True, slots=True)
class SmoothL1Attrs(Attrs):
    """Attributes of `smooth_l1`."""

    beta: float = 1.0
    """Where the parabola meets the straight lines; positive."""


@define_op("smooth_l1")
def smooth_l1(attrs: SmoothL1Attrs, prediction: TensorType, target: TensorType) -> TensorType:
    """The mean of d^2 / (2 beta) where |d| < beta, else of |d| - beta / 2 (arXiv 1504.08083)."""
    if attrs.beta <= 0:
        raise TypeRuleError(f"smooth_l1 with beta {attrs.beta:g}: it must be positive")
    return _paired("smooth_l1", prediction, target)


@reference.rule(smooth_l1)
def smooth_l1_reference(node: Node[SmoothL1Attrs], prediction: Array, target: Array) -> Array:
    """Average both pieces."""
    beta = prediction.dtype.type(node.attrs.beta)
    d = np.abs(prediction - target)
    return np.asarray(np.mean(np.where(d < beta, d * d / (2 * beta), d - beta / 2)))


@vjp.rule(smooth_l1)
def smooth_l1_vjp(b: Builder, node: Node[SmoothL1Attrs], grad: Value) -> Sequence[Value]:
    """Give d / beta, clipped to -1 and 1, over n."""
    slope = b.emit(mul, _difference(b, node), emit_scalar(b, 1.0 / node.attrs.beta, grad))
    least, most = emit_scalar(b, -1.0, grad), emit_scalar(b, 1.0, grad)
    clipped = b.emit(maximum, b.emit(minimum, slope, most), least)
    return _opposite(b, b.emit(mul, clipped, _share(b, node, grad)))


# --- binary cross-entropy


@define_op("binary_cross_entropy")
def binary_cross_entropy(attrs: Attrs, prediction: TensorType, target: TensorType) -> TensorType:
    """The mean of -t log p - (1 - t) log(1 - p); logarithms of less than 1e-12 are of 1e-12."""
    return _paired("binary_cross_entropy", prediction, target)


@reference.rule(binary_cross_entropy)
def binary_cross_entropy_reference(node: Node[Attrs], prediction: Array, target: Array) -> Array:
    """Average both logarithms."""
    floor = prediction.dtype.type(FLOOR)
    yes = np.log(np.maximum(prediction, floor))
    no = np.log(np.maximum(1 - prediction, floor))
    return np.asarray(-np.mean(target * yes + (1 - target) * no))


@vjp.rule(binary_cross_entropy)
def binary_cross_entropy_vjp(b: Builder, node: Node[Attrs], grad: Value) -> Sequence[Value]:
    """Give (p - t) / (p (1 - p) n) to p and the difference of the logarithms to t."""
    p = node.operands[0]
    share, floor = _share(b, node, grad), emit_scalar(b, FLOOR, grad)
    rest = b.emit(sub, emit_scalar(b, 1.0, grad), p)
    spread = b.emit(maximum, b.emit(mul, p, rest), floor)
    of_p = b.emit(mul, b.emit(div, _difference(b, node), spread), share)
    yes = b.emit(log, b.emit(maximum, p, floor))
    no = b.emit(log, b.emit(maximum, rest, floor))
    return (of_p, b.emit(mul, b.emit(sub, no, yes), share))


@define_op("binary_cross_entropy_logits")
def binary_cross_entropy_logits(
    attrs: Attrs, prediction: TensorType, target: TensorType
) -> TensorType:
    """The binary cross-entropy of sigmoid(prediction), without overflow or underflow."""
    return _paired("binary_cross_entropy_logits", prediction, target)


@reference.rule(binary_cross_entropy_logits)
def binary_cross_entropy_logits_reference(
    node: Node[Attrs], prediction: Array, target: Array
) -> Array:
    """Average max(x, 0) - x t + log(1 + e^-|x|)."""
    bend = np.log1p(np.exp(-np.abs(prediction)))
    return np.asarray(np.mean(np.maximum(prediction, 0) - prediction * target + bend))


@vjp.rule(binary_cross_entropy_logits)
def binary_cross_entropy_logits_vjp(b: Builder, node: Node[Attrs], grad: Value) -> Sequence[Value]:
    """Give (sigmoid(x) - t) / n to x and -x / n to t."""
    x, target = node.operands
    share = _share(b, node, grad)
    of_x = b.emit(mul, b.emit(sub, b.emit(sigmoid, x), target), share)
    return (of_x, b.emit(neg, b.emit(mul, x, share)))


# --- samples and cost


@samples.rule(squared_error, l1, binary_cross_entropy_logits)
def elementwise_loss_samples() -> Iterable[Sample]:
    """A batch, an image, one number."""
    for shape in ((4, 3), (2, 1, 2, 3), ()):
        yield Sample((f32(*shape), f32(*shape)), low=-2.0, high=2.0, distinct=True)


@samples.rule(smooth_l1)
def smooth_l1_samples() -> Iterable[Sample]:
    """The bend at several places."""
    for beta in (1.0, 0.3, 2.5):
        yield Sample((f32(4, 3), f32(4, 3)), SmoothL1Attrs(beta), low=-2.0, high=2.0)


@samples.rule(binary_cross_entropy)
def binary_cross_entropy_samples() -> Iterable[Sample]:
    """Probabilities of predictions and targets."""
    for shape in ((4, 3), (2, 1, 2, 3), ()):
        yield Sample((f32(*shape), f32(*shape)), low=0.1, high=0.9)


@cost.rule(squared_error, l1, smooth_l1, binary_cross_entropy, binary_cross_entropy_logits)
def elementwise_loss_cost(node: Node[Any], operands: Sequence[TensorType]) -> Cost:
    """Three operations an element of the prediction."""
    return Cost(
        flops=3 * operands[0].size,
        bytes_read=sum(kind.nbytes for kind in operands),
        bytes_written=node.type.nbytes,
    )
