"""Products on tensor cores: with factors that need no rounding they are exact sums."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cnndsl.backends.cuda.emulated.driver import ORDERS, EmulatedDriver
from cnndsl.backends.cuda.kernels import gemm_tensor
from cnndsl.backends.cuda.policy import Policy
from cnndsl.ir.op import OPS, Op
from cnndsl.ir.types import DType, f32
from cnndsl.ops.evaluate import evaluate
from cnndsl.ops.rules import Array, Sample, samples
from cnndsl.plan.memory import make_plan
from cnndsl.support.settings import GpuPrecision
from tests.backends.cuda.emulation import (
    backend,
    driver,
    feeds_of,
    gap,
    graph_of,
    needs_emulator,
    typed,
)
from tests.backends.cuda.larger import LARGER

pytestmark = needs_emulator

PRODUCTS = ("matmul", "dense", "conv2d", "conv2d_grad_input", "conv2d_grad_weight")
BITS = {"tf32": 13, "bf16": 16}
"""Bits of a single that a factor loses."""


def rounded(array: Array, bits: int) -> Array:
    """Round to the nearest number that has so many zeros at its end."""
    whole = array.astype(np.float32).view(np.uint32).astype(np.uint64)
    kept = (whole + (1 << (bits - 1))) >> bits << bits
    return kept.astype(np.uint32).view(np.float32)


def results(
    op: Op[Any], cases: list[Sample], feeds: dict[str, Array], precision: GpuPrecision
) -> dict[str, Array]:
    """Run all cases in three orders of threads, which must agree."""
    graph, machine = graph_of(op, cases, DType.F32), driver(guarded=True)
    plan = make_plan(graph, alignment=256)
    executable = backend(machine, policy=Policy(precision)).compile(plan)
    first: dict[str, Array] = {}
    for order in ORDERS:
        machine.order = order
        for name, array in executable.run(typed(graph, feeds)).items():
            assert np.array_equal(array, first.setdefault(name, array)), f"{name}: {order}"
    return first


@pytest.mark.parametrize("precision", ["fp32", "tf32", "bf16"])
@pytest.mark.parametrize("name", PRODUCTS)
def test_factors_without_rounding_give_the_sums_of_the_reference(
    name: str, precision: GpuPrecision
) -> None:
    op = OPS[name]
    cases = [*samples[op](), *LARGER.get(name, ())]
    feeds = {n: rounded(a, 16) for n, a in feeds_of(op, cases).items()}
    expected = evaluate(graph_of(op, cases, DType.F32), feeds, dtype=DType.F64)
    for key, array in results(op, cases, feeds, precision).items():
        assert gap(array, expected[key]) < 1e-5, key


@pytest.mark.parametrize("precision", ["tf32", "bf16"])
def test_factors_are_rounded_to_the_nearest(precision: GpuPrecision) -> None:
    op = OPS["matmul"]
    cases = [Sample((f32(48, 40), f32(40, 36)))]
    feeds = feeds_of(op, cases)
    graph = graph_of(op, cases, DType.F32)
    found = results(op, cases, feeds, precision)["y0_0"]
    near = {name: rounded(array, BITS[precision]) for name, array in feeds.items()}
    assert gap(found, evaluate(graph, near, dtype=DType.F64)["y0_0"]) < 1e-6
    exact = evaluate(graph, feeds, dtype=DType.F64)["y0_0"]
    assert 1e-5 < gap(found, exact) < 2.0 ** (BITS[precision] - 22)


def test_the_way_is_named() -> None:
    graph = graph_of(OPS["dense"], LARGER["dense"], DType.F32)
    plan = make_plan(graph, alignment=256)
    words: dict[GpuPrecision, str] = {"fp32": "plain", "tf32": "tf32", "bf16": "bf16"}
    for precision, word in words.items():
        ways = backend(driver(), policy=Policy(precision)).algorithms(plan)
        assert [way.split()[0] for way in ways.values()] == [word]


def test_a_fragment_in_the_wrong_place_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the words of a fragment in another order the sums are wrong: the emulator looks."""

    wrong = gemm_tensor._TENSOR.replace("r % 2 * 8", "r / 2 * 8").replace(
        "r / 2 * 4]", "r % 2 * 4]"
    )
    assert wrong != gemm_tensor._TENSOR
    monkeypatch.setattr(gemm_tensor, "_TENSOR", wrong)
    op, cases = OPS["matmul"], [Sample((f32(48, 40), f32(40, 36)))]
    feeds = {n: rounded(a, 16) for n, a in feeds_of(op, cases).items()}
    expected = evaluate(graph_of(op, cases, DType.F32), feeds, dtype=DType.F64)["y0_0"]
    assert gap(results(op, cases, feeds, "bf16")["y0_0"], expected) > 1e-2


def test_no_driver_is_left_behind() -> None:
    machine = EmulatedDriver(folder=None)
    address = machine.allocate(64)
    machine.close()
    machine.release(address)
