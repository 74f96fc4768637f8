"""Matrix products: against NumPy, the dense layer's operands, epilogues, what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnndsl.ir.op import Attrs, Op
from cnndsl.ir.types import DType, TensorType, f32
from cnndsl.ops.activations import relu
from cnndsl.ops.elementwise import add
from cnndsl.ops.linalg import DenseAttrs, MatmulAttrs, dense, matmul
from cnndsl.ops.rules import cost_of
from cnndsl.ops.scalar import ScalarProgram, ScalarStep
from cnndsl.support.diagnostics import TypeRuleError, VerifyError
from tests.ops.apply import apply, build, gradients

RELU = ScalarProgram(1, (ScalarStep(relu, Attrs(), (0,)),))
ADD_RELU = ScalarProgram(2, (ScalarStep(add, Attrs(), (0, 1)), ScalarStep(relu, Attrs(), (2,))))


@given(st.booleans(), st.booleans(), st.lists(st.integers(1, 3), max_size=2))
def test_matmul_with_each_transpose_and_batch(
    transpose_a: bool, transpose_b: bool, batch: list[int]
) -> None:
    rng = np.random.default_rng(0)
    a = rng.normal(size=(*batch, 2, 3))
    b = rng.normal(size=(*batch, 3, 4))
    left = np.ascontiguousarray(a.swapaxes(-1, -2)) if transpose_a else a
    right = np.ascontiguousarray(b.swapaxes(-1, -2)) if transpose_b else b
    attrs = MatmulAttrs(transpose_a=transpose_a, transpose_b=transpose_b)
    assert np.allclose(apply(matmul, left, right, attrs=attrs), a @ b)
    weights = rng.normal(size=(*batch, 2, 4))
    of_a, of_b = gradients(matmul, left, right, attrs=attrs, weights=weights)
    expected_a, expected_b = weights @ b.swapaxes(-1, -2), a.swapaxes(-1, -2) @ weights
    assert np.allclose(of_a.swapaxes(-1, -2) if transpose_a else of_a, expected_a)
    assert np.allclose(of_b.swapaxes(-1, -2) if transpose_b else of_b, expected_b)


def test_dense_with_bias_and_epilogue() -> None:
    rng = np.random.default_rng(1)
    x, weight, bias = rng.normal(size=(2, 3)), rng.normal(size=(4, 3)), rng.normal(size=4)
    residual = rng.normal(size=(2, 4))
    plain = x @ weight.T
    without = DenseAttrs(has_bias=False)
    assert np.allclose(apply(dense, x, weight, attrs=without), plain)
    assert np.allclose(apply(dense, x, weight, bias), plain + bias)
    found = apply(dense, x, weight, bias, residual, attrs=DenseAttrs(epilogue=ADD_RELU))
    assert np.allclose(found, np.maximum(plain + bias + residual, 0))
    attrs = DenseAttrs(has_bias=False, epilogue=ADD_RELU)
    found = apply(dense, x, weight, residual[:1], attrs=attrs)
    assert np.allclose(found, np.maximum(plain + residual[:1], 0))


def test_a_dense_layer_with_an_epilogue_is_not_differentiated() -> None:
    arrays = (np.ones((2, 3)), np.ones((4, 3)), np.ones(4))
    with pytest.raises(VerifyError, match="fusion comes after differentiation"):
        gradients(dense, *arrays, attrs=DenseAttrs(epilogue=RELU))


def test_multiply_adds_are_counted() -> None:
    _, node = build(matmul, [np.ones((5, 2, 3)), np.ones((5, 3, 4))], None)
    price = cost_of(node, [TensorType(DType.F64, (5, 2, 3)), TensorType(DType.F64, (5, 3, 4))])
    assert price.macs == 5 * 2 * 3 * 4
    assert price.flops == 2 * price.macs
    assert price.bytes_read == 8 * (30 + 60)
    assert price.bytes_written == 8 * 40
    transposed = MatmulAttrs(transpose_a=True)
    _, node = build(matmul, [np.ones((3, 2)), np.ones((3, 4))], transposed)
    assert cost_of(node, [f32(3, 2), f32(3, 4)]).macs == 2 * 3 * 4
    _, node = build(dense, [np.ones((2, 3)), np.ones((4, 3)), np.ones(4)], None)
    assert cost_of(node, [f32(2, 3), f32(4, 3), f32(4)]).macs == 24
    assert cost_of(node, [f32(2, 3), f32(4, 3), f32(4)]).flops == 48 + 8


REFUSED: list[tuple[Op[Any], Attrs, tuple[TensorType, ...], str]] = [
    (matmul, MatmulAttrs(), (f32(2, 3), f32(4, 5)), "2 x 3 times 4 x 5, and 3 is not 4"),
    (matmul, MatmulAttrs(transpose_b=True), (f32(2, 3), f32(3, 4)), "2 x 3 times 4 x 3"),
    (matmul, MatmulAttrs(), (f32(3), f32(3)), "two matrices"),
    (matmul, MatmulAttrs(), (f32(2, 2, 3), f32(3, 3, 4)), "equal leading axes"),
    (matmul, MatmulAttrs(), (f32(2, 3), TensorType(DType.F64, (3, 4))), "two matrices"),
    (dense, DenseAttrs(), (f32(2, 3), f32(4, 5), f32(4)), "3 inputs arrive, the weight takes 5"),
    (dense, DenseAttrs(), (f32(2, 3, 1), f32(4, 3), f32(4)), "both must be matrices"),
    (dense, DenseAttrs(), (f32(2, 3), f32(4, 3)), r"needs the bias f32\[4\]; given no bias"),
    (dense, DenseAttrs(), (f32(2, 3), f32(4, 3), f32(3)), r"given f32\[3\]"),
    (dense, DenseAttrs(), (f32(2, 3), f32(4, 3), f32(4), f32(2, 4)), "which takes 0"),
    (dense, DenseAttrs(False), (f32(2, 3), f32(4, 3), f32(4)), "1 operands for its epilogue"),
    (
        dense,
        DenseAttrs(epilogue=ADD_RELU),
        (f32(2, 3), f32(4, 3), f32(4), f32(2, 3)),
        "axis 1 has 4 and 3",
    ),
    (
        dense,
        DenseAttrs(epilogue=ADD_RELU),
        (f32(1, 3), f32(4, 3), f32(4), f32(2, 4)),
        "larger than its result",
    ),
]


@pytest.mark.parametrize(("op", "attrs", "operands", "message"), REFUSED)
def test_what_does_not_fit_is_refused(
    op: Op[Any], attrs: Attrs, operands: tuple[TensorType, ...], message: str
) -> None:
    with pytest.raises(TypeRuleError, match=message):
        op.infer(attrs, *operands)
