"""The backend as a whole: what it refuses, what it reports, what it keeps and what it frees."""

from __future__ import annotations

import gc
from pathlib import Path

import numpy as np
import pytest

from cnndsl.backends import load
from cnndsl.backends.cpu.backend import CpuBackend, CpuExecutable
from cnndsl.backends.cpu.compile import KernelSet
from cnndsl.backends.cpu.target import unavailable
from cnndsl.ir.builder import Builder
from cnndsl.ir.graph import Graph, NodeId
from cnndsl.ir.types import DType, TensorType, f32
from cnndsl.ops.activations import relu
from cnndsl.ops.elementwise import add
from cnndsl.ops.linalg import DenseAttrs, dense
from cnndsl.ops.loss import softmax_cross_entropy
from cnndsl.ops.structural import InputAttrs, ParameterAttrs, input_, parameter
from cnndsl.plan.memory import make_plan
from cnndsl.support.diagnostics import BackendError, DataError
from tests.backends.cpu.machine import needs_jit

pytestmark = needs_jit


def two_layers() -> Graph:
    """Two dense layers of the same shape, so one kernel, with weights that are parameters."""
    graph = Graph("two")
    b = Builder(graph)
    value = b.emit(input_, attrs=InputAttrs(f32(3, 5)), name="x")
    for name in ("first", "second"):
        weight = b.emit(parameter, attrs=ParameterAttrs(f32(5, 5)), name=f"{name}.weight")
        value = b.emit(dense, value, weight, attrs=DenseAttrs(has_bias=False), name=name)
    graph.outputs["y"] = value
    return graph


def compiled(graph: Graph) -> CpuExecutable:
    executable = CpuBackend(threads=1).compile(make_plan(graph))
    assert isinstance(executable, CpuExecutable)
    return executable


def loss_graph() -> Graph:
    graph = Graph("loss")
    b = Builder(graph)
    scores = b.emit(input_, attrs=InputAttrs(f32(4, 3)), name="scores")
    kind = TensorType(DType.I64, (4,))
    labels = b.emit(input_, attrs=InputAttrs(kind), name="labels")
    graph.outputs["loss"] = b.emit(softmax_cross_entropy, scores, labels, name="loss")
    return graph


def test_the_backend_is_found_by_name() -> None:
    assert isinstance(load("cpu"), CpuBackend)
    assert load("cpu").unavailable() is None


def test_the_environment_says_how_many_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CNNDSL_THREADS", "3")
    assert CpuBackend().threads == 3
    assert CpuBackend(threads=2).threads == 2
    monkeypatch.delenv("CNNDSL_THREADS")
    assert CpuBackend().threads >= 1


def test_half_precision_is_refused_with_the_nodes_that_ask_for_it() -> None:
    graph = Graph("half")
    b = Builder(graph)
    x = b.emit(input_, attrs=InputAttrs(TensorType(DType.F16, (2,))), name="x")
    graph.outputs["y"] = b.emit(relu, x, name="thin")
    with pytest.raises(BackendError, match="f16 as thin"):
        CpuBackend().compile(make_plan(graph))


def test_a_label_that_is_none_is_reported_and_the_next_run_is_clean() -> None:
    executable = compiled(loss_graph())
    scores = np.zeros((4, 3), np.float32)
    for labels, shown in (([0, 1, 3, 2], "3"), ([0, -5, 7, 1], "-5")):
        with pytest.raises(DataError, match=f"the label {shown} reached loss, which has 3 classes"):
            executable.run({"scores": scores, "labels": np.array(labels)})
    loss = executable.run({"scores": scores, "labels": np.array([0, 1, 2, 1])})["loss"]
    assert loss == pytest.approx(np.log(3), rel=1e-6)


def test_kernels_of_one_shape_are_compiled_once() -> None:
    graph = two_layers()
    executable = compiled(graph)
    assert executable.kernel(NodeId("first")) is executable.kernel(NodeId("second"))
    texts = executable.artifacts()
    assert "; first, second" in texts["llvm"]
    assert texts["llvm"].count("define void @k") == 1
    assert "vfmadd" in texts["asm"] or "fmla" in texts["asm"]
    with pytest.raises(KeyError):
        executable.kernel(NodeId("x"))


def test_a_profile_has_a_row_a_step_with_its_work() -> None:
    executable = compiled(two_layers())
    executable.load_state({f"{n}.weight": np.eye(5, dtype=np.float32) for n in ("first", "second")})
    x = np.arange(15, dtype=np.float32).reshape(3, 5)
    profile = executable.profile({"x": x})
    assert [(row.node, row.op) for row in profile.rows] == [("first", "dense"), ("second", "dense")]
    assert all(row.seconds > 0 and row.cost.macs == 75 for row in profile.rows)
    assert sum(row.seconds for row in profile.rows) <= profile.seconds


def test_a_state_can_be_loaded_again() -> None:
    executable = compiled(two_layers())
    x = np.arange(15, dtype=np.float32).reshape(3, 5)
    for scale in (1.0, 2.0, -3.0):
        weight = scale * np.eye(5, dtype=np.float32)
        executable.load_state({"first.weight": weight, "second.weight": weight})
        assert np.array_equal(executable.run({"x": x})["y"], scale * scale * x)
        assert np.array_equal(executable.read_state()["first.weight"], weight)


def test_outputs_belong_to_the_caller() -> None:
    graph = Graph("sum")
    b = Builder(graph)
    x = b.emit(input_, attrs=InputAttrs(f32(40)), name="x")
    graph.outputs["y"] = b.emit(add, x, x)
    executable = compiled(graph)
    first = executable.run({"x": np.ones(40, np.float32)})["y"]
    second = executable.run({"x": np.zeros(40, np.float32)})["y"]
    assert first.sum() == 80
    assert second.sum() == 0


def test_what_is_missing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    import llvmlite

    monkeypatch.setattr(llvmlite, "__version__", "0.44.0")
    assert unavailable() == "llvmlite 0.44.0 is too old; 0.45 or newer is needed"
    with pytest.raises(BackendError, match="cannot run here: llvmlite"):
        CpuBackend().compile(make_plan(two_layers()))


def resident_bytes() -> int:
    pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
    return int(pages) * 4096


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="no /proc")
def test_compiled_programs_are_freed() -> None:
    """A thousand rounds may grow by 20 MB, so a hundred by 2."""
    plan = make_plan(loss_graph())
    labels = np.array([0, 1, 2, 1])
    feed = {"scores": np.zeros((4, 3), np.float32), "labels": labels}

    def rounds(count: int) -> None:
        for _ in range(count):
            CpuBackend(threads=1).compile(plan).run(feed)
        gc.collect()

    rounds(20)
    before = resident_bytes()
    rounds(100)
    assert resident_bytes() - before < 2e6


def test_code_of_a_program_without_launches_is_no_code() -> None:
    graph = Graph("nothing")
    b = Builder(graph)
    graph.outputs["y"] = b.emit(input_, attrs=InputAttrs(f32(3)), name="x")
    executable = compiled(graph)
    assert np.array_equal(executable.run({"x": np.arange(3, dtype=np.float32)})["y"], [0, 1, 2])
    assert KernelSet((), executable.target) is not None
