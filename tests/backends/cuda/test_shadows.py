"""Halves of weights: which products read them, when they are made, and what stays the same."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest

from cnndsl.backends.cuda.backend import CudaBackend
from cnndsl.backends.cuda.emulated.driver import EmulatedDriver
from cnndsl.backends.cuda.executable import CudaExecutable
from cnndsl.backends.cuda.policy import Policy
from cnndsl.backends.cuda.program import key_of
from cnndsl.backends.cuda.shadows import READERS, is_shadow, with_shadows
from cnndsl.backends.cuda.updates import Apart, brought_forward, put_off
from cnndsl.compiler import CompileOptions, lower_network, optimize
from cnndsl.ir.graph import Graph, Node
from cnndsl.layers.initializers import initial_state
from cnndsl.ops.evaluate import evaluate
from cnndsl.ops.structural import parameter
from cnndsl.plan.plan import Arena
from cnndsl.support.settings import GpuPrecision
from tests.backends.cuda.emulation import backend, driver, needs_emulator
from tests.backends.cuda.halves import FORMATS
from tests.backends.cuda.test_networks import train, training_graph
from tests.zoo.networks import SMALL, Subject, feeds

HALF = Policy("fp16")


def shadows_of(graph: Graph) -> list[Node[Any]]:
    return [node for node in graph.nodes() if is_shadow(graph, node)]


@pytest.mark.parametrize("name", ["lenet", "residual", "separable", "recurrent"])
def test_products_read_one_half_of_each_weight(name: str) -> None:
    graph = training_graph(name, batch=2)
    found = with_shadows(graph, HALF)
    assert not shadows_of(graph)
    made = shadows_of(found)
    assert made
    assert len({node.operands for node in made}) == len(made)
    for node in found.nodes():
        for place in READERS.get(node.op, ()):
            assert found[node.operands[place]].op is not parameter, node.id
    assert {*graph.updates.items()} == {*found.updates.items()}
    assert with_shadows(found, HALF) is found
    for precision in ("fp32", "tf32"):
        assert with_shadows(graph, Policy(precision)) is graph


@pytest.mark.parametrize("precision", FORMATS)
def test_a_training_step_makes_them_first_and_inference_once(precision: GpuPrecision) -> None:
    serving = CudaBackend(driver, policy=Policy(precision))
    plan = serving.plan(training_graph("residual", batch=2))
    made = shadows_of(plan.graph)
    first = brought_forward(plan)
    assert {step.node.id for step in first} == {node.id for node in made}
    assert not {step.node.id for step in first} & {step.node.id for step in put_off(plan)}
    for step in plan.steps:
        if step.node.op in READERS:
            key = key_of(step)
            assert key.halves[0][1], f"{step.node.id} reads a single"
    options = CompileOptions(batch=2)
    lowered = lower_network(Subject.of("residual").network, options)
    inference = serving.plan(optimize(lowered, options))
    assert not brought_forward(inference)
    for node in shadows_of(inference.graph):
        assert inference.slots[node.results[0]].arena is Arena.PREPARED
        assert inference.slots[node.results[0]].element_bytes == 2


@needs_emulator
@pytest.mark.parametrize("precision", FORMATS)
def test_one_launch_makes_what_a_launch_each_makes(precision: GpuPrecision) -> None:
    graph, launched, found = training_graph("separable", batch=2), [], []
    for join in (True, False):
        machine = driver()
        policy = Policy(precision)
        serving = CudaBackend(partial(_given, machine), policy=policy, join=join, poison=join)
        executable = serving.compile(serving.plan(graph))
        assert isinstance(executable, CudaExecutable)
        found.append(train(executable, graph, 3))
        launched.append(machine.launched)
    for a, b in zip(*found, strict=True):
        assert all(np.array_equal(a[key], b[key]) for key in b)
    steps = len(Apart.of(serving.plan(graph)).steps)
    assert launched[1] - launched[0] == 3 * (steps - 2)


def _given(machine: EmulatedDriver) -> EmulatedDriver:
    return machine


@needs_emulator
@pytest.mark.parametrize("precision", FORMATS)
@pytest.mark.parametrize("name", sorted(SMALL))
def test_inference_in_halves_is_that_of_the_weights_that_were_loaded_last(
    name: str, precision: GpuPrecision
) -> None:
    """Each value between layers is rounded once: a few dozen roundings of a half, at most."""
    options = CompileOptions(batch=2)
    lowered = lower_network(Subject.of(name).network, options)
    graph, given = optimize(lowered, options), feeds(lowered)
    serving = backend(driver(), policy=Policy(precision), poison=True)
    executable = serving.compile(serving.plan(graph))
    for seed in (1, 2):
        state = initial_state(lowered, seed)
        executable.load_state(state)
        found, exact = executable.run(given), evaluate(graph, {**given, **state})
        for key, array in exact.items():
            scale = max(1.0, float(np.max(np.abs(array))))
            assert float(np.max(np.abs(found[key] - array))) < 32 * FORMATS[precision].unit * scale
