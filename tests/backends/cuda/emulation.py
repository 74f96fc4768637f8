"""What the tests of the CUDA backend share: whether there is an emulator, graphs of one op."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cnndsl.ops  # noqa: F401 - defines the ops
from cnndsl.backends.cuda.backend import CudaBackend
from cnndsl.backends.cuda.emulated.compile import unavailable
from cnndsl.backends.cuda.emulated.driver import ORDERS, EmulatedDriver, Order
from cnndsl.backends.cuda.policy import DEFAULT_POLICY, Policy
from cnndsl.ir.builder import Builder
from cnndsl.ir.graph import Graph
from cnndsl.ir.op import OPS, Attrs, Op, Trait
from cnndsl.ir.types import DType
from cnndsl.ops.evaluate import attrs_in_precision, evaluate, type_in_precision
from cnndsl.ops.rules import Array, Sample
from cnndsl.ops.structural import InputAttrs, input_
from cnndsl.plan.memory import make_plan
from cnndsl.support.settings import Settings
from tests.ops.test_conformance import draw_operand

needs_emulator = pytest.mark.skipif(unavailable() is not None, reason=str(unavailable()))

LAUNCHED = [op for op in OPS.values() if Trait.STRUCTURAL not in op.traits]


def folder() -> Path:
    """Give where the processes of a test run share what they compile."""
    kept = Settings.from_env().kernel_dir
    assert kept is not None
    assert kept != "off"
    return Path(kept) / "emulated"


def driver(order: Order = "forward", *, guarded: bool = False) -> EmulatedDriver:
    return EmulatedDriver(folder=folder(), order=order, guarded=guarded)


def backend(
    machine: EmulatedDriver,
    *,
    policy: Policy = DEFAULT_POLICY,
    record: bool = True,
    poison: bool = False,
) -> CudaBackend:
    return CudaBackend(lambda: machine, policy=policy, record=record, poison=poison)


def feeds_of(op: Op[Any], cases: list[Sample]) -> dict[str, Array]:
    """Draw the operands of all cases, in single precision."""
    found: dict[str, Array] = {}
    for index, sample in enumerate(cases):
        rng = np.random.default_rng([zlib.crc32(op.name.encode()), index])
        for i, kind in enumerate(sample.operands):
            array = draw_operand(rng, kind, sample)
            rounded = array.astype(np.float32) if kind.dtype.is_float else array
            found[f"x{index}_{i}"] = np.asarray(rounded)
    return found


def graph_of(op: Op[Any], cases: list[Sample], dtype: DType) -> Graph:
    """Make one graph of all cases, so that they are compiled together."""
    b = Builder(Graph(op.name))
    for index, sample in enumerate(cases):
        operands = [
            b.emit(input_, attrs=InputAttrs(type_in_precision(kind, dtype)), name=f"x{index}_{i}")
            for i, kind in enumerate(sample.operands)
        ]
        attrs = op.attrs() if type(sample.attrs) is Attrs else sample.attrs
        here = attrs_in_precision(attrs, dtype)
        for i, value in enumerate(b.emit_all(op, *operands, attrs=here, name=f"node{index}")):
            b.graph.outputs[f"y{index}_{i}"] = value
    return b.graph


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


SLACK = {DType.F32: 1.0, DType.F64: 1e-7}
"""Share of a sample's tolerance: of 1e-5 in single precision; 1e-12 is left in double."""


def check(op: Op[Any], cases: list[Sample], dtype: DType) -> int:
    """Compare all results of all cases with the reference in double precision; give how many.

    Launches work on guarded copies, and three orders of threads must agree to the bit.
    """
    graph, feeds = graph_of(op, cases, dtype), feeds_of(op, cases)
    machine = driver(guarded=True)
    executable = backend(machine).compile(make_plan(graph, alignment=256))
    expected = evaluate(graph, feeds, dtype=DType.F64)
    first: dict[str, Array] = {}
    for order in ORDERS:
        machine.order = order
        found = executable.run(typed(graph, feeds))
        for name, array in found.items():
            sample = cases[int(name[1:].partition("_")[0])]
            error = gap(array, expected[name])
            assert error <= sample.tolerance * SLACK[dtype], f"{op.name} {name}: {error}"
            assert np.array_equal(array, first.setdefault(name, array)), f"{name}: {order}"
    return len(first)
