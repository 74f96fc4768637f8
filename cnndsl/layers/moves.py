"""Layers that only move numbers: where the number at a place of the result comes from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cnndsl.ir.builder import Builder
from cnndsl.ir.graph import Graph, NodeId
from cnndsl.ir.types import DType, TensorType
from cnndsl.layers.base import LayerContext, batched
from cnndsl.layers.element_parts import Element, Place, Seen, Step
from cnndsl.layers.network import Layer
from cnndsl.ops.evaluate import evaluate_values
from cnndsl.ops.rules import Array
from cnndsl.ops.structural import InputAttrs, input_

MOVES = frozenset(("id", "flatten", "reshape", "pad", "crop", "concat", "dropout", "shuffle"))
"""Kinds that, at inference, give each number as it came, or a zero of a border."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a number comes from."""

    stream: int
    """Which of the layer's inputs."""
    at: Place
    """Where in it."""


def origin_of(layer: Layer, at: Place) -> Origin | None:
    """Find where the number at `at` comes from; nothing if it is a border's zero.

    The layer is run on numbers that say where they stand, so that the answer is that of its own
    definition.
    """
    graph = Graph(layer.name)
    b = Builder(graph)
    values = []
    feeds: dict[str, Array] = {}
    first = 1
    starts = []
    for number, size in enumerate(layer.input_sizes):
        shape = batched(size, 1)
        name = NodeId(f"input.{number}")
        values.append(b.emit(input_, attrs=InputAttrs(TensorType(DType.F64, shape)), name=name))
        count = int(np.prod(shape))
        feeds[name] = np.arange(first, first + count, dtype=np.float64).reshape(shape)
        starts.append(first)
        first += count
    context = LayerContext(
        b,
        name="moved",
        parameters={},
        parameters_of="moved",
        training=False,
        dtype=DType.F64,
        trainable=False,
        random=None,
    )
    result = layer.spec.kind.emit(context, layer.spec, *values)
    (moved,) = evaluate_values(graph, [result], feeds)[result]
    index = int(moved[(at[-1], *at[:-1])])
    if index == 0:
        return None
    stream = max(number for number, start in enumerate(starts) if start <= index)
    size = layer.input_sizes[stream]
    shape = (size[-1], *size[:-1])
    channel, *place = (int(i) for i in np.unravel_index(index - starts[stream], shape))
    return Origin(stream, (*place, channel))


def moved(seen: Seen, at: Place) -> Element:
    """Say where the number at `at` comes from."""
    origin = origin_of(seen.layer, at)
    if origin is None:
        return Element(at, 0.0, (Step("a zero of the border", 0.0),))
    value = seen.number(origin.at, origin.stream)
    place = ", ".join(map(str, origin.at))
    name = seen.layer.inputs[origin.stream]
    return Element(at, value, (Step(f"the number of {name} at {place}", value),))
