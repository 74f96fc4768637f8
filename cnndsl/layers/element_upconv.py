"""Transposed convolution, one number by hand: which pixels' windows reach it, and the sum."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from cnndsl.layers.element_parts import Element, Place, Plane, Seen, Step, counted, show
from cnndsl.layers.network import Layer
from cnndsl.layers.upconv import Spread, UpConv

Whole = npt.NDArray[np.int64]


def _met(axis: Spread, at: int) -> tuple[Whole, Whole]:
    """Give the pixels of the input whose windows reach place `at`, and the tap of each."""
    pixels = np.arange(axis.length)
    reached = at + axis.pads[0] - pixels * axis.stride
    taps = reached // axis.dilation
    kept = (reached >= 0) & (reached % axis.dilation == 0) & (taps < axis.window)
    return pixels[kept], taps[kept]


def reach_back(layer: Layer, at: Place) -> tuple[tuple[int, int], tuple[int, int]] | None:
    """Give the rows and columns of the pixels whose windows reach `at`; nothing if none do."""
    kind = layer.spec.kind
    assert isinstance(kind, UpConv)
    down, across = kind.spread(layer.spec, layer.input_sizes)
    (rows, _), (columns, _) = _met(down, at[0]), _met(across, at[1])
    if not rows.size or not columns.size:
        return None
    return (int(rows[0]), int(rows[-1])), (int(columns[0]), int(columns[-1]))


def worked_upconv(seen: Seen, at: Place) -> Element:
    """Add up the pixels whose windows reach `at`, each times the weight that lies there."""
    kind = seen.spec.kind
    assert isinstance(kind, UpConv)
    row, column, filter_ = at
    down, across = kind.spread(seen.spec, seen.layer.input_sizes)
    (rows, row_taps), (columns, column_taps) = _met(down, row), _met(across, column)
    weight = seen.parameters["weight"]
    depth = weight.shape[1]
    group, own = divmod(filter_, depth)
    each = weight.shape[0] // seen.spec.count("groups")
    channels = range(group * each, (group + 1) * each)
    planes = []
    for channel in channels:
        values = seen.inputs[0][channel][np.ix_(rows, columns)]
        weights = weight[channel, own][np.ix_(row_taps, column_taps)]
        planes.append(Plane(f"channel {channel}", values, weights, values * weights))
    products = [plane.products for plane in planes if plane.products is not None]
    total = math.fsum(float(number) for one in products for number in one.ravel())
    number = sum(one.size for one in products)
    steps = [Step(f"sum of {counted(number, 'product')}", total)]
    if "bias" in seen.parameters:
        bias = float(seen.parameters["bias"][filter_])
        steps.append(Step(f"plus the bias {show(bias)}", total + bias))
    shown = tuple(planes) if number else ()
    return Element(at, steps[-1].value, tuple(steps), shown, reach_back(seen.layer, at))
