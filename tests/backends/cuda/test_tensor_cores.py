"""Products on tensor cores: with factors that need no rounding they are exact sums."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from cnndsl.backends.cuda.emulated.driver import ORDERS, EmulatedDriver
from cnndsl.backends.cuda.kernels import gemm_tensor
from cnndsl.backends.cuda.kernels.gemm_stage import Stage
from cnndsl.backends.cuda.policy import Policy
from cnndsl.ir.op import OPS, Op
from cnndsl.ir.types import DType, f32
from cnndsl.ops.evaluate import evaluate
from cnndsl.ops.linalg import MatmulAttrs
from cnndsl.ops.rules import Array, Sample, samples
from cnndsl.plan.memory import make_plan
from cnndsl.support.diagnostics import BackendError
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
from tests.backends.cuda.halves import FORMATS, between_halves, rounded
from tests.backends.cuda.larger import LARGER

pytestmark = needs_emulator

PRODUCTS = ("matmul", "dense", "conv2d", "conv2d_grad_input", "conv2d_grad_weight")
BITS: dict[GpuPrecision, int] = {"tf32": 13, "bf16": 16, "fp16": 13}
"""Bits of a single that a factor loses."""


NEAR: dict[GpuPrecision, Callable[[Array], Array]] = {
    "tf32": lambda array: rounded(array, 13),
    **{precision: form.near for precision, form in FORMATS.items()},
}
"""How factors are rounded."""


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


@pytest.mark.parametrize("precision", ["fp32", "tf32", "bf16", "fp16"])
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


@pytest.mark.parametrize("precision", ["tf32", "bf16", "fp16"])
def test_factors_are_rounded_to_the_nearest(precision: GpuPrecision) -> None:
    op = OPS["matmul"]
    cases = [Sample((f32(48, 40), f32(40, 36)))]
    feeds = feeds_of(op, cases)
    graph = graph_of(op, cases, DType.F32)
    found = results(op, cases, feeds, precision)["y0_0"]
    near = {name: NEAR[precision](array) for name, array in feeds.items()}
    assert gap(found, evaluate(graph, near, dtype=DType.F64)["y0_0"]) < 1e-6
    exact = evaluate(graph, feeds, dtype=DType.F64)["y0_0"]
    assert 1e-5 < gap(found, exact) < 2.0 ** (BITS[precision] - 22)


def test_the_way_is_named() -> None:
    graph = graph_of(OPS["dense"], LARGER["dense"], DType.F32)
    plan = make_plan(graph, alignment=256)
    words: dict[GpuPrecision, str] = {"fp32": "plain", **{p: p for p in NEAR}}
    for precision, word in words.items():
        ways = backend(driver(), policy=Policy(precision)).algorithms(plan)
        assert {way.split()[0] for way in ways.values()} == {word}


def assert_found(precision: GpuPrecision) -> None:
    """See that products of several tiles and steps come out wrong, or do not come out."""
    op = OPS["matmul"]
    cases = [
        Sample((f32(48, 200), f32(200, 40))),
        Sample((f32(200, 72), f32(200, 40)), MatmulAttrs(transpose_a=True)),
        Sample((f32(48, 160), f32(160, 40))),
    ]
    graph = between_halves(op, cases)
    drawn = feeds_of(op, cases)
    feeds = {name: rounded(array, 16) for name, array in drawn.items()}
    feeds["one"] = np.ones((), np.float32)
    expected = evaluate(graph, feeds, dtype=DType.F64)
    serving = backend(driver(guarded=True), policy=Policy(precision))
    try:
        found = serving.compile(serving.plan(graph)).run(typed(graph, feeds))
    except BackendError:
        return
    errors = [gap(found[name], expected[name]) for name in expected]
    assert not np.max(errors) < 2.0**-7


FAULTS = [
    # A copy that nobody waits for, barriers that are missing, a stage too early or too late.
    ("copy_wait<$STAGES - 2>();", ""),
    ("copy_wait<$STAGES - 2>();", "copy_wait<$STAGES - 1>();"),
    ("copy_wait<$STAGES - 2>();\n    __syncthreads();", "copy_wait<$STAGES - 2>();"),
    ("}\n__syncthreads();\nfloat* room", "}\nfloat* room"),
    ("reading = 0, writing", "reading = 1, writing"),
    ("writing + 1 == $STAGES", "writing + 2 == $STAGES"),
    # Sums in another place of a fragment, and rows of them that lie in one another.
    ("pair * 2 + r % 2] =", "pair + r % 2 * 4] ="),
    ("* $ROOM + j * 8", "* $ROOM + j * 4"),
    ("n0 < $N", "n0 + 8 < $N"),
]
"""What is replaced in the template by what."""


@pytest.mark.parametrize("precision", ["tf32", "bf16", "fp16"])
@pytest.mark.parametrize(("right", "wrong"), FAULTS, ids=range(len(FAULTS)))
def test_a_fault_in_the_template_is_found(
    monkeypatch: pytest.MonkeyPatch, right: str, wrong: str, precision: GpuPrecision
) -> None:
    text = gemm_tensor._TENSOR
    assert right in text
    monkeypatch.setattr(gemm_tensor, "_TENSOR", text.replace(right, wrong))
    assert_found(precision)


LOADS = [("(lane / 8) % 2 *", "(lane / 8) / 2 *"), ("step * ", "0 * "), ("lane % 8", "lane / 4")]
"""What is replaced in how fragments are fetched by what."""


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
@pytest.mark.parametrize(("right", "wrong"), LOADS, ids=range(len(LOADS)))
def test_a_fragment_in_the_wrong_place_is_found(
    monkeypatch: pytest.MonkeyPatch, right: str, wrong: str, precision: GpuPrecision
) -> None:
    fetched = Stage.load.fget  # type: ignore[attr-defined]
    seen = []

    def load(stage: Stage) -> str:
        text = str(fetched(stage))
        seen.append(right in text)
        return text.replace(right, wrong)

    monkeypatch.setattr(Stage, "load", property(load))
    assert_found(precision)
    assert any(seen)


def test_no_driver_is_left_behind() -> None:
    machine = EmulatedDriver(folder=None)
    address = machine.allocate(64)
    machine.close()
    machine.release(address)
