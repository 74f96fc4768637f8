"""Convolutions of many shapes: every tile, cut and frame, with any number of threads."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from cnndsl.backends.cpu import cost
from cnndsl.backends.cpu.backend import CpuBackend, CpuExecutable
from cnndsl.backends.cpu.kernels import conv_direct
from cnndsl.backends.cpu.kernels.conv_frame import frame_of
from cnndsl.backends.cpu.kernels.conv_taps import forward_taps, gradient_taps
from cnndsl.backends.cpu.policy import DEFAULT_POLICY, Policy
from cnndsl.backends.cpu.target import CpuTarget
from cnndsl.ir.graph import NodeId
from cnndsl.ir.op import Attrs, Op
from cnndsl.ir.types import DType, Shape, f32
from cnndsl.ops.activations import relu
from cnndsl.ops.conv import (
    Conv2dAttrs,
    Conv2dGradAttrs,
    SlideAttrs,
    conv2d,
    conv2d_grad_input,
    conv2d_grad_weight,
)
from cnndsl.ops.elementwise import add
from cnndsl.ops.evaluate import evaluate
from cnndsl.ops.rules import Array, Sample
from cnndsl.ops.scalar import ScalarProgram, ScalarStep
from cnndsl.plan.memory import make_plan
from cnndsl.support.diagnostics import TypeRuleError
from tests.backends.cpu.machine import feeds_of, gap, graph_of, needs_jit, target_called, typed

pytestmark = needs_jit

BOUND = {DType.F32: 1e-5, DType.F64: 1e-13}
"""Largest difference relative to the largest result: some hundred roundings."""


@dataclass(frozen=True)
class Case:
    x: Shape
    weight: Shape
    attrs: SlideAttrs = field(default_factory=SlideAttrs)

    def sample(self, op: Op[Any]) -> Sample:
        a = self.attrs
        slide = a.strides, a.padding, a.dilations, a.groups
        x, weight = f32(*self.x), f32(*self.weight)
        y = conv2d.infer(Conv2dAttrs(*slide), x, weight)[0]
        if op is conv2d:
            return Sample((x, weight), Conv2dAttrs(*slide))
        if op is conv2d_grad_input:
            return Sample((y, weight), Conv2dGradAttrs(*slide, shape=x.shape))
        return Sample((x, y), Conv2dGradAttrs(*slide, shape=weight.shape))


SAME = SlideAttrs(padding=((1, 1), (1, 1)))
CASES = {
    "filters in lanes": Case((1, 32, 9, 11), (48, 32, 3, 3), SlideAttrs(padding=((0, 2), (1, 0)))),
    "blocks upon blocks": Case((2, 24, 13, 13), (40, 24, 3, 3), SlideAttrs(strides=(2, 2))),
    "pixels in lanes": Case((2, 3, 20, 37), (10, 3, 5, 5), SlideAttrs(padding=((2, 2), (2, 2)))),
    "pixels of strided places": Case((1, 3, 41, 67), (12, 3, 7, 7), SlideAttrs(strides=(2, 3))),
    "pixels under dilated taps": Case((1, 4, 18, 40), (5, 4, 3, 3), SlideAttrs(dilations=(2, 3))),
    "one tap": Case((2, 40, 7, 7), (33, 40, 1, 1)),
    "one tap, long rows": Case((1, 20, 24, 24), (30, 20, 1, 1)),
    "one tap, strided": Case((2, 18, 15, 14), (20, 18, 1, 1), SlideAttrs(strides=(2, 2))),
    "one tap, padded": Case((1, 9, 6, 5), (7, 9, 1, 1), SlideAttrs(padding=((1, 0), (2, 1)))),
    "a frame for each thread": Case((3, 32, 40, 40), (8, 32, 3, 3), SAME),
    "depthwise": Case(
        (2, 12, 19, 35), (12, 1, 3, 3), SlideAttrs(padding=((1, 1), (1, 1)), groups=12)
    ),
    "depthwise, strided": Case(
        (1, 6, 34, 33), (12, 1, 3, 3), SlideAttrs((2, 2), ((0, 1), (1, 0)), groups=6)
    ),
    "depthwise, one row of places": Case((1, 5, 9, 20), (5, 1, 9, 3), SlideAttrs(groups=5)),
    "depthwise, strided, few places": Case(
        (2, 40, 14, 14), (40, 1, 3, 3), SlideAttrs((2, 2), ((1, 1), (1, 1)), groups=40)
    ),
    "depthwise, many taps": Case(
        (1, 3, 23, 50), (3, 1, 5, 7), SlideAttrs((1, 2), ((2, 4), (5, 1)), (2, 1), groups=3)
    ),
    "depthwise, all in the padding": Case(
        (1, 4, 3, 2), (4, 1, 3, 3), SlideAttrs(padding=((4, 4), (5, 20)), groups=4)
    ),
    "large weights, small images": Case((2, 700, 5, 5), (130, 700, 1, 1)),
    "groups": Case((2, 24, 10, 12), (36, 12, 3, 3), SlideAttrs(padding=SAME.padding, groups=2)),
    "a row of taps": Case((2, 22, 17, 17), (35, 22, 1, 7), SlideAttrs(padding=((0, 0), (3, 3)))),
    "many taps": Case((1, 2, 30, 31), (20, 2, 11, 11), SlideAttrs(strides=(4, 4))),
    "odd numbers of channels": Case((1, 37, 8, 9), (19, 37, 2, 3)),
}
OPS = {op.name: op for op in (conv2d, conv2d_grad_input, conv2d_grad_weight)}


def compiled(
    op: Op[Any],
    sample: Sample,
    dtype: DType = DType.F32,
    *,
    threads: int = 2,
    target: CpuTarget | None = None,
    policy: Policy = DEFAULT_POLICY,
) -> CpuExecutable:
    backend = CpuBackend(threads=threads, target=target, policy=policy)
    executable = backend.compile(make_plan(graph_of(op, sample, dtype)))
    assert isinstance(executable, CpuExecutable)
    return executable


def run(executable: CpuExecutable, op: Op[Any], sample: Sample) -> Array:
    return executable.run(typed(executable.plan.graph, feeds_of(op, 0, sample)))["y0"]


def error(op: Op[Any], sample: Sample, dtype: DType, target: CpuTarget | None) -> float:
    executable = compiled(op, sample, dtype, target=target)
    expected = evaluate(executable.plan.graph, feeds_of(op, 0, sample), dtype=DType.F64)["y0"]
    return gap(run(executable, op, sample), expected)


@pytest.mark.parametrize(
    "machine", [("host", DType.F32), ("haswell", DType.F32), ("host", DType.F64)]
)
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("op", OPS)
def test_every_shape_is_what_the_reference_says(
    op: str, case: str, machine: tuple[str, DType]
) -> None:
    target, dtype = machine
    sample = CASES[case].sample(OPS[op])
    assert error(OPS[op], sample, dtype, target_called(target)) < BOUND[dtype]


@pytest.fixture
def eager(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give every phase all threads, however little work it has."""
    monkeypatch.setattr(cost, "NS_PER_THREAD", 1e-3)


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize(
    "case",
    [
        *("filters in lanes", "a frame for each thread", "blocks upon blocks"),
        *("depthwise", "large weights, small images"),
    ],
)
@pytest.mark.parametrize("op", OPS)
def test_the_bits_do_not_depend_on_the_number_of_threads(op: str, case: str) -> None:
    sample = CASES[case].sample(OPS[op])
    one = run(compiled(OPS[op], sample, threads=1), OPS[op], sample)
    for threads in (2, 3, 4, 8):
        other = run(compiled(OPS[op], sample, threads=threads), OPS[op], sample)
        assert np.array_equal(one, other)


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("target", ["host", "haswell"])
@pytest.mark.parametrize(
    "case",
    [
        Case((3, 32, 7, 7), (70, 32, 3, 3), SlideAttrs((2, 2), ((1, 1), (1, 1)))),
        Case((3, 48, 7, 7), (192, 24, 3, 1), SlideAttrs(padding=((1, 1), (0, 0)), groups=2)),
    ],
)
def test_many_weights_are_gone_through_once_for_all_images(
    case: Case, target: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sample, policy = case.sample(conv2d), Policy(algorithms={"conv2d": "direct"})
    # Each thread has a frame of its own, or units that follow one another read the same pixels.
    usual = compiled(conv2d, sample, target=target_called(target), policy=policy)
    monkeypatch.setattr(conv_direct, "FAR_BYTES", 0)
    found: list[Array] = []
    for threads in (1, 2, 3):
        executable = compiled(
            conv2d, sample, threads=threads, target=target_called(target), policy=policy
        )
        assert executable.kernel(NodeId("node")).text != usual.kernel(NodeId("node")).text
        found.append(run(executable, conv2d, sample))
    expected = evaluate(usual.plan.graph, feeds_of(conv2d, 0, sample), dtype=DType.F64)["y0"]
    assert gap(found[0], expected) < BOUND[DType.F32]
    assert all(np.array_equal(found[0], other) for other in found[1:])


def test_a_residual_is_asked_for_before_the_sums_are_made() -> None:
    steps = (ScalarStep(add, Attrs(), (0, 1)),)
    attrs = Conv2dAttrs(epilogue=ScalarProgram(2, steps))
    x, weight = f32(1, 16, 8, 16), f32(8, 16, 1, 1)
    asked = []
    for extra in (f32(1, 8, 8, 16), f32(1, 8, 1, 1)):
        sample = Sample((x, weight, extra), attrs)
        text = compiled(conv2d, sample).kernel(NodeId("node")).text
        asked.append(text.count("call void @llvm.prefetch"))
    # What a whole channel shares is near anyway.
    assert asked[0] > asked[1]


def test_pixels_and_results_that_no_core_holds_are_asked_for() -> None:
    def asked(images: int, size: int, weight: Shape) -> tuple[int, int]:
        sample = Case((images, weight[1], size, size), weight).sample(conv2d)
        kernel = compiled(conv2d, sample).kernel(NodeId("node"))
        calls = [line for line in kernel.text.splitlines() if "call void @llvm.prefetch" in line]
        written = sum("i32 1, i32 3, i32 1)" in line for line in calls)
        return len(calls) - written, written

    # Pixels of the next tile, beside weights.
    assert asked(1, 32, (16, 64, 1, 1))[0] < asked(32, 32, (16, 64, 1, 1))[0]
    assert asked(1, 30, (32, 1, 3, 3))[1] == 0
    assert asked(100, 30, (32, 1, 3, 3))[1] > 0


@st.composite
def cases(draw: st.DrawFn) -> Case:
    pair = st.tuples(st.integers(1, 3), st.integers(1, 3))
    pads = st.tuples(st.integers(0, 3), st.integers(0, 3))
    groups = draw(st.sampled_from([1, 1, 1, 2, 3]))
    depth, each = draw(st.integers(1, 20)), draw(st.integers(1, 40))
    window = draw(st.tuples(st.integers(1, 5), st.integers(1, 5)))
    size = draw(st.tuples(st.integers(1, 24), st.integers(1, 40)))
    attrs = SlideAttrs(draw(pair), (draw(pads), draw(pads)), draw(pair), groups)
    return Case(
        (draw(st.integers(1, 3)), depth * groups, *size), (each * groups, depth, *window), attrs
    )


@settings(max_examples=8)
@given(cases(), st.sampled_from(sorted(OPS)), st.booleans())
def test_any_shape_is_what_the_reference_says(case: Case, op: str, narrow: bool) -> None:
    try:
        sample = case.sample(OPS[op])
    except TypeRuleError:
        assume(False)
    target = target_called("haswell") if narrow else None
    assert error(OPS[op], sample, DType.F32, target) < BOUND[DType.F32]


def test_an_epilogue_reads_operands_that_broadcast_along_one_axis_of_an_image() -> None:
    steps = (ScalarStep(add, Attrs(), (0, 1)), ScalarStep(relu, Attrs(), (2,)))
    attrs = Conv2dAttrs(has_bias=True, epilogue=ScalarProgram(2, steps))
    x, weight, bias = f32(2, 6, 5, 9), f32(20, 6, 1, 1), f32(20)
    for extra in (f32(2, 20, 5, 9), f32(1, 20, 5, 1), f32(1, 1, 1, 9), f32(2, 1, 5, 9), f32()):
        sample = Sample((x, weight, bias, extra), attrs)
        assert error(conv2d, sample, DType.F32, None) < BOUND[DType.F32]


def test_the_gradient_of_a_strided_convolution_falls_into_lattices() -> None:
    attrs = SlideAttrs(strides=(2, 2))
    parts = gradient_taps(attrs, (1, 4, 3, 3), (4, 2, 3, 3), (1, 2, 7, 8))
    assert [part.places for part in parts] == [(4, 4), (4, 4), (3, 4), (3, 4)]
    assert [(len(part.down), len(part.across)) for part in parts] == [
        (2, 2),
        (2, 1),
        (1, 2),
        (1, 1),
    ]
    assert sum(part.places[0] * part.places[1] for part in parts) == 7 * 8


def test_only_what_is_read_beside_an_image_is_copied() -> None:
    plain = forward_taps(SlideAttrs(), (1, 3, 8, 8), (4, 3, 3, 3), (1, 4, 6, 6))
    assert not frame_of(plain, apart=True).copied
    padded = forward_taps(SAME, (1, 3, 8, 8), (4, 3, 3, 3), (1, 4, 8, 8))
    frame = frame_of(padded, apart=True)
    assert (frame.corner, frame.rows, frame.pitch) == ((-1, -1), 10, 10)
    strided = forward_taps(SlideAttrs((2, 2)), (1, 3, 9, 9), (4, 3, 1, 1), (1, 4, 5, 5))
    assert frame_of(strided, apart=True).plane == 25


def test_what_was_chosen_can_be_seen_and_overruled() -> None:
    sample = Case((1, 32, 28, 28), (32, 32, 3, 3), SAME).sample(conv2d)
    usual = compiled(conv2d, sample).kernel(NodeId("node")).algorithm
    assert usual == "winograd4"
    for key in ("node", "conv2d"):
        policy = Policy(algorithms={key: "direct"})
        other = compiled(conv2d, sample, policy=policy).kernel(NodeId("node")).algorithm
        assert other.startswith("direct, ")
