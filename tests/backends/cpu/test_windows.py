"""What pooling asks for in advance; what it computes is held to the reference by conformance."""

from __future__ import annotations

import numpy as np

from cnndsl.backends.cpu.backend import CpuBackend, CpuExecutable
from cnndsl.ir.graph import NodeId
from cnndsl.ir.types import DType, f32
from cnndsl.ops.pool import Pool2dAttrs, max_pool2d
from cnndsl.ops.rules import Sample
from cnndsl.plan.memory import make_plan
from tests.backends.cpu.machine import graph_of, needs_jit

pytestmark = needs_jit


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
