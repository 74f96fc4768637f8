"""cuDNN and cuBLASLt behind their interface: regions, on stand-ins that compute on the host."""

from __future__ import annotations

import ctypes
import functools
import subprocess
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from cnndsl.backends.cuda.backend import CudaBackend
from cnndsl.backends.cuda.choices import Choice
from cnndsl.backends.cuda.emulated.compile import COMPILER
from cnndsl.backends.cuda.libraries import Libraries
from cnndsl.backends.cuda.policy import DEFAULT_POLICY, Policy
from cnndsl.backends.cuda.program import key_of, write_kernels
from cnndsl.backends.cuda.providers import cublaslt, cudnn
from cnndsl.backends.cuda.providers.base import Provider, Rules, Way
from cnndsl.backends.cuda.providers.cublaslt import Cublas
from cnndsl.backends.cuda.providers.cublaslt_api import CublasLt
from cnndsl.backends.cuda.providers.cudnn import Cudnn, form_of, supported_forms
from cnndsl.backends.cuda.providers.cudnn_graph import RESULT, WEIGHT, X, declare, pack
from cnndsl.backends.cuda.providers.problem import (
    NOTHING,
    Convolution,
    Tail,
    convolution_of,
    product_of,
    strides_of,
    tail_of,
)
from cnndsl.ir.op import OPS
from cnndsl.ir.types import DType, f32
from cnndsl.ops.activations import relu, sigmoid
from cnndsl.ops.conv import Conv2dAttrs, SlideAttrs
from cnndsl.ops.elementwise import add, mul
from cnndsl.ops.evaluate import evaluate
from cnndsl.ops.linalg import DenseAttrs
from cnndsl.ops.rules import Array, Sample, samples
from cnndsl.ops.scalar import ScalarProgram, ScalarStep
from cnndsl.plan.memory import make_plan
from cnndsl.support.diagnostics import BackendError
from tests.backends.cuda.emulation import (
    driver,
    feeds_of,
    gap,
    graph_of,
    needs_emulator,
    typed,
)
from tests.backends.cuda.fake_cudnn import PlanKind, World, module
from tests.backends.cuda.larger import LARGER

RULES = Rules(DEFAULT_POLICY, exact=False, most_workspace=1 << 20)
NONE = DEFAULT_POLICY
CONVOLUTIONS = ("conv2d", "conv2d_grad_input", "conv2d_grad_weight")
PRODUCTS = ("matmul", "dense", *CONVOLUTIONS)


@functools.cache
def cublaslt_library() -> Any:
    """Compile the stand-in of cuBLASLt, where the emulated device keeps what it compiles."""
    from tests.backends.cuda.emulation import folder

    source = Path(__file__).parent / "fake_cublaslt.cpp"
    target = folder().parent / f"fake_cublaslt_{source.stat().st_mtime_ns}.so"
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        new = target.with_suffix(f".{id(source)}")
        words = [COMPILER, "-shared", "-fPIC", "-O1", "-o", str(new), str(source)]
        subprocess.run(words, check=True)
        new.replace(target)
    return ctypes.CDLL(str(target))


def add_relu(*, first: int = 0) -> ScalarProgram:
    none = add.attrs()
    steps = (ScalarStep(add, none, (first, 1 - first)), ScalarStep(relu, relu.attrs(), (2,)))
    return ScalarProgram(2, steps)


TAILS: list[tuple[str, Sample]] = [
    ("conv2d", Sample((f32(2, 3, 5, 4), f32(4, 3, 3, 3), f32(4)), Conv2dAttrs(has_bias=True))),
    (
        "conv2d",
        Sample(
            (f32(2, 3, 5, 4), f32(4, 3, 1, 1), f32(4), f32(2, 4, 5, 4)),
            Conv2dAttrs(has_bias=True, epilogue=add_relu(first=1)),
        ),
    ),
    (
        "conv2d",
        Sample(
            (f32(2, 3, 5, 4), f32(4, 3, 1, 1), f32(2, 4, 5, 4)), Conv2dAttrs(epilogue=add_relu())
        ),
    ),
    (
        "conv2d",
        Sample((f32(2, 3, 5, 4), f32(4, 3, 2, 2), f32(4, 4, 3)), Conv2dAttrs(has_bias=True)),
    ),
    (
        "conv2d",
        Sample(
            (f32(2, 3, 5, 4), f32(4, 3, 1, 1), f32(4)),
            Conv2dAttrs(
                has_bias=True,
                epilogue=ScalarProgram(1, (ScalarStep(sigmoid, sigmoid.attrs(), (0,)),)),
            ),
        ),
    ),
    (
        "dense",
        Sample(
            (f32(5, 7), f32(3, 7), f32(3), f32(5, 3)),
            DenseAttrs(has_bias=True, epilogue=add_relu()),
        ),
    ),
    (
        "dense",
        Sample(
            (f32(5, 7), f32(3, 7), f32(1, 3)),
            DenseAttrs(
                has_bias=False, epilogue=ScalarProgram(2, (ScalarStep(mul, mul.attrs(), (0, 1)),))
            ),
        ),
    ),
]  # fmt: skip


def libraries() -> tuple[Provider, ...]:
    world = World(plans=[PlanKind("eng1_k2=1", 64), PlanKind("eng2")])
    return Cudnn(module(world), "handle"), Cublas(CublasLt(cublaslt_library()))


def all_cases(name: str) -> list[Sample]:
    more = [sample for op, sample in TAILS if op == name]
    return [*samples[OPS[name]](), *LARGER.get(name, ()), *more]


@needs_emulator
@pytest.mark.parametrize("which", [0, 1], ids=["cudnn", "cublaslt"])
@pytest.mark.parametrize("name", PRODUCTS)
def test_every_way_gives_what_the_reference_gives(
    name: str, which: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All samples, and regions with each tail: the library's, or ours after its product.

    The table of forms is taken to have all of them; launches and calls work on guarded copies.
    """
    monkeypatch.setattr(cudnn, "supported_forms", lambda: AlwaysListed())
    op, cases = OPS[name], all_cases(name)
    graph, feeds = graph_of(op, cases, DType.F32), feeds_of(op, cases)
    plan = make_plan(graph, alignment=256)
    expected = evaluate(graph, feeds, dtype=DType.F64)
    keys = {step.node.id: key_of(step) for step in plan.steps}
    library = libraries()[which]
    ways = {node: list(library.ways(key, RULES)) for node, key in keys.items()}
    taken = 0
    for index in range(max(map(len, ways.values()))):
        chosen = {keys[n]: found[index].kernel for n, found in ways.items() if index < len(found)}
        taken += len(chosen)
        executable = forced(chosen).compile(plan)
        for output, array in executable.run(typed(graph, feeds)).items():
            sample = cases[int(output[1:].partition("_")[0])]
            error = gap(array, expected[output])
            assert error <= sample.tolerance, f"{output} by way {index}: {error}"
    counts = {"matmul": (0, 14), "dense": (0, 20)}
    least = counts.get(name, (20, 2))[which]
    assert taken >= least
    assert taken == 0 or least > 0


class AlwaysListed(dict[str, int]):
    """A table in which every form has plans."""

    def get(self, key: str, default: Any = None) -> Any:
        return 1


def forced(chosen: dict[Any, Any]) -> CudaBackend:
    """Give a backend that takes these kernels."""
    machine = driver(guarded=True)
    found = CudaBackend(lambda: machine)
    found._chosen = lambda plan: chosen  # type: ignore[method-assign]
    return found


def key_for(name: str, sample: Sample) -> Any:
    plan = make_plan(graph_of(OPS[name], [sample], DType.F32), alignment=256)
    return key_of(plan.steps[0])


def ways_of(name: str, sample: Sample, library: Provider, rules: Rules = RULES) -> list[Way]:
    return list(library.ways(key_for(name, sample), rules))


@needs_emulator
def test_regions_are_named_by_what_the_library_does() -> None:
    both = libraries()
    found = [way.name for way in ways_of("dense", TAILS[5][1], both[1])]
    assert [name.rpartition(" ")[0] for name in found] == [
        *["cublaslt with bias+add+relu"] * 2,
        *["cublaslt"] * 2,
    ]
    # Channels first, cuDNN has no plan for the addition, and the table says so: it is ours.
    conv = convolution_of(key_for(*TAILS[1]), rounded=False)
    assert conv is not None
    assert form_of(conv) == "f32 full nchw forward+bias+add+relu"
    names = [way.name for way in ways_of(*TAILS[1], both[0])]
    assert names == ["cudnn eng1_k2=1", "cudnn eng2"]
    names = [way.name for way in ways_of(*TAILS[0], both[0])]
    assert names == [
        "cudnn with bias eng1_k2=1",
        "cudnn with bias eng2",
        "cudnn eng1_k2=1",
        "cudnn eng2",
    ]
    # A bias of its own at each place, and a sigmoid, are always ours.
    for case in TAILS[3:5]:
        names = [way.name for way in ways_of(*case, both[0])]
        assert names == ["cudnn eng1_k2=1", "cudnn eng2"]


@pytest.mark.parametrize(
    ("program", "bias", "tail"),
    [
        (None, False, NOTHING),
        (ScalarProgram(1, (ScalarStep(relu, relu.attrs(), (0,)),)), True, Tail(True, False, True)),
        (add_relu(), True, Tail(True, True, True)),
        (ScalarProgram(2, add_relu().steps[:1]), False, Tail(add=True)),
        (ScalarProgram(1, (ScalarStep(sigmoid, sigmoid.attrs(), (0,)),)), False, None),
        (ScalarProgram(2, (ScalarStep(mul, mul.attrs(), (0, 1)),)), False, None),
        (ScalarProgram(1, (ScalarStep(add, add.attrs(), (0, 0)),)), False, None),
        (
            ScalarProgram(2, (add_relu().steps[0], ScalarStep(relu, relu.attrs(), (0,)))),
            False,
            None,
        ),
    ],
)
def test_tails_are_read(program: ScalarProgram | None, bias: bool, tail: Tail | None) -> None:
    assert tail_of(program, bias=bias) == tail


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


def test_channels_last_pixels_are_rows() -> None:
    sample = TAILS[1][1]
    found = product_of(key_for("conv2d", sample), rounded=False, layout="nhwc")
    assert found is not None
    assert (found.m, found.n, found.k, found.batch) == (40, 4, 3, 1)
    assert found.tail == Tail(True, True, True)
    first = product_of(key_for("conv2d", sample), rounded=False, layout="nchw")
    assert first is not None
    assert (first.m, first.n, first.k, first.batch) == (4, 20, 3, 2)
    assert (first.swapped, first.fixed_a, first.tail) == (True, True, NOTHING)
    assert strides_of((2, 3, 4, 5), "nhwc") == (60, 1, 15, 3)


def test_plans_that_round_or_differ_from_run_to_run_are_barred() -> None:
    plans = [
        PlanKind("tensor cores", notes=("TENSOR_CORE",)),
        PlanKind("any order", notes=("NONDETERMINISTIC",)),
        PlanKind("transformed", notes=("WINOGRAD",)),
        PlanKind("large", 2 << 20),
        PlanKind("broken", fault="unbuildable"),
        PlanKind("plain"),
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


@needs_emulator
def test_statuses_of_cublaslt_are_told_or_mean_no_way() -> None:
    library = cublaslt_library()
    provider = Cublas(CublasLt(library))
    case = TAILS[5]
    ways = ways_of(*case, provider)
    try:
        library.fake_fault(1)
        assert ways_of(*case, provider) == []
        library.fake_fault(2)
        with pytest.raises(BackendError, match="cublasLtMatmul gives the status 13"):
            ways[0].kernel.launches[0].enqueue([4096] * 5, 7)  # type: ignore[union-attr]
    finally:
        library.fake_fault(0)
    broken = SimpleNamespace(cublasLtCreate=lambda handle: 1)
    with pytest.raises(BackendError, match="cublasLtCreate gives the status 1"):
        CublasLt(broken)


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
    assert forms["bf16 to f32 rounded nhwc grad_weight"] == 0


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


def test_kernels_of_equal_steps_are_shared_with_what_was_chosen() -> None:
    sample = Sample((f32(1, 1, 2, 2), f32(1, 1, 1, 1)))
    plan = make_plan(graph_of(OPS["conv2d"], [sample, sample], DType.F32), alignment=256)
    way = next(iter(libraries()[0].ways(key_of(plan.steps[0]), RULES)))
    written = write_kernels(plan.steps, chosen={key_of(plan.steps[0]): way.kernel})
    assert [kernel.algorithm for kernel in written.values()] == [way.name] * 2
    assert Libraries().providers == ()
    assert Choice("own", 1.0, 0.0, 1.0).way == "own"
