from __future__ import annotations

import pytest
from hypothesis import given, settings

import cnndsl.passes  # noqa: F401 - fills PASSES
from cnndsl.ir.graph import Graph, NodeId, Value
from cnndsl.ir.parser import parse_graph
from cnndsl.ir.printer import print_graph
from cnndsl.ops.rules import Cost
from cnndsl.passes.base import PASSES, Pass
from cnndsl.passes.canonicalize import Canonicalize
from cnndsl.passes.eliminate_common_subexpressions import EliminateCommonSubexpressions
from cnndsl.passes.explain import explain_pass
from cnndsl.passes.fold_batch_norm import FoldBatchNorm
from cnndsl.passes.fuse_epilogue import FuseEpilogue
from tests.strategies import graphs, training_graphs

LAYERS = """
graph g {
  %x = input {type=f32[2,3,6,6]}
  %w = parameter {type=f32[4,3,3,3]}
  %v = parameter {type=f32[4,4,1,1]}
  %c = conv2d(%x, %w)
  %r = relu(%c)
  %d = conv2d(%r, %v)
  %t = tanh(%d)
  %s = softmax(%t)
  output s = %s
}
"""


def test_each_change_stands_alone_with_what_it_saves() -> None:
    found = explain_pass(parse_graph(LAYERS), FuseEpilogue())
    assert found.name == "fuse-epilogue"
    first, second = found.changes
    assert [node.id for node in first.before] == ["c", "r"]
    assert [node.id for node in first.after] == ["r"]
    assert [node.id for node in second.before] == ["d", "t"]
    assert first.reason == FuseEpilogue.reason
    assert first.stands_in == ()
    size = 2 * 4 * 4 * 4 * 4
    assert (first.saved.bytes_read, first.saved.bytes_written) == (size, size)
    assert first.saved.macs == 0
    assert found.saved.bytes_written == 2 * size


def test_a_batch_norm_is_told_with_its_layer() -> None:
    graph = parse_graph(
        """
        graph g {
          %x = input {type=f32[2,3,9,9]}
          %w = parameter {type=f32[4,3,3,3]}
          %p = parameter {type=f32[4]}
          %c = conv2d(%x, %w)
          %n = batch_norm(%c, %p, %p, %p, %p)
          output n = %n
        }"""
    )
    (change,) = explain_pass(graph, FoldBatchNorm()).changes
    assert [node.id for node in change.before] == ["c", "n"]
    assert {node.id for node in change.after} >= {"n", "n.folded_weight", "n.folded_bias"}
    assert change.saved.bytes_written > 0
    assert change.saved.macs == 0


def test_a_twin_is_told_with_what_stands_in_for_it() -> None:
    graph = parse_graph(
        "graph g { %x = input {type=f32[2]} %a = exp(%x) %b = exp(%x) %c = sub(%a, %b)"
        "output c = %c output b = %b }"
    )
    (change,) = explain_pass(graph, EliminateCommonSubexpressions()).changes
    assert [node.id for node in change.before] == ["b"]
    assert change.after == ()
    assert change.stands_in == ((Value(NodeId("b")), Value(NodeId("a"))),)
    assert change.saved == Cost(flops=2, bytes_read=8, bytes_written=8)


def test_canonical_rules_are_told_by_name() -> None:
    graph = parse_graph(
        "graph g { %x = input {type=f32[2]} %one = full {type=f32[], value=1.0}"
        "%a = mul(%x, %one) %b = neg(%a) %c = neg(%b) %d = exp(%c) output d = %d }"
    )
    (change,) = explain_pass(graph, Canonicalize()).changes
    assert change.reason == "x * 1 is x; -(-x) is x"
    assert (Value(NodeId("c")), Value(NodeId("x"))) in change.stands_in


@pytest.mark.parametrize("make", PASSES.values(), ids=list(PASSES))
@given(graph=graphs(), training=training_graphs(most=3))
@settings(max_examples=15)
def test_the_changes_account_for_the_whole_difference(
    make: type[Pass], graph: Graph, training: Graph
) -> None:
    for each in (graph, training):
        text = print_graph(each)
        found = explain_pass(each, make())
        assert print_graph(each) == text
        assert print_graph(found.after) == print_graph(make()(each))
        total = Cost()
        for change in found.changes:
            total += change.saved
        # Broadcasting less changes what a node reads, so bytes may differ in readers too.
        assert (total.flops, total.macs) == (found.saved.flops, found.saved.macs)
        named = [node.id for change in found.changes for node in change.before]
        assert len(named) == len(set(named))
        gone = {n.id for n in each.nodes()} - {n.id for n in found.after.nodes()}
        assert gone <= set(named)
        assert bool(found.changes) == (print_graph(found.after) != text)
