"""Scalar arithmetic in NumPy, and chains of scalar rules."""

from __future__ import annotations

import numpy as np
import pytest

from cnndsl.ir.op import Attrs
from cnndsl.ops.activations import LeakyReluAttrs, leaky_relu
from cnndsl.ops.elementwise import add, mul
from cnndsl.ops.rules import reference
from cnndsl.ops.scalar import (
    NumpyScalars,
    ScalarProgram,
    ScalarStep,
    scalar,
    scalar_reference,
)

S = NumpyScalars(np.dtype(np.float32))
A = np.asarray([0.5, 2.0, 3.0], np.float32)
B = np.asarray([1.0, 2.0, 0.25], np.float32)


def test_arithmetic_of_two() -> None:
    assert np.array_equal(S.add(A, B), A + B)
    assert np.array_equal(S.sub(A, B), A - B)
    assert np.array_equal(S.mul(A, B), A * B)
    assert np.array_equal(S.div(A, B), A / B)
    assert np.array_equal(S.power(A, B), A**B)
    assert np.array_equal(S.maximum(A, B), [1, 2, 3])
    assert np.array_equal(S.minimum(A, B), [0.5, 2, 0.25])
    assert S.select(S.less(A, B), A, S.const(7)).tolist() == [0.5, 7, 7]


def test_functions_of_one() -> None:
    assert np.array_equal(S.exp(A), np.exp(A))
    assert np.array_equal(S.log(A), np.log(A))
    assert np.array_equal(S.log1p(A), np.log1p(A))
    assert np.array_equal(S.sqrt(A), np.sqrt(A))
    assert np.array_equal(S.tanh(A), np.tanh(A))
    assert np.array_equal(S.abs(-A), A)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_constants_do_not_change_the_precision(dtype: type[np.floating]) -> None:
    s = NumpyScalars(np.dtype(dtype))
    assert s.mul(np.ones(2, dtype), s.const(0.1)).dtype == dtype
    assert s.const(0.1) == dtype(0.1)


def test_a_program_runs_its_steps_in_order() -> None:
    program = ScalarProgram(
        2,
        (
            ScalarStep(mul, Attrs(), (0, 1)),
            ScalarStep(add, Attrs(), (2, 0)),
            ScalarStep(leaky_relu, LeakyReluAttrs(0.5), (3,)),
        ),
    )
    assert str(program) == "mul($0,$1) add($2,$0) leaky_relu($3)"
    found = program(S, -A, B)
    assert np.array_equal(found, (-A * B - A) / 2)
    assert hash(program) == hash(ScalarProgram(2, tuple(program.steps)))


def test_a_program_without_steps_gives_its_first_input() -> None:
    assert np.array_equal(ScalarProgram(2, ())(S, A, B), A)


def test_an_op_with_a_scalar_rule_has_its_reference_from_it() -> None:
    assert add in scalar
    assert reference[add] is scalar_reference
