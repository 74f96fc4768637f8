"""cuDNN: graphs, plans, streams and what is missing, on a stand-in that computes on the host."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from cnndsl.backends.cuda.policy import Policy
from cnndsl.backends.cuda.providers import cublaslt, cudnn
from cnndsl.backends.cuda.providers.base import Rules
from cnndsl.backends.cuda.providers.cudnn import Cudnn, supported_forms
from cnndsl.backends.cuda.providers.cudnn_graph import RESULT, WEIGHT, X, declare, pack
from cnndsl.backends.cuda.providers.problem import (
    NOTHING,
    Convolution,
)
from cnndsl.ir.op import OPS
from cnndsl.ir.types import DType, f32
from cnndsl.ops.conv import Conv2dAttrs, SlideAttrs
from cnndsl.ops.evaluate import evaluate
from cnndsl.ops.rules import Array, Sample
from cnndsl.support.diagnostics import BackendError
from tests.backends.cuda.emulation import (
    gap,
    graph_of,
)
from tests.backends.cuda.providers.fake_cudnn import PlanKind, World, module
from tests.backends.cuda.providers.regions import (
    NONE,
    TAILS,
    ways_of,
)


@pytest.mark.parametrize("layout", ["nchw", "nhwc"])
@pytest.mark.parametrize("direction", ["forward", "grad_input", "grad_weight"])
def test_graphs_are_declared_in_both_layouts(direction: Any, layout: Any) -> None:
    """What the stand-in computes on memory in this layout is the reference's."""
    slide = SlideAttrs((2, 1), ((1, 0), (2, 1)), (1, 2), 2)
    image, weight, result = (2, 4, 7, 6), (6, 2, 3, 2), (2, 6, 3, 7)
    conv = Convolution(direction, image, weight, result, slide, NOTHING, layout, False)
    rng = np.random.default_rng(0)
    x, w, g = (rng.standard_normal(s).astype(np.float32) for s in (image, weight, result))
    shapes = {"forward": (x, w, g), "grad_input": (g, w, x), "grad_weight": (x, g, w)}[direction]
    world = World(plans=[PlanKind("eng1")])
    made = declare(module(world), conv, handle="handle")
    made.graph.validate()
    made.graph.build_plan_at_index(0)
    assert made.identifiers == (X, WEIGHT, RESULT)
    memory = [lay(array, layout) for array in shapes]
    memory[2][:] = np.nan
    made.graph.execute_plan_at_index(
        pack(made, [m.ctypes.data for m in memory]), 0, 0, handle="handle"
    )
    order = (0, 2, 3, 1) if layout == "nhwc" else (0, 1, 2, 3)
    shape = shapes[2].shape
    found = memory[2].reshape([shape[i] for i in order]).transpose(np.argsort(order))
    attrs = {
        "forward": Conv2dAttrs(slide.strides, slide.padding, slide.dilations, slide.groups),
    }.get(direction)
    name = {"forward": "conv2d"}.get(direction, f"conv2d_{direction}")
    if attrs is None:
        from cnndsl.ops.conv import Conv2dGradAttrs

        attrs = Conv2dGradAttrs(  # type: ignore[assignment]
            slide.strides, slide.padding, slide.dilations, slide.groups, shape
        )
    sample = Sample((f32(*shapes[0].shape), f32(*shapes[1].shape)), attrs)  # type: ignore[arg-type]
    graph = graph_of(OPS[name], [sample], DType.F64)
    exact = evaluate(graph, {"x0_0": shapes[0], "x0_1": shapes[1]}, dtype=DType.F64)["y0_0"]
    assert gap(found, exact) < 1e-6


def lay(array: Array, layout: str) -> Array:
    """Give the array's numbers in the order in which they lie."""
    order = (0, 2, 3, 1) if layout == "nhwc" else (0, 1, 2, 3)
    return np.ascontiguousarray(array.transpose(order)).reshape(-1)


def test_plans_that_round_or_differ_from_run_to_run_are_barred() -> None:
    plans = [
        PlanKind("tensor cores", notes=("TENSOR_CORE",)),
        PlanKind("any order", notes=("NONDETERMINISTIC",)),
        PlanKind("transformed", notes=("WINOGRAD",)),
        PlanKind("large", 2 << 20),
        PlanKind("broken", fault="unbuildable"),
        PlanKind("plain"),
        PlanKind("transformed", notes=("WINOGRAD",)),
    ]
    library = Cudnn(module(World(plans=plans)), "handle")
    case = ("conv2d", Sample((f32(2, 3, 5, 4), f32(4, 3, 3, 3))))

    def names(**changed: Any) -> list[str]:
        told = {"policy": NONE, "exact": False, "most_workspace": 1 << 20, **changed}
        return [way.name.removeprefix("cudnn ") for way in ways_of(*case, library, Rules(**told))]

    assert names() == ["transformed", "plain"]
    assert names(exact=True) == ["plain"]
    assert names(policy=Policy("tf32")) == ["tensor cores", "transformed", "plain"]
    assert names(most_workspace=4 << 20) == ["transformed", "large", "plain"]


def test_a_library_that_refuses_gives_no_ways() -> None:
    case = ("conv2d", Sample((f32(2, 3, 5, 4), f32(4, 3, 3, 3))))
    for world in (World(plans=[]), World(refused=("conv_fprop",))):
        assert ways_of(*case, Cudnn(module(world), "handle")) == []
    world = World(refused=("bias",))
    names = [way.name for way in ways_of(*TAILS[0], Cudnn(module(world), "handle"))]
    assert names == ["cudnn eng1_k2=1"]


def test_calls_go_to_the_stream_that_they_are_queued_on() -> None:
    world = World(plans=[PlanKind("eng1")])
    library = Cudnn(module(world), "handle")
    call = ways_of("conv2d", Sample((f32(1, 1, 2, 2), f32(1, 1, 1, 1))), library)[
        0
    ].kernel.launches[0]
    room = [np.ones(4, np.float32) for _ in range(3)]
    addresses: Sequence[int] = [array.ctypes.data for array in room]
    for stream in (77, 77, 78):
        call.enqueue(addresses, stream)  # type: ignore[union-attr]
    assert world.executed == [("eng1", 77), ("eng1", 77), ("eng1", 78)]
    world.plans[0].fault = "raises"
    with pytest.raises(BackendError, match=r"^cuDNN fails at eng1: CUDNN_STATUS_EXECUTION_FAILED$"):
        call.enqueue(addresses, 77)  # type: ignore[union-attr]


def test_the_table_says_what_was_listed() -> None:
    forms = supported_forms()
    assert forms["f32 full nchw forward+bias+relu"] > 0
    assert forms["f32 full nchw forward+bias+add+relu"] == 0
    assert forms["bf16 rounded nhwc forward+bias+add+relu"] > 0
    assert forms["f16 to f32 rounded nhwc grad_weight"] == 0
    assert forms["bf16 rounded nhwc grad_weight"] > 0


def test_what_keeps_a_library_from_being_used_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert str(cudnn.unavailable()).startswith("nvidia-cudnn-frontend is not installed; pip inst")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: object())
    for version, words in (("1.21.3", "1.21.3 is not one of"), ("1.29.0", "1.29.0 is not one of")):
        monkeypatch.setitem(sys.modules, "cudnn", module(World(), version=version))
        assert words in str(cudnn.unavailable())
    monkeypatch.setitem(sys.modules, "cudnn", module(World()))
    assert cudnn.unavailable() is None

    def broken() -> int:
        raise RuntimeError("libcudnn.so.9 not found\nat length")

    gone = module(World())
    gone.backend_version = broken
    monkeypatch.setitem(sys.modules, "cudnn", gone)
    assert "cuDNN cannot be loaded: libcudnn.so.9 not found; pip" in str(cudnn.unavailable())
    monkeypatch.setattr(cublaslt, "find", lambda: None)
    assert "cuBLASLt is not installed" in str(cublaslt.unavailable())
