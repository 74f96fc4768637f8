"""Pooling: rows that share a vector, and what is asked for in advance."""

from __future__ import annotations

import numpy as np
import pytest

from cnndsl.backends.cpu.backend import CpuBackend, CpuExecutable
from cnndsl.ir.graph import NodeId
from cnndsl.ir.types import DType, f32
from cnndsl.ops.evaluate import evaluate
from cnndsl.ops.pool import Pool2dAttrs, max_pool2d
from cnndsl.ops.rules import Sample
from cnndsl.plan.memory import make_plan
from tests.backends.cpu.machine import graph_of, needs_jit, target_called

pytestmark = needs_jit


@pytest.mark.parametrize("target", ["host", "haswell"])
@pytest.mark.parametrize("dtype", [DType.F32, DType.F64])
@pytest.mark.parametrize(
    "shape", [(3, 5, 14, 14), (2, 3, 6, 6), (1, 4, 4, 8), (1, 1, 5, 2), (2, 2, 9, 16)]
)
def test_rows_that_share_a_vector_are_what_the_reference_says(
    shape: tuple[int, int, int, int], dtype: DType, target: str
) -> None:
    sample = Sample((f32(*shape),), Pool2dAttrs((2, 2), (2, 2)))
    plan = make_plan(graph_of(max_pool2d, sample, dtype))
    executable = CpuBackend(threads=2, target=target_called(target)).compile(plan)
    x = np.random.default_rng(1).standard_normal(shape).astype(dtype.numpy)
    x[0, 0, 0, :2] = np.nan, np.inf
    expected = evaluate(plan.graph, {"x0": x})["y0"]
    assert np.array_equal(executable.run({"x0": x})["y0"], expected, equal_nan=True)


def test_only_rows_of_half_a_vector_share_one() -> None:
    def texts(width: int) -> str:
        sample = Sample((f32(2, 3, 8, width),), Pool2dAttrs((2, 2), (2, 2)))
        backend = CpuBackend(threads=1, target=target_called("haswell"))
        executable = backend.compile(make_plan(graph_of(max_pool2d, sample, DType.F32)))
        assert isinstance(executable, CpuExecutable)
        return executable.kernel(NodeId("node")).text

    # A row without a last column, or of more than half a vector, has a vector of its own.
    assert "masked.load" not in texts(8)
    assert all("masked.load" in texts(width) for width in (7, 10))


def compiled(images: int) -> CpuExecutable:
    attrs = Pool2dAttrs((3, 3), (2, 2), ((1, 1), (1, 1)))
    graph = graph_of(max_pool2d, Sample((f32(images, 80, 57, 63),), attrs), DType.F32)
    executable = CpuBackend(threads=2).compile(make_plan(graph))
    assert isinstance(executable, CpuExecutable)
    return executable


def test_pixels_that_come_from_memory_are_asked_for() -> None:
    for images, expected in ((1, False), (16, True)):
        kernel = compiled(images).kernel(NodeId("node"))
        assert ("call void @llvm.prefetch" in kernel.text) == expected


def test_asking_changes_no_result() -> None:
    x = np.random.default_rng(0).standard_normal((16, 80, 57, 63)).astype(np.float32)
    (name,) = compiled(16).inputs
    many = compiled(16).run({name: x})["y0"]
    one = compiled(1)
    assert np.array_equal(many[5:6], one.run({name: x[5:6]})["y0"])
