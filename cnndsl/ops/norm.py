"""Batch normalisation, with known statistics and with the batch's own, and its gradient."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from cnndsl.ir.graph import Node
from cnndsl.ir.op import Attrs, define_op
from cnndsl.ir.types import TensorType, f32
from cnndsl.ops.activations import LeakyReluAttrs, leaky_relu
from cnndsl.ops.elementwise import add, mul
from cnndsl.ops.linalg import run_epilogue
from cnndsl.ops.rules import Array, Cost, Sample, cost, elementwise_cost, reference, samples
from cnndsl.ops.scalar import ScalarProgram, ScalarStep
from cnndsl.support.diagnostics import TypeRuleError


@dataclass(frozen=True, slots=True)
class BatchNormAttrs(Attrs):
    """Attributes of the batch norms."""

    eps: float = 1e-5
    """Added to the variance."""
    epilogue: ScalarProgram | None = None
    """Elementwise work on each result while it is at hand: input 0 is the normalised number, the
    others are the operands after the usual ones. Set by fusion, never before differentiation."""


@dataclass(frozen=True, slots=True)
class BatchNormGradAttrs(Attrs):
    """Attributes of the gradient of `batch_norm_train`."""

    eps: float = 1e-5
    """Added to the variance."""
    prologue: ScalarProgram | None = None
    """Makes the gradient of the normalised numbers: input 0 is the operand `grad`, input 1 is y,
    which is computed anew, the others are the operands after the shift. Set by fusion."""


def _check_channels(
    name: str, attrs: BatchNormAttrs | BatchNormGradAttrs, x: TensorType, *rest: TensorType
) -> None:
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
    *extras: TensorType,
) -> TensorType:
    """Normalise with known statistics: (x - mean)/sqrt(variance + eps)*scale + shift a channel.

    x is [N,C] or [N,C,H,W], the others [C]; `extras` are the other operands of the epilogue, of
    the type of x. Ioffe and Szegedy, 2015.
    """
    _check_channels("batch_norm", attrs, x, scale, shift, mean, variance)
    _check_program("batch_norm", attrs.epilogue, 1, x, extras)
    return x


@define_op("batch_norm_train")
def batch_norm_train(
    attrs: BatchNormAttrs,
    x: TensorType,
    scale: TensorType,
    shift: TensorType,
    *extras: TensorType,
) -> tuple[TensorType, TensorType, TensorType]:
    """Normalise with the batch's own statistics; gives (y, mean [C], variance [C]).

    The variance is the biased one: squared distance from the mean, divided by N*H*W. `extras` are
    the other operands of the epilogue, of the type of x; it makes y of the normalised numbers.
    """
    _check_channels("batch_norm_train", attrs, x, scale, shift)
    _check_program("batch_norm_train", attrs.epilogue, 1, x, extras)
    return x, scale, scale


@define_op("batch_norm_grad")
def batch_norm_grad(
    attrs: BatchNormGradAttrs,
    grad: TensorType,
    x: TensorType,
    scale: TensorType,
    mean: TensorType,
    variance: TensorType,
    *rest: TensorType,
) -> tuple[TensorType, TensorType, TensorType]:
    """The gradients of `batch_norm_train`'s y for x, scale and shift.

    With h = (x - mean)/sqrt(variance + eps) and m elements a channel: dshift = sum(grad),
    dscale = sum(grad*h), dx = scale/sqrt(variance + eps)*(grad - (dshift + h*dscale)/m).

    With a prologue, `rest` is the shift [C] and the prologue's other operands, of the type of x:
    then `grad` stands for what the prologue makes of it.
    """
    shift = rest[: attrs.prologue is not None]
    _check_channels("batch_norm_grad", attrs, x, scale, mean, variance, *shift)
    _check_program("batch_norm_grad", attrs.prologue, 2, x, rest[len(shift) :])
    if grad != x:
        raise TypeRuleError(f"batch_norm_train gives {x} here; its gradient is {grad}")
    return x, scale, scale


def _check_program(
    name: str, program: ScalarProgram | None, own: int, x: TensorType, extras: Sequence[TensorType]
) -> None:
    """Check the operands of an epilogue or prologue, which has `own` inputs beside them."""
    wanted = program.inputs - own if program is not None else 0
    if len(extras) != wanted or any(other != x for other in extras):
        raise TypeRuleError(
            f"{name} of {x} takes {wanted} more operands of its type; given {list(extras)}"
        )


def channel_axes(rank: int) -> tuple[int, ...]:
    """Give all axes but the channels'."""
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
    node: Node[BatchNormAttrs],
    x: Array,
    scale: Array,
    shift: Array,
    mean: Array,
    variance: Array,
    *extras: Array,
) -> Array:
    """Centre, scale, shift; run the epilogue."""
    h, _ = _normalised(x, mean, variance, node.attrs.eps)
    h *= _along(scale, x.ndim)
    h += _along(shift, x.ndim)
    return _with_epilogue(node.attrs, h, extras)


def _with_epilogue(attrs: BatchNormAttrs, y: Array, extras: Sequence[Array]) -> Array:
    return y if attrs.epilogue is None else run_epilogue(attrs.epilogue, y, *extras)


@reference.rule(batch_norm_train)
def batch_norm_train_reference(
    node: Node[BatchNormAttrs], x: Array, scale: Array, shift: Array, *extras: Array
) -> tuple[Array, Array, Array]:
    """Two passes: the mean, then the squares of what is left; then the epilogue."""
    mean = np.asarray(x.mean(axis=channel_axes(x.ndim), dtype=x.dtype))
    centred = x - _along(mean, x.ndim)
    variance = np.asarray(np.square(centred).mean(axis=channel_axes(x.ndim), dtype=x.dtype))
    rate = scale / np.sqrt(variance + variance.dtype.type(node.attrs.eps))
    centred *= _along(rate, x.ndim)
    centred += _along(shift, x.ndim)
    return _with_epilogue(node.attrs, centred, extras), mean, variance


@reference.rule(batch_norm_grad)
def batch_norm_grad_reference(
    node: Node[BatchNormGradAttrs],
    grad: Array,
    x: Array,
    scale: Array,
    mean: Array,
    variance: Array,
    *rest: Array,
) -> tuple[Array, Array, Array]:
    """Both sums, then what is left of the gradient without its mean and its part along h."""
    h, rate = _normalised(x, mean, variance, node.attrs.eps)
    if node.attrs.prologue is not None:
        shift, *extras = rest
        # In the order in which y was computed, so that it is the same to the bit.
        y = (x - _along(mean, x.ndim)) * _along(
            scale / np.sqrt(variance + variance.dtype.type(node.attrs.eps)), x.ndim
        ) + _along(shift, x.ndim)
        grad = run_epilogue(node.attrs.prologue, grad, y, *extras)
    d_shift = grad.sum(axis=channel_axes(x.ndim))
    d_scale = (grad * h).sum(axis=channel_axes(x.ndim))
    count = x.dtype.type(x.size // x.shape[1])
    h *= _along(d_scale / count, x.ndim)
    h += _along(d_shift / count, x.ndim)
    return (grad - h) * _along(scale * rate, x.ndim), d_scale, d_shift


@cost.rule(batch_norm)
def batch_norm_cost(node: Node[BatchNormAttrs], operands: Sequence[TensorType]) -> Cost:
    """Centre, two factors, shift; the epilogue's steps."""
    return elementwise_cost(node, operands, flops_per_element=4 + _steps(node.attrs.epilogue))


@cost.rule(batch_norm_train)
def batch_norm_train_cost(node: Node[BatchNormAttrs], operands: Sequence[TensorType]) -> Cost:
    """Sum; centre, square, sum; factor, shift; the epilogue's steps."""
    return elementwise_cost(node, operands, flops_per_element=6 + _steps(node.attrs.epilogue))


@cost.rule(batch_norm_grad)
def batch_norm_grad_cost(node: Node[BatchNormGradAttrs], operands: Sequence[TensorType]) -> Cost:
    """Normalise; two sums, one of products; two factors, a sum and a difference; the prologue."""
    return elementwise_cost(node, operands, flops_per_element=9 + _steps(node.attrs.prologue))


def _steps(program: ScalarProgram | None) -> int:
    return len(program.steps) if program is not None else 0


_SHAPES = ((4, 3), (2, 3, 4, 5), (3, 1, 1, 2), (2, 5, 1, 1), (5, 2, 3))
"""Images with unequal sides, one channel, one pixel; rows; sequences."""
_LEAKY = ScalarStep(leaky_relu, LeakyReluAttrs(0.5), (0,))
_PLAIN = ScalarProgram(1, (_LEAKY,))
"""Continuous, so that no rounding of its input changes much."""
_RESIDUAL = ScalarProgram(2, (ScalarStep(add, Attrs(), (0, 1)), replace(_LEAKY, operands=(2,))))
"""The same after a sum with another operand."""
_OF_GRAD = ScalarProgram(2, (ScalarStep(mul, Attrs(), (0, 1)),))
_OF_GRADS = ScalarProgram(
    3,
    (
        ScalarStep(add, Attrs(), (0, 2)),
        replace(_LEAKY, operands=(1,)),
        ScalarStep(mul, Attrs(), (3, 4)),
    ),
)
"""Prologues: the gradient, and the sum of two, times a function of y."""


@samples.rule(batch_norm)
def batch_norm_samples() -> Iterable[Sample]:
    """Variances above 0, as statistics are."""
    for shape in _SHAPES:
        channels = f32(shape[1])
        operands = (f32(*shape), *(channels,) * 4)
        yield Sample(operands, BatchNormAttrs(eps=1e-3), low=0.25, high=2.0)
        for epilogue, more in ((_PLAIN, ()), (_RESIDUAL, (f32(*shape),))):
            attrs = BatchNormAttrs(1e-3, epilogue)
            yield Sample((*operands, *more), attrs, low=0.25, high=2.0, differentiable=())


@samples.rule(batch_norm_train)
def batch_norm_train_samples() -> Iterable[Sample]:
    """Elements that keep apart, so that no channel's variance is near 0."""
    for shape in _SHAPES:
        operands = (f32(*shape), f32(shape[1]), f32(shape[1]))
        yield Sample(operands, BatchNormAttrs(eps=1e-2), distinct=True)
        for epilogue, more in ((_PLAIN, ()), (_RESIDUAL, (f32(*shape),))):
            attrs = BatchNormAttrs(1e-2, epilogue)
            yield Sample((*operands, *more), attrs, distinct=True, differentiable=())


@samples.rule(batch_norm_grad)
def batch_norm_grad_samples() -> Iterable[Sample]:
    """Mean and variance need not be those of x."""
    for shape in _SHAPES:
        channels = f32(shape[1])
        operands = (f32(*shape), f32(*shape), *(channels,) * 3)
        yield Sample(operands, BatchNormGradAttrs(eps=1e-2), low=0.25, high=2.0)
        for prologue, more in ((_OF_GRAD, (channels,)), (_OF_GRADS, (channels, f32(*shape)))):
            attrs = BatchNormGradAttrs(1e-2, prologue)
            yield Sample((*operands, *more), attrs, low=0.25, high=2.0, differentiable=())
