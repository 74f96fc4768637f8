"""Gradients of small networks against differences of their loss."""

from __future__ import annotations

import numpy as np

from cnndsl.autodiff.check_gradient import check_gradient
from cnndsl.frontend.lower import lower
from cnndsl.ir.types import DType
from cnndsl.layers.initializers import initial_state
from cnndsl.model import Model
from cnndsl.ops.rules import Array
from cnndsl.ops.structural import input_, parameter


def worst_gradient(text: str, *, limit: int | None = None, seed: int = 3) -> float:
    """Give the worst error of the gradient of a classifier of 2 images, by input and weights."""
    network = Model.from_text(text).network
    graph = lower(network, batch=2, training=True, dtype=DType.F64, loss="crossentropy")
    rng = np.random.default_rng(seed)
    feeds: dict[str, Array] = {}
    for name, array in initial_state(graph, seed=1).items():
        feeds[name] = array + 0.3 * rng.normal(size=array.shape)
    wrt = []
    for node in graph.nodes():
        if node.op is input_ and node.id != "target":
            feeds[node.id] = rng.normal(size=node.type.shape)
        if node.op in (input_, parameter) and node.type.dtype.is_float:
            wrt.append(node.results[0])
    feeds["target"] = rng.integers(0, 2, size=2)
    report = check_gradient(graph, graph.outputs["loss"], wrt, feeds, limit=limit)
    assert len(report.errors) == len(wrt)
    assert not report.kinks
    return report.worst
