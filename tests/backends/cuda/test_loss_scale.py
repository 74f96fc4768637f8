"""Training in halves with a scaled loss: what overflows is skipped on the device, replays too."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from cnndsl.backends.cuda.policy import Policy
from cnndsl.compiler import CompileOptions, Training, compile_network, lower_network, optimize
from cnndsl.ir.graph import Graph
from cnndsl.ir.op import OPS
from cnndsl.ir.types import DType, f32
from cnndsl.ops.rules import Array, Sample
from cnndsl.plan.memory import make_plan
from cnndsl.recipes.loss_scale import GOOD_STEPS, SCALE, LossScale
from cnndsl.recipes.optimizers import SGD
from tests.backends.cuda.emulation import backend, driver, graph_of, needs_emulator
from tests.backends.cuda.test_networks import train
from tests.zoo.networks import Subject

pytestmark = needs_emulator

HALF = Policy("fp16")


def scaled_graph(name: str, scale: LossScale | None) -> Graph:
    subject, options = Subject.of(name), CompileOptions(batch=8)
    training = Training(
        SGD(lr=0.1, momentum=0.9),
        subject.training.loss,
        loss_options=subject.training.loss_options,
        scale=scale,
    )
    return optimize(lower_network(subject.network, options, training=training), options)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("place", [0, 4095, 4096, 8999])
def test_a_number_that_is_not_finite_is_the_largest_magnitude(place: int, bad: float) -> None:
    op = OPS["largest_magnitude"]
    cases = [Sample((f32(9, 1000), f32(5)))]
    graph = graph_of(op, cases, DType.F32)
    x = np.linspace(-1, 1, 9000, dtype=np.float32)
    x[place] = bad
    executable = backend(driver()).compile(make_plan(graph, alignment=256))
    found = executable.run({"x0_0": x.reshape(9, 1000), "x0_1": np.ones(5, np.float32)})["y0_0"]
    assert np.array_equal(found, abs(bad), equal_nan=True)


@pytest.mark.parametrize("name", ["lenet", "residual", "separable"])
def test_ten_steps_with_a_scaled_loss_learn_as_in_single_precision(name: str) -> None:
    """As without a scale, within hundredths of the loss; no step is left out."""
    plain = scaled_graph(name, None)
    single = train(backend(driver()).compile(make_plan(plain, alignment=256)), plain, 10)
    graph = scaled_graph(name, LossScale())
    serving = backend(driver(), policy=HALF, poison=True)
    half = train(serving.compile(serving.plan(graph)), graph, 10)
    falls = [np.array([float(step["loss"]) for step in steps]) for steps in (single, half)]
    assert np.max(np.abs(falls[1] - falls[0])) < 0.05 * np.max(falls[0])
    assert float(half[-1][GOOD_STEPS]) == 10


def test_steps_that_overflow_are_skipped_and_the_scale_falls_until_they_do_not() -> None:
    """2^40 is too large for any gradient of a half: steps are left out, then all are made."""
    graph = scaled_graph("residual", LossScale(start=2.0**40, most=2.0**40))
    found: list[list[dict[str, Array]]] = []
    for record in (True, False):
        serving = backend(driver(), policy=HALF, record=record, poison=True)
        found.append(train(serving.compile(serving.plan(graph)), graph, 32))
    for a, b in zip(*found, strict=True):
        assert all(np.array_equal(a[key], b[key]) for key in b), "a replay is not the queued run"
    steps = found[0]
    scales = np.array([float(step[SCALE]) for step in steps])
    weights = [name for name in graph.updates if name not in (SCALE, GOOD_STEPS)]
    skipped = 0
    for before, after in pairwise(steps):
        same = all(np.array_equal(before[name], after[name]) for name in weights)
        assert same == (float(after[SCALE]) == float(before[SCALE]) / 2)
        assert (float(after[GOOD_STEPS]) == 0) == same
        skipped += same
    assert 5 < skipped < 30, "steps were skipped at first, and made at last"
    assert all(np.isfinite(array).all() for array in steps[-1].values() if array.dtype.kind == "f")
    assert np.all(np.diff(scales) <= 0)


def test_a_compiled_training_step_has_a_scale_in_halves_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    subject, options = Subject.of("residual"), CompileOptions(batch=2, device="cuda-emulated")
    for precision in ("fp16", "bf16", "fp32"):
        monkeypatch.setenv("CNNDSL_GPU_PRECISION", precision)
        made = compile_network(subject.network, options, training=subject.training)
        assert (SCALE in made.executable.parameters) == (precision == "fp16")
    monkeypatch.setenv("CNNDSL_GPU_PRECISION", "fp16")
    inference = compile_network(subject.network, options)
    assert SCALE not in inference.executable.parameters
    given = compile_network(
        subject.network,
        options,
        training=Training(SGD(), subject.training.loss, scale=LossScale(start=8.0)),
    )
    assert given.lowered[SCALE].attrs.init.value == 8.0
