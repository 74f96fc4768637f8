"""Every op on the processor against the reference in double precision."""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np
import pytest

import cnndsl.ops  # noqa: F401 - defines the ops
from cnndsl.backends.cpu.backend import CpuBackend
from cnndsl.backends.cpu.table import kernels
from cnndsl.backends.cpu.target import CpuTarget, haswell, host_target, unavailable
from cnndsl.ir.builder import Builder
from cnndsl.ir.graph import Graph
from cnndsl.ir.op import OPS, Attrs, Op, Trait
from cnndsl.ir.types import DType, TensorType
from cnndsl.ops.evaluate import attrs_in_precision, evaluate, type_in_precision
from cnndsl.ops.rules import Array, Sample, samples
from cnndsl.ops.structural import InputAttrs, input_
from cnndsl.plan.memory import make_plan

pytestmark = [
    pytest.mark.jit,
    pytest.mark.skipif(unavailable() is not None, reason=str(unavailable())),
]

LAUNCHED = [op for op in OPS.values() if not {Trait.STRUCTURAL, Trait.VIEW} & op.traits]
SLACK = {DType.F32: 1.0, DType.F64: 1e-7}
"""Share of a sample's tolerance: 1e-5 in single precision, 1e-12 in double."""


def draw(kind: TensorType, sample: Sample, rng: np.random.Generator) -> Array:
    if kind.dtype is DType.BOOL:
        return rng.integers(0, 2, kind.shape).astype(np.bool_)
    if not kind.dtype.is_float:
        return rng.integers(0, sample.integers, kind.shape).astype(kind.dtype.numpy)
    if sample.distinct:
        spread = max(sample.high - sample.low, 0.02 * kind.size)
        steps = rng.permutation(kind.size) + 0.5 * rng.random(kind.size)
        array = (sample.low + steps * (spread / max(kind.size, 1))).reshape(kind.shape)
    else:
        array = rng.uniform(sample.low, sample.high, kind.shape)
    for point in sample.avoid:
        near = np.abs(array - point) < 0.01
        array = np.where(near, point + np.where(array < point, -0.02, 0.02), array)
    return np.asarray(array, np.float32)


def graph_of(op: Op[Any], sample: Sample, dtype: DType) -> Graph:
    graph = Graph("sample")
    b = Builder(graph)
    operands = [
        b.emit(input_, attrs=InputAttrs(type_in_precision(kind, dtype)), name=f"x{i}")
        for i, kind in enumerate(sample.operands)
    ]
    attrs = op.attrs() if type(sample.attrs) is Attrs else sample.attrs
    results = b.emit_all(op, *operands, attrs=attrs_in_precision(attrs, dtype), name="node")
    graph.outputs = {f"y{i}": value for i, value in enumerate(results)}
    return graph


def gap(found: Array, expected: Array) -> float:
    if not found.size:
        return 0.0
    scale = max(1.0, float(np.max(np.abs(expected.astype(np.float64)))))
    return float(np.max(np.abs(found.astype(np.float64) - expected.astype(np.float64)))) / scale


def check(op: Op[Any], dtype: DType, backend: CpuBackend) -> int:
    count = 0
    for index, sample in enumerate(samples[op]()):
        rng = np.random.default_rng([zlib.crc32(op.name.encode()), index])
        feeds = {f"x{i}": draw(kind, sample, rng) for i, kind in enumerate(sample.operands)}
        graph = graph_of(op, sample, dtype)
        typed: dict[str, Array] = {
            str(node.id): feeds[node.id].astype(node.type.dtype.numpy)
            for node in graph.nodes()
            if node.op is input_
        }
        executable = backend.compile(make_plan(graph, alignment=backend.alignment))
        found = executable.run(typed)
        expected = evaluate(graph, feeds, dtype=DType.F64)
        for name, array in found.items():
            error = gap(array, expected[name])
            assert error <= sample.tolerance * SLACK[dtype], f"{op.name} #{index} {name}: {error}"
            count += 1
    return count


def target_called(name: str) -> CpuTarget:
    if name == "host":
        return host_target()
    found = haswell()
    if found is None:
        pytest.skip("this machine has no AVX2")
    return found


@pytest.mark.parametrize("target", ["host", "haswell"])
@pytest.mark.parametrize("dtype", [DType.F32, DType.F64], ids=["f32", "f64"])
@pytest.mark.parametrize("op", LAUNCHED, ids=lambda op: op.name)
def test_op_is_what_the_reference_says(op: Op[Any], dtype: DType, target: str) -> None:
    assert check(op, dtype, CpuBackend(threads=2, target=target_called(target))) > 0


def test_every_op_has_a_kernel() -> None:
    assert [op.name for op in LAUNCHED if op not in kernels] == []
