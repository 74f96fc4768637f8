"""Every op on the emulated device against the reference in double precision.

Launches work on copies of their arguments that end at guard pages, with results full of NaN, and
in three orders of threads that must agree to the bit.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cnndsl.backends.cuda.emulated.driver import ORDERS
from cnndsl.backends.cuda.table import kernels
from cnndsl.ir.op import Op
from cnndsl.ir.types import DType
from cnndsl.ops.evaluate import evaluate
from cnndsl.ops.rules import samples
from cnndsl.plan.memory import make_plan
from tests.backends.cuda.emulation import (
    LAUNCHED,
    backend,
    driver,
    feeds_of,
    gap,
    graph_of,
    needs_emulator,
    typed,
)

SLACK = {DType.F32: 1.0, DType.F64: 1e-7}
"""Share of a sample's tolerance: of 1e-5 in single precision; 1e-12 is left in double."""


@needs_emulator
@pytest.mark.parametrize("dtype", [DType.F32, DType.F64], ids=["f32", "f64"])
@pytest.mark.parametrize("op", LAUNCHED, ids=lambda op: op.name)
def test_op_is_what_the_reference_says(op: Op[Any], dtype: DType) -> None:
    cases = list(samples[op]())
    graph, feeds = graph_of(op, cases, dtype), feeds_of(op, cases)
    machine = driver(guarded=True)
    executable = backend(machine).compile(make_plan(graph, alignment=256))
    expected = evaluate(graph, feeds, dtype=DType.F64)
    first: dict[str, Any] = {}
    for order in ORDERS:
        machine.order = order
        found = executable.run(typed(graph, feeds))
        for name, array in found.items():
            sample = cases[int(name[1:].partition("_")[0])]
            error = gap(array, expected[name])
            assert error <= sample.tolerance * SLACK[dtype], f"{op.name} {name}: {error}"
            assert np.array_equal(array, first.setdefault(name, array)), f"{name}: {order}"
    assert len(first) >= len(cases) > 0


def test_every_op_has_a_kernel() -> None:
    assert [op.name for op in LAUNCHED if op not in kernels] == []
