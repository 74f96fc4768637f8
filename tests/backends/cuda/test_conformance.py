"""Every op on the emulated device against the reference in double precision.

Launches work on copies of their arguments that end at guard pages, with results full of NaN, and
in three orders of threads that must agree to the bit.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cnndsl.backends.cuda.table import kernels
from cnndsl.ir.builder import Builder
from cnndsl.ir.graph import Graph
from cnndsl.ir.op import OPS, Op
from cnndsl.ir.types import DType, TensorType, f32
from cnndsl.ops.rules import samples
from cnndsl.ops.structural import InputAttrs, input_
from cnndsl.plan.memory import make_plan
from cnndsl.support.diagnostics import BackendError, DataError
from tests.backends.cuda.emulation import LAUNCHED, backend, check, driver, needs_emulator
from tests.backends.cuda.larger import LARGER


@needs_emulator
@pytest.mark.parametrize("dtype", [DType.F32, DType.F64], ids=["f32", "f64"])
@pytest.mark.parametrize("op", LAUNCHED, ids=lambda op: op.name)
def test_op_is_what_the_reference_says(op: Op[Any], dtype: DType) -> None:
    cases = list(samples[op]())
    assert check(op, cases, dtype) >= len(cases) > 0


@needs_emulator
@pytest.mark.parametrize("dtype", [DType.F32, DType.F64], ids=["f32", "f64"])
@pytest.mark.parametrize("name", LARGER)
def test_larger_cases_are_what_the_reference_says(name: str, dtype: DType) -> None:
    """Several tiles, slices and blocks: what the samples, a few elements each, do not reach."""
    check(OPS[name], LARGER[name], dtype)


def test_every_op_has_a_kernel() -> None:
    assert [op.name for op in LAUNCHED if op not in kernels] == []


def scored(name: str) -> Graph:
    b = Builder(Graph("scored"))
    x = b.emit(input_, attrs=InputAttrs(f32(40, 5)), name="x")
    labels = b.emit(input_, attrs=InputAttrs(TensorType(DType.I64, (40,))), name="labels")
    b.graph.outputs["loss"] = b.emit(OPS[name], x, labels)
    return b.graph


@needs_emulator
@pytest.mark.parametrize("name", ["softmax_cross_entropy", "cross_entropy", "hinge"])
def test_the_first_label_that_no_class_has_is_told(name: str) -> None:
    executable = backend(driver()).compile(make_plan(scored(name), alignment=256))
    x, labels = np.ones((40, 5), np.float32), np.zeros(40, np.int64)
    assert np.isfinite(executable.run({"x": x, "labels": labels})["loss"])
    labels[[7, 20, 39]] = [-3, 5, 1 << 40]
    with pytest.raises(DataError, match=r"the label -3 reached .*, which has 5 classes"):
        executable.run({"x": x, "labels": labels})
    labels[7] = 4
    with pytest.raises(DataError, match="the label 5 reached"):
        executable.run({"x": x, "labels": labels})
    labels[20] = 4
    with pytest.raises(DataError, match="the label 2147483647 reached"):
        executable.run({"x": x, "labels": labels})
    labels[39] = 4
    assert np.isfinite(executable.run({"x": x, "labels": labels})["loss"])


@needs_emulator
def test_half_precision_is_refused() -> None:
    b = Builder(Graph("half"))
    x = b.emit(input_, attrs=InputAttrs(TensorType(DType.F16, (4,))), name="x")
    b.graph.outputs["y"] = b.emit(OPS["relu"], x, name="node")
    with pytest.raises(BackendError, match="keeps numbers in f32 and f64, not in f16 as node"):
        backend(driver()).compile(make_plan(b.graph, alignment=256))
