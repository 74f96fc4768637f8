"""Functions of one operand: values at the edges, changes of element type."""

from __future__ import annotations

import numpy as np
import pytest

from cnndsl.ir.op import Attrs
from cnndsl.ir.types import DType, TensorType
from cnndsl.ops.elementwise import neg
from cnndsl.ops.rules import Array, no_gradient, vjp
from cnndsl.ops.unary import CastAttrs, abs_, cast, exp, identity, log1p, sign, stop_gradient
from cnndsl.support.diagnostics import TypeRuleError
from tests.ops.apply import apply, gradients, gradients_or_none


def test_sign_of_zero_and_nan() -> None:
    found = apply(sign, [-2.5, -0.0, 0.0, 1e-300, np.inf, np.nan])
    assert found[:5].tolist() == [-1, 0, 0, 1, 1]
    assert np.isnan(found[5])


def test_abs_has_no_slope_at_zero() -> None:
    assert np.array_equal(gradients(abs_, [-2.0, 0.0, 2.0])[0], [-1, 0, 1])


def test_negation_keeps_the_sign_of_zero() -> None:
    assert np.signbit(apply(neg, [0.0, -0.0])).tolist() == [True, False]


def test_log1p_is_exact_for_small_numbers() -> None:
    assert apply(log1p, [1e-20])[0] == 1e-20


def test_exp_of_integers_is_refused() -> None:
    with pytest.raises(TypeRuleError, match=r"exp of i64\[3\]: the elements must be floats"):
        exp.infer(Attrs(), TensorType(DType.I64, (3,)))


def test_stop_gradient_passes_values_but_no_gradient() -> None:
    assert apply(stop_gradient, [1.0, 2.0]).tolist() == [1, 2]
    assert stop_gradient in no_gradient
    assert stop_gradient not in vjp
    assert np.array_equal(gradients(identity, [1.0, 2.0], weights=[3.0, 4.0])[0], [3, 4])


@pytest.mark.parametrize(
    ("given", "dtype", "expected"),
    [
        (np.asarray([2.9, -2.9]), DType.I64, [2, -2]),
        (np.asarray([0, 255], np.uint8), DType.F32, [0.0, 255.0]),
        (np.asarray([True, False]), DType.F64, [1.0, 0.0]),
        (np.asarray([0, 3]), DType.BOOL, [False, True]),
    ],
)
def test_casts(given: Array, dtype: DType, expected: list[float]) -> None:
    found = apply(cast, given, attrs=CastAttrs(dtype))
    assert found.dtype == dtype.numpy
    assert found.tolist() == expected


def test_the_gradient_of_a_cast_is_cast_back() -> None:
    single = np.asarray([1.0, 2.0], np.float32)
    back = gradients(cast, single, attrs=CastAttrs(DType.F64), weights=[0.1, 0.2])[0]
    assert back.dtype == np.float32
    assert gradients_or_none(cast, np.asarray([1, 2]), attrs=CastAttrs(DType.F32)) == [None]
    assert gradients_or_none(cast, single, attrs=CastAttrs(DType.I64)) == [None]
