"""Where maxima are, with ties and without numbers; gradients of windows that overlap."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cnndsl.backends.cpu.backend import CpuBackend
from cnndsl.ir.op import Attrs, Op
from cnndsl.ir.types import DType, TensorType, f32
from cnndsl.ops.evaluate import evaluate
from cnndsl.ops.magnitude import largest_magnitude
from cnndsl.ops.pool import (
    AvgPool2dGradAttrs,
    Pool2dAttrs,
    avg_pool2d_grad,
    max_pool2d,
    max_pool2d_gather,
    max_pool2d_grad,
)
from cnndsl.ops.reduce import (
    ArgmaxAttrs,
    ReduceAttrs,
    argmax,
    reduce_max_grad,
    reduce_max_pick,
)
from cnndsl.ops.rules import Array, Sample
from cnndsl.ops.window import Padding, Pair
from cnndsl.plan.memory import make_plan
from tests.backends.cpu.machine import gap, graph_of, needs_jit, target_called

pytestmark = needs_jit


def compare(op: Op[Any], attrs: Attrs, arrays: list[Array], *, target: str) -> float:
    """Give how far the processor is from the reference; not a number matches itself."""
    kinds = tuple(TensorType(DType.F32, array.shape) for array in arrays)
    graph = graph_of(op, Sample(kinds, attrs), DType.F32)
    given = {f"x{i}": array.astype(np.float32) for i, array in enumerate(arrays)}
    found = CpuBackend(threads=2, target=target_called(target)).compile(make_plan(graph)).run(given)
    expected = evaluate(graph, given)
    return max(gap(np.nan_to_num(found[n]), np.nan_to_num(expected[n])) for n in expected)


def with_ties(shape: tuple[int, ...], seed: int) -> Array:
    """Draw few different numbers, some of them infinite or none at all."""
    rng = np.random.default_rng(seed)
    array = rng.integers(0, 4, shape).astype(np.float32)
    array[rng.random(shape) < 0.02] = -np.inf
    array[rng.random(shape) < 0.01] = np.nan
    array.reshape(-1, shape[-1])[0] = -np.inf
    return array


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize(("array", "place"), [(0, 0), (0, 32_999), (1, 16_384), (1, 39_999)])
@pytest.mark.parametrize("target", ["host", "haswell"])
def test_a_number_that_is_not_finite_is_the_largest_magnitude(
    array: int, place: int, bad: float, target: str
) -> None:
    arrays = [np.linspace(-1, 1, 33_000), np.linspace(-1, 1, 40_000)]
    arrays[array][place] = bad
    assert compare(largest_magnitude, Attrs(), arrays, target=target) == 0


SHAPES = [
    ((7, 40), 1),
    ((40, 37), 0),
    ((3, 5, 35), 1),
    ((2, 3, 21, 33), 1),
    ((9, 10), 1),
    ((50,), 0),
]


@pytest.mark.parametrize("target", ["host", "haswell"])
@pytest.mark.parametrize(("shape", "axis"), SHAPES)
def test_the_first_maximum_is_found(shape: tuple[int, ...], axis: int, target: str) -> None:
    for seed in range(3):
        x = with_ties(shape, seed)
        assert compare(argmax, ArgmaxAttrs(axis), [x], target=target) == 0


@pytest.mark.parametrize("target", ["host", "haswell"])
@pytest.mark.parametrize("shape", [(7, 40), (40, 37), (3, 5, 35), (2, 18, 5, 4)])
def test_gradients_of_maxima_go_to_the_first_one(shape: tuple[int, ...], target: str) -> None:
    rng = np.random.default_rng(1)
    x, values = with_ties(shape, 2), rng.normal(size=shape)
    for axes in {(0,), (1,), (len(shape) - 1,), (0, len(shape) - 1), tuple(range(len(shape)))}:
        kept = tuple(n for i, n in enumerate(shape) if i not in axes)
        attrs = ReduceAttrs(axes)
        grad = rng.normal(size=kept)
        assert compare(reduce_max_grad, attrs, [grad, x], target=target) == 0
        assert compare(reduce_max_pick, attrs, [values, x], target=target) == 0


NONE: Padding = ((0, 0), (0, 0))
WINDOWS: list[tuple[Pair, Pair, Padding]] = [
    ((3, 3), (2, 2), NONE),
    ((3, 3), (2, 2), ((1, 0), (1, 0))),
    ((3, 3), (1, 1), ((1, 1), (1, 1))),
    ((2, 5), (3, 3), NONE),
    ((5, 2), (1, 4), ((2, 1), (0, 1))),
    ((2, 2), (2, 2), NONE),
    ((3, 7), (2, 5), ((0, 1), (3, 3))),
    ((8, 8), (2, 3), ((1, 2), (3, 0))),
]
"""Window, strides, padding: overlapping, apart, with gaps, wider than a group of taps."""


@pytest.mark.parametrize("target", ["host", "haswell"])
@pytest.mark.parametrize(("window", "strides", "padding"), WINDOWS)
def test_gradients_of_pools_add_up(
    window: Pair, strides: Pair, padding: Padding, target: str
) -> None:
    rng = np.random.default_rng(3)
    for image in ((2, 3, 13, 41), (1, 2, 9, 8)):
        attrs = Pool2dAttrs(window, strides, padding)
        (kind,) = max_pool2d.infer(attrs, f32(*image))
        x, grad = rng.integers(0, 9, image).astype(float), rng.normal(size=kind.shape)
        assert compare(max_pool2d_grad, attrs, [x, grad], target=target) < 1e-6
        assert compare(max_pool2d_gather, attrs, [x, rng.normal(size=image)], target=target) == 0
        for counted in (False, True):
            record = AvgPool2dGradAttrs(window, strides, padding, counted, image)
            assert compare(avg_pool2d_grad, record, [grad], target=target) < 1e-6
