"""Dense layers in batches: panels, parts of the depth, and edges."""

from __future__ import annotations

import numpy as np
import pytest

from cnndsl.backends.cpu import cost
from cnndsl.backends.cpu.backend import CpuBackend
from cnndsl.backends.cpu.policy import Policy
from cnndsl.backends.cpu.target import CpuTarget
from cnndsl.ir.graph import NodeId
from cnndsl.ir.op import Attrs
from cnndsl.ir.types import DType, f32
from cnndsl.ops.activations import relu
from cnndsl.ops.elementwise import add
from cnndsl.ops.evaluate import evaluate
from cnndsl.ops.linalg import DenseAttrs, dense
from cnndsl.ops.rules import Array, Sample
from cnndsl.ops.scalar import ScalarProgram, ScalarStep
from cnndsl.plan.memory import make_plan
from cnndsl.runtime.executable import Executable
from tests.backends.cpu.machine import feeds_of, gap, graph_of, needs_jit, target_called, typed

pytestmark = needs_jit

BOUND = {DType.F32: 1e-5, DType.F64: 1e-13}
"""Largest difference relative to the largest result: some hundred roundings."""
SHAPES = {
    "full tiles": (64, 48, 96),
    "edges everywhere": (37, 53, 101),
    "few outputs": (70, 33, 17),
    "one column more than a vector": (16, 20, 33),
    "deep, in parts": (29, 5000, 50),
    "one input": (20, 1, 40),
}
"""Rows, depth and columns."""


def sample_of(shape: str) -> Sample:
    """Make a layer with a bias, a residual and an activation."""
    rows, depth, columns = SHAPES[shape]
    steps = (ScalarStep(add, Attrs(), (0, 1)), ScalarStep(relu, Attrs(), (2,)))
    attrs = DenseAttrs(has_bias=True, epilogue=ScalarProgram(2, steps))
    types = f32(rows, depth), f32(columns, depth), f32(columns), f32(rows, columns)
    return Sample(types, attrs)


def compiled(
    sample: Sample,
    dtype: DType = DType.F32,
    *,
    threads: int = 2,
    target: CpuTarget | None = None,
    policy: Policy | None = None,
) -> Executable:
    backend = CpuBackend(threads=threads, target=target, policy=policy or Policy())
    return backend.compile(make_plan(graph_of(dense, sample, dtype)))


def run(executable: Executable, sample: Sample) -> Array:
    return executable.run(typed(executable.plan.graph, feeds_of(dense, 0, sample)))["y0"]


@pytest.mark.parametrize(
    "machine", [("host", DType.F32), ("haswell", DType.F32), ("host", DType.F64)]
)
@pytest.mark.parametrize("shape", SHAPES)
def test_batches_are_what_the_reference_says(shape: str, machine: tuple[str, DType]) -> None:
    target, dtype = machine
    sample = sample_of(shape)
    executable = compiled(sample, dtype, target=target_called(target))
    assert executable.algorithm(NodeId("node")).startswith("packed")
    expected = evaluate(executable.plan.graph, feeds_of(dense, 0, sample), dtype=DType.F64)["y0"]
    assert gap(run(executable, sample), expected) < BOUND[dtype]


@pytest.mark.parametrize("shape", ["edges everywhere", "deep, in parts"])
def test_the_bits_do_not_depend_on_the_number_of_threads(
    shape: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cost, "NS_PER_THREAD", 1e-3)
    sample = sample_of(shape)
    one = run(compiled(sample, threads=1), sample)
    for threads in (2, 3, 4, 8):
        assert np.array_equal(one, run(compiled(sample, threads=threads), sample))


def test_few_rows_read_the_weights_where_they_lie() -> None:
    sample = Sample((f32(4, 64), f32(80, 64)), DenseAttrs(has_bias=False))
    assert compiled(sample).algorithm(NodeId("node")) == "dots"
    narrow = Sample((f32(64, 64), f32(3, 64)), DenseAttrs(has_bias=False))
    assert compiled(narrow).algorithm(NodeId("node")) == "dots"
