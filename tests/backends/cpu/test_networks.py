"""Whole networks and random graphs on the processor against the reference."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings

from cnndsl.backends.cpu.backend import CpuBackend
from cnndsl.backends.reference.backend import ReferenceBackend
from cnndsl.compiler import CompileOptions, Training, lower_network, optimize
from cnndsl.ir.graph import Graph
from cnndsl.ir.types import DType
from cnndsl.layers.initializers import initial_state
from cnndsl.ops.evaluate import evaluate_values
from cnndsl.ops.rules import Array
from cnndsl.ops.structural import input_, parameter
from cnndsl.plan.memory import make_plan
from cnndsl.runtime.executable import Executable
from cnndsl.train.optimizers import SGD
from tests.backends.cpu.machine import gap, needs_jit
from tests.plan.graphs import feeds_of, graphs
from tests.zoo.networks import SMALL, ZOO, Subject, feeds

pytestmark = needs_jit

EPSILON = {DType.F32: 2.0**-24, DType.F64: 2.0**-53}
"""Half a unit in the last place of 1."""


def errors(graph: Graph, dtype: DType, state: dict[str, Array], given: dict[str, Array]) -> float:
    """Run once; give the largest error of outputs and updates, relative to each one's largest."""
    executable = CpuBackend(threads=2).compile(make_plan(graph))
    executable.load_state(state)
    found = {**executable.run(given), **executable.read_state()}
    roots = {**graph.outputs, **{str(name): value for name, value in graph.updates.items()}}
    exact = evaluate_values(graph, roots.values(), {**given, **state}, dtype=DType.F64)
    return max(gap(found[name], exact[value]) for name, value in roots.items())


def wide(arrays: dict[str, Array], dtype: DType) -> dict[str, Array]:
    """Round to single precision, so that both precisions begin with the same numbers."""
    return {
        name: array.astype(np.float32).astype(dtype.numpy) if array.dtype.kind == "f" else array
        for name, array in arrays.items()
    }


@pytest.mark.parametrize("dtype", [DType.F32, DType.F64], ids=["f32", "f64"])
@pytest.mark.parametrize("name", [*ZOO, *SMALL])
def test_a_training_step_is_that_of_the_reference(name: str, dtype: DType) -> None:
    """The error of one step stays within what a few thousand roundings of numbers near 1 make.

    Plain descent: an optimizer that divides by the size of the gradient makes much of what is
    nothing but rounding.
    """
    subject = Subject.of(name)
    options = CompileOptions(batch=4, dtype=dtype)
    training = Training(SGD(lr=0.1), subject.training.loss)
    lowered = lower_network(subject.network, options, training=training)
    state = wide(initial_state(lowered, 0), dtype)
    given = wide(feeds(lowered), dtype)
    assert errors(optimize(lowered, options), dtype, state, given) < 4096 * EPSILON[dtype]


@pytest.mark.parametrize("name", [*ZOO, *SMALL])
def test_inference_is_that_of_the_reference_with_and_without_passes(name: str) -> None:
    subject = Subject.of(name)
    for passes in (None, ()):
        options = CompileOptions(batch=3, passes=passes)
        lowered = lower_network(subject.network, options)
        state, given = initial_state(lowered, 1), feeds(lowered)
        found = errors(optimize(lowered, options), DType.F32, state, given)
        assert found < 1024 * EPSILON[DType.F32]


def run_all(executable: Executable, graph: Graph) -> dict[str, Array]:
    executable.load_state(feeds_of(graph, parameter, 1))
    outputs = executable.run(feeds_of(graph, input_, 2))
    return {**outputs, **executable.read_state()}


@settings(max_examples=40)
@given(graphs(dtype=DType.F64, most=10))
def test_random_graphs_are_as_on_the_reference(graph: Graph) -> None:
    """Double precision: an error of order, memory or value shows, rounding does not."""
    plan = make_plan(graph)
    found = run_all(CpuBackend(threads=2).compile(plan), graph)
    expected = run_all(ReferenceBackend(poison=True).compile(plan), graph)
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        assert gap(found[name], array) < 1e-12
