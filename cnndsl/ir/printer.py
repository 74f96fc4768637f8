"""Graph to text: deterministic, exact, and read back by ir/parser.py to an equal graph."""

from __future__ import annotations

import json
import re
from typing import Any

from cnndsl.ir.attributes import format_fields
from cnndsl.ir.graph import Graph, Node, format_ref

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


def format_label(name: str) -> str:
    """Give a graph's or output's name, in quotes where it is not a plain word."""
    return name if _PLAIN_NAME.fullmatch(name) else json.dumps(name)


def _origin(node: Node[Any]) -> str:
    origin = node.origin
    words = [f"by {origin.made_by}"]
    if origin.of is not None:
        words.append(f"for {origin.of}")
    if origin.span is not None:
        words.append(f"at {origin.span}")
    return " ".join(words)
