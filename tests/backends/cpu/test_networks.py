"""Whole networks and random graphs on the processor against the reference."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings

from cnndsl.backends.base import Backend
from cnndsl.backends.cpu.backend import CpuBackend
from cnndsl.backends.reference.backend import ReferenceBackend
from cnndsl.compiler import CompileOptions, Training, lower_network, optimize
from cnndsl.ir.graph import Graph
from cnndsl.ir.types import DType
from cnndsl.layers.initializers import initial_state
from cnndsl.ops.evaluate import evaluate_values
from cnndsl.ops.rules import Array
from cnndsl.ops.structural import input_, parameter
from cnndsl.passes.base import Pass
from cnndsl.plan.memory import make_plan
from cnndsl.recipes.optimizers import SGD
from cnndsl.runtime.executable import Executable
from tests.backends.cpu.machine import gap, needs_jit
from tests.plan.graphs import feeds_of, graphs
from tests.zoo.networks import LIGHT, SMALL, ZOO, Subject, feeds
from tests.zoo.small_inputs import small

pytestmark = needs_jit

EPSILON = {DType.F32: 2.0**-24, DType.F64: 2.0**-53}
"""Half a unit in the last place of 1."""


HEAVY = sorted(set(ZOO) - set(LIGHT))
"""The zoo's programs that take seconds a step: checked with the slow group."""

DECODERS = ("segnet", "unet")
"""Those whose many maps are as large as the picture, a class for each pixel: at full size a step of
U-Net takes 11 GB in double precision on the reference. They go with small inputs."""


def subject_of(name: str) -> Subject:
    """Give a program of the zoo in the size in which it is compared here."""
    return Subject(small(name), Training(SGD())) if name in DECODERS else Subject.of(name)


@dataclass(frozen=True)
class Case:
    """A graph in one precision, what it is fed, and its results in double precision."""

    graph: Graph
    state: dict[str, Array]
    given: dict[str, Array]
    exact: dict[str, Array]

    @classmethod
    def of(cls, graph: Graph, state: dict[str, Array], given: dict[str, Array]) -> Case:
        names = {**graph.outputs, **{str(name): value for name, value in graph.updates.items()}}
        exact = evaluate_values(graph, names.values(), {**given, **state}, dtype=DType.F64)
        return cls(graph, state, given, {name: exact[value] for name, value in names.items()})

    def error(self, backend: Backend) -> float:
        """Run once; give the largest error of outputs and updates, relative to each's largest."""
        executable = backend.compile(make_plan(self.graph))
        executable.load_state(self.state)
        found = {**executable.run(self.given), **executable.read_state()}
        return max(gap(found[name], array) for name, array in self.exact.items())


def wide(arrays: dict[str, Array], dtype: DType) -> dict[str, Array]:
    """Round to single precision, so that both precisions begin with the same numbers."""
    return {
        name: array.astype(np.float32).astype(dtype.numpy) if array.dtype.kind == "f" else array
        for name, array in arrays.items()
    }


def step(name: str, dtype: DType, *, batch: int) -> Case:
    """Give one step of plain descent.

    An optimizer that divides by the size of the gradient makes much of what is nothing but
    rounding.
    """
    subject = subject_of(name)
    options = CompileOptions(batch=batch, dtype=dtype)
    training = Training(
        SGD(lr=0.1), subject.training.loss, loss_options=subject.training.loss_options
    )
    lowered = lower_network(subject.network, options, training=training)
    state = wide(initial_state(lowered, 0), dtype)
    return Case.of(optimize(lowered, options), state, wide(feeds(lowered), dtype))


def inference(name: str, passes: tuple[Pass, ...] | None) -> Case:
    subject = subject_of(name)
    options = CompileOptions(batch=3, passes=passes)
    lowered = lower_network(subject.network, options)
    return Case.of(optimize(lowered, options), initial_state(lowered, 1), feeds(lowered))


@pytest.mark.parametrize("dtype", [DType.F32, DType.F64], ids=["f32", "f64"])
@pytest.mark.parametrize("name", [*LIGHT, *SMALL])
def test_a_training_step_is_that_of_the_reference(name: str, dtype: DType) -> None:
    """The error of one step stays within what a few thousand roundings of numbers near 1 make."""
    assert step(name, dtype, batch=4).error(CpuBackend(threads=2)) < 4096 * EPSILON[dtype]


@pytest.mark.slow
@pytest.mark.parametrize("name", HEAVY)
def test_a_deep_training_step_errs_no_more_than_the_reference_does(name: str) -> None:
    """A deep network makes much of a rounding, whoever rounds, so the reference is the measure.

    Batch statistics of two images divide by small deviations, and a value that rounds past zero
    opens or closes a rectifier: in single precision the reference itself is off by 0.16 after a
    step of Inception-v4. A fault of a kernel shows in double precision, where the same
    growth stays far below the bound.
    """
    single = step(name, DType.F32, batch=2)
    rounding = max(single.error(ReferenceBackend()), 512 * EPSILON[DType.F32])
    assert single.error(CpuBackend(threads=2)) < 8 * rounding
    assert step(name, DType.F64, batch=2).error(CpuBackend(threads=2)) < 1e-10


@pytest.mark.parametrize("name", [*LIGHT, *SMALL])
def test_inference_is_that_of_the_reference_with_and_without_passes(name: str) -> None:
    for passes in (None, ()):
        found = inference(name, passes).error(CpuBackend(threads=2))
        assert found < 1024 * EPSILON[DType.F32]


@pytest.mark.slow
@pytest.mark.parametrize("name", HEAVY)
def test_deep_inference_is_that_of_the_reference_with_and_without_passes(name: str) -> None:
    for passes in (None, ()):
        found = inference(name, passes).error(CpuBackend(threads=2))
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
