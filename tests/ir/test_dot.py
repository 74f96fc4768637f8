from __future__ import annotations

import re

from hypothesis import given, settings

from cnndsl.ir.dot import to_dot
from cnndsl.ir.graph import Graph
from cnndsl.ir.parser import parse_graph
from tests.strategies import training_graphs

TEXT = """
graph "a net" {
  %x = input {type=f32[2,3]}
  %w = parameter {type=f32[2,3]}
  %s = split(%x) {axis=1, sizes=(1, 2)}
  %t = reduce_sum(%s#1) {axes=(1,), keepdims=true}
  %a = add(%w, %t)
  output y = %a
  update %w = %a
}
"""


def test_boxes_edges_outputs_and_updates() -> None:
    assert to_dot(parse_graph(TEXT)).splitlines() == [
        'digraph "a net" {',
        "  rankdir=TB;",
        "  node [shape=box];",
        r'  "x" [label="%x\ninput\ntype=f32[2,3]\nf32[2,3]", shape=invhouse];',
        r'  "w" [label="%w\nparameter\ntype=f32[2,3]\nf32[2,3]", shape=cylinder];',
        r'  "s" [label="%s\nsplit\naxis=1, sizes=(1, 2)\nf32[2,1], f32[2,2]"];',
        r'  "t" [label="%t\nreduce_sum\naxes=(1,), keepdims=true\nf32[2,1]"];',
        r'  "a" [label="%a\nadd\nf32[2,3]"];',
        '  "x" -> "s";',
        '  "s" -> "t" [label="#1"];',
        '  "w" -> "a";',
        '  "t" -> "a";',
        '  "output y" [shape=ellipse];',
        '  "a" -> "output y";',
        '  "a" -> "w" [style=dashed, constraint=false];',
        "}",
    ]


def test_parameters_may_be_left_out() -> None:
    text = to_dot(parse_graph(TEXT), structural=False)
    assert '"w"' not in text
    assert '"x" [' in text


@given(graph=training_graphs(most=4))
@settings(max_examples=15)
def test_every_node_and_edge_is_there(graph: Graph) -> None:
    text = to_dot(graph)
    assert len(re.findall(r"^  .* \[label=\"%", text, re.M)) == len(graph)
    edges = sum(len(node.operands) for node in graph.nodes())
    assert text.count(" -> ") == edges + len(graph.outputs) + len(graph.updates)


def test_long_attributes_are_cut() -> None:
    numbers = ", ".join(["1"] * 40)
    graph = parse_graph(f"graph g {{ %x = input {{type=f32[{numbers}]}} output y = %x }}")
    (line,) = (line for line in to_dot(graph).splitlines() if line.startswith('  "x" ['))
    assert "…" in line
