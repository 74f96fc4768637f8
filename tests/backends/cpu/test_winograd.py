"""Winograd's convolution: its matrices, its transforms, its accuracy."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from cnndsl.backends.cpu.emit import FunctionEmitter
from cnndsl.backends.cpu.kernels import winograd as winograd_module
from cnndsl.backends.cpu.kernels import winograd_cuts
from cnndsl.backends.cpu.kernels.conv_taps import forward_taps, gradient_taps
from cnndsl.backends.cpu.kernels.conv_turn import turn
from cnndsl.backends.cpu.kernels.winograd_cuts import Cuts, cut_tiles, fits_winograd
from cnndsl.backends.cpu.kernels.winograd_points import minimal
from cnndsl.backends.cpu.kernels.winograd_transform import sandwich
from cnndsl.backends.cpu.llvm import F32, F64, LType, V
from cnndsl.backends.cpu.policy import Policy
from cnndsl.ir.graph import NodeId
from cnndsl.ir.op import Attrs
from cnndsl.ir.types import DType, f32
from cnndsl.ops.activations import relu
from cnndsl.ops.conv import Conv2dAttrs, SlideAttrs, conv2d, conv2d_grad_input, conv2d_grad_weight
from cnndsl.ops.elementwise import add
from cnndsl.ops.evaluate import evaluate
from cnndsl.ops.rules import Array, Sample
from cnndsl.ops.scalar import ScalarProgram, ScalarStep
from tests.backends.cpu.machine import Function, feeds_of, gap, needs_jit, target_called
from tests.backends.cpu.test_conv import SAME, Case, compiled, eager, run

pytestmark = needs_jit

__all__ = ["eager"]

BOUND = {"winograd2": 3e-6, "winograd4": 2e-5}
"""Largest difference relative to the largest result, in single precision.

A rounding error of a product reaches results multiplied by at most the square of the largest sum
of magnitudes in a row of A' (3 for F(2,3), 7.4 for F(4,3)); transformed images and filters are
larger than what they come from by such sums of B' and G. At worst that is some hundred roundings
of 6e-8 for F(2,3), some thousand for F(4,3); errors of either sign reach a tenth of it or less.
"""


@pytest.mark.parametrize(("outputs", "taps"), [(2, 3), (4, 3), (3, 4), (3, 2), (2, 5)])
def test_the_matrices_filter(outputs: int, taps: int) -> None:
    form = minimal(outputs, taps)
    rng = np.random.default_rng(0)
    image, filter_ = rng.standard_normal(form.tile), rng.standard_normal(taps)
    products = (np.array(form.filter) @ filter_) * (np.array(form.image) @ image)
    expected = [image[i : i + taps] @ filter_ for i in range(outputs)]
    np.testing.assert_allclose(np.array(form.result) @ products, expected, atol=1e-12)


@pytest.mark.parametrize("which", ["image", "filter", "result"])
@pytest.mark.parametrize("outputs", [2, 4])
def test_transforms_multiply_from_both_sides(which: str, outputs: int) -> None:
    matrix = getattr(minimal(outputs, 3), which)
    size, wide = len(matrix[0]), F64.times(4)
    rng = np.random.default_rng(1)
    given = rng.standard_normal((size, size, 4))
    found = np.zeros((len(matrix), len(matrix), 4))

    def body(f: FunctionEmitter, arrays: Sequence[V]) -> None:
        grid = [
            [f.load(wide, arrays[0], (i * size + j) * 4) for j in range(size)] for i in range(size)
        ]
        for i, row in enumerate(sandwich(f, matrix, grid)):
            for j, value in enumerate(row):
                f.store(value, arrays[1], (i * len(matrix) + j) * 4)

    Function(body, 2, target_called("host"))(given, found)
    m = np.array(matrix)
    np.testing.assert_allclose(found, np.einsum("ia,abl,jb->ijl", m, given, m), atol=1e-12)


@pytest.mark.parametrize(("kind", "lanes"), [(F32, 16), (F32, 8), (F32, 4), (F64, 8), (F64, 2)])
def test_squares_are_turned(kind: LType, lanes: int) -> None:
    dtype = np.float32 if kind is F32 else np.float64
    given = np.arange(lanes * lanes, dtype=dtype).reshape(lanes, lanes)
    found = np.zeros_like(given)

    def body(f: FunctionEmitter, arrays: Sequence[V]) -> None:
        rows = [f.load(kind.times(lanes), arrays[0], i * lanes) for i in range(lanes)]
        for i, value in enumerate(turn(f, rows)):
            f.store(value, arrays[1], i * lanes)

    Function(body, 2, target_called("host"))(given, found)
    assert np.array_equal(found, given.T)


SHAPES = {
    "many blocks": Case((1, 16, 60, 58), (32, 16, 3, 3), SAME),
    "blocks upon blocks": Case(
        (2, 20, 27, 30), (24, 20, 3, 3), SlideAttrs(padding=((0, 2), (1, 0)))
    ),
    "several images a block": Case((5, 33, 7, 7), (50, 33, 3, 3), SAME),
    "groups": Case((2, 32, 14, 13), (36, 16, 3, 3), SlideAttrs(padding=((1, 1), (1, 1)), groups=2)),
    "few of everything": Case((1, 1, 1, 1), (1, 1, 3, 3), SAME),
    "one row": Case((1, 3, 3, 19), (5, 3, 3, 3)),
}


def winograd(name: str) -> Policy:
    return Policy(algorithms={"node": name})


@pytest.mark.parametrize("target", ["host", "haswell"])
@pytest.mark.parametrize("name", BOUND)
@pytest.mark.parametrize("shape", SHAPES)
def test_errors_stay_within_what_the_transforms_allow(shape: str, name: str, target: str) -> None:
    for op in (conv2d, conv2d_grad_input):
        sample = SHAPES[shape].sample(op)
        executable = compiled(op, sample, target=target_called(target), policy=winograd(name))
        assert executable.kernel(NodeId("node")).algorithm == name
        feeds = feeds_of(op, 0, sample)
        expected = evaluate(executable.plan.graph, feeds, dtype=DType.F64)["y0"]
        assert gap(run(executable, op, sample), expected) < BOUND[name]


@pytest.mark.parametrize("target", ["host", "haswell"])
@pytest.mark.parametrize("groups", [1, 2])
def test_filters_of_five_taps_each_way_are_computed_so_too(groups: int, target: str) -> None:
    attrs = SlideAttrs(padding=((2, 2), (0, 3)), groups=groups)
    case = Case((2, 24, 13, 29), (36, 24 // groups, 5, 5), attrs)
    for op in (conv2d, conv2d_grad_input):
        sample = case.sample(op)
        executable = compiled(
            op, sample, target=target_called(target), policy=winograd("winograd2")
        )
        assert executable.kernel(NodeId("node")).algorithm == "winograd2"
        feeds = feeds_of(op, 0, sample)
        expected = evaluate(executable.plan.graph, feeds, dtype=DType.F64)["y0"]
        assert gap(run(executable, op, sample), expected) < BOUND["winograd4"]


@pytest.mark.parametrize("target", ["host", "haswell"])
@pytest.mark.parametrize("shape", SHAPES)
def test_gradients_of_weights_are_what_the_reference_says(shape: str, target: str) -> None:
    op = conv2d_grad_weight
    sample = SHAPES[shape].sample(op)
    executable = compiled(op, sample, target=target_called(target), policy=winograd("winograd"))
    assert executable.kernel(NodeId("node")).algorithm == "winograd"
    expected = evaluate(executable.plan.graph, feeds_of(op, 0, sample), dtype=DType.F64)["y0"]
    assert gap(run(executable, op, sample), expected) < BOUND["winograd4"]


@pytest.mark.usefixtures("eager")
def test_the_bits_of_a_weights_gradient_do_not_depend_on_the_number_of_threads() -> None:
    sample = Case((6, 80, 14, 14), (70, 80, 3, 3), SAME).sample(conv2d_grad_weight)
    found: list[Array] = []
    for threads in (1, 2, 3, 8):
        policy = winograd("winograd")
        executable = compiled(conv2d_grad_weight, sample, threads=threads, policy=policy)
        found.append(run(executable, conv2d_grad_weight, sample))
    assert all(np.array_equal(found[0], other) for other in found[1:])


@pytest.mark.parametrize("name", BOUND)
def test_double_precision_is_as_good_as_it_should_be(name: str) -> None:
    sample = SHAPES["blocks upon blocks"].sample(conv2d)
    executable = compiled(conv2d, sample, DType.F64, policy=winograd(name))
    expected = evaluate(executable.plan.graph, feeds_of(conv2d, 0, sample), dtype=DType.F64)["y0"]
    assert gap(run(executable, conv2d, sample), expected) < BOUND[name] * 1e-8


def test_bias_and_residual_are_added_before_results_are_stored() -> None:
    steps = (ScalarStep(add, Attrs(), (0, 1)), ScalarStep(relu, Attrs(), (2,)))
    attrs = Conv2dAttrs(padding=SAME.padding, has_bias=True, epilogue=ScalarProgram(2, steps))
    types = (f32(2, 16, 13, 18), f32(20, 16, 3, 3), f32(20), f32(2, 20, 13, 18))
    for bias in (types[2], f32(20, 13, 18)):
        sample = Sample((*types[:2], bias, types[3]), attrs)
        executable = compiled(conv2d, sample, policy=winograd("winograd4"))
        expected = evaluate(executable.plan.graph, feeds_of(conv2d, 0, sample), dtype=DType.F64)
        assert gap(run(executable, conv2d, sample), expected["y0"]) < BOUND["winograd4"]


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("shape", ["many blocks", "several images a block", "groups"])
def test_the_bits_do_not_depend_on_the_number_of_threads(shape: str) -> None:
    sample = SHAPES[shape].sample(conv2d)
    found: list[Array] = []
    for threads in (1, 2, 3, 4, 8):
        executable = compiled(conv2d, sample, threads=threads, policy=winograd("winograd4"))
        found.append(run(executable, conv2d, sample))
    assert all(np.array_equal(found[0], other) for other in found[1:])


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("shape", SHAPES)
def test_filters_that_no_cache_holds_are_gone_through_once(
    shape: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sample = SHAPES[shape].sample(conv2d)
    near = compiled(conv2d, sample, policy=winograd("winograd4"))
    monkeypatch.setattr(winograd_module, "SHARED_SIZE", 0)
    monkeypatch.setattr(winograd_cuts, "SHARED_SIZE", 0)
    expected = evaluate(near.plan.graph, feeds_of(conv2d, 0, sample), dtype=DType.F64)["y0"]
    found: list[Array] = []
    for threads in (1, 2, 3):
        far = compiled(conv2d, sample, threads=threads, policy=winograd("winograd4"))
        # Tiles are transformed in a phase of their own.
        assert len(far.kernel(NodeId("node")).phases) == 3
        found.append(run(far, conv2d, sample))
    assert gap(found[0], expected) < BOUND["winograd4"]
    assert all(np.array_equal(found[0], other) for other in found[1:])


@pytest.mark.usefixtures("eager")
def test_two_units_transform_all_tiles_each() -> None:
    found: dict[int, int] = {}
    for filters in (16, 64, 160):
        sample = Case((1, 32, 14, 14), (filters, 32, 3, 3), SAME).sample(conv2d)
        outputs: list[Array] = []
        for threads in (1, 2, 3):
            executable = compiled(conv2d, sample, threads=threads, policy=winograd("winograd4"))
            outputs.append(run(executable, conv2d, sample))
        phases = executable.kernel(NodeId("node")).phases
        found[filters] = len(phases)
        expected = evaluate(executable.plan.graph, feeds_of(conv2d, 0, sample), dtype=DType.F64)
        assert gap(outputs[0], expected["y0"]) < BOUND["winograd4"]
        assert all(np.array_equal(outputs[0], other) for other in outputs[1:])
    # Filters, then products; of more units tiles are transformed in between.
    assert (found[16], found[64], found[160]) == (2, 2, 3)


def test_blocks_are_larger_where_filters_come_from_memory() -> None:
    def cuts(channels: int) -> Cuts:
        x, weight = (8, channels, 28, 28), (channels, channels, 3, 3)
        return cut_tiles(forward_taps(SAME, x, weight, x), 4, item=4)

    assert cuts(128).tiles == 7  # of a row of tiles
    assert cuts(512).tiles == 98  # of two images


def test_room_is_made_for_results_that_no_core_holds() -> None:
    def made(images: int) -> int:
        sample = Case((images, 16, 32, 32), (32, 16, 3, 3), SAME).sample(conv2d)
        text = compiled(conv2d, sample, policy=winograd("winograd4")).kernel(NodeId("node")).text
        return text.count("i32 1, i32 3, i32 1)")

    assert made(1) == 0
    assert made(64) > 0


def test_exact_precision_forbids_it() -> None:
    sample = Case((1, 32, 28, 28), (32, 32, 3, 3), SAME).sample(conv2d)
    policy = Policy(precision="exact", algorithms={"conv2d": "winograd4"})
    algorithm = compiled(conv2d, sample, policy=policy).kernel(NodeId("node")).algorithm
    assert algorithm.startswith("direct")


def test_only_filters_of_nine_taps_at_every_pixel_fit() -> None:
    shapes = (1, 4, 9, 9), (4, 4, 3, 3)
    assert fits_winograd(forward_taps(SAME, *shapes, (1, 4, 9, 9)))
    assert fits_winograd(gradient_taps(SAME, (1, 4, 9, 9), shapes[1], shapes[0])[0])
    strided = SlideAttrs(strides=(2, 2))
    assert not fits_winograd(forward_taps(strided, *shapes, (1, 4, 4, 4)))
    assert not any(
        fits_winograd(part) for part in gradient_taps(strided, (1, 4, 4, 4), shapes[1], shapes[0])
    )
    dilated = SlideAttrs(dilations=(2, 2))
    assert not fits_winograd(forward_taps(dilated, *shapes, (1, 4, 5, 5)))
    five = forward_taps(SAME, (1, 4, 9, 9), (4, 4, 5, 5), (1, 4, 7, 7))
    assert not fits_winograd(five)
    assert fits_winograd(five, 5)


def test_blocks_cover_the_tiles_of_every_image() -> None:
    for size in (7, 14, 28, 56, 224):
        for images in (1, 8):
            sums = forward_taps(
                SAME, (images, 64, size, size), (64, 64, 3, 3), (images, 64, size, size)
            )
            cuts = cut_tiles(sums, 4, item=4)
            whole = (images, *cuts.grid)
            covered = [each * count for each, count in zip(cuts.block, cuts.blocks, strict=True)]
            assert all(a >= b for a, b in zip(covered, whole, strict=True))
            assert cuts.tiles <= 128
