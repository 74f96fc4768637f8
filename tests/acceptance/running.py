"""Runs a small program on arrays, to compare it with the numbers of a slide."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike

from cnndsl.frontend.elaborate import elaborate
from cnndsl.frontend.lower import lower
from cnndsl.frontend.parse import parse
from cnndsl.ir.types import DType
from cnndsl.layers.initializers import initial_state
from cnndsl.ops.evaluate import evaluate
from cnndsl.ops.rules import Array


def run(
    program: str,
    image: ArrayLike,
    weights: Mapping[str, Array] | None = None,
    *,
    training: bool = False,
) -> Array:
    """Give the result of a program for one input, [H, W] or [H, W, C] or [C], in that layout."""
    graph = lower(elaborate(parse(program)).network, batch=1, dtype=DType.F64, training=training)
    state = {**initial_state(graph, 0), **(weights or {})}
    array = np.asarray(image, dtype=np.float64)
    if array.ndim == 2:
        array = array[:, :, None]
    fed = np.moveaxis(array, -1, 0)[None]
    made = evaluate(graph, {**state, "input": fed})["output"][0]
    result: Array = np.moveaxis(made, 0, -1).squeeze()
    return result
