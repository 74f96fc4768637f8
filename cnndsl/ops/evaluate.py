"""Evaluate a graph node by node with the reference rules: plain, and the measure of the rest."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields, replace
from typing import Any

import numpy as np

from cnndsl.ir.graph import Graph, Node, Value
from cnndsl.ir.op import Attrs
from cnndsl.ir.types import DType, TensorType
from cnndsl.ops.rules import Array, compute
from cnndsl.ops.structural import ConstantAttrs, input_, parameter


def evaluate(
    graph: Graph, feeds: Mapping[str, Array], *, dtype: DType | None = None
) -> dict[str, Array]:
    """Give the graph's outputs by name.

    `feeds` holds an array for each input and parameter that the outputs depend on, by node name,
    of the node's shape; more names do no harm. With `dtype`, every float of the graph is computed
    in that precision instead of its own. Raises `ValueError` for a feed that is missing or of
    another shape.
    """
    found = evaluate_values(graph, graph.outputs.values(), feeds, dtype=dtype)
    return {name: found[value] for name, value in graph.outputs.items()}


def evaluate_values(
    graph: Graph,
    values: Iterable[Value],
    feeds: Mapping[str, Array],
    *,
    dtype: DType | None = None,
) -> dict[Value, Array]:
    """Give the arrays of `values`, computing what they depend on and nothing else.

    As for `evaluate`; `graph.roots()` are the outputs and the updates.
    """
    wanted = list(values)
    needed = graph.ancestors(wanted)
    known: dict[Value, Array] = {}
    for node in graph.nodes():
        if node.id not in needed:
            continue
        here = node if dtype is None else node_in_precision(node, dtype)
        if node.op in (input_, parameter):
            results: tuple[Array, ...] = (_feed(here, feeds),)
        else:
            results = compute(here, *(known[operand] for operand in node.operands))
        known.update(zip(node.results, results, strict=True))
    return {value: known[value] for value in wanted}


def _feed(node: Node[Any], feeds: Mapping[str, Array]) -> Array:
    if node.id not in feeds:
        raise ValueError(f"no array is given for the {node.op.name} {node.id!r} ({node.type})")
    array = np.asarray(feeds[node.id], dtype=node.type.dtype.numpy)
    if array.shape != node.type.shape:
        raise ValueError(f"{node.id!r} is {node.type}; an array of shape {array.shape} is given")
    return array


def node_in_precision(node: Node[Any], dtype: DType) -> Node[Any]:
    """Give the node with every float type of its results and attributes replaced by `dtype`."""
    types = tuple(type_in_precision(kind, dtype) for kind in node.types)
    return replace(node, attrs=attrs_in_precision(node.attrs, dtype), types=types)


def type_in_precision(kind: TensorType, dtype: DType) -> TensorType:
    """Give the type with `dtype` instead of its own, if that is a float."""
    return kind.with_dtype(dtype) if kind.dtype.is_float else kind


def attrs_in_precision(attrs: Attrs, dtype: DType) -> Attrs:
    """Give attributes with `dtype` instead of every float type that they name."""
    if isinstance(attrs, ConstantAttrs):
        kind = type_in_precision(attrs.type, dtype)
        return ConstantAttrs.of(attrs.array.astype(kind.dtype.numpy))
    changed: dict[str, object] = {}
    for field in fields(attrs):
        value = getattr(attrs, field.name)
        if isinstance(value, TensorType):
            changed[field.name] = type_in_precision(value, dtype)
        elif isinstance(value, DType) and value.is_float:
            changed[field.name] = dtype
    return replace(attrs, **changed) if changed else attrs
