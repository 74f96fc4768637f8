"""Activations of two bytes: each kernel on them, what is halved and what is not, and training."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cnndsl.backends.cuda.emulated.driver import ORDERS
from cnndsl.backends.cuda.halves import from_halves, to_halves
from cnndsl.backends.cuda.policy import HALVES, Policy
from cnndsl.backends.cuda.shadows import with_shadows
from cnndsl.backends.cuda.storage import READERS, CudaStorage, storage_of
from cnndsl.ir.op import Op, Trait
from cnndsl.ir.types import DType, TensorType
from cnndsl.ops.evaluate import evaluate
from cnndsl.ops.rules import samples
from cnndsl.plan.memory import make_plan
from cnndsl.plan.plan import Arena
from cnndsl.plan.verify import verify_plan
from cnndsl.support.settings import GpuPrecision
from tests.backends.cuda.emulation import LAUNCHED, backend, driver, feeds_of, needs_emulator, typed
from tests.backends.cuda.halves import FORMATS, between_halves
from tests.backends.cuda.larger import LARGER
from tests.backends.cuda.test_networks import begin, train, training_graph

BF16 = Policy("bf16")
both = pytest.mark.parametrize("precision", FORMATS)
HALVABLE = [op for op in LAUNCHED if op in READERS or Trait.ELEMENTWISE in op.traits]


def _is_wide(kind: TensorType) -> bool:
    return kind.dtype is DType.F32 and kind.rank > 1


@needs_emulator
@both
@pytest.mark.parametrize("op", HALVABLE, ids=lambda op: op.name)
def test_an_op_on_halves_is_the_reference_on_what_they_hold(
    op: Op[Any], precision: GpuPrecision
) -> None:
    """Operands are numbers of the format, so all that is lost is the rounding of the result.

    A sum is in single precision; each element of a result is rounded once.
    """
    cases = [*samples[op](), *LARGER.get(op.name, ())]
    graph = between_halves(op, cases)
    drawn = feeds_of(op, cases)
    policy, form = Policy(precision), FORMATS[precision]
    feeds = {n: form.near(a) if a.dtype.kind == "f" else a for n, a in drawn.items()}
    feeds["one"] = np.ones((), np.float32)
    machine = driver(guarded=True)
    serving = backend(machine, policy=policy, poison=True)
    plan = serving.plan(graph)
    verify_plan(plan)
    halves = storage_of(graph, policy).halves
    met = [v for node in graph.nodes() if node.op is op for v in (*node.operands, *node.results)]
    if any(_is_wide(graph.type_of(v)) for v in met):
        assert halves & set(met), "nothing is halved, so nothing is shown"
    executable = serving.compile(plan)
    expected = evaluate(graph, feeds, dtype=DType.F64)
    first = executable.run(typed(graph, feeds))
    for name, found in first.items():
        exact = expected[name]
        sample = cases[int(name[1:].partition("_")[0])]
        scale = max(1.0, float(np.max(np.abs(exact), initial=0.0)))
        bound = form.bound(exact) + 2 * sample.tolerance * scale
        assert np.all(np.abs(found - exact) <= bound), name
    for order in ORDERS[1:]:
        machine.order = order
        for name, found in executable.run(typed(graph, feeds)).items():
            assert np.array_equal(found, first[name]), f"{name}: {order}"


@both
def test_the_host_rounds_as_the_device_does(precision: GpuPrecision) -> None:
    """Every pattern of two bytes comes back; singles go to the nearest, ties to the even one."""
    kind, form = HALVES[precision], FORMATS[precision]
    bits = np.arange(1 << 16, dtype=np.uint16)
    values = from_halves(bits, kind)
    real = ~np.isnan(values)
    assert np.array_equal(to_halves(values[real], kind), bits[real])
    assert np.isnan(from_halves(to_halves(values[~real], kind), kind)).all()
    with np.errstate(over="ignore", invalid="ignore"):
        finite = np.sort(values[np.isfinite(values)].astype(np.float64))
        middles = ((finite[1:] + finite[:-1]) / 2).astype(np.float32)
        rounded = from_halves(to_halves(middles, kind), kind)
    assert not np.any(to_halves(middles, kind) & 1), "a tie went to the odd neighbour"
    assert np.all(np.abs(rounded - middles) <= form.bound(middles))
    assert np.isinf(from_halves(to_halves(np.array([form.infinite], np.float32), kind), kind))


def test_what_is_learned_and_what_is_said_stays_whole() -> None:
    graph = training_graph("residual", batch=2)
    halves = storage_of(graph, BF16).halves
    activations = [
        v
        for node in graph.nodes()
        if node.op.name in ("conv2d", "conv2d_grad_input", "batch_norm_train", "max_pool2d")
        for v in node.results[:1]
    ]
    assert activations
    assert set(activations) <= halves
    for node in graph.nodes():
        if node.op.name in ("conv2d_grad_weight", "parameter", "input"):
            assert not halves & set(node.results), node.id
        if node.op.name.startswith("softmax"):
            assert not halves & {*node.operands, *node.results}, node.id
        if node.op.name.startswith("batch_norm"):
            assert not halves & set(node.results[1:]), node.id
    assert not halves & {*graph.outputs.values(), *graph.updates.values()}
    assert storage_of(graph, Policy("tf32")) == CudaStorage(frozenset())


@pytest.mark.parametrize("name", ["residual", "inception", "separable"])
def test_a_plan_of_halves_is_proven_and_smaller(name: str) -> None:
    graph = training_graph(name, batch=64)
    whole = make_plan(graph, alignment=256, storage=storage_of(graph, Policy()))
    halved = make_plan(graph, alignment=256, storage=storage_of(graph, BF16))
    for plan in (whole, halved):
        verify_plan(plan)
    room = halved.arena_bytes[Arena.WORKSPACE] / whole.arena_bytes[Arena.WORKSPACE]
    assert 0.45 < room < 0.65


@needs_emulator
def test_a_plan_that_was_made_otherwise_is_made_anew() -> None:
    graph = training_graph("residual", batch=2)
    executable = backend(driver(), policy=BF16).compile(make_plan(graph, alignment=256))
    assert executable.plan.storage == storage_of(with_shadows(graph, BF16), BF16)
    assert backend(driver(), policy=BF16).compile(executable.plan).plan is executable.plan


@needs_emulator
@both
@pytest.mark.parametrize("name", ["lenet", "residual", "inception", "separable"])
def test_ten_steps_in_halves_learn_as_in_single_precision(
    name: str, precision: GpuPrecision
) -> None:
    """The loss falls as far; the steps are the same but for the bits that halves lose.

    Each value between layers is off by up to 2^-8 of itself, at random; a loss is an average over
    thousands of them, and hundredths of it stay.
    """
    graph = training_graph(name, batch=8)
    single = train(backend(driver()).compile(make_plan(graph, alignment=256)), graph, 10)
    serving = backend(driver(), policy=Policy(precision), poison=True)
    half = train(serving.compile(serving.plan(graph)), graph, 10)
    falls = [np.array([float(step["loss"]) for step in steps]) for steps in (single, half)]
    assert np.all(np.isfinite(falls[1]))
    assert np.max(np.abs(falls[1] - falls[0])) < 0.05 * np.max(falls[0])
    again = train(serving.compile(serving.plan(graph)), graph, 10)
    assert all(np.array_equal(a[k], b[k]) for a, b in zip(half, again, strict=True) for k in b)
    assert set(begin(graph)) <= set(half[-1])
