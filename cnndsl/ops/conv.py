"""Convolution and its two gradients: grouped, dilated, strided, with padding on each side."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from cnndsl.ir.builder import Builder
from cnndsl.ir.graph import Node, Value
from cnndsl.ir.op import Attrs, define_op
from cnndsl.ir.types import Shape, TensorType, f32
from cnndsl.ops.activations import relu
from cnndsl.ops.elementwise import add, broadcast_types
from cnndsl.ops.linalg import run_epilogue
from cnndsl.ops.reduce import ReduceAttrs, reduce_sum
from cnndsl.ops.rules import Array, Cost, Sample, cost, reference, samples, vjp
from cnndsl.ops.scalar import ScalarProgram, ScalarStep
from cnndsl.ops.window import NO_PADDING, Padding, Pair, image_size, overlap, pad_image, patches
from cnndsl.support.diagnostics import TypeRuleError, VerifyError


@dataclass(frozen=True, slots=True)
class SlideAttrs(Attrs):
    """How filters slide over an image; what a convolution and its gradients share."""

    strides: Pair = (1, 1)
    """Pixels from place to place, down and across."""
    padding: Padding = NO_PADDING
    """Zeros around the image: ((top, bottom), (left, right))."""
    dilations: Pair = (1, 1)
    """Pixels from tap to tap, down and across."""
    groups: int = 1
    """Input and output channels fall into so many groups that do not see each other."""


@dataclass(frozen=True, slots=True)
class Conv2dAttrs(SlideAttrs):
    """Attributes of `conv2d`."""

    has_bias: bool = False
    """Whether the operand after the weight is a bias."""
    epilogue: ScalarProgram | None = None
    """Elementwise work on each result while it is at hand: input 0 is convolution plus bias, the
    others are the operands after the bias. Set by fusion, never before differentiation."""


@dataclass(frozen=True, slots=True)
class Conv2dGradAttrs(SlideAttrs):
    """Attributes of the gradients of `conv2d`."""

    shape: Shape = ()
    """Shape of the result: that of the image for `conv2d_grad_input`, else that of the weight."""


def _slide(attrs: SlideAttrs, x: TensorType, weight: TensorType) -> TensorType:
    """Give the type of a plain convolution; raises `TypeRuleError` with the arithmetic."""
    if x.rank != 4 or weight.rank != 4:
        raise TypeRuleError(
            f"conv2d takes an image [N,C,H,W] and a weight [O,C/groups,KH,KW]; given {x}, {weight}"
        )
    if not x.dtype.is_float or x.dtype != weight.dtype:
        raise TypeRuleError(f"conv2d takes floats of one type; given {x}, {weight}")
    count, channels, *image = x.shape
    filters, depth, *window = weight.shape
    groups = attrs.groups
    if groups < 1 or channels != depth * groups:
        raise TypeRuleError(
            f"filters of depth {depth} in {groups} groups take {depth}*{groups} = {depth * groups} "
            f"channels; the image has {channels}"
        )
    if filters % groups:
        raise TypeRuleError(f"{filters} filters do not divide into {groups} groups")
    places = image_size(
        (image[0], image[1]),
        (window[0], window[1]),
        strides=attrs.strides,
        padding=attrs.padding,
        dilations=attrs.dilations,
    )
    return x.with_shape((count, filters, *places))


@define_op("conv2d")
def conv2d(attrs: Conv2dAttrs, x: TensorType, weight: TensorType, *rest: TensorType) -> TensorType:
    """Cross-correlate x [N,C,H,W] with filters [O,C/groups,KH,KW], giving [N,O,OH,OW].

    `rest` is the bias if `has_bias` ([O], or [O,OH,OW] for one of its own at each place), then the
    other operands of the epilogue, each of the result's shape or broadcast to it.
    """
    result = _slide(attrs, x, weight)
    wanted = attrs.has_bias + (attrs.epilogue.inputs - 1 if attrs.epilogue is not None else 0)
    if len(rest) != wanted:
        raise TypeRuleError(
            f"conv2d takes {wanted} operands after the weight (bias: "
            f"{'yes' if attrs.has_bias else 'no'}, epilogue: {wanted - attrs.has_bias}); "
            f"given {len(rest)}"
        )
    if any(other.dtype != x.dtype for other in rest):
        raise TypeRuleError(f"conv2d of {x} has an operand of another type: {rest}")
    if attrs.has_bias and rest[0].shape not in (result.shape[1:2], result.shape[1:]):
        raise TypeRuleError(
            f"the bias of {result.shape[1]} filters is [{result.shape[1]}], or one at each place "
            f"{list(result.shape[1:])}; given {rest[0]}"
        )
    extras = rest[attrs.has_bias :]
    if broadcast_types("the epilogue of conv2d", result, *extras) != result:
        raise TypeRuleError(f"the epilogue's operands {extras} do not broadcast to {result}")
    return result


@define_op("conv2d_grad_input")
def conv2d_grad_input(attrs: Conv2dGradAttrs, grad: TensorType, weight: TensorType) -> TensorType:
    """The gradient of `conv2d` for its image: filters laid where they stood, scaled and summed.

    Also known as transposed convolution. `grad` [N,O,OH,OW], `weight` [O,C/groups,KH,KW]; the
    result has `attrs.shape`, [N,C,H,W].
    """
    result = grad.with_shape(attrs.shape)
    _agree(_slide(attrs, result, weight), grad)
    return result


@define_op("conv2d_grad_weight")
def conv2d_grad_weight(attrs: Conv2dGradAttrs, x: TensorType, grad: TensorType) -> TensorType:
    """The gradient of `conv2d` for its weight.

    `x` [N,C,H,W], `grad` [N,O,OH,OW]; the result has `attrs.shape`, [O,C/groups,KH,KW].
    """
    result = grad.with_shape(attrs.shape)
    _agree(_slide(attrs, x, result), grad)
    return result


def _agree(forward: TensorType, grad: TensorType) -> None:
    if forward != grad:
        raise TypeRuleError(f"conv2d gives {forward} here; its gradient is {grad}")


_CHUNK_BYTES = 32 << 20
"""Most bytes of a column matrix; bounds the working memory of large layers."""


def _chunks(
    attrs: SlideAttrs, x: Shape, weight: Shape, places: Shape, item: int
) -> Iterator[slice]:
    """Cut the batch so that the column matrix of each part stays below `_CHUNK_BYTES`."""
    each = weight[1] * attrs.groups * weight[2] * weight[3] * places[0] * places[1] * item
    step = max(1, _CHUNK_BYTES // each)
    return (slice(start, min(start + step, x[0])) for start in range(0, x[0], step))


def _columns(attrs: SlideAttrs, x: Array, weight: Shape, places: Shape) -> Array:
    """Give the patches of x [n,C,H,W] as matrices [groups, C/groups*KH*KW, n*OH*OW]."""
    window, size = (weight[2], weight[3]), (places[0], places[1])
    view = patches(pad_image(x, attrs.padding), window, attrs.strides, attrs.dilations, size)
    return view.reshape(attrs.groups, weight[1] * weight[2] * weight[3], -1)


def _rows(attrs: SlideAttrs, grad: Array) -> Array:
    """Give grad [n,O,OH,OW] as matrices [groups, O/groups, n*OH*OW]."""
    groups = attrs.groups
    return grad.transpose(1, 0, 2, 3).reshape(groups, grad.shape[1] // groups, -1)


def _filters(attrs: SlideAttrs, weight: Array) -> Array:
    """Give weight [O,C/groups,KH,KW] as matrices [groups, O/groups, C/groups*KH*KW]."""
    return weight.reshape(attrs.groups, weight.shape[0] // attrs.groups, -1)


@reference.rule(conv2d)
def conv2d_reference(node: Node[Conv2dAttrs], x: Array, weight: Array, *rest: Array) -> Array:
    """Copy the patches into a matrix and multiply once a group."""
    attrs = node.attrs
    shape = node.type.shape
    filters = _filters(attrs, weight)
    y = np.empty(shape, x.dtype)
    for part in _chunks(attrs, x.shape, weight.shape, shape[2:], x.itemsize):
        flat = filters @ _columns(attrs, x[part], weight.shape, shape[2:])
        y[part] = flat.reshape(shape[1], -1, *shape[2:]).transpose(1, 0, 2, 3)
    if attrs.has_bias:
        y += rest[0].reshape(-1, 1, 1) if rest[0].ndim == 1 else rest[0]
    if attrs.epilogue is not None:
        return run_epilogue(attrs.epilogue, y, *rest[attrs.has_bias :])
    return y


@reference.rule(conv2d_grad_input)
def conv2d_grad_input_reference(node: Node[Conv2dGradAttrs], grad: Array, weight: Array) -> Array:
    """Multiply with the filters turned, then add every tap's plane where it belongs."""
    attrs = node.attrs
    count, channels, height, width = attrs.shape
    taps, places = weight.shape[2:], grad.shape[2:]
    (top, _), (left, _) = attrs.padding
    turned = _filters(attrs, weight).transpose(0, 2, 1)
    result = np.zeros(attrs.shape, grad.dtype)
    for part in _chunks(attrs, (count,), weight.shape, places, grad.itemsize):
        columns = turned @ _rows(attrs, grad[part])
        planes = columns.reshape(channels, *taps, -1, *places).transpose(1, 2, 3, 0, 4, 5)
        target = result[part]
        for i, j in np.ndindex(*taps):
            below, across = i * attrs.dilations[0], j * attrs.dilations[1]
            rows, to_rows = overlap(height, places[0], below, stride=attrs.strides[0], before=top)
            cols, to_cols = overlap(width, places[1], across, stride=attrs.strides[1], before=left)
            target[:, :, to_rows, to_cols] += planes[i, j][:, :, rows, cols]
    return result


@reference.rule(conv2d_grad_weight)
def conv2d_grad_weight_reference(node: Node[Conv2dGradAttrs], x: Array, grad: Array) -> Array:
    """Multiply the gradient with the patches, turned: a sum over images and places."""
    attrs = node.attrs
    filters, depth, *taps = attrs.shape
    groups = attrs.groups
    total = np.zeros((groups, filters // groups, depth * taps[0] * taps[1]), grad.dtype)
    for part in _chunks(attrs, x.shape, attrs.shape, grad.shape[2:], grad.itemsize):
        columns = _columns(attrs, x[part], attrs.shape, grad.shape[2:])
        total += _rows(attrs, grad[part]) @ columns.transpose(0, 2, 1)
    return total.reshape(attrs.shape)


def _grad_attrs(attrs: SlideAttrs, shape: Shape) -> Conv2dGradAttrs:
    return Conv2dGradAttrs(attrs.strides, attrs.padding, attrs.dilations, attrs.groups, shape=shape)


def _conv_attrs(attrs: SlideAttrs) -> Conv2dAttrs:
    return Conv2dAttrs(attrs.strides, attrs.padding, attrs.dilations, attrs.groups)


@vjp.rule(conv2d)
def conv2d_vjp(b: Builder, node: Node[Conv2dAttrs], grad: Value) -> Sequence[Value]:
    """Give the gradients of image, weight and bias; a fused convolution has none."""
    if node.attrs.epilogue is not None:
        raise VerifyError(
            f"{node.id} has an epilogue ({node.attrs.epilogue}); fusion comes after differentiation"
        )
    x, weight, *bias = node.operands
    for_x = _grad_attrs(node.attrs, b.type_of(x).shape)
    for_weight = _grad_attrs(node.attrs, b.type_of(weight).shape)
    grads = [
        b.emit(conv2d_grad_input, grad, weight, attrs=for_x),
        b.emit(conv2d_grad_weight, x, grad, attrs=for_weight),
    ]
    if bias:
        axes = (0, 2, 3) if b.type_of(bias[0]).rank == 1 else (0,)
        grads.append(b.emit(reduce_sum, grad, attrs=ReduceAttrs(axes=axes, keepdims=False)))
    return grads


@vjp.rule(conv2d_grad_input)
def conv2d_grad_input_vjp(b: Builder, node: Node[Conv2dGradAttrs], grad: Value) -> Sequence[Value]:
    """Linear in both operands: the convolution gives back the first, its gradient the second."""
    upstream, weight = node.operands
    return (
        b.emit(conv2d, grad, weight, attrs=_conv_attrs(node.attrs)),
        b.emit(
            conv2d_grad_weight,
            grad,
            upstream,
            attrs=_grad_attrs(node.attrs, b.type_of(weight).shape),
        ),
    )


@vjp.rule(conv2d_grad_weight)
def conv2d_grad_weight_vjp(b: Builder, node: Node[Conv2dGradAttrs], grad: Value) -> Sequence[Value]:
    """Linear in both operands, as `conv2d_grad_input_vjp`."""
    x, upstream = node.operands
    for_x = _grad_attrs(node.attrs, b.type_of(x).shape)
    return (
        b.emit(conv2d_grad_input, upstream, grad, attrs=for_x),
        b.emit(conv2d, x, grad, attrs=_conv_attrs(node.attrs)),
    )


def _slide_cost(
    node: Node[Any], operands: Sequence[TensorType], places: int, weight: Shape, extra: int
) -> Cost:
    """Cost of `places` sums over one filter each, borders counted full, and `extra` operations."""
    macs = places * weight[1] * weight[2] * weight[3]
    return Cost(
        flops=2 * macs + extra,
        macs=macs,
        bytes_read=sum(t.nbytes for t in operands),
        bytes_written=node.type.nbytes,
    )


@cost.rule(conv2d)
def conv2d_cost(node: Node[Conv2dAttrs], operands: Sequence[TensorType]) -> Cost:
    """One multiply-add a filter tap and result; one operation a bias and step of the epilogue."""
    steps = len(node.attrs.epilogue.steps) if node.attrs.epilogue is not None else 0
    extra = node.type.size * (node.attrs.has_bias + steps)
    return _slide_cost(node, operands, node.type.size, operands[1].shape, extra)


@cost.rule(conv2d_grad_input)
def conv2d_grad_input_cost(node: Node[Conv2dGradAttrs], operands: Sequence[TensorType]) -> Cost:
    """As many multiply-adds as the convolution."""
    return _slide_cost(node, operands, operands[0].size, operands[1].shape, 0)


@cost.rule(conv2d_grad_weight)
def conv2d_grad_weight_cost(node: Node[Conv2dGradAttrs], operands: Sequence[TensorType]) -> Cost:
    """As many multiply-adds as the convolution."""
    return _slide_cost(node, operands, operands[1].size, node.attrs.shape, 0)


_CASES: tuple[tuple[Shape, Shape, SlideAttrs], ...] = (
    ((2, 3, 5, 7), (4, 3, 3, 3), SlideAttrs()),
    ((1, 1, 1, 1), (1, 1, 1, 1), SlideAttrs()),
    ((2, 5, 4, 3), (3, 5, 1, 1), SlideAttrs()),
    ((2, 1, 3, 4), (5, 1, 1, 1), SlideAttrs()),
    ((2, 2, 7, 5), (3, 2, 1, 1), SlideAttrs(strides=(3, 2))),  # stride beyond the window
    ((1, 2, 9, 8), (2, 2, 2, 3), SlideAttrs(strides=(4, 5))),
    ((2, 2, 6, 5), (3, 2, 3, 2), SlideAttrs(strides=(2, 1), padding=((1, 0), (2, 1)))),
    ((1, 2, 8, 9), (2, 2, 3, 2), SlideAttrs(padding=((0, 1), (2, 0)), dilations=(2, 3))),
    ((2, 4, 5, 6), (6, 2, 3, 2), SlideAttrs(padding=((1, 1), (1, 0)), groups=2)),
    ((2, 3, 6, 5), (3, 1, 3, 3), SlideAttrs(padding=((1, 1), (1, 1)), groups=3)),  # depthwise
    ((1, 3, 5, 6), (6, 1, 3, 2), SlideAttrs(strides=(2, 2), groups=3)),
    ((2, 3, 1, 7), (2, 3, 1, 3), SlideAttrs(strides=(1, 2), padding=((0, 0), (1, 1)))),
    ((1, 1, 2, 2), (2, 1, 3, 3), SlideAttrs(padding=((3, 3), (3, 3)))),  # windows in padding only
    ((3, 2, 7, 6), (1, 2, 7, 6), SlideAttrs()),  # as large as the image
    ((1, 2, 8, 7), (2, 2, 2, 2), SlideAttrs(strides=(3, 3))),  # the last row and column unseen
)
"""Image, weight and window of the samples: each has something awkward."""


def _sample(operands: tuple[Shape, ...], attrs: Attrs) -> Sample:
    return Sample(tuple(f32(*shape) for shape in operands), attrs)


@samples.rule(conv2d)
def conv2d_samples() -> Iterable[Sample]:
    """Try every case plain, then tied and untied bias, then epilogues."""
    for x, weight, attrs in _CASES:
        yield _sample((x, weight), _conv_attrs(attrs))
    case = SlideAttrs(strides=(2, 1), padding=((1, 0), (0, 2)))
    biased = Conv2dAttrs(case.strides, case.padding, has_bias=True)
    x, weight = (2, 2, 5, 4), (3, 2, 3, 2)
    untied = _slide(case, f32(*x), f32(*weight)).shape[1:]
    yield _sample((x, weight, (3,)), biased)
    yield _sample((x, weight, untied), biased)
    activate = ScalarProgram(1, (ScalarStep(relu, Attrs(), (0,)),))
    residual = ScalarProgram(2, (ScalarStep(add, Attrs(), (0, 1)), ScalarStep(relu, Attrs(), (2,))))
    for epilogue, rest in (
        (activate, ((3,),)),
        (residual, ((3,), (2, *untied))),
        (residual, (untied, (1, 3, 1, 1))),
        (residual, ((3,), ())),
    ):
        types = tuple(f32(*shape) for shape in (x, weight, *rest))
        yield Sample(types, replace(biased, epilogue=epilogue), differentiable=())


@samples.rule(conv2d_grad_input)
def conv2d_grad_input_samples() -> Iterable[Sample]:
    """Try the cases of `conv2d`."""
    for x, weight, attrs in _CASES:
        y = _slide(attrs, f32(*x), f32(*weight)).shape
        yield _sample((y, weight), _grad_attrs(attrs, x))


@samples.rule(conv2d_grad_weight)
def conv2d_grad_weight_samples() -> Iterable[Sample]:
    """Try the cases of `conv2d`."""
    for x, weight, attrs in _CASES:
        y = _slide(attrs, f32(*x), f32(*weight)).shape
        yield _sample((x, y), _grad_attrs(attrs, weight))
