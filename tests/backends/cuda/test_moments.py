"""Statistics of batch norms that the convolution before them takes of its tiles."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from cnndsl.backends.cuda.backend import CudaBackend
from cnndsl.backends.cuda.emulated.driver import ORDERS
from cnndsl.backends.cuda.kernel import Kernel
from cnndsl.backends.cuda.kernels import gemm_moments, norm
from cnndsl.backends.cuda.policy import Policy
from cnndsl.backends.cuda.program import write_kernels
from cnndsl.ir.builder import Builder
from cnndsl.ir.graph import Graph, NodeId, Value
from cnndsl.ir.types import DType, TensorType
from cnndsl.ops.conv import Conv2dAttrs, conv2d
from cnndsl.ops.evaluate import evaluate
from cnndsl.ops.norm import batch_norm_train
from cnndsl.ops.rules import Array
from cnndsl.ops.structural import InputAttrs, input_
from cnndsl.support.diagnostics import BackendError
from cnndsl.support.settings import GpuPrecision
from tests.backends.cuda.emulation import driver, gap, needs_emulator

BOUNDS: dict[GpuPrecision, float] = {"fp32": 2e-5, "tf32": 4e-3, "bf16": 5e-2, "fp16": 4e-3}
"""Factors of tf32 and fp16 have 11 bits, those of bf16 8, and halves in memory as many."""


@dataclass(frozen=True)
class Case:
    """A convolution before a batch norm."""

    image: tuple[int, int, int, int]
    filters: int
    attrs: Conv2dAttrs = Conv2dAttrs()  # noqa: RUF009 - frozen
    window: int = 3
    far: float = 0.0
    """How far the results are from 0, by the bias."""

    def graph(self, dtype: DType) -> Graph:
        """Give the graph of both, with every result."""
        b = Builder(Graph("statistics"))

        def fed(name: str, *shape: int) -> Value:
            return b.emit(input_, attrs=InputAttrs(TensorType(dtype, shape)), name=name)

        depth = self.image[1] // self.attrs.groups
        operands = [fed("x", *self.image), fed("w", self.filters, depth, self.window, self.window)]
        if self.attrs.has_bias:
            operands.append(fed("bias", self.filters))
        y = b.emit(conv2d, *operands, attrs=self.attrs, name="conv")
        more = [fed("scale", self.filters), fed("shift", self.filters)]
        results = b.emit_all(batch_norm_train, y, *more, name="bn")
        b.graph.outputs.update(zip(("y", "mean", "variance"), results, strict=True))
        return b.graph

    def feeds(self, graph: Graph) -> dict[str, Array]:
        """Draw what goes in."""
        rng = np.random.default_rng(7)
        found = {}
        for node in graph.nodes():
            if node.op is input_:
                away = self.far if node.id == "bias" else 0.0
                drawn = (rng.uniform(-1, 1, node.type.shape) + away).astype(np.float32)
                found[str(node.id)] = drawn.astype(node.type.dtype.numpy)
        return found


CASES = {
    "one tile": Case((2, 8, 5, 4), 12),
    "ragged tiles": Case((3, 16, 11, 9), 40, Conv2dAttrs(padding=((1, 1), (1, 1)))),
    "single columns": Case((5, 3, 12, 11), 37, Conv2dAttrs((2, 2), has_bias=True), far=3.0),
    "groups": Case((4, 32, 9, 7), 48, Conv2dAttrs(groups=2)),
    "pixels": Case((6, 40, 7, 9), 136, window=1),
    "far from zero": Case((4, 8, 12, 12), 16, Conv2dAttrs(has_bias=True), far=1000.0),
}


def kernels(case: Case, precision: GpuPrecision, dtype: DType) -> dict[NodeId, Kernel]:
    made = CudaBackend(driver, policy=Policy(precision))
    plan = made.plan(case.graph(dtype))
    return write_kernels(plan.steps, Policy(precision))


def compare(case: Case, precision: GpuPrecision, dtype: DType, bound: float) -> None:
    """Run in guarded memory, dead memory poisoned, in every order; compare with the reference."""
    graph, machine = case.graph(dtype), driver(guarded=True)
    feeds, policy = case.feeds(graph), Policy(precision)
    made = CudaBackend(lambda: machine, policy=policy, poison=True)
    executable = made.compile(made.plan(graph))
    expected = evaluate(graph, feeds, dtype=DType.F64)
    first: dict[str, Array] = {}
    for order in ORDERS:
        machine.order = order
        for name, array in executable.run(feeds).items():
            assert gap(array, expected[name]) <= bound, f"{name}, {order}"
            assert np.array_equal(array, first.setdefault(name, array)), f"{name}, {order}"


def compare_all(precision: GpuPrecision) -> None:
    for name, case in CASES.items():
        if not name.startswith("far"):
            compare(case, precision, DType.F32, BOUNDS[precision])


@needs_emulator
@pytest.mark.parametrize("precision", list(BOUNDS))
@pytest.mark.parametrize("name", [name for name in CASES if not name.startswith("far")])
def test_statistics_are_those_of_the_reference(name: str, precision: GpuPrecision) -> None:
    compare(CASES[name], precision, DType.F32, BOUNDS[precision])


@needs_emulator
def test_doubles_have_theirs_too() -> None:
    compare(CASES["ragged tiles"], "fp32", DType.F64, 1e-12)


@needs_emulator
def test_a_large_mean_cancels_nothing() -> None:
    """At 1000 with a deviation of 3, sums of squares in singles would lose half the digits."""
    case = CASES["far from zero"]
    graph, machine = case.graph(DType.F32), driver()
    feeds = case.feeds(graph)
    made = CudaBackend(lambda: machine)
    executable = made.compile(made.plan(graph))
    expected = evaluate(graph, feeds, dtype=DType.F64)
    found = executable.run(feeds)
    # A single at 1000 is itself 3e-5 off, which 3 deviations away is 1e-5.
    assert np.abs(found["variance"] / expected["variance"] - 1).max() < 5e-5
    assert np.abs(found["mean"] / expected["mean"] - 1).max() < 1e-6


@needs_emulator
def test_many_tiles_are_merged_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(norm, "MOST_SLICES", 3)
    case = CASES["ragged tiles"]
    launched = kernels(case, "fp32", DType.F32)[NodeId("bn")].launches
    assert [launch.name.split("_")[-2] for launch in launched] == ["merge", "join", "apply"]
    compare(case, "fp32", DType.F32, BOUNDS["fp32"])


def test_the_image_is_read_once_less() -> None:
    written = kernels(CASES["ragged tiles"], "fp32", DType.F32)
    launched = [launch.name.split("_")[-2] for launch in written[NodeId("bn")].launches]
    assert launched == ["join", "apply"]
    assert written[NodeId("conv")].moments == written[NodeId("bn")].moments > 0
    plan = CudaBackend(driver).plan(CASES["ragged tiles"].graph(DType.F32))
    alone = write_kernels(plan.steps, moments=False)
    launched = [launch.name.split("_")[-2] for launch in alone[NodeId("bn")].launches]
    assert launched == ["slices", "join", "apply"]


def test_sums_that_are_cut_give_none() -> None:
    """Where parts of a sum come from several blocks, none of them has what is stored."""
    deep = Case((1, 512, 4, 4), 16, Conv2dAttrs(padding=((1, 1), (1, 1))))
    written = kernels(deep, "fp32", DType.F32)
    assert "slices" in written[NodeId("conv")].algorithm
    assert written[NodeId("conv")].moments == written[NodeId("bn")].moments == 0


FAULTS = [
    ("fp32", "_OF_A_THREAD", "ty * 4 + i % 4 < $M", "ty * 4 < $M"),
    ("fp32", "_OF_A_THREAD", "first + gap", "first"),
    ("fp32", "_JOIN", "__syncthreads();", ""),
    ("fp32", "_JOIN", "p < $PARTS", "p < $PARTS - 1"),
    ("fp32", "_JOIN", "tile_n + c < $N", "tile_n < $N"),
    ("fp32", "_JOIN", "* $GROUPS + g", "* $GROUPS"),
    ("tf32", "_OF_ROWS", "r < 16 && r < left", "r < 16"),
    ("tf32", "_OF_ROWS", "if (!count) first = seen;", "first = seen;"),
    ("tf32", "_OF_A_LANE", "__syncthreads();", ""),
    ("tf32", "_OF_A_LANE", "warp / $WARPS_N", "warp % $WARPS_N"),
]


@needs_emulator
@pytest.mark.parametrize(("precision", "template", "right", "wrong"), FAULTS)
def test_a_fault_is_found(
    monkeypatch: pytest.MonkeyPatch,
    precision: GpuPrecision,
    template: str,
    right: str,
    wrong: str,
) -> None:
    text = getattr(gemm_moments, template)
    assert right in text
    monkeypatch.setattr(gemm_moments, template, text.replace(right, wrong))
    with pytest.raises((AssertionError, BackendError)):
        compare_all(precision)
