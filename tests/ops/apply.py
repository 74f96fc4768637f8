"""One op on arrays: its results and its gradients, for the tests of this folder."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from cnndsl.ir.builder import Builder
from cnndsl.ir.graph import Graph, Node, Value
from cnndsl.ir.op import Attrs, Op
from cnndsl.ir.types import DType, TensorType
from cnndsl.ops.evaluate import evaluate_values
from cnndsl.ops.rules import Array, vjp
from cnndsl.ops.structural import InputAttrs, input_


def build(op: Op[Any], arrays: list[Array], attrs: Attrs | None) -> tuple[Graph, Node[Any]]:
    """Make a graph of the op over inputs "x0", "x1", ... of the arrays' types."""
    graph = Graph("apply")
    b = Builder(graph)
    operands = []
    for index, array in enumerate(arrays):
        kind = TensorType(DType.of(array.dtype), array.shape)
        operands.append(b.emit(input_, attrs=InputAttrs(kind), name=f"x{index}"))
    results = b.emit_all(op, *operands, attrs=attrs, name="node")
    return graph, graph[results[0]]


def apply_all(op: Op[Any], *given: npt.ArrayLike, attrs: Attrs | None = None) -> list[Array]:
    """Give all results of the op on arrays."""
    arrays = [np.asarray(array) for array in given]
    graph, node = build(op, arrays, attrs)
    feeds = {f"x{index}": array for index, array in enumerate(arrays)}
    return list(evaluate_values(graph, node.results, feeds).values())


def apply(op: Op[Any], *given: npt.ArrayLike, attrs: Attrs | None = None) -> Array:
    """Give the first result of the op on arrays."""
    return apply_all(op, *given, attrs=attrs)[0]


def gradients(
    op: Op[Any],
    *given: npt.ArrayLike,
    attrs: Attrs | None = None,
    weights: npt.ArrayLike | None = None,
) -> list[Array]:
    """Give the gradient of each operand when that of the first result is `weights`, or ones."""
    found = gradients_or_none(op, *given, attrs=attrs, weights=weights)
    present = [array for array in found if array is not None]
    assert len(present) == len(found), f"{op.name} gives an operand no gradient"
    return present


def gradients_or_none(
    op: Op[Any],
    *given: npt.ArrayLike,
    attrs: Attrs | None = None,
    weights: npt.ArrayLike | None = None,
) -> list[Array | None]:
    """As `gradients`, for ops that give some operand none."""
    arrays = [np.asarray(array) for array in given]
    graph, node = build(op, arrays, attrs)
    b = Builder(graph)
    feeds = {f"x{index}": array for index, array in enumerate(arrays)}
    dtype = node.type.dtype.numpy
    feeds["g"] = np.asarray(np.ones(node.type.shape) if weights is None else weights, dtype=dtype)
    rest: list[Value | None] = [None] * (len(node.types) - 1)
    grad = b.emit(input_, attrs=InputAttrs(node.type), name="g")
    found = vjp[op](b, node, grad, *rest)
    known = evaluate_values(graph, [value for value in found if value is not None], feeds)
    return [None if value is None else known[value] for value in found]
