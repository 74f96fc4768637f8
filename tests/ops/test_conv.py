"""Convolution against its definition, its gradients against the inner product."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnndsl.ir.builder import Builder
from cnndsl.ir.graph import Graph, Node
from cnndsl.ir.op import Attrs, Op
from cnndsl.ir.types import DType, Shape, TensorType, f32
from cnndsl.ops import conv
from cnndsl.ops.activations import relu
from cnndsl.ops.conv import (
    Conv2dAttrs,
    Conv2dGradAttrs,
    conv2d,
    conv2d_grad_input,
    conv2d_grad_weight,
)
from cnndsl.ops.elementwise import add
from cnndsl.ops.evaluate import evaluate_values
from cnndsl.ops.rules import Array, compute, cost_of, vjp
from cnndsl.ops.scalar import ScalarProgram, ScalarStep
from cnndsl.ops.structural import InputAttrs, input_
from cnndsl.support.diagnostics import TypeRuleError, VerifyError


def make(op: Op[Any], attrs: Attrs, *kinds: TensorType) -> tuple[Builder, Node[Any]]:
    """Build a graph of inputs x0, x1, ... and one node."""
    b = Builder(Graph("test"))
    inputs = [b.emit(input_, attrs=InputAttrs(t), name=f"x{i}") for i, t in enumerate(kinds)]
    return b, b.graph[b.emit(op, *inputs, attrs=attrs)]


def run(op: Op[Any], attrs: Attrs, *operands: Array) -> Array:
    """Run one node with its reference rule."""
    kinds = (TensorType(DType.of(array.dtype), array.shape) for array in operands)
    _, node = make(op, attrs, *kinds)
    return compute(node, *operands)[0]


def by_definition(attrs: Conv2dAttrs, x: Array, weight: Array) -> Array:
    """Sum tap by tap, place by place, as the definition is written."""
    padded = np.pad(x, ((0, 0), (0, 0), *attrs.padding))
    (down, across), (below, beside) = attrs.strides, attrs.dilations
    filters, depth, height, width = weight.shape
    rows = (padded.shape[2] - below * (height - 1) - 1) // down + 1
    cols = (padded.shape[3] - beside * (width - 1) - 1) // across + 1
    y = np.zeros((x.shape[0], filters, rows, cols))
    for n, o, p, q in np.ndindex(*y.shape):
        first = o // (filters // attrs.groups) * depth
        for c, i, j in np.ndindex(depth, height, width):
            pixel = padded[n, first + c, p * down + i * below, q * across + j * beside]
            y[n, o, p, q] += weight[o, c, i, j] * pixel
    return y


@st.composite
def convolutions(draw: st.DrawFn) -> tuple[Conv2dAttrs, Shape, Shape]:
    """Draw attributes with shapes of an image and a weight that fit."""
    groups, depth, each = (draw(st.integers(1, 3)) for _ in range(3))
    window, strides, dilations = (
        (draw(st.integers(1, 3)), draw(st.integers(1, 3))) for _ in range(3)
    )
    pads = st.tuples(st.integers(0, 2), st.integers(0, 2))
    padding = (draw(pads), draw(pads))
    image = tuple(
        draw(st.integers(max(1, d * (k - 1) + 1 - sum(p)), 7))
        for d, k, p in zip(dilations, window, padding, strict=True)
    )
    x = (draw(st.integers(1, 2)), groups * depth, *image)
    attrs = Conv2dAttrs(strides, padding, dilations, groups)
    return attrs, x, (groups * each, depth, *window)


def drawn(*shapes: Shape) -> list[Array]:
    rng = np.random.default_rng(7)
    return [rng.uniform(-1.0, 1.0, shape) for shape in shapes]


@given(convolutions())
def test_convolution_is_the_sum_over_taps(case: tuple[Conv2dAttrs, Shape, Shape]) -> None:
    attrs, *shapes = case
    x, weight = drawn(*shapes)
    found = run(conv2d, attrs, x, weight)
    np.testing.assert_allclose(found, by_definition(attrs, x, weight), rtol=1e-12, atol=1e-13)


@given(convolutions())
def test_gradients_are_the_transposed_maps(case: tuple[Conv2dAttrs, Shape, Shape]) -> None:
    """<conv(x, w), g> = <x, grad_input(g, w)> = <w, grad_weight(x, g)>: linear in each operand."""
    attrs, *shapes = case
    x, weight = drawn(*shapes)
    y = run(conv2d, attrs, x, weight)
    (grad,) = drawn(y.shape)
    slide = (attrs.strides, attrs.padding, attrs.dilations, attrs.groups)
    for_x = run(conv2d_grad_input, Conv2dGradAttrs(*slide, shape=x.shape), grad, weight)
    for_w = run(conv2d_grad_weight, Conv2dGradAttrs(*slide, shape=weight.shape), x, grad)
    whole = np.vdot(y, grad)
    assert np.vdot(x, for_x) == pytest.approx(whole, rel=1e-10, abs=1e-11)
    assert np.vdot(weight, for_w) == pytest.approx(whole, rel=1e-10, abs=1e-11)


def test_a_batch_cut_into_chunks_gives_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    attrs = Conv2dAttrs(padding=((1, 1), (1, 1)), groups=2)
    x, weight = drawn((5, 4, 6, 5), (4, 2, 3, 3))
    (grad,) = drawn((5, 4, 6, 5))
    slide = (attrs.strides, attrs.padding, attrs.dilations, attrs.groups)

    def all_three() -> list[Array]:
        return [
            run(conv2d, attrs, x, weight),
            run(conv2d_grad_input, Conv2dGradAttrs(*slide, shape=x.shape), grad, weight),
            run(conv2d_grad_weight, Conv2dGradAttrs(*slide, shape=weight.shape), x, grad),
        ]

    whole = all_three()
    one_image = 4 * 9 * 30 * 8
    for size in (1, 2 * one_image):
        monkeypatch.setattr(conv, "_CHUNK_BYTES", size)
        for cut, uncut in zip(all_three(), whole, strict=True):
            np.testing.assert_allclose(cut, uncut, rtol=1e-12, atol=1e-13)


def test_bias_is_one_a_filter_or_one_a_place() -> None:
    x, weight, tied, untied = drawn((2, 3, 4, 5), (2, 3, 3, 2), (2,), (2, 2, 4))
    plain = run(conv2d, Conv2dAttrs(), x, weight)
    biased = Conv2dAttrs(has_bias=True)
    np.testing.assert_array_equal(run(conv2d, biased, x, weight, tied), plain + tied[:, None, None])
    np.testing.assert_array_equal(run(conv2d, biased, x, weight, untied), plain + untied)


@pytest.mark.parametrize("shape", [(3,), (3, 2, 4)])
def test_the_gradient_of_a_bias_is_summed_over_what_it_was_added_to(shape: Shape) -> None:
    b, node = make(
        conv2d, Conv2dAttrs(has_bias=True), f32(2, 1, 4, 5), f32(3, 1, 3, 2), f32(*shape)
    )
    grad = b.emit(input_, attrs=InputAttrs(node.type), name="g")
    *_, for_bias = vjp[conv2d](b, node, grad)
    assert for_bias is not None
    (g,) = drawn(node.type.shape)
    found = evaluate_values(b.graph, [for_bias], {"g": g}, dtype=DType.F64)[for_bias]
    axes = (0, 2, 3) if len(shape) == 1 else (0,)
    np.testing.assert_allclose(found, g.sum(axis=axes), rtol=1e-12)


def test_an_epilogue_runs_after_the_bias() -> None:
    x, weight, bias, other = drawn((2, 3, 4, 5), (2, 3, 3, 2), (2,), (2, 2, 2, 4))
    steps = (ScalarStep(add, Attrs(), (0, 1)), ScalarStep(relu, Attrs(), (2,)))
    fused = Conv2dAttrs(has_bias=True, epilogue=ScalarProgram(2, steps))
    plain = run(conv2d, Conv2dAttrs(has_bias=True), x, weight, bias)
    found = run(conv2d, fused, x, weight, bias, other)
    np.testing.assert_array_equal(found, np.maximum(plain + other, 0.0))
    assert (found == 0.0).any()
    assert (found > 0.0).any()


def test_a_fused_convolution_has_no_gradient() -> None:
    steps = (ScalarStep(relu, Attrs(), (0,)),)
    fused = Conv2dAttrs(epilogue=ScalarProgram(1, steps))
    b, node = make(conv2d, fused, f32(1, 1, 3, 3), f32(1, 1, 3, 3))
    with pytest.raises(VerifyError, match=r"relu\(\$0\).*fusion comes after differentiation"):
        vjp[conv2d](b, node, node.results[0])


IMAGE, WEIGHT = f32(1, 4, 5, 6), f32(6, 4, 3, 3)
UNARY = Conv2dAttrs(epilogue=ScalarProgram(2, (ScalarStep(add, Attrs(), (0, 1)),)))


@pytest.mark.parametrize(
    ("attrs", "operands", "message"),
    [
        (Conv2dAttrs(), (f32(4, 5, 6), WEIGHT), r"an image \[N,C,H,W\]"),
        (Conv2dAttrs(), (IMAGE, WEIGHT.with_dtype(DType.F64)), "floats of one type"),
        (Conv2dAttrs(), (IMAGE.with_dtype(DType.I64),) * 2, "floats of one type"),
        (Conv2dAttrs(), (IMAGE, f32(6, 3, 3, 3)), r"3\*1 = 3 channels; the image has 4"),
        (Conv2dAttrs(groups=2), (IMAGE, WEIGHT), r"4\*2 = 8 channels; the image has 4"),
        (Conv2dAttrs(groups=4), (IMAGE, f32(6, 1, 3, 3)), "6 filters do not divide into 4"),
        (Conv2dAttrs(groups=0), (IMAGE, WEIGHT), "in 0 groups"),
        (Conv2dAttrs(dilations=(3, 1)), (IMAGE, WEIGHT), r"\(5 - 3\*\(3 - 1\) - 1\)/1 \+ 1 = -1"),
        (Conv2dAttrs(has_bias=True), (IMAGE, WEIGHT), "takes 1 operands after the weight"),
        (Conv2dAttrs(), (IMAGE, WEIGHT, f32(6)), "takes 0 operands after the weight"),
        (Conv2dAttrs(has_bias=True), (IMAGE, WEIGHT, f32(5)), r"\[6\], or one at .* \[6, 3, 4\]"),
        (Conv2dAttrs(has_bias=True), (IMAGE, WEIGHT, TensorType(DType.F64, (6,))), "another type"),
        (UNARY, (IMAGE, WEIGHT, f32(1, 6, 3, 3)), "axis 3 has 4 and 3"),
        (UNARY, (IMAGE, WEIGHT, f32(2, 6, 3, 4)), "do not broadcast"),
    ],
)
def test_operands_that_do_not_fit_are_refused(
    attrs: Conv2dAttrs, operands: tuple[TensorType, ...], message: str
) -> None:
    with pytest.raises(TypeRuleError, match=message):
        conv2d.infer(attrs, *operands)


def test_gradients_refuse_shapes_that_the_convolution_does_not_give() -> None:
    grad = f32(1, 6, 3, 4)
    assert conv2d_grad_input.infer(Conv2dGradAttrs(shape=(1, 4, 5, 6)), grad, WEIGHT) == (IMAGE,)
    assert conv2d_grad_weight.infer(Conv2dGradAttrs(shape=(6, 4, 3, 3)), IMAGE, grad) == (WEIGHT,)
    wrong = f32(1, 6, 3, 3)
    with pytest.raises(TypeRuleError, match=r"gives f32\[1,6,3,4\] here; its gradient is"):
        conv2d_grad_input.infer(Conv2dGradAttrs(shape=(1, 4, 5, 6)), wrong, WEIGHT)
    with pytest.raises(TypeRuleError, match=r"gives f32\[1,6,3,4\] here; its gradient is"):
        conv2d_grad_weight.infer(Conv2dGradAttrs(shape=(6, 4, 3, 3)), IMAGE, wrong)


def test_cost_counts_multiply_adds_as_lectures_do() -> None:
    """AlexNet's first layer: 55*55*96 results of 11*11*3 taps, 105,415,200 multiply-adds."""
    attrs = Conv2dAttrs((4, 4), has_bias=True)
    operands = (f32(1, 3, 227, 227), f32(96, 3, 11, 11), f32(96))
    _, node = make(conv2d, attrs, *operands)
    found = cost_of(node, operands)
    assert found.macs == 105_415_200
    assert found.flops == 2 * 105_415_200 + 55 * 55 * 96
    assert found.bytes_written == 4 * 55 * 55 * 96
    slide = Conv2dGradAttrs((4, 4))
    y = node.type
    for op, shape, given_ in (
        (conv2d_grad_input, operands[0].shape, (y, operands[1])),
        (conv2d_grad_weight, operands[1].shape, (operands[0], y)),
    ):
        _, back = make(op, replace(slide, shape=shape), *given_)
        assert cost_of(back, given_).macs == 105_415_200


def test_sharpening_a_hand_made_picture() -> None:
    """A constant stays what it is under a filter that sums to 1; an edge is overdrawn."""
    sharpen = np.array([[0.0, -1, 0], [-1, 5, -1], [0, -1, 0]]).reshape(1, 1, 3, 3)
    picture = np.ones((1, 1, 3, 6))
    picture[..., 3:] = 10.0
    found = run(conv2d, Conv2dAttrs(), picture, sharpen)
    np.testing.assert_array_equal(found, [[[[1.0, -8.0, 19.0, 10.0]]]])
