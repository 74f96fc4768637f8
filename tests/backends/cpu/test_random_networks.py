"""Hundreds of random networks on the processor, held to what rounding may do to each of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import hypothesis
import pytest
from hypothesis import strategies as st

from cnndsl.backends.base import Backend
from cnndsl.backends.cpu.backend import CpuBackend
from cnndsl.backends.cpu.policy import Policy
from cnndsl.backends.reference.backend import ReferenceBackend
from cnndsl.compiler import CompileOptions, lower_network, optimize
from cnndsl.ir.graph import Graph
from cnndsl.ir.op import OPS
from cnndsl.ir.types import DType
from cnndsl.ops.rules import Array
from cnndsl.plan.memory import make_plan
from tests.backends.cpu.machine import needs_jit, target_called
from tests.backends.cpu.random_networks import OPTIMIZERS, RandomNetwork, networks
from tests.backends.cpu.rounding import Rounding, bounds
from tests.backends.cpu.test_networks import wide
from tests.zoo.networks import feeds, worn_state

pytestmark = needs_jit

EACH = 15
"""Networks of a part."""
PARTS = [pytest.param(part, marks=[pytest.mark.slow] if part > 1 else []) for part in range(20)]
"""All together 300 networks; two parts are in the quick group."""
TARGETS = ("host", "haswell")
"""Even parts are compiled for this processor, odd ones for AVX2."""
WAYS: tuple[dict[str, str], ...] = (
    {},
    {"conv2d": "winograd4", "conv2d_grad_weight": "winograd"},
    {"conv2d": "winograd2", "conv2d_grad_input": "winograd4", "conv2d_grad_weight": "dots"},
)
"""Algorithms that are asked for, wherever they can be used."""


@pytest.fixture
def shared_store(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Keep kernels from network to network; many have some in common."""
    folder = tmp_path_factory.getbasetemp().parent / "random_networks"
    monkeypatch.setenv("CNNDSL_KERNELS", str(folder))
    return folder


def results(
    backend: Backend, graph: Graph, state: dict[str, Array], given: dict[str, Array]
) -> dict[str, Array]:
    executable = backend.compile(make_plan(graph))
    executable.load_state(state)
    return {**executable.run(given), **executable.read_state()}


class Check:
    """Compares what backends make of one network; keeps the largest error."""

    def __init__(self, network: RandomNetwork) -> None:
        self.network = network
        self.largest = 0.0

    def __call__(self, backend: Backend, dtype: DType, *, training: bool, passes: bool) -> None:
        """Hold one graph to its bounds: each output, parameter and state of the optimizer."""
        options = CompileOptions(batch=self.network.batch, dtype=dtype)
        wanted = self.network.training if training else None
        lowered = lower_network(self.network.network, options, training=wanted)
        state, given = wide(worn_state(lowered), dtype), wide(feeds(lowered), dtype)
        rounding = Rounding(lowered, {**state, **given}, dtype)
        graph = optimize(lowered, options) if passes else lowered
        found = results(backend, graph, state, given)
        share, name = rounding.worst(found)
        assert share <= 1, f"{name} is {share:.3g} times as far off as rounding can carry it"
        if dtype is DType.F32:
            self.largest = max(self.largest, rounding.error(found))


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.usefixtures("shared_store")
def test_random_networks_err_no_more_than_rounding_does(
    part: int, record_property: Callable[[str, object], None]
) -> None:
    """Inference and a training step, in both precisions, with passes and without."""
    target = target_called(TARGETS[part % 2])
    errors: list[float] = []

    @hypothesis.seed(part)
    @hypothesis.settings(max_examples=EACH, derandomize=False, database=None)
    @hypothesis.given(networks(), st.sampled_from(WAYS), st.booleans())
    def check_one(network: RandomNetwork, algorithms: dict[str, str], passes: bool) -> None:
        backend = CpuBackend(threads=2, target=target, policy=Policy(algorithms=algorithms))
        check = Check(network)
        check(backend, DType.F32, training=True, passes=True)
        check(backend, DType.F64, training=True, passes=passes)
        if passes:
            check(backend, DType.F32, training=False, passes=network.batch > 2)
        errors.append(check.largest)

    check_one()
    middle = sorted(errors)[len(errors) // 2]
    record_property("error of random networks", f"median {middle:.1e}, largest {max(errors):.1e}")


def test_a_fault_of_a_kernel_is_found() -> None:
    """Any result that is larger than it should be by a part in a thousand is refused."""
    network = RandomNetwork(
        "input [8x8x4]\nconv 8 3x3 same - bn - relu\nmaxpool 2x2\nflatten\nfc 4 - softmax\n",
        "crossentropy",
        OPTIMIZERS[1],
        3,
    )
    options = CompileOptions(batch=3)
    lowered = lower_network(network.network, options, training=network.training)
    state, given = wide(worn_state(lowered), DType.F32), wide(feeds(lowered), DType.F32)
    rounding = Rounding(lowered, {**state, **given}, DType.F32)
    found = results(ReferenceBackend(), lowered, state, given)
    assert rounding.worst(found)[0] <= 1
    for name, array in found.items():
        if array.dtype.kind == "f":
            wrong = {**found, name: array * (1 + 1e-3)}
            assert rounding.worst(wrong) > (1, ""), name


def test_every_op_says_how_far_it_rounds() -> None:
    assert [op.name for op in OPS.values() if op not in bounds] == []
