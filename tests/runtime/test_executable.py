from __future__ import annotations

import pickle

import numpy as np
import pytest

from cnndsl.backends.reference.backend import ReferenceBackend
from cnndsl.ir.builder import Builder
from cnndsl.ir.graph import Graph, NodeId
from cnndsl.ir.op import Attrs, Op
from cnndsl.ir.types import DType, TensorType, f32
from cnndsl.ops.elementwise import mul, neg, sub
from cnndsl.ops.rules import Array, reference
from cnndsl.ops.structural import InputAttrs, ParameterAttrs, input_, parameter
from cnndsl.plan.memory import make_plan
from cnndsl.runtime.executable import Executable
from cnndsl.support.diagnostics import BackendError, DiagnosticError
from tests.plan.graphs import stray_op

ONES = np.ones(4, dtype=np.float32)


def step(*, failing: bool = False, donate: bool = True) -> Executable:
    """One update of w by x*w; with `failing`, a step after it raises while x[0] is negative."""
    b = Builder(Graph("step"))
    x = b.emit(input_, attrs=InputAttrs(f32(4)), name="x")
    b.emit(input_, attrs=InputAttrs(TensorType(DType.I64, ())), name="unread")
    w = b.emit(parameter, attrs=ParameterAttrs(f32(4)), name="w")
    new = b.emit(sub, w, b.emit(mul, x, w))
    b.graph.updates[NodeId("w")] = new
    b.graph.outputs["loss"] = b.emit(fragile(), new) if failing else b.emit(neg, x)
    return ReferenceBackend(poison=True).compile(make_plan(b.graph, donate=donate))


def fragile() -> Op[Attrs]:
    op = stray_op("fragile")

    def rule(node: object, x: Array) -> Array:
        if x[0] > 1:
            raise ArithmeticError("too large")
        return x

    reference.rule(op)(rule)
    return op


def test_a_run_leaves_its_updates_in_the_state() -> None:
    executable = step()
    executable.load_state({"w": ONES})
    out = executable.run({"x": ONES / 4})
    assert out["loss"].tolist() == [-0.25] * 4
    assert executable.read_state()["w"].tolist() == [0.75] * 4


def test_border_is_described_by_types() -> None:
    executable = step()
    assert executable.inputs == {"x": f32(4), "unread": TensorType(DType.I64, ())}
    assert executable.parameters == {"w": f32(4)}
    assert executable.outputs == {"loss": f32(4)}
    assert executable.artifacts() == {}


def test_unread_inputs_may_be_fed_and_must_then_fit() -> None:
    executable = step()
    executable.load_state({"w": ONES})
    executable.run({"x": ONES, "unread": 3})
    with pytest.raises(DiagnosticError, match="unread holds float64"):
        executable.run({"x": ONES, "unread": 0.5})


def test_without_a_state_nothing_runs() -> None:
    executable = step()
    with pytest.raises(BackendError, match="step cannot run: no state is loaded"):
        executable.run({"x": ONES})
    with pytest.raises(BackendError, match="no state is loaded"):
        executable.read_state()


def test_a_state_that_does_not_fit_changes_nothing() -> None:
    executable = step()
    executable.load_state({"w": ONES})
    with pytest.raises(DiagnosticError, match="E0911") as caught:
        executable.load_state({"w": 2 * np.ones(3), "v": ONES})
    assert "3 things are wrong with the parameters given to step" in str(caught.value)
    assert executable.read_state()["w"].tolist() == [1.0] * 4


def test_states_are_copied_in_and_out() -> None:
    executable = step()
    mine = ONES.copy()
    executable.load_state({"w": mine})
    mine += 1
    executable.read_state()["w"][:] = 5
    assert executable.read_state()["w"].tolist() == [1.0] * 4


def test_feeds_that_do_not_fit_change_nothing() -> None:
    executable = step()
    executable.load_state({"w": ONES})
    with pytest.raises(DiagnosticError, match="E0910"):
        executable.run({"x": np.ones((2, 4), dtype=np.float32)})
    assert executable.read_state()["w"].tolist() == [1.0] * 4


def test_a_broken_run_leaves_no_half_state() -> None:
    executable = step(failing=True)
    executable.load_state({"w": ONES})
    with pytest.raises(BackendError, match="too large\nwhile running fragile"):
        executable.run({"x": -ONES})
    with pytest.raises(BackendError, match="broken off while it updated the parameters"):
        executable.read_state()
    executable.load_state({"w": ONES})
    executable.run({"x": ONES / 2})
    assert executable.read_state()["w"].tolist() == [0.5] * 4


def test_without_donation_a_broken_run_changes_nothing() -> None:
    executable = step(failing=True, donate=False)
    executable.load_state({"w": ONES})
    with pytest.raises(BackendError, match="too large"):
        executable.run({"x": -ONES})
    assert executable.read_state()["w"].tolist() == [1.0] * 4


def test_profiles_name_every_step_and_make_the_updates() -> None:
    executable = step()
    executable.load_state({"w": ONES})
    profile = executable.profile({"x": ONES / 4})
    assert {row.node for row in profile.rows} == {s.node.id for s in executable.plan.steps}
    assert 0 < sum(row.seconds for row in profile.rows) <= profile.seconds
    assert executable.read_state()["w"].tolist() == [0.75] * 4


def test_executables_are_not_pickled() -> None:
    with pytest.raises(TypeError, match="cannot be pickled; save the program's text"):
        pickle.dumps(step())


def test_programs_without_parameters_run_at_once() -> None:
    b = Builder(Graph("plain"))
    x = b.emit(input_, attrs=InputAttrs(f32(4)), name="x")
    b.graph.outputs["y"] = b.emit(neg, x)
    executable = ReferenceBackend().compile(make_plan(b.graph))
    assert executable.run({"x": ONES})["y"].tolist() == [-1.0] * 4
    assert executable.read_state() == {}
