"""Ways chosen by measurement: only those that are right, kept, used, and forgotten."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cnndsl.backends.base import Measurement
from cnndsl.backends.cuda import choices, tuning
from cnndsl.backends.cuda.backend import CudaBackend
from cnndsl.backends.cuda.choices import OWN, Choice, Site, question, shipped_name
from cnndsl.backends.cuda.executable import CudaExecutable
from cnndsl.backends.cuda.libraries import LIBRARIES, Libraries, find_libraries
from cnndsl.backends.cuda.policy import DEFAULT_POLICY, Policy
from cnndsl.backends.cuda.program import key_of
from cnndsl.backends.cuda.providers.base import Rules
from cnndsl.backends.cuda.providers.cublaslt import Cublas
from cnndsl.backends.cuda.providers.cublaslt_api import CublasLt
from cnndsl.backends.cuda.providers.cudnn import Cudnn
from cnndsl.ir.op import OPS
from cnndsl.ir.types import DType, f32
from cnndsl.ops.activations import relu
from cnndsl.ops.conv import Conv2dAttrs
from cnndsl.ops.rules import Sample
from cnndsl.ops.scalar import ScalarProgram, ScalarStep
from cnndsl.plan.memory import make_plan
from cnndsl.plan.plan import Plan
from cnndsl.support.diagnostics import BackendError
from cnndsl.support.settings import GpuPrecision
from tests.backends.cuda.emulation import driver, gap, graph_of, needs_emulator
from tests.backends.cuda.providers.fake_cudnn import PlanKind, World, module
from tests.backends.cuda.providers.regions import cublaslt_library
from tests.backends.cuda.test_networks import train, training_graph

pytestmark = needs_emulator

RELU = ScalarProgram(1, (ScalarStep(relu, relu.attrs(), (0,)),))
SAMPLE = Sample(
    (f32(2, 3, 6, 5), f32(4, 3, 3, 3), f32(4)), Conv2dAttrs(has_bias=True, epilogue=RELU)
)


def plan_of(*cases: Sample) -> Plan:
    return make_plan(graph_of(OPS["conv2d"], list(cases or [SAMPLE]), DType.F32), alignment=256)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    """Put a clock in the place of the machine's: each look at it is a second, and calls cost."""
    found = World()

    def clock() -> float:
        found.now += 1.0
        return found.now

    monkeypatch.setattr(tuning, "perf_counter", clock)
    return found


def backend(world: World, folder: Path | None, **changed: Any) -> CudaBackend:
    machine = driver()
    libraries = Libraries((Cudnn(module(world), "handle"),))
    return CudaBackend(
        lambda: machine, libraries=lambda driver: libraries, folder=folder, **changed
    )


def named(found: CudaBackend, plan: Plan) -> list[str]:
    return list(found.algorithms(plan).values())


def test_the_fastest_right_way_is_kept_and_taken(world: World, tmp_path: Path) -> None:
    world.plans = [
        PlanKind("slow", cost=0.5),
        PlanKind("fast", 128, cost=-0.03),
        PlanKind("fastest", cost=-0.04, fault="wrong"),
        PlanKind("short", cost=-0.04, fault="short"),
        PlanKind("broken", cost=-0.04, fault="raises"),
    ]
    plan, found = plan_of(), backend(world, tmp_path)
    before = named(found, plan)
    assert len(before) == 1
    assert "cudnn" not in before[0]
    assert found.tuned(plan) == frozenset()
    (measured,) = found.tune(plan)
    assert measured.chosen == "cudnn with bias+relu fast"
    assert measured.estimated == OWN
    assert {*measured.seconds} == {
        OWN,
        *(f"cudnn {form}{name}" for form in ("", "with bias+relu ") for name in ("slow", "fast")),
    }
    told = {name.rpartition(" ")[2]: why for name, why in measured.refused.items()}
    assert {*told} == {"fastest", "short", "broken"}
    assert "it differs from our own kernel by 0." in told["fastest"]
    assert told["short"] == "1 of 96 numbers are none"
    assert told["broken"] == "cuDNN fails at broken: CUDNN_STATUS_EXECUTION_FAILED"
    # Another process, with the same folder.
    again = backend(world, tmp_path)
    assert named(again, plan) == [measured.chosen]
    assert again.tuned(plan) == {measured.nodes[0]}
    world.executed.clear()
    executable = again.compile(plan)
    assert isinstance(executable, CudaExecutable)
    x = np.ones((2, 3, 6, 5), np.float32)
    w, b = np.ones((4, 3, 3, 3), np.float32), np.full(4, -20, np.float32)
    y = executable.run({"x0_0": x, "x0_1": w, "x0_2": b})["y0_0"]
    assert np.array_equal(y, np.full((2, 4, 4, 3), 7, np.float32))
    assert [name for name, _ in world.executed] == ["fast"]
    assert (
        "a call of cudnn with bias+relu fast"
        in executable.node_artifacts(measured.nodes[0])["cuda"]
    )


def test_our_own_kernel_stays_where_it_is_as_fast(world: World, tmp_path: Path) -> None:
    world.plans = [PlanKind("same", cost=-0.0005)]
    plan, found = plan_of(), backend(world, tmp_path)
    (measured,) = found.tune(plan)
    assert measured.chosen == OWN
    assert found.tuned(plan) == {measured.nodes[0]}
    assert "cudnn" not in named(found, plan)[0]


def test_a_way_that_the_library_lost_is_ours_again(world: World, tmp_path: Path) -> None:
    world.plans = [PlanKind("fast", cost=-0.03)]
    plan, found = plan_of(), backend(world, tmp_path)
    list(found.tune(plan))
    assert "fast" in named(found, plan)[0]
    for plans in ([PlanKind("other")], [PlanKind("fast", fault="unbuildable")], []):
        world.plans = plans
        assert "cudnn" not in named(backend(world, tmp_path), plan)[0]
        found.compile(plan)


def test_choices_hold_for_what_they_were_measured_for(world: World, tmp_path: Path) -> None:
    world.plans = [PlanKind("fast", cost=-0.03)]
    plan, found = plan_of(), backend(world, tmp_path)
    list(found.tune(plan))
    other = Sample((f32(3, 3, 6, 5), f32(4, 3, 3, 3), f32(4)), SAMPLE.attrs)
    assert found.tuned(plan_of(other)) == frozenset()
    assert backend(world, tmp_path, precision="exact").tuned(plan) == frozenset()
    plain = Sample(SAMPLE.operands, Conv2dAttrs(has_bias=True))
    assert found.tuned(plan_of(plain)) == frozenset()
    machine = driver()
    newer = Libraries((Cudnn(module(world, version="1.27.0"), "handle"),))
    moved = CudaBackend(lambda: machine, libraries=lambda d: newer, folder=tmp_path)
    assert moved.tuned(plan) == frozenset()


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"question": "?"}', "same"])
def test_damaged_choices_are_none(damage: str, world: World, tmp_path: Path) -> None:
    world.plans = [PlanKind("fast", cost=-0.03)]
    plan, found = plan_of(), backend(world, tmp_path)
    list(found.tune(plan))
    (path,) = tmp_path.glob("*.choice")
    told = json.loads(path.read_text())
    told["choice"]["seconds"] = "3"
    path.write_text(json.dumps(told) if damage == "same" else damage)
    assert found.tuned(plan) == frozenset()


def test_choices_are_not_taken_from_a_folder_of_everybody(world: World, tmp_path: Path) -> None:
    world.plans = [PlanKind("fast", cost=-0.03)]
    plan, found = plan_of(), backend(world, tmp_path)
    list(found.tune(plan))
    tmp_path.chmod(0o777)
    with pytest.raises(BackendError, match="somebody else could write to it"):
        found.compile(plan)
    tmp_path.chmod(0o700)


def test_shipped_choices_hold_where_nothing_was_measured(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.plans = [PlanKind("shipped", cost=0.5), PlanKind("mine", cost=-0.03)]
    plan, found = plan_of(), backend(world, tmp_path)
    asked = question(key_of(plan.steps[0]), Rules(DEFAULT_POLICY, exact=False, most_workspace=1))
    site = Site("emulated", "anything", ("cudnn 91900, frontend 1.28.0",))
    table = choices.as_shipped(site, [(asked, Choice("cudnn shipped", 1.0, 0.0, 2.0))])
    assert list(table) == [shipped_name(site, asked)]
    monkeypatch.setattr(choices, "shipped", lambda: table)
    assert named(found, plan) == ["cudnn shipped"]
    list(found.tune(plan))
    assert "mine" in named(found, plan)[0]


def test_the_shipped_table_can_be_read() -> None:
    for told in choices.shipped().values():
        assert choices._read(told) is not None


def test_where_there_is_nothing_to_measure(world: World, tmp_path: Path) -> None:
    plan = plan_of()
    with pytest.raises(BackendError, match="CNNDSL_KERNELS is off"):
        backend(world, None).tune(plan)
    machine = driver()
    gone = Libraries(missing=("cudnn: it is not installed; pip install it",))
    with pytest.raises(
        BackendError,
        match="has no library to measure beside it\nhelp: cudnn: it is not installed; pip",
    ):
        CudaBackend(lambda: machine, libraries=lambda d: gone, folder=tmp_path).tune(plan)
    relus = make_plan(graph_of(OPS["relu"], [Sample((f32(3),))], DType.F32), alignment=256)
    assert list(backend(world, tmp_path).tune(relus)) == []


def test_libraries_that_cannot_begin_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails() -> Any:
        raise BackendError("cuDNN gives no handle: no GPU")

    begun = Cudnn(module(World()), "handle")
    table = (
        ("one", lambda: "it is not here", fails),
        ("two", lambda: None, fails),
        ("three", lambda: None, lambda: begun),
    )
    monkeypatch.setattr("cnndsl.backends.cuda.libraries.LIBRARIES", table)
    found = find_libraries(driver())
    assert found.providers == (begun,)
    assert found.missing == ("one: it is not here", "two: cuDNN gives no handle: no GPU")
    assert [name for name, *_ in LIBRARIES] == ["cudnn", "cublaslt"]


def test_copies_of_the_operands_outgrow_the_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    plan = plan_of()
    machine = driver()
    key = key_of(plan.steps[0])
    monkeypatch.setattr(type(machine), "cache_bytes", property(lambda self: 10_000))
    written = CudaBackend(lambda: machine)
    executable = written.compile(plan)
    assert isinstance(executable, CudaExecutable)
    kernel = next(iter(executable._kernels.values()))
    trial = tuning.Trial(machine, key, [kernel])
    firsts = {
        trial._stretch(a, copy).address for copy in range(trial._copies) for a in operands(kernel)
    }
    assert trial._copies * trial._one >= 20_000 > (trial._copies - 1) * trial._one
    assert len(firsts) == trial._copies * len(operands(kernel))
    trial.close()


def operands(kernel: Any) -> list[Any]:
    return [a for part in kernel.launches for a in part.arguments if a.place.value == "operand"]


def tuned_all(
    world: World, folder: Path, plan: Plan, policy: Policy = DEFAULT_POLICY
) -> tuple[CudaBackend, list[Measurement]]:
    machine = driver()
    libraries = Libraries((Cudnn(module(world), "handle"), Cublas(CublasLt(cublaslt_library()))))
    found = CudaBackend(
        lambda: machine,
        policy=policy,
        libraries=lambda d: libraries,
        folder=folder,
        poison=True,
    )
    return found, list(found.tune(plan))


@pytest.mark.parametrize("name", ["lenet", "residual"])
def test_training_on_libraries_is_training_on_our_kernels(
    name: str, world: World, tmp_path: Path
) -> None:
    """Every product of a training step by a library; the state goes the same way."""
    world.plans = [PlanKind("fast", 64, cost=-0.03)]
    graph = training_graph(name, batch=4)
    plan = make_plan(graph, alignment=256)
    found, measured = tuned_all(world, tmp_path, plan)
    assert {m.op for m in measured} >= {"conv2d", "conv2d_grad_input", "conv2d_grad_weight"}
    assert not any(m.refused for m in measured)
    assert any(m.chosen.startswith("cudnn") for m in measured)
    world.executed.clear()
    theirs = train(found.compile(plan), graph, 3)
    assert len(world.executed) >= 3 * sum(m.chosen.startswith("cudnn") for m in measured)
    machine = driver()
    ours = train(CudaBackend(lambda: machine).compile(plan), graph, 3)
    for a, b in zip(theirs, ours, strict=True):
        assert max(gap(a[key], b[key]) for key in b) < 2e-6


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_training_on_libraries_is_training_on_our_kernels_in_halves(
    precision: GpuPrecision, world: World, tmp_path: Path
) -> None:
    """The libraries measure, and compute, on halves; the loss goes the same way."""
    world.plans = [PlanKind("fast", 64, cost=-0.03)]
    graph, policy = training_graph("residual", batch=4), Policy(precision)
    machine = driver()
    own = CudaBackend(lambda: machine, policy=policy)
    plan = own.plan(graph)
    found, measured = tuned_all(world, tmp_path, plan, policy)
    assert not any(m.refused for m in measured)
    halved = [m for m in measured if "in halves" in m.shape]
    assert {m.op for m in halved} >= {"conv2d", "conv2d_grad_input", "conv2d_grad_weight"}
    assert any(m.chosen.startswith("cudnn") for m in halved)
    world.executed.clear()
    theirs = train(found.compile(plan), graph, 3)
    assert len(world.executed) >= 3 * sum(m.chosen.startswith("cudnn") for m in halved)
    ours = train(own.compile(plan), graph, 3)
    for a, b in zip(theirs, ours, strict=True):
        assert abs(a["loss"] - b["loss"]) < 0.05 * abs(b["loss"])


def test_what_is_asked_says_what_lies_in_halves() -> None:
    key, rules = key_of(plan_of().steps[0]), Rules(Policy("fp16"), exact=False, most_workspace=1)
    halved = replace(key, halves=((True, True, False), (True,)))
    mixed = replace(key, halves=((False, True, False), (True,)))
    asked = [question(each, rules) for each in (key, halved, mixed)]
    assert len({*asked}) == 3
    assert [words.count("in halves") for words in asked] == [0, 3, 2]


def test_a_wrong_way_on_halves_is_refused(world: World, tmp_path: Path) -> None:
    """Pixels one to the right, and one number left out."""
    world.plans = [PlanKind("wrong", fault="shifted"), PlanKind("short", fault="short")]
    plan = CudaBackend(driver, policy=Policy("bf16")).plan(training_graph("residual", batch=2))
    _, measured = tuned_all(world, tmp_path, plan, Policy("bf16"))
    refused = {name: why for m in measured for name, why in m.refused.items()}
    assert any("short" in name for name in refused)
    assert any("wrong" in name and "differs from our own" in why for name, why in refused.items())
