from __future__ import annotations

import pytest
from hypothesis import given

from cnndsl.ir.builder import Builder
from cnndsl.ir.graph import Graph, Node, NodeId, Use, Value, format_ref
from cnndsl.ir.op import Attrs
from cnndsl.ir.printer import graphs_equal, print_graph
from cnndsl.ir.types import f32
from cnndsl.ir.verify import verify
from cnndsl.ops.activations import relu
from cnndsl.ops.elementwise import add, neg
from cnndsl.ops.structural import InputAttrs, input_
from tests.strategies import graphs, training_graphs


def small() -> tuple[Graph, Builder, Value]:
    graph = Graph("small")
    b = Builder(graph)
    x = b.emit(input_, attrs=InputAttrs(f32(2, 3)), name="x")
    return graph, b, x


def test_nodes_come_in_topological_order_and_ties_go_by_age() -> None:
    graph, b, x = small()
    second = b.emit(relu, x, name="z")
    first = b.emit(neg, x, name="a")
    b.emit(add, first, second, name="sum")
    graph.set_operands(NodeId("z"), (first,))
    assert [node.id for node in graph.nodes()] == ["x", "a", "z", "sum"]
    assert graph.ids() == ("x", "z", "a", "sum")


def test_uses_tell_each_slot_once() -> None:
    graph, b, x = small()
    b.emit(add, x, x, name="twice")
    b.emit(relu, x, name="once")
    assert graph.uses(x) == (
        Use(NodeId("twice"), 0),
        Use(NodeId("twice"), 1),
        Use(NodeId("once"), 0),
    )
    assert graph.users(x.node) == ("twice", "once")


def test_replace_uses_reaches_operands_outputs_and_updates() -> None:
    graph, b, x = small()
    old, new = b.emit(relu, x, name="old"), b.emit(neg, x, name="new")
    b.emit(add, old, old, name="sum")
    graph.outputs["y"] = old
    graph.updates[NodeId("x")] = old
    graph.replace_uses(old, new)
    assert graph[NodeId("sum")].operands == (new, new)
    assert graph.outputs == {"y": new}
    assert graph.updates == {"x": new}
    assert graph.uses(old) == ()


def test_a_node_that_is_read_is_not_removed() -> None:
    graph, b, x = small()
    b.emit(relu, x, name="r")
    with pytest.raises(ValueError, match="x is still read by r"):
        graph.remove(x.node)


def test_a_node_is_added_once_and_after_its_operands() -> None:
    graph, _, x = small()
    with pytest.raises(ValueError, match="already has a node 'x'"):
        graph.add(graph[x])
    stranger: Node[Attrs] = Node(NodeId("r"), relu, (Value(NodeId("far")),), Attrs(), (f32(2, 3),))
    with pytest.raises(ValueError, match="r reads %far, which small has not"):
        graph.add(stranger)


def test_put_keeps_name_age_and_readers() -> None:
    graph, b, x = small()
    old = b.emit(relu, x, name="y")
    b.emit(neg, old, name="z")
    b.emit(neg, x, name="n")
    node: Node[Attrs] = Node(NodeId("y"), neg, (Value(NodeId("n")),), Attrs(), (f32(2, 3),))
    graph.put(node)
    assert graph[NodeId("y")].op is neg
    assert graph.users(NodeId("y")) == ("z",)
    assert [each.id for each in graph.nodes()] == ["x", "n", "y", "z"]
    verify(graph)


def test_a_name_is_never_given_to_another_node() -> None:
    graph, b, x = small()
    b.emit(relu, x)
    gone = b.emit(relu, x)
    assert gone.node == "relu_1"
    graph.remove(gone.node)
    assert b.emit(relu, x).node == "relu_2"
    twin = Builder(graph.copy())
    assert twin.emit(relu, x).node == "relu_3"
    assert b.emit(relu, x, name="relu_1").node == "relu_1_1"


def test_renamed_moves_every_mention() -> None:
    graph, b, x = small()
    y = b.emit(add, x, x, name="y")
    graph.outputs["out"] = y
    graph.updates[NodeId("x")] = y
    twin = graph.renamed({NodeId("x"): NodeId("a"), NodeId("y"): NodeId("x")})
    verify_names = [(node.id, node.operands) for node in twin.nodes()]
    assert verify_names == [("a", ()), ("x", (Value(NodeId("a")), Value(NodeId("a"))))]
    assert twin.outputs == {"out": Value(NodeId("x"))}
    assert twin.updates == {"a": Value(NodeId("x"))}
    assert [node.id for node in graph.nodes()] == ["x", "y"]


@given(graph=training_graphs(most=4))
def test_a_copy_is_equal_and_independent(graph: Graph) -> None:
    text = print_graph(graph)
    twin = graph.copy()
    assert graphs_equal(graph, twin)
    b = Builder(twin)
    for node in list(twin.nodes()):
        b.emit(neg, node.results[0])
    twin.outputs.clear()
    twin.updates.clear()
    assert print_graph(graph) == text


@given(graph=graphs())
def test_ancestors_are_closed_and_minimal(graph: Graph) -> None:
    found = graph.ancestors(graph.roots())
    for node in graph.nodes():
        is_root = any(graph.is_root(value) for value in node.results)
        assert (node.id in found) == (is_root or any(u in found for u in graph.users(node.id)))


def test_references_are_written_as_they_are_read() -> None:
    assert format_ref(NodeId("conv1.weight")) == "%conv1.weight"
    assert format_ref(Value(NodeId("a"), 2)) == "%a#2"
    assert format_ref(Value(NodeId("a b"))) == '%"a b"'
