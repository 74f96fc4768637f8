"""Fused chains: random programs against the same ops one by one, gradients included."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnndsl.ir.op import Attrs, Op
from cnndsl.ir.types import f32
from cnndsl.ops.activations import LeakyReluAttrs, leaky_relu, sigmoid, tanh
from cnndsl.ops.elementwise import add, maximum, mul, sub
from cnndsl.ops.fused import FusedElementwiseAttrs, fused_elementwise
from cnndsl.ops.rules import Array, cost_of
from cnndsl.ops.scalar import ScalarProgram, ScalarStep
from cnndsl.support.diagnostics import TypeRuleError
from tests.ops.apply import apply, build, gradients_or_none

STEPS: list[tuple[Op[Any], Attrs, int]] = [
    (add, Attrs(), 2),
    (sub, Attrs(), 2),
    (mul, Attrs(), 2),
    (maximum, Attrs(), 2),
    (sigmoid, Attrs(), 1),
    (tanh, Attrs(), 1),
    (leaky_relu, LeakyReluAttrs(0.2), 1),
]


@st.composite
def programs(draw: st.DrawFn) -> ScalarProgram:
    """Draw a program of one to six steps over three inputs."""
    steps: list[ScalarStep] = []
    for _ in range(draw(st.integers(1, 6))):
        op, attrs, count = draw(st.sampled_from(STEPS))
        known = 3 + len(steps)
        reads = tuple(draw(st.integers(0, known - 1)) for _ in range(count))
        steps.append(ScalarStep(op, attrs, reads))
    return ScalarProgram(3, tuple(steps))


def one_by_one(program: ScalarProgram, arrays: list[Array]) -> Array:
    values = list(arrays)
    for step in program.steps:
        operands = [values[index] for index in step.operands]
        values.append(apply(step.op, *operands, attrs=step.attrs))
    return values[-1]


def inputs() -> list[Array]:
    rng = np.random.default_rng(5)
    return [rng.normal(size=shape) for shape in ((2, 3), (1, 3), ())]


@given(programs())
def test_a_chain_gives_what_its_ops_give(program: ScalarProgram) -> None:
    arrays = inputs()
    found = apply(fused_elementwise, *arrays, attrs=FusedElementwiseAttrs(program))
    assert np.array_equal(found, np.broadcast_to(one_by_one(program, arrays), (2, 3)))


@given(programs())
def test_gradients_equal_differences(program: ScalarProgram) -> None:
    arrays = inputs()
    found = gradients_or_none(fused_elementwise, *arrays, attrs=FusedElementwiseAttrs(program))
    for index, gradient in enumerate(found):
        for element in np.ndindex(arrays[index].shape):
            ends = []
            for step in (1e-6, -1e-6):
                moved = [array.copy() for array in arrays]
                moved[index][element] += step
                value = apply(fused_elementwise, *moved, attrs=FusedElementwiseAttrs(program))
                ends.append(float(value.sum()))
            numeric = (ends[0] - ends[1]) / 2e-6
            exact = 0.0 if gradient is None else float(gradient[element])
            assert abs(exact - numeric) < 1e-5 * max(1.0, abs(numeric))


def test_the_number_of_operands_must_be_the_programs() -> None:
    attrs = FusedElementwiseAttrs(ScalarProgram(2, (ScalarStep(add, Attrs(), (0, 1)),)))
    with pytest.raises(TypeRuleError, match="1 operands; its program takes 2"):
        fused_elementwise.infer(attrs, f32(3))


def test_a_chain_reads_its_operands_once() -> None:
    program = ScalarProgram(1, (ScalarStep(mul, Attrs(), (0, 0)), ScalarStep(add, Attrs(), (0, 1))))
    _, node = build(fused_elementwise, [np.ones(6)], FusedElementwiseAttrs(program))
    price = cost_of(node, [f32(6)])
    assert (price.flops, price.bytes_read) == (12, 24)
