"""Losses of scores against labels: softmax cross-entropy, cross-entropy, hinge.

Scores are [N, C] or [N, C, H, W], classes along axis 1; labels are i64, [N] or [N, H, W]. A loss is
the mean over all labelled positions, as a scalar. Losses against targets stand in
elementwise_loss.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from cnndsl.ir.builder import Builder
from cnndsl.ir.graph import Node, Value
from cnndsl.ir.op import Attrs, Op, define_op
from cnndsl.ir.types import DType, TensorType, f32
from cnndsl.ops.elementwise import emit_scalar, float_type, mul, sub
from cnndsl.ops.reduce import ReduceAttrs, reduce_sum
from cnndsl.ops.rules import Array, Cost, Sample, cost, reference, samples, vjp
from cnndsl.ops.softmax import SoftmaxAttrs, softmax
from cnndsl.ops.unary import square
from cnndsl.support.diagnostics import DataError, TypeRuleError, error

FLOOR = 1e-12
"""Probabilities below this count as this in a logarithm or divisor."""


def _scored(name: str, scores: TensorType, labels: TensorType) -> TensorType:
    """Check scores and labels of a loss; give the type of the loss."""
    float_type(name, scores)
    expected = TensorType(DType.I64, (*scores.shape[:1], *scores.shape[2:]))
    if scores.rank < 2 or labels != expected:
        raise TypeRuleError(
            f"{name} of the scores {scores} and the labels {labels}: scores are [N, classes, ...], "
            f"and their labels here {expected}"
        )
    if not scores.size:
        raise TypeRuleError(f"{name} of the scores {scores}: there is no mean of no positions")
    return scores.with_shape(())


def _scored_gradient(
    name: str, grad: TensorType, scores: TensorType, labels: TensorType
) -> TensorType:
    if grad != _scored(name, scores, labels):
        raise TypeRuleError(f"{name}: the loss is {scores.with_shape(())}, its gradient {grad}")
    return scores


def _rows(node: Node[Attrs], scores: Array, labels: Array) -> tuple[Array, Array, Array]:
    """Give scores as [positions, classes], labels as [positions], and 0, 1, ... positions - 1."""
    classes = scores.shape[1]
    flat = labels.reshape(-1)
    wrong = flat[(flat < 0) | (flat >= classes)]
    if wrong.size:
        raise DataError(
            error(
                "E0807",
                f"the label {int(wrong[0])} reached {node.id}, which has {classes} classes",
                notes=(f"labels of {classes} classes are 0 to {classes - 1}",),
            )
        )
    rows = np.moveaxis(scores, 1, -1).reshape(-1, classes)
    return rows, flat, np.arange(len(flat))


def _unrows(rows: Array, shape: tuple[int, ...]) -> Array:
    """Undo `_rows` for an array like the scores."""
    moved = rows.reshape(shape[0], *shape[2:], shape[1])
    return np.ascontiguousarray(np.moveaxis(moved, -1, 1))


def _softmax_of(rows: Array) -> Array:
    powers = np.exp(rows - rows.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def _loss_vjp(
    b: Builder, node: Node[Attrs], grad: Value, gradient: Op[Any]
) -> Sequence[Value | None]:
    return (b.emit(gradient, grad, *node.operands), None)


def _of_loss_gradient(b: Builder, node: Node[Attrs], grad: Value) -> Value:
    """Emit the derivative of a gradient op by the loss's gradient: the op is linear in it."""
    one = emit_scalar(b, 1.0, grad)
    direction = b.emit(node.op, one, *node.operands[1:])
    axes = tuple(range(b.type_of(grad).rank))
    return b.emit(reduce_sum, b.emit(mul, grad, direction), attrs=ReduceAttrs(axes))


# --- softmax cross-entropy


@define_op("softmax_cross_entropy")
def softmax_cross_entropy(attrs: Attrs, logits: TensorType, labels: TensorType) -> TensorType:
    """The mean of -log softmax(logits)[label], without overflow."""
    return _scored("softmax_cross_entropy", logits, labels)


@reference.rule(softmax_cross_entropy)
def softmax_cross_entropy_reference(node: Node[Attrs], logits: Array, labels: Array) -> Array:
    """Subtract the maximum, then the label's logit from the logarithm of the sum."""
    rows, flat, position = _rows(node, logits, labels)
    centred = rows - rows.max(axis=1, keepdims=True)
    total = np.log(np.exp(centred).sum(axis=1))
    return np.asarray((total - centred[position, flat]).mean())


@vjp.rule(softmax_cross_entropy)
def softmax_cross_entropy_vjp(b: Builder, node: Node[Attrs], grad: Value) -> Sequence[Value | None]:
    """Give the softmax less the label's 1, over the number of positions."""
    return _loss_vjp(b, node, grad, softmax_cross_entropy_grad)


@define_op("softmax_cross_entropy_grad")
def softmax_cross_entropy_grad(
    attrs: Attrs, grad: TensorType, logits: TensorType, labels: TensorType
) -> TensorType:
    """The gradient of `softmax_cross_entropy`: grad (softmax - 1 at the label) / positions."""
    return _scored_gradient("softmax_cross_entropy_grad", grad, logits, labels)


@reference.rule(softmax_cross_entropy_grad)
def softmax_cross_entropy_grad_reference(
    node: Node[Attrs], grad: Array, logits: Array, labels: Array
) -> Array:
    """Subtract 1 at the labels."""
    rows, flat, position = _rows(node, logits, labels)
    slope = _softmax_of(rows)
    slope[position, flat] -= 1
    return _unrows(slope * (grad / len(flat)), logits.shape)


@vjp.rule(softmax_cross_entropy_grad)
def softmax_cross_entropy_grad_vjp(
    b: Builder, node: Node[Attrs], grad: Value
) -> Sequence[Value | None]:
    """Differentiate the softmax: p (g - sum(g p)), scaled alike."""
    first, logits, labels = node.operands
    share = emit_scalar(b, 1.0 / b.type_of(labels).size, grad)
    p = b.emit(softmax, logits, attrs=SoftmaxAttrs(1))
    along = ReduceAttrs((1,), keepdims=True)
    mean = b.emit(reduce_sum, b.emit(mul, grad, p), attrs=along)
    slope = b.emit(mul, p, b.emit(sub, grad, mean))
    of_logits = b.emit(mul, slope, b.emit(mul, first, share))
    return (_of_loss_gradient(b, node, grad), of_logits, None)


# --- cross-entropy of probabilities


@define_op("cross_entropy")
def cross_entropy(attrs: Attrs, probabilities: TensorType, labels: TensorType) -> TensorType:
    """The mean of -log(probabilities[label]); probabilities below 1e-12 count as 1e-12."""
    return _scored("cross_entropy", probabilities, labels)


@reference.rule(cross_entropy)
def cross_entropy_reference(node: Node[Attrs], probabilities: Array, labels: Array) -> Array:
    """Take the logarithm of what the labels got."""
    rows, flat, position = _rows(node, probabilities, labels)
    got = np.maximum(rows[position, flat], probabilities.dtype.type(FLOOR))
    return np.asarray(-np.log(got).mean())


@vjp.rule(cross_entropy)
def cross_entropy_vjp(b: Builder, node: Node[Attrs], grad: Value) -> Sequence[Value | None]:
    """Give -1/p at the label, over the number of positions."""
    return _loss_vjp(b, node, grad, cross_entropy_grad)


@define_op("cross_entropy_grad")
def cross_entropy_grad(
    attrs: Attrs, grad: TensorType, probabilities: TensorType, labels: TensorType
) -> TensorType:
    """The gradient of `cross_entropy`: -grad / (p positions) at the label, 0 elsewhere.

    Below 1e-12 it stays at what it is there, so that a hopeless label still learns.
    """
    return _scored_gradient("cross_entropy_grad", grad, probabilities, labels)


@reference.rule(cross_entropy_grad)
def cross_entropy_grad_reference(
    node: Node[Attrs], grad: Array, probabilities: Array, labels: Array
) -> Array:
    """Write into zeros."""
    rows, flat, position = _rows(node, probabilities, labels)
    got = np.maximum(rows[position, flat], probabilities.dtype.type(FLOOR))
    slope = np.zeros_like(rows)
    slope[position, flat] = -(grad / len(flat)) / got
    return _unrows(slope, probabilities.shape)


@vjp.rule(cross_entropy_grad)
def cross_entropy_grad_vjp(b: Builder, node: Node[Attrs], grad: Value) -> Sequence[Value | None]:
    """Differentiate -1/(p n): the square of itself times n, at the labels alone."""
    first, probabilities, labels = node.operands
    count = emit_scalar(b, float(b.type_of(labels).size), grad)
    slope = b.emit(cross_entropy_grad, emit_scalar(b, 1.0, grad), probabilities, labels)
    scaled = b.emit(mul, b.emit(square, slope), b.emit(mul, first, count))
    return (_of_loss_gradient(b, node, grad), b.emit(mul, grad, scaled), None)


# --- hinge


@define_op("hinge")
def hinge(attrs: Attrs, scores: TensorType, labels: TensorType) -> TensorType:
    """The multiclass support vector loss: mean over positions of sum max(0, s_j - s_label + 1).

    The sum goes over the classes but the label. At the kink the gradient is 0.
    """
    return _scored("hinge", scores, labels)


def _margins(rows: Array, flat: Array, position: Array) -> Array:
    margins = rows - rows[position, flat][:, None] + rows.dtype.type(1)
    margins[position, flat] = 0
    return np.asarray(np.maximum(margins, 0))


@reference.rule(hinge)
def hinge_reference(node: Node[Attrs], scores: Array, labels: Array) -> Array:
    """Sum the margins."""
    return np.asarray(_margins(*_rows(node, scores, labels)).sum(axis=1).mean())


@vjp.rule(hinge)
def hinge_vjp(b: Builder, node: Node[Attrs], grad: Value) -> Sequence[Value | None]:
    """Give 1 to each class within the margin, and minus their number to the label."""
    return _loss_vjp(b, node, grad, hinge_grad)


@define_op("hinge_grad")
def hinge_grad(
    attrs: Attrs, grad: TensorType, scores: TensorType, labels: TensorType
) -> TensorType:
    """The gradient of `hinge` by the scores."""
    return _scored_gradient("hinge_grad", grad, scores, labels)


@reference.rule(hinge_grad)
def hinge_grad_reference(node: Node[Attrs], grad: Array, scores: Array, labels: Array) -> Array:
    """Count the classes within the margin."""
    rows, flat, position = _rows(node, scores, labels)
    slope = (_margins(rows, flat, position) > 0).astype(rows.dtype)
    slope[position, flat] = -slope.sum(axis=1)
    return _unrows(slope * (grad / len(flat)), scores.shape)


@vjp.rule(hinge_grad)
def hinge_grad_vjp(b: Builder, node: Node[Attrs], grad: Value) -> Sequence[Value | None]:
    """Moving the scores a little moves no class into or out of the margin."""
    return (_of_loss_gradient(b, node, grad), None, None)


# --- samples and cost


def _scored_samples(**ranges: float) -> Iterable[Sample]:
    for scores, labels in (((4, 5), (4,)), ((2, 3, 2, 2), (2, 2, 2)), ((1, 2), (1,))):
        kinds = (f32(*scores), TensorType(DType.I64, labels))
        yield Sample(kinds, integers=scores[1], **ranges)  # type: ignore[arg-type]


def _with_gradient(cases: Iterable[Sample]) -> Iterable[Sample]:
    for case in cases:
        yield Sample((f32(), *case.operands), case.attrs, case.low, case.high, case.integers)


@samples.rule(softmax_cross_entropy, hinge)
def score_loss_samples() -> Iterable[Sample]:
    """Classes of a batch, of each pixel, a single image; small and large scores."""
    yield from _scored_samples()
    yield from _scored_samples(low=-12.0, high=12.0)


@samples.rule(softmax_cross_entropy_grad, hinge_grad)
def score_loss_grad_samples() -> Iterable[Sample]:
    """As of the losses."""
    return _with_gradient(score_loss_samples())


@samples.rule(cross_entropy)
def cross_entropy_samples() -> Iterable[Sample]:
    """Probabilities."""
    return _scored_samples(low=0.1, high=0.9)


@samples.rule(cross_entropy_grad)
def cross_entropy_grad_samples() -> Iterable[Sample]:
    """As of the loss."""
    return _with_gradient(cross_entropy_samples())


@cost.rule(
    softmax_cross_entropy,
    softmax_cross_entropy_grad,
    cross_entropy,
    cross_entropy_grad,
    hinge,
    hinge_grad,
)
def loss_cost(node: Node[Any], operands: Sequence[TensorType]) -> Cost:
    """Five operations a score."""
    return Cost(
        flops=5 * max(kind.size for kind in operands),
        bytes_read=sum(kind.nbytes for kind in operands),
        bytes_written=node.type.nbytes,
    )
