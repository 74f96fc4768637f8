from __future__ import annotations

import sys
from typing import Any, ClassVar

import pytest

from cnndsl.backends import AUTO, BACKENDS, FASTEST_FIRST, load, resolve
from cnndsl.backends.base import Backend
from cnndsl.backends.reference.backend import ReferenceBackend
from cnndsl.ir.builder import Builder
from cnndsl.ir.graph import Graph
from cnndsl.ir.op import OPS, Op
from cnndsl.ir.types import f32
from cnndsl.ops.elementwise import add, neg
from cnndsl.ops.structural import InputAttrs, ParameterAttrs, input_, parameter
from cnndsl.plan.memory import make_plan
from cnndsl.plan.plan import Plan
from cnndsl.runtime.executable import Executable
from cnndsl.support.diagnostics import BackendError, DiagnosticError


class NoAddition(Backend):
    """Serves everything but addition, and only on days that are told."""

    name: ClassVar[str] = "no-addition"
    alignment: ClassVar[int] = 32

    def __init__(self, reason: str | None = None) -> None:
        self.reason = reason

    def unavailable(self) -> str | None:
        return self.reason

    def supports(self, op: Op[Any]) -> bool:
        return op is not add

    def _compile(self, plan: Plan) -> Executable:
        return ReferenceBackend().compile(plan)


def sums(count: int) -> Graph:
    b = Builder(Graph("sums"))
    x = b.emit(input_, attrs=InputAttrs(f32(2)), name="x")
    w = b.emit(parameter, attrs=ParameterAttrs(f32(2)), name="w")
    b.graph.outputs["y"] = b.emit(neg, x)
    for index in range(count):
        b.graph.outputs[f"y{index}"] = b.emit(add, x, w, name=f"sum{index}")
    return b.graph


def test_missing_kernels_are_all_listed() -> None:
    with pytest.raises(BackendError, match=r"no kernel for add \(for sum0, sum1\)"):
        NoAddition().compile(make_plan(sums(2)))
    assert NoAddition().compile(make_plan(sums(0))).plan.steps


def test_a_backend_says_why_it_cannot_run() -> None:
    with pytest.raises(
        BackendError, match=r"no-addition cannot run here: it rains\nhelp: --device auto"
    ):
        NoAddition("it rains").compile(make_plan(sums(0)))


def test_plans_must_be_aligned() -> None:
    with pytest.raises(BackendError, match="aligned to 16 bytes; the backend no-addition needs 32"):
        NoAddition().compile(make_plan(sums(0), alignment=16))


def test_backends_are_found_by_name() -> None:
    for name in BACKENDS:
        backend = load(name)
        assert backend.name == name
        assert backend.unavailable() is None or name != "reference"


def test_unknown_backends_are_named_with_the_known_ones() -> None:
    with pytest.raises(DiagnosticError) as caught:
        load("referense")
    text = str(caught.value)
    assert text.startswith("error[E0912]: no backend is called referense")
    assert "known: reference" in text
    assert "did you mean reference?" in text


def test_reference_supports_every_op_that_is_launched() -> None:
    backend = load("reference")
    assert {op.name for op in OPS.values() if not backend.supports(op)} == {"input", "parameter"}


def test_auto_is_the_fastest_that_can_run() -> None:
    assert resolve("reference") == "reference"
    first = next(name for name in FASTEST_FIRST if load(name).unavailable() is None)
    assert (resolve(AUTO), load(AUTO).name) == (first, first)
    assert FASTEST_FIRST[-1] == "reference"


def test_only_auto_takes_another_backend(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "llvmlite", None)
    assert load(AUTO).name == "reference"
    assert load("cpu").name == "cpu"
    with pytest.raises(BackendError, match=r"the backend cpu cannot run here: llvmlite"):
        load("cpu").compile(make_plan(sums(1)))


def test_unknown_precisions_are_named_with_the_known_ones() -> None:
    with pytest.raises(DiagnosticError) as caught:
        load("reference", precision="exakt")  # type: ignore[arg-type]
    text = str(caught.value)
    assert text.startswith("error[E0913]: no precision is called exakt")
    assert "known: fast, exact" in text


def test_backends_are_loaded_with_a_precision() -> None:
    assert {load(name, precision="exact").precision for name in BACKENDS} == {"exact"}
    assert {load(name).precision for name in BACKENDS} == {"fast"}
