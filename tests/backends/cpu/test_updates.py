"""Updates in one walk: the same bits as one by one, for every optimizer."""

from __future__ import annotations

import numpy as np
import pytest

from cnndsl.backends.cpu import backend as cpu_backend
from cnndsl.backends.cpu.backend import CpuBackend, CpuExecutable
from cnndsl.backends.cpu.updates import MOST_ARRAYS, groups, updates
from cnndsl.compiler import CompileOptions, lower_network, optimize, plan_graph
from cnndsl.ir.types import DType
from cnndsl.plan.plan import Plan
from cnndsl.recipes.optimizers import OPTIMIZERS
from tests.backends.cpu.machine import needs_jit
from tests.backends.cpu.random_networks import RandomNetwork
from tests.zoo.networks import Subject, feeds, worn_state

pytestmark = needs_jit

TEXT = "input [5x5x2]\nconv 3 3x3 - bn - relu\nconv 3 1x1 - bn\nfc 4 - softmax\n"
KINDS = sorted(OPTIMIZERS)


def plan_of(optimizer: str, dtype: DType = DType.F32) -> Plan:
    options = CompileOptions(batch=3, dtype=dtype)
    extra = {"momentum": 0.9} if optimizer in ("sgd", "rmsprop") else {}
    made = OPTIMIZERS[optimizer](lr=0.05, decay=1e-3, **extra)
    network = RandomNetwork(TEXT, "crossentropy", made, 3)
    lowered = lower_network(network.network, options, training=network.training)
    return plan_graph(optimize(lowered, options), CpuBackend())


def after_two_steps(plan: Plan, threads: int) -> dict[str, bytes]:
    executable = CpuBackend(threads=threads).compile(plan)
    executable.load_state(worn_state(plan.graph))
    outputs = [executable.run(feeds(plan.graph)) for _ in range(2)]
    found = {**outputs[-1], **executable.read_state()}
    return {name: np.ascontiguousarray(array).tobytes() for name, array in found.items()}


@pytest.mark.parametrize("dtype", [DType.F32, DType.F64], ids=["f32", "f64"])
@pytest.mark.parametrize("kind", KINDS)
def test_joined_updates_give_the_same_bits(
    kind: str, dtype: DType, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = plan_of(kind, dtype)
    together = after_two_steps(plan, 2)
    monkeypatch.setattr(cpu_backend, "groups", lambda steps: ((step,) for step in steps))
    assert after_two_steps(plan, 1) == together


def test_updates_side_by_side_are_one_launch() -> None:
    plan = plan_of("sgd")
    sizes = [len(group) for group in groups(plan.steps)]
    assert sum(sizes) == len(plan.steps)
    assert max(sizes) > 2
    executable = CpuBackend(threads=1).compile(plan)
    assert isinstance(executable, CpuExecutable)
    joint = next(group for group in groups(plan.steps) if len(group) > 1)
    kernels = {executable.kernel(step.node.id).text for step in joint}
    assert [kernel.name for kernel in map(executable.kernel, [joint[0].node.id])] == [updates.name]
    assert len(kernels) == 1
    executable.load_state(worn_state(plan.graph))
    rows = executable.profile(feeds(plan.graph)).rows
    assert [row.node for row in rows] == [step.node.id for step in plan.steps]


def test_a_launch_walks_over_a_bounded_number_of_arrays() -> None:
    for group in groups(plan_of("adam").steps):
        arrays = {slot for step in group for slot in (*step.operands, *step.results)}
        assert len(group) == 1 or len(arrays) <= MOST_ARRAYS


def test_inference_has_nothing_to_join() -> None:
    subject = Subject.of("lenet")
    options = CompileOptions(batch=1)
    plan = plan_graph(optimize(subject.lowered(options, training=False), options), CpuBackend())
    assert all(len(group) == 1 for group in groups(plan.steps))
