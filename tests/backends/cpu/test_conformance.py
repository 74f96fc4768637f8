"""Every op on the processor against the reference in double precision."""

from __future__ import annotations

from typing import Any

import pytest

from cnndsl.backends.cpu.backend import CpuBackend
from cnndsl.backends.cpu.table import kernels
from cnndsl.ir.op import Op
from cnndsl.ir.types import DType
from cnndsl.ops.evaluate import evaluate
from cnndsl.ops.rules import samples
from cnndsl.plan.memory import make_plan
from tests.backends.cpu.machine import (
    LAUNCHED,
    feeds_of,
    gap,
    graph_of,
    needs_jit,
    target_called,
    typed,
)

pytestmark = needs_jit

SLACK = {DType.F32: 1.0, DType.F64: 1e-7}
"""Share of a sample's tolerance: of 1e-5 in single precision; 1e-12 is left in double."""


def check(op: Op[Any], dtype: DType, backend: CpuBackend) -> int:
    """Compare all results of all samples; give how many."""
    count = 0
    for index, sample in enumerate(samples[op]()):
        graph, feeds = graph_of(op, sample, dtype), feeds_of(op, index, sample)
        executable = backend.compile(make_plan(graph, alignment=backend.alignment))
        found = executable.run(typed(graph, feeds))
        expected = evaluate(graph, feeds, dtype=DType.F64)
        for name, array in found.items():
            error = gap(array, expected[name])
            assert error <= sample.tolerance * SLACK[dtype], f"{op.name} #{index} {name}: {error}"
            count += 1
    return count


@pytest.mark.parametrize("target", ["host", "haswell"])
@pytest.mark.parametrize("dtype", [DType.F32, DType.F64], ids=["f32", "f64"])
@pytest.mark.parametrize("op", LAUNCHED, ids=lambda op: op.name)
def test_op_is_what_the_reference_says(op: Op[Any], dtype: DType, target: str) -> None:
    assert check(op, dtype, CpuBackend(threads=2, target=target_called(target))) > 0


def test_every_op_has_a_kernel() -> None:
    assert [op.name for op in LAUNCHED if op not in kernels] == []
