"""Scaled losses: the same steps to the bit, skipped where a gradient is not finite."""

from __future__ import annotations

import numpy as np
import pytest

from cnndsl.backends import load
from cnndsl.compiler import CompileOptions, optimize
from cnndsl.ir.graph import Graph
from cnndsl.layers.initializers import initial_state
from cnndsl.ops.rules import Array
from cnndsl.plan.memory import make_plan
from cnndsl.recipes.loss_scale import GOOD_STEPS, SCALE, LossScale
from cnndsl.recipes.optimizers import SGD, Adam, Optimizer
from cnndsl.runtime.executable import Executable
from cnndsl.train.loop import FitOptions, Trainer
from cnndsl.train.progress import Progress
from cnndsl.train.step import train_step
from tests.train.toy import ToyData, forward, scorer

BATCH = 8
OPTIMIZERS = {"adam": Adam(), "momentum": SGD(lr=0.1, momentum=0.9, decay=1e-3)}


def step_graph(optimizer: Optimizer, scale: LossScale | None, clip: float | None = None) -> Graph:
    graph = forward(BATCH, training=True)
    return train_step(graph, optimizer=optimizer, scale=scale, clip=clip)


def executable(graph: Graph) -> Executable:
    return load("reference").compile(make_plan(optimize(graph, CompileOptions(batch=BATCH))))


def feeds(step: int, *, factor: float = 1.0) -> dict[str, Array]:
    rng = np.random.default_rng(step)
    return {
        "input": (factor * rng.standard_normal((BATCH, 4))).astype(np.float32),
        "target": rng.integers(0, 3, BATCH),
        "learning_rate": np.asarray(0.1, np.float32),
        "random.key": np.asarray(1),
        "random.step": np.asarray(step),
    }


def states(graph: Graph, steps: int) -> list[dict[str, Array]]:
    step = executable(graph)
    step.load_state(initial_state(graph, 0))
    found = []
    for number in range(steps):
        outputs = step.run(feeds(number))
        found.append({**outputs, **step.read_state()})
    return found


@pytest.mark.parametrize("clip", [None, 0.5])
@pytest.mark.parametrize("optimizer", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_steps_of_a_scaled_loss_are_those_of_the_loss_to_the_bit(
    optimizer: Optimizer, clip: float | None
) -> None:
    plain = states(step_graph(optimizer, None, clip), 4)
    scaled = states(step_graph(optimizer, LossScale(patience=2), clip), 4)
    for a, b in zip(plain, scaled, strict=True):
        assert {*b} - {*a} == {SCALE, GOOD_STEPS}
        assert all(np.array_equal(a[name], b[name]) for name in a)
    assert [float(state[SCALE]) for state in scaled] == [2.0**15, 2.0**16, 2.0**16, 2.0**17]
    assert [float(state[GOOD_STEPS]) for state in scaled] == [1, 0, 1, 0]
    moved = any(not np.array_equal(plain[0][name], plain[-1][name]) for name in plain[0])
    assert moved, "the steps taught nothing"


@pytest.mark.parametrize("optimizer", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_a_step_whose_gradients_overflow_changes_nothing_but_the_scale(
    optimizer: Optimizer,
) -> None:
    graph = step_graph(optimizer, LossScale(start=2.0**127, most=2.0**127))
    step = executable(graph)
    first = {**initial_state(graph, 0), GOOD_STEPS: np.asarray(7, np.float32)}
    step.load_state(first)
    with np.errstate(over="ignore", invalid="ignore"):
        outputs = step.run(feeds(0, factor=100.0))
    after = step.read_state()
    assert np.isfinite(outputs["loss"])
    assert float(after.pop(SCALE)) == 2.0**126
    assert float(after.pop(GOOD_STEPS)) == 0
    assert all(np.array_equal(first[name], array) for name, array in after.items())


def test_the_scale_stays_within_its_bounds() -> None:
    high = states(step_graph(SGD(), LossScale(start=4.0, most=8.0, patience=1)), 3)
    assert [float(state[SCALE]) for state in high] == [8, 8, 8]
    graph = step_graph(SGD(), LossScale(start=2.0, least=1.0))
    step = executable(graph)
    step.load_state(initial_state(graph, 0))
    spoilt = {**feeds(0), "input": np.full((BATCH, 4), np.nan, np.float32)}
    found = []
    for _ in range(3):
        with np.errstate(invalid="ignore"):
            step.run(spoilt)
        found.append(float(step.read_state()[SCALE]))
    assert found == [1, 1, 1]
    assert all(np.isfinite(array).all() for array in step.read_state().values())


@pytest.mark.parametrize("scaled", [False, True])
def test_a_checkpoint_goes_on_in_another_precision(scaled: bool) -> None:
    """What one step has and the other does not know is left out; what is missing begins anew."""
    scales = (None, LossScale(start=4.0))
    first, then = (executable(step_graph(Adam(), scales[which])) for which in (not scaled, scaled))
    first.load_state(initial_state(first.plan.graph, 0))
    first.run(feeds(0))
    state = first.read_state()
    assert (SCALE in state) == (not scaled)
    data = ToyData(batch=BATCH)
    options, progress = FitOptions(epochs=1, rate=0.1, top=2), Progress(seed=5)
    made = Trainer(lambda _: then, state, scorer, data, options, progress=progress)
    kept = {name: array for name, array in state.items() if name not in (SCALE, GOOD_STEPS)}
    assert all(np.array_equal(made.state[name], array) for name, array in kept.items())
    assert made.state.get(SCALE) == (4.0 if scaled else None)
    made.fit()
    assert float(made.state["optimizer.steps"]) == 1 + data.count // BATCH
