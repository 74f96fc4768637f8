"""Graph to Graphviz text; drawing it is left to Graphviz."""

from __future__ import annotations

import json
from typing import Any

from cnndsl.ir.attributes import format_fields
from cnndsl.ir.graph import Graph, Node, format_ref
from cnndsl.ir.op import Trait

_SHAPES = {"input": "invhouse", "parameter": "cylinder", "constant": "note", "full": "note"}


def to_dot(graph: Graph, *, structural: bool = True) -> str:
    """Give a `digraph`: a box a node with op, attributes and types; edges follow the data.

    Without `structural`, inputs stay and parameters and constants are left out. Updates are
    dashed edges back to their parameters; outputs are ellipses.
    """
    hidden = {
        node.id
        for node in graph.nodes()
        if not structural and Trait.STRUCTURAL in node.op.traits and node.op.name != "input"
    }
    lines = [f"digraph {json.dumps(graph.name)} {{", "  rankdir=TB;", "  node [shape=box];"]
    for node in graph.nodes():
        if node.id not in hidden:
            lines.append(f"  {json.dumps(node.id)} [{_style(node)}];")
    for node in graph.nodes():
        for value in node.operands:
            if value.node not in hidden and node.id not in hidden:
                label = f" [label={json.dumps(f'#{value.index}')}]" if value.index else ""
                lines.append(f"  {json.dumps(value.node)} -> {json.dumps(node.id)}{label};")
    for name, value in graph.outputs.items():
        mark = json.dumps(f"output {name}")
        lines.append(f"  {mark} [shape=ellipse];")
        if value.node not in hidden:
            lines.append(f"  {json.dumps(value.node)} -> {mark};")
    for parameter, value in graph.updates.items():
        if parameter not in hidden and value.node not in hidden:
            lines.append(
                f"  {json.dumps(value.node)} -> {json.dumps(parameter)} "
                "[style=dashed, constraint=false];"
            )
    return "\n".join([*lines, "}"]) + "\n"


LONGEST_ATTRIBUTES = 60
"""Characters of attributes shown in a box; the printed graph has them whole."""


def _style(node: Node[Any]) -> str:
    attrs = format_fields(node.attrs)
    if len(attrs) > LONGEST_ATTRIBUTES:
        attrs = attrs[:LONGEST_ATTRIBUTES] + "…"
    rows = [format_ref(node.id), node.op.name, attrs, ", ".join(map(str, node.types))]
    label = json.dumps("\n".join(row for row in rows if row), ensure_ascii=False)
    shape = _SHAPES.get(node.op.name)
    return f"label={label}" + (f", shape={shape}" if shape else "")
