"""The check of gradients against central differences, in double precision."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from cnndsl.autodiff.backward import backward
from cnndsl.ir.graph import Graph, Value
from cnndsl.ir.types import DType
from cnndsl.ops.evaluate import evaluate_values
from cnndsl.ops.rules import Array
from cnndsl.ops.structural import input_, parameter

STEP = 1e-5
"""Widest step to either side: truncation, about STEP^2, and rounding, about 1e-16/STEP, balance."""


@dataclass(frozen=True, slots=True)
class Kink:
    """A point where the loss has no derivative along one element, so that none can be checked."""

    value: Value
    """The input or parameter."""
    index: tuple[int, ...]
    """Which element of it."""
    left: float
    """Slope of the loss to the left."""
    right: float
    """Slope of the loss to the right."""
    gradient: float
    """What the graph says."""

    @property
    def lies_between(self) -> bool:
        """Whether the graph's gradient lies between the slopes, as a subgradient does."""
        low, high = sorted((self.left, self.right))
        slack = 1e-6 * max(1.0, abs(low), abs(high))
        return low - slack <= self.gradient <= high + slack


@dataclass(frozen=True, slots=True)
class GradientReport:
    """How well the gradients of a graph agree with differences of its loss."""

    errors: Mapping[Value, float]
    """Worst error of each value's gradient, as a share of its largest element (or of a
    ten-thousandth of the loss, if that is more: no difference resolves less)."""
    kinks: tuple[Kink, ...]
    """Elements where the loss bends; they are in no error, but never left unsaid."""
    checked: int
    """How many elements were compared."""

    @property
    def worst(self) -> float:
        """The largest error of all values."""
        return max(self.errors.values(), default=0.0)


def check_gradient(
    graph: Graph,
    loss: Value,
    wrt: Sequence[Value],
    feeds: Mapping[str, Array],
    *,
    limit: int | None = None,
    seed: int | None = None,
) -> GradientReport:
    """Compare `backward` with differences of `loss` by every element of `wrt`.

    `wrt` are inputs and parameters of `graph`; `feeds` gives an array for each that the loss needs.
    All floats are computed as float64. With `limit`, so many elements of each value: evenly
    spaced, or drawn at random from `seed`. Raises `ValueError` for a value that is not fed.
    """
    for value in wrt:
        if graph[value].op not in (input_, parameter):
            raise ValueError(f"{value} is no input or parameter, so it cannot be moved")
    extended, grads = backward(graph, loss, wrt)
    base = {
        name: np.asarray(array, np.float64) if np.asarray(array).dtype.kind == "f" else array
        for name, array in feeds.items()
    }
    found = evaluate_values(extended, [grads[v] for v in wrt] + [loss], base, dtype=DType.F64)
    floor = 1e-4 * abs(float(found[loss]))
    errors: dict[Value, float] = {}
    kinks: list[Kink] = []
    checked = 0
    for value in wrt:
        gradient = found[grads[value]]
        elements = _chosen(gradient.size, limit, seed)
        differences = np.zeros(len(elements))
        scale = max(floor, float(np.abs(gradient).max(initial=0.0)))
        for position, element in enumerate(elements):
            slopes = _slopes(graph, loss, value, element, base)
            index = tuple(int(i) for i in np.unravel_index(element, gradient.shape))
            here = float(gradient[index])
            if _bends(slopes, scale):
                left, right = slopes[0]
                kinks.append(Kink(value, index, left, right, here))
                continue
            checked += 1
            central = sum(slopes[0]) / 2
            scale = max(scale, abs(central))
            differences[position] = abs(central - here)
        errors[value] = float(differences.max(initial=0.0)) / scale if scale > 0 else 0.0
    return GradientReport(errors, tuple(kinks), checked)


def _chosen(size: int, limit: int | None, seed: int | None) -> list[int]:
    if limit is None or size <= limit:
        return list(range(size))
    if seed is not None:
        drawn = np.random.default_rng(seed).choice(size, limit, replace=False, shuffle=False)
        return sorted(map(int, drawn))
    return sorted({int(i) for i in np.linspace(0, size - 1, limit)})


def _slopes(
    graph: Graph, loss: Value, value: Value, element: int, feeds: Mapping[str, Array]
) -> list[tuple[float, float]]:
    """Give the slopes to the (left, right) of one element, at a step, its half and its quarter."""
    at = _along(graph, loss, value, element, feeds)
    middle = at(0.0)
    return [
        ((middle - at(-step)) / step, (at(step) - middle) / step)
        for step in (STEP, STEP / 2, STEP / 4)
    ]


def _along(
    graph: Graph, loss: Value, value: Value, element: int, feeds: Mapping[str, Array]
) -> Callable[[float], float]:
    def at(distance: float) -> float:
        moved = np.array(feeds[value.node], dtype=np.float64)
        moved.flat[element] += distance
        return float(
            evaluate_values(graph, [loss], {**feeds, value.node: moved}, dtype=DType.F64)[loss]
        )

    return at


def _bends(slopes: Sequence[tuple[float, float]], scale: float) -> bool:
    """Tell a kink from curvature: that halves with the step, wherever near by the kink lies."""
    bends = [abs(right - left) for left, right in slopes]
    if max(bends) <= 1e-5 * scale:
        return False
    ratios = [small / large if large > 0 else 0.0 for large, small in pairwise(bends)]
    return not all(0.4 < ratio < 0.6 for ratio in ratios)
