"""Whole programs on the emulated device: against the reference, the CPU backend, and themselves."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings

from cnndsl.backends.cpu.backend import CpuBackend
from cnndsl.backends.cpu.target import unavailable as no_jit
from cnndsl.backends.cuda.emulated.driver import ORDERS
from cnndsl.backends.reference.backend import ReferenceBackend
from cnndsl.compiler import CompileOptions, Training, lower_network, optimize
from cnndsl.ir.graph import Graph
from cnndsl.ir.types import DType
from cnndsl.layers.initializers import initial_state
from cnndsl.ops.evaluate import evaluate_values
from cnndsl.ops.rules import Array
from cnndsl.ops.structural import input_, parameter
from cnndsl.plan.memory import make_plan
from cnndsl.recipes.optimizers import SGD
from cnndsl.runtime.executable import Executable
from tests.backends.cuda.emulation import backend, driver, gap, needs_emulator
from tests.plan.graphs import feeds_of, graphs
from tests.zoo.networks import SMALL, Subject, feeds

pytestmark = needs_emulator

EPSILON = 2.0**-24
"""Half a unit in the last place of 1, in single precision."""
STEPS = 10
BOUND = 2e-6
"""Largest difference between two backends in ten steps, relative to each array's largest.

It was 1e-7 for LeNet and 5.4e-7 for the residual blocks; an error of a kernel makes more than the
bound in one step.
"""


def training_graph(name: str, *, batch: int, dtype: DType = DType.F32) -> Graph:
    subject = Subject.of(name)
    options = CompileOptions(batch=batch, dtype=dtype)
    loss = subject.training.loss
    training = Training(SGD(lr=0.1), loss, loss_options=subject.training.loss_options)
    return optimize(lower_network(subject.network, options, training=training), options)


def begin(graph: Graph, dtype: DType = DType.F32) -> dict[str, Array]:
    """Give a first state, rounded so that both precisions begin with the same numbers."""
    return {
        name: array.astype(np.float32).astype(dtype.numpy) if array.dtype.kind == "f" else array
        for name, array in initial_state(graph, 0).items()
    }


def train(executable: Executable, graph: Graph, steps: int) -> list[dict[str, Array]]:
    """Load the first state and run; give outputs and state after each step."""
    executable.load_state(begin(graph))
    found = []
    for step in range(steps):
        outputs = executable.run(feeds(graph, seed=step))
        found.append({**outputs, **executable.read_state()})
    return found


@pytest.mark.parametrize(
    "name", ["lenet", "residual", "inception", "separable", "activations", "decoder", "recurrent"]
)
def test_a_training_step_is_that_of_the_reference(name: str) -> None:
    """As for the CPU backend: within what a few thousand roundings of numbers near 1 make."""
    graph = training_graph(name, batch=4)
    state, given_feeds = begin(graph), feeds(graph)
    names = {**graph.outputs, **{str(n): value for n, value in graph.updates.items()}}
    exact = evaluate_values(graph, names.values(), {**given_feeds, **state}, dtype=DType.F64)
    executable = backend(driver(), poison=True).compile(make_plan(graph, alignment=256))
    executable.load_state(state)
    found = {**executable.run(given_feeds), **executable.read_state()}
    for key, value in names.items():
        assert gap(found[key], exact[value]) < 4096 * EPSILON, key


@pytest.mark.parametrize("name", sorted(SMALL))
def test_inference_is_that_of_the_reference_in_every_order_of_threads(name: str) -> None:
    options = CompileOptions(batch=3)
    lowered = lower_network(Subject.of(name).network, options)
    graph, state = optimize(lowered, options), initial_state(lowered, 1)
    given_feeds = feeds(graph)
    exact = evaluate_values(
        graph, graph.outputs.values(), {**given_feeds, **state}, dtype=DType.F64
    )
    machine = driver()
    executable = backend(machine, poison=True).compile(make_plan(graph, alignment=256))
    executable.load_state(state)
    first: dict[str, Array] = {}
    for order in ORDERS:
        machine.order = order
        for key, array in executable.run(given_feeds).items():
            assert gap(array, exact[graph.outputs[key]]) < 1024 * EPSILON
            assert np.array_equal(array, first.setdefault(key, array))


@pytest.mark.jit
@pytest.mark.skipif(no_jit() is not None, reason=str(no_jit()))
@pytest.mark.parametrize(
    ("name", "batch"), [("lenet", 8), ("residual", 4), ("inception", 4), ("separable", 4)]
)
def test_ten_training_steps_are_those_of_the_cpu(name: str, batch: int) -> None:
    graph = training_graph(name, batch=batch)
    plan = make_plan(graph, alignment=256)
    ours = train(backend(driver()).compile(plan), graph, STEPS)
    theirs = train(CpuBackend(threads=2).compile(plan), graph, STEPS)
    errors = [[gap(a[key], b[key]) for key in b] for a, b in zip(ours, theirs, strict=True)]
    assert np.max(errors) < BOUND, np.max(errors, axis=1)
    moved = max(gap(ours[-1][key], ours[0][key]) for key in graph.updates)
    assert moved > 100 * BOUND, "the steps taught nothing"


def test_a_replayed_step_is_the_queued_step_to_the_bit() -> None:
    graph = training_graph("separable", batch=4)
    plan = make_plan(graph, alignment=256)
    replayed = train(backend(driver()).compile(plan), graph, 3)
    queued = train(backend(driver(), record=False).compile(plan), graph, 3)
    for a, b in zip(replayed, queued, strict=True):
        assert all(np.array_equal(a[key], b[key]) for key in b)
    keys = [key for key in graph.updates if not np.array_equal(replayed[0][key], replayed[1][key])]
    assert keys, "every replay left the same state"


def test_a_program_takes_memory_once(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = training_graph("separable", batch=2)
    machine = driver()
    taken: list[int] = []
    allocate = machine.allocate

    def counted(nbytes: int) -> int:
        taken.append(nbytes)
        return allocate(nbytes)

    monkeypatch.setattr(machine, "allocate", counted)
    executable = backend(machine).compile(make_plan(graph, alignment=256))
    train(executable, graph, 2)
    assert len(taken) == 1
    assert taken[0] >= sum(executable.plan.arena_bytes.values())


def test_dead_memory_does_not_matter() -> None:
    graph = training_graph("residual", batch=2)
    plan = make_plan(graph, alignment=256)
    clean = train(backend(driver()).compile(plan), graph, 2)
    poisoned = train(backend(driver(), poison=True).compile(plan), graph, 2)
    for a, b in zip(clean, poisoned, strict=True):
        assert all(np.array_equal(a[key], b[key]) for key in b)


def run_all(executable: Executable, graph: Graph) -> dict[str, Array]:
    executable.load_state(feeds_of(graph, parameter, 1))
    outputs = executable.run(feeds_of(graph, input_, 2))
    return {**outputs, **executable.read_state()}


@settings(max_examples=12)
@given(graphs(dtype=DType.F64, most=10))
def test_random_graphs_are_as_on_the_reference(graph: Graph) -> None:
    """Double precision: an error of order, memory or value shows, rounding does not."""
    plan = make_plan(graph, alignment=256)
    found = run_all(backend(driver(), poison=True).compile(plan), graph)
    expected = run_all(ReferenceBackend(poison=True).compile(plan), graph)
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        assert gap(found[name], array) < 1e-12
