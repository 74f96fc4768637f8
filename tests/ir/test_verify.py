from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given

import cnndsl.ops  # noqa: F401 - fills OPS
from cnndsl.ir.graph import Graph, NodeId, Value
from cnndsl.ir.parser import parse_graph
from cnndsl.ir.types import f32
from cnndsl.ir.verify import verify
from cnndsl.support.diagnostics import VerifyError
from tests.strategies import training_graphs

TEXT = """
graph g {
  %x = input {type=f32[2,3]}
  %p = parameter {type=f32[2,3]}
  %unread = parameter {type=f32[9]}
  %a = add(%x, %p)
  %b = relu(%a)
  %s = split(%b) {axis=1, sizes=(1, 2)}
  output b = %b
  update %p = %b
}
"""
A, B, FAR = NodeId("a"), NodeId("b"), Value(NodeId("far"))


@given(graph=training_graphs())
def test_random_graphs_are_well_formed(graph: Graph) -> None:
    verify(graph)


def test_what_nothing_reads_is_no_fault() -> None:
    verify(parse_graph(TEXT))


def wrong_operand(graph: Graph) -> None:
    graph.set_operands(B, (FAR,))


def wrong_result(graph: Graph) -> None:
    graph.set_operands(B, (Value(A, 1),))


def cycle(graph: Graph) -> None:
    graph.set_operands(A, (Value(NodeId("x")), Value(B)))


def wrong_type(graph: Graph) -> None:
    graph.put(replace(graph[A], types=(f32(3, 2),)))


def wrong_attrs(graph: Graph) -> None:
    graph.put(replace(graph[NodeId("s")], attrs=graph[A].attrs))


def misfit(graph: Graph) -> None:
    graph.set_operands(A, (Value(NodeId("x")), Value(NodeId("unread"))))


def wrong_output(graph: Graph) -> None:
    graph.outputs["b"] = FAR


def wrong_output_result(graph: Graph) -> None:
    graph.outputs["b"] = Value(B, 1)


def wrong_update(graph: Graph) -> None:
    graph.updates[NodeId("p")] = FAR


def wrong_update_type(graph: Graph) -> None:
    graph.updates[NodeId("p")] = Value(NodeId("s"))


def update_of_nothing(graph: Graph) -> None:
    graph.updates[NodeId("far")] = Value(B)


def update_of_no_parameter(graph: Graph) -> None:
    graph.updates[NodeId("x")] = Value(B)


def wrong_name(graph: Graph) -> None:
    graph._graph.nodes[A]["node"] = replace(graph[A], id=NodeId("z"))


def lost_use(graph: Graph) -> None:
    graph._graph.remove_edge("a", "b")


def strange_use(graph: Graph) -> None:
    graph._graph.add_edge("a", "s", slot=(0, 1))


FAULTS: dict[Callable[[Graph], None], str] = {
    wrong_operand: "b reads %far, which nothing makes",
    wrong_result: "b reads %a#1, which nothing makes",
    cycle: "a cycle lies in or before a, b, s",
    wrong_type: r"a \(add\) is typed f32\[3,2\], but its operands make it f32\[2,3\]",
    wrong_attrs: r"s \(split\) has attributes Attrs, not SplitAttrs",
    misfit: r"a \(add\): add of f32\[2,3\] and f32\[9\]",
    wrong_output: "output b is %far, which nothing makes",
    wrong_output_result: "output b is %b#1, which nothing makes",
    wrong_update: "the update of p is %far, which nothing makes",
    wrong_update_type: r"p is f32\[2,3\], but its update %s is f32\[2,1\]",
    update_of_nothing: "an update of far, which is not there",
    update_of_no_parameter: "an update of x, which is no parameter but input",
    wrong_name: "a calls itself z",
    lost_use: "the uses kept of %a are not the operands that name it",
    strange_use: "the uses kept of %a are not the operands that name it",
}


@pytest.mark.parametrize("spoil", FAULTS)
def test_each_fault_is_found_and_named(spoil: Callable[[Graph], None]) -> None:
    graph = parse_graph(TEXT)
    spoil(graph)
    with pytest.raises(VerifyError, match=FAULTS[spoil]):
        verify(graph)


def test_all_faults_are_told_at_once() -> None:
    graph = parse_graph(TEXT)
    wrong_type(graph)
    wrong_output(graph)
    with pytest.raises(VerifyError, match=r"g is malformed: a .*; b .*; output b"):
        verify(graph)
