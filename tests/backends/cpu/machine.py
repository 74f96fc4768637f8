"""What the tests of the CPU backend share: whether it can run here, and graphs of one op."""

from __future__ import annotations

import ctypes
import zlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

import cnndsl.ops  # noqa: F401 - defines the ops
from cnndsl.backends.cpu.emit import FunctionEmitter
from cnndsl.backends.cpu.jit import Library, compile_object
from cnndsl.backends.cpu.llvm import PTR, Module, V
from cnndsl.backends.cpu.target import CpuTarget, haswell, host_target, unavailable
from cnndsl.ir.builder import Builder
from cnndsl.ir.graph import Graph
from cnndsl.ir.op import OPS, Attrs, Op, Trait
from cnndsl.ir.types import DType, TensorType
from cnndsl.ops.evaluate import attrs_in_precision, type_in_precision
from cnndsl.ops.rules import Array, Sample
from cnndsl.ops.structural import InputAttrs, input_

needs_jit = [
    pytest.mark.jit,
    pytest.mark.skipif(unavailable() is not None, reason=str(unavailable())),
]

LAUNCHED = [op for op in OPS.values() if not {Trait.STRUCTURAL, Trait.VIEW} & op.traits]


def target_called(name: str) -> CpuTarget:
    if name == "host":
        return host_target()
    found = haswell()
    if found is None:
        pytest.skip("this machine has no AVX2")
    return found


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


def feeds_of(op: Op[Any], index: int, sample: Sample) -> dict[str, Array]:
    rng = np.random.default_rng([zlib.crc32(op.name.encode()), index])
    return {f"x{i}": draw(kind, sample, rng) for i, kind in enumerate(sample.operands)}


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


def typed(graph: Graph, feeds: dict[str, Array]) -> dict[str, Array]:
    """Convert feeds to the types of a graph's inputs."""
    return {
        str(node.id): feeds[node.id].astype(node.type.dtype.numpy)
        for node in graph.nodes()
        if node.op is input_
    }


def gap(found: Array, expected: Array) -> float:
    """Give the largest difference relative to the largest magnitude, or to 1 below that."""
    if not found.size:
        return 0.0
    scale = max(1.0, float(np.max(np.abs(expected.astype(np.float64)))))
    return float(np.max(np.abs(found.astype(np.float64) - expected.astype(np.float64)))) / scale


Write = Callable[[FunctionEmitter, Sequence[V]], None]


class Function:
    """A function that takes arrays, compiled; it lives as long as this object."""

    def __init__(self, write: Write, arrays: int, target: CpuTarget) -> None:
        module = Module("test", target)
        parameters = [(PTR, f"array{i}") for i in range(arrays)]
        f = FunctionEmitter(module, "test", parameters, local=False)
        write(f, f.parameters)
        f.finish()
        self.text = str(module)
        self._library = Library([compile_object(self.text, target)], ["test"])
        kind = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * arrays)
        self._call = kind(self._library.address("test"))

    def __call__(self, *arrays: Array) -> None:
        self._call(*(array.ctypes.data for array in arrays))
