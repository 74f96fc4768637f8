"""Graph to text: deterministic, exact, and read back by ir/parser.py to an equal graph."""

from __future__ import annotations

import base64
import dataclasses
import json
import math
import operator
import re
from enum import Enum
from typing import Any

import numpy as np

from cnndsl.ir.graph import Graph, Node, NodeId, Value
from cnndsl.ir.op import Op, ScalarChain
from cnndsl.ir.types import DType, TensorType
from cnndsl.support.diagnostics import VerifyError

_PLAIN_REF = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+/-]*")
_PLAIN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def print_graph(graph: Graph, *, origins: bool = False) -> str:
    """Give the text of `graph`: nodes in topological order, then outputs, then updates.

    With `origins` each node that has one is followed by a comment that says where it comes from.
    """
    lines = [f"graph {format_label(graph.name)} {{"]
    for node in graph.nodes():
        comment = f"  // {_origin(node)}" if origins else ""
        lines.append(f"  {format_node(node)}{comment}".rstrip())
    lines += [f"  output {format_label(n)} = {format_ref(v)}" for n, v in graph.outputs.items()]
    lines += [
        f"  update {format_ref(parameter)} = {format_ref(value)}"
        for parameter, value in graph.updates.items()
    ]
    return "\n".join([*lines, "}"]) + "\n"


def graphs_equal(a: Graph, b: Graph) -> bool:
    """Tell whether two graphs have the same name, nodes, outputs and updates, in whatever age.

    Attributes are compared as they are printed, so that -0.0 differs from 0.0 and a NaN equals
    itself; origins do not count.
    """
    return (
        a.name == b.name
        and list(a.outputs.items()) == list(b.outputs.items())
        and list(a.updates.items()) == list(b.updates.items())
        and {format_node(node) for node in a.nodes()} == {format_node(node) for node in b.nodes()}
    )


def format_node(node: Node[Any]) -> str:
    """Give the line of one node: `%y = relu(%x) : f32[2,3]`."""
    operands = ", ".join(format_ref(value) for value in node.operands)
    attrs = format_fields(node.attrs)
    types = ", ".join(map(str, node.types))
    return (
        f"{format_ref(node.id)} = {node.op.name}"
        + (f"({operands})" if operands else "")
        + (f" {{{attrs}}}" if attrs else "")
        + f" : {types}"
    )


def format_ref(ref: NodeId | Value) -> str:
    """Give a value or node as it is written: `%conv1.weight`, `%bn1#2`."""
    node, index = (ref.node, ref.index) if isinstance(ref, Value) else (ref, 0)
    name = node if _PLAIN_REF.fullmatch(node) else json.dumps(node)
    return f"%{name}" if index == 0 else f"%{name}#{index}"


def format_label(name: str) -> str:
    """Give a graph's or output's name, in quotes where it is not a plain word."""
    return name if _PLAIN_NAME.fullmatch(name) else json.dumps(name)


def format_fields(record: object) -> str:
    """Give the fields of a record that differ from their defaults: `strides=(2, 2), groups=4`."""
    assert dataclasses.is_dataclass(record)
    shown: list[str] = []
    for entry in dataclasses.fields(record):
        text = format_attribute(getattr(record, entry.name))
        default: object = entry.default
        if entry.default_factory is not dataclasses.MISSING:
            default = entry.default_factory()
        # Texts are compared, not values: True == 1 and -0.0 == 0.0, but they are not the same.
        if default is dataclasses.MISSING or format_attribute(default) != text:
            shown.append(f"{entry.name}={text}")
    return ", ".join(shown)


def format_attribute(value: object) -> str:
    """Give the text of one attribute value; raises `VerifyError` for what text cannot hold."""
    if value is None or isinstance(value, bool | np.bool_):
        return {None: "none", True: "true", False: "false"}[None if value is None else bool(value)]
    if isinstance(value, int | np.integer):
        return str(operator.index(value))
    if isinstance(value, float | np.floating):
        return _format_float(float(value))
    if isinstance(value, str):
        return json.dumps(value)
    if isinstance(value, bytes):
        return f'bytes"{base64.b64encode(value).decode("ascii")}"'
    if isinstance(value, tuple):
        inner = ", ".join(format_attribute(item) for item in value)
        return f"({inner},)" if len(value) == 1 else f"({inner})"
    return _format_object(value)


def _format_float(value: float) -> str:
    if math.isnan(value):
        return "nan"
    return repr(value)


def _format_object(value: object) -> str:
    if isinstance(value, TensorType):
        return str(value)
    if isinstance(value, DType):
        return value.value
    if isinstance(value, Op):
        return f"@{value.name}"
    if isinstance(value, Enum):
        return f"{type(value).__name__}.{value.name}"
    if isinstance(value, ScalarChain) and all(type(s.attrs) is s.op.attrs for s in value.steps):
        return _format_chain(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return f"{type(value).__name__}({format_fields(value)})"
    raise VerifyError(f"an attribute holds a {type(value).__name__}, which has no text: {value!r}")


def _format_chain(chain: ScalarChain) -> str:
    steps = []
    for step in chain.steps:
        attrs = format_fields(step.attrs)
        places = ", ".join(f"${place}" for place in step.operands)
        steps.append(f" {step.op.name}({places})" + (f" {{{attrs}}}" if attrs else ""))
    return f"[{chain.inputs}:{','.join(steps)}]"


def _origin(node: Node[Any]) -> str:
    origin = node.origin
    words = [f"by {origin.made_by}"]
    if origin.of is not None:
        words.append(f"for {origin.of}")
    if origin.span is not None:
        words.append(f"at {origin.span}")
    return " ".join(words)
