"""Gradients of strided convolutions by phases: where they are taken; mistakes are found."""

from __future__ import annotations

import pytest

from cnndsl.backends.cuda.kernels.conv_phases import _Phases
from cnndsl.backends.cuda.policy import Policy
from cnndsl.backends.cuda.program import write_kernels
from cnndsl.backends.cuda.storage import storage_of
from cnndsl.ir.op import OPS
from cnndsl.ir.types import DType
from cnndsl.plan.memory import make_plan
from tests.backends.cuda.emulation import check, graph_of, needs_emulator
from tests.backends.cuda.larger import LARGER

GRAD = OPS["conv2d_grad_input"]


def test_phases_are_taken_where_strides_divide_the_image() -> None:
    cases = LARGER["conv2d_grad_input"]
    graph = graph_of(GRAD, cases, DType.F32)
    plan = make_plan(graph, alignment=256, storage=storage_of(graph, Policy()))
    written = write_kernels(plan.steps)
    ways = [written[node.id].algorithm for node in plan.nodes_of("conv2d_grad_input")]
    assert sum("by phases" in way for way in ways) == 4
    assert any("slices by phases" in way for way in ways)
    assert any("depthwise" in way for way in ways)


FAULTS = [
    ("taps", "/ 2", "/ 2 - 1"),
    ("first", "% 2)", "% 2 + 0 * g + 1) % 2"),
    ("place", " - tap", " + tap"),
    ("weight", "* 3 + column", "* 3 + row"),
    ("store", "* 8 + w", "* 8 + v"),
]
"""Method, and what is replaced in its text by what."""


@needs_emulator
@pytest.mark.parametrize(("name", "right", "wrong"), FAULTS, ids=[row[0] for row in FAULTS])
def test_a_fault_in_the_phases_is_found(
    monkeypatch: pytest.MonkeyPatch, name: str, right: str, wrong: str
) -> None:
    written, seen = getattr(_Phases, name), []

    def text(*given: object) -> str:
        found = str(written(*given))
        seen.append(right in found)
        return found.replace(right, wrong)

    monkeypatch.setattr(_Phases, name, text)
    with pytest.raises(AssertionError):
        check(GRAD, LARGER["conv2d_grad_input"], DType.F32)
    assert any(seen)
