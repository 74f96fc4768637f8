"""One number of an image that was scaled, by hand: a copy, or the blend of the pixels around."""

from __future__ import annotations

import math

import numpy as np

from cnndsl.layers.element_parts import Element, Place, Plane, Seen, Step, counted
from cnndsl.layers.network import Layer
from cnndsl.layers.resize import Resizing


def reach_of_resized(layer: Layer, at: Place) -> tuple[tuple[int, int], tuple[int, int]]:
    """Give the first and the last row and column that the number at `at` looks at."""
    kind = layer.spec.kind
    assert isinstance(kind, Resizing)
    down, across = kind.lines(layer.spec, layer.input_sizes)
    return down.tap(at[0])[:2], across.tap(at[1])[:2]


def worked_resize(seen: Seen, at: Place) -> Element:
    """Take the pixel, or each of those around times its share."""
    kind = seen.spec.kind
    assert isinstance(kind, Resizing)
    window = (rows, columns) = reach_of_resized(seen.layer, at)
    lines = kind.lines(seen.spec, seen.layer.input_sizes)
    channel = at[-1]
    if not lines[0].blends:
        place = (rows[0], columns[0], channel)
        text = f"the number of {seen.layer.inputs[0]} at {', '.join(map(str, place))}"
        value = seen.number(place)
        return Element(at, value, (Step(text, value),), (), window)
    shares = [line.tap(place)[2] for line, place in zip(lines, at[:2], strict=True)]
    weights = [
        np.array([1 - share, share] if ends[1] > ends[0] else [1.0])
        for share, ends in zip(shares, window, strict=True)
    ]
    pixels = np.arange(rows[0], rows[1] + 1), np.arange(columns[0], columns[1] + 1)
    values = seen.inputs[0][channel][np.ix_(*pixels)]
    weight = np.outer(*weights)
    products = values * weight
    total = math.fsum(products.ravel())
    step = Step(f"sum of {counted(products.size, 'product')}", total)
    plane = Plane(f"channel {channel}", values, weight, products)
    return Element(at, total, (step,), (plane,), window)
