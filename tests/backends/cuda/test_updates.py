"""Updates that wait for the end of a step: fewer launches, the same bits."""

from __future__ import annotations

import numpy as np
import pytest

from cnndsl.backends.cuda.backend import CudaBackend
from cnndsl.backends.cuda.updates import put_off
from cnndsl.compiler import CompileOptions, Training, lower_network, optimize
from cnndsl.ir.builder import Builder
from cnndsl.ir.graph import Graph
from cnndsl.ir.types import f32
from cnndsl.ops.activations import relu
from cnndsl.ops.elementwise import add, mul
from cnndsl.ops.reduce import ReduceAttrs, reduce_sum
from cnndsl.ops.rules import Array
from cnndsl.ops.structural import InputAttrs, ParameterAttrs, input_, parameter
from cnndsl.plan.memory import make_plan
from cnndsl.recipes.loss_scale import LossScale
from cnndsl.recipes.optimizers import SGD, Adam, Optimizer
from tests.backends.cuda.emulation import driver, needs_emulator
from tests.zoo.networks import Subject, feeds, worn_state


def trained(graph: Graph, *, join: bool, poison: bool) -> tuple[list[dict[str, Array]], int]:
    """Run two steps; give outputs and state after each, and the launches of one."""
    machine = driver()
    serving = CudaBackend(lambda: machine, join=join, poison=poison)
    executable = serving.compile(make_plan(graph, alignment=256))
    executable.load_state(worn_state(graph))
    found = []
    for step in range(2):
        before = machine.launched
        outputs = executable.run(feeds(graph, seed=step))
        found.append({**outputs, **executable.read_state()})
    return found, machine.launched - before


@needs_emulator
@pytest.mark.parametrize(
    ("optimizer", "clip", "scale", "launches"),
    [
        (SGD(lr=0.1, momentum=0.9, decay=1e-3), None, None, 1),
        (Adam(), None, None, 2),  # the number of the step first
        (SGD(lr=0.1), 0.5, None, 4),  # the norm of all gradients first
        (Adam(), None, LossScale(), 2),  # the scale, too
    ],
    ids=["momentum", "adam", "clipped", "scaled"],
)
def test_joined_updates_are_the_single_ones_to_the_bit(
    optimizer: Optimizer, clip: float | None, scale: LossScale | None, launches: int
) -> None:
    subject, options = Subject.of("residual"), CompileOptions(batch=2)
    training = Training(optimizer, subject.training.loss, clip=clip, scale=scale)
    graph = optimize(lower_network(subject.network, options, training=training), options)
    single, many = trained(graph, join=False, poison=False)
    joined, few = trained(graph, join=True, poison=True)
    for a, b in zip(single, joined, strict=True):
        assert all(np.array_equal(a[key], b[key]) for key in b)
    waiting = put_off(make_plan(graph, alignment=256))
    assert len(waiting) >= len(graph.updates)
    assert few == many - len(waiting) + launches


def test_a_step_that_something_else_reads_does_not_wait() -> None:
    b = Builder(Graph("g"))
    x = b.emit(input_, attrs=InputAttrs(f32(4)), name="x")
    w = b.emit(parameter, attrs=ParameterAttrs(f32(4)), name="w")
    v = b.emit(parameter, attrs=ParameterAttrs(f32(4)), name="v")
    new = b.emit(add, w, x, name="new")
    b.graph.updates[w.node] = new
    b.graph.updates[v.node] = b.emit(mul, v, x, name="waits")
    total = b.emit(reduce_sum, new, attrs=ReduceAttrs((0,)))
    b.graph.outputs["y"] = b.emit(relu, total)
    assert [step.node.id for step in put_off(make_plan(b.graph))] == ["waits"]


def test_a_step_that_reads_what_is_overwritten_early_does_not_wait() -> None:
    b = Builder(Graph("g"))
    x = b.emit(input_, attrs=InputAttrs(f32(4)), name="x")
    w = b.emit(parameter, attrs=ParameterAttrs(f32(4)), name="w")
    v = b.emit(parameter, attrs=ParameterAttrs(f32(4)), name="v")
    b.graph.updates[v.node] = b.emit(mul, v, w, name="reads_old")
    new = b.emit(add, w, x, name="new")
    b.graph.updates[w.node] = new
    b.graph.outputs["y"] = b.emit(reduce_sum, new, attrs=ReduceAttrs((0,)))
    plan = make_plan(b.graph)
    order = [str(step.node.id) for step in plan.steps]
    assert order.index("reads_old") < order.index("new")
    assert put_off(plan) == ()
