from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings

import cnndsl.ops  # noqa: F401 - fills OPS
from cnndsl.autodiff.backward import backward
from cnndsl.autodiff.check_gradient import check_gradient
from cnndsl.ir.builder import Builder
from cnndsl.ir.graph import Graph, Node, NodeId, Value
from cnndsl.ir.op import OPS, Attrs
from cnndsl.ir.parser import parse_graph
from cnndsl.ir.printer import print_graph
from cnndsl.ir.types import DType
from cnndsl.ir.verify import verify
from cnndsl.ops.evaluate import evaluate_values
from cnndsl.ops.reduce import ReduceAttrs, reduce_sum
from cnndsl.ops.rules import Array, vjp
from cnndsl.ops.structural import parameter
from cnndsl.support.diagnostics import TypeRuleError, VerifyError
from tests.strategies import feeds, training_graphs


def value(name: str, index: int = 0) -> Value:
    return Value(NodeId(name), index)


def read(body: str) -> Graph:
    return parse_graph(
        "graph g { %x = input {type=f32[2,3]} %y = input {type=f32[2,3]} " + body + "}"
    )


def gradients(graph: Graph, *names: str) -> dict[str, Array]:
    wrt = [value(name) for name in names]
    extended, grads = backward(graph, value("l"), wrt)
    verify(extended)
    found = evaluate_values(extended, grads.values(), feeds(graph), dtype=DType.F64)
    return {name: found[grads[value(name)]] for name in names}


def test_fan_out_is_summed() -> None:
    graph = read(
        "%a = mul(%x, %x) %b = add(%a, %x) %c = mul(%b, %y) %l = reduce_sum(%c) {axes=(0, 1)}"
    )
    given_ = feeds(graph)
    found = gradients(graph, "x", "y")
    np.testing.assert_allclose(found["x"], (2 * given_["x"] + 1) * given_["y"])
    np.testing.assert_allclose(found["y"], given_["x"] ** 2 + given_["x"])


def test_names_say_what_is_differentiated() -> None:
    graph = parse_graph(
        """
        graph g {
          %x = input {type=f32[2,3]}
          %fc.weight = parameter {type=f32[4,3]}
          %fc.bias = parameter {type=f32[4]}
          %fc = dense(%x, %fc.weight, %fc.bias)
          %r = relu(%fc)
          %l = reduce_sum(%r) {axes=(0, 1)}
          output loss = %l
        }"""
    )
    text = print_graph(graph)
    after, grads = backward(graph, value("l"), [value("fc.bias"), value("fc.weight")])
    assert print_graph(graph) == text
    assert grads == {
        value("fc.bias"): value("fc.bias.grad"),
        value("fc.weight"): value("fc.weight.grad"),
    }
    made = [node.id for node in after.nodes() if node.id not in graph]
    assert made == [
        "l.grad", "l.reshape", "r.grad", "fc.grad", "fc.weight.grad", "fc.bias.grad",
    ]  # fmt: skip
    origin = after[NodeId("fc.weight.grad")].origin
    assert (origin.made_by, origin.of) == ("backward", "fc")
    assert origin.span == graph[NodeId("fc")].origin.span
    assert after.outputs == graph.outputs


def test_of_several_owners_of_a_gradient_the_one_asked_for_gives_the_name() -> None:
    graph = read("%a = add(%x, %y) %l = reduce_sum(%a) {axes=(0, 1)}")
    _, grads = backward(graph, value("l"), [value("y"), value("x")])
    assert grads == {value("y"): value("y.grad"), value("x"): value("y.grad")}


def test_what_nobody_asked_for_is_not_there() -> None:
    graph = read("%a = mul(%x, %y) %l = reduce_sum(%a) {axes=(0, 1)}")
    after, _ = backward(graph, value("l"), [value("x")])
    assert "y.grad" not in after
    read_ = {operand.node for node in after.nodes() for operand in node.operands}
    assert {node.id for node in after.nodes()} - read_ == {"l", "x.grad"}


def test_out_of_reach_is_zero() -> None:
    graph = read("%a = exp(%y) %l = reduce_sum(%x) {axes=(0, 1)}")
    found = gradients(graph, "x", "y", "a")
    assert np.array_equal(found["x"], np.ones((2, 3)))
    assert np.array_equal(found["y"], np.zeros((2, 3)))
    assert found["a"].shape == (2, 3)


def test_nothing_flows_where_nothing_shall() -> None:
    graph = read(
        "%s = stop_gradient(%x) %i = argmax(%y) {axis=1} %c = cast(%i) {dtype=f32}"
        "%r = reshape(%c) {shape=(2, 1)} %m = mul(%s, %x) %n = mul(%m, %r)"
        "%l = reduce_sum(%n) {axes=(0, 1)}"
    )
    given_ = feeds(graph)
    found = gradients(graph, "x", "y")
    chosen = given_["y"].argmax(axis=1)[:, None]
    np.testing.assert_allclose(found["x"], given_["x"] * chosen)
    assert np.array_equal(found["y"], np.zeros((2, 3)))


def test_the_loss_and_values_on_the_way_have_gradients_too() -> None:
    graph = read("%a = exp(%x) %b = neg(%a) %l = reduce_mean(%b) {axes=(0, 1)}")
    found = gradients(graph, "l", "b", "a")
    assert found["l"] == 1.0
    np.testing.assert_allclose(found["b"], np.full((2, 3), 1 / 6))
    np.testing.assert_allclose(found["a"], np.full((2, 3), -1 / 6))


def test_one_result_of_several() -> None:
    graph = read(
        "%s = split(%x) {axis=1, sizes=(1, 2)} %e = exp(%s#1) %l = reduce_sum(%e) {axes=(0, 1)}"
    )
    given_ = feeds(graph)["x"]
    expected = np.concatenate([np.zeros((2, 1)), np.exp(given_[:, 1:])], axis=1)
    np.testing.assert_allclose(gradients(graph, "x")["x"], expected)


def test_a_gradient_is_differentiated_again() -> None:
    graph = read("%a = mul(%x, %x) %b = mul(%a, %x) %l = reduce_sum(%b) {axes=(0, 1)}")
    first, grads = backward(graph, value("l"), [value("x")])
    total = Builder(first).emit(reduce_sum, grads[value("x")], attrs=ReduceAttrs((0, 1)), name="t")
    second, grads = backward(first, total, [value("x")])
    verify(second)
    given_ = feeds(graph)
    found = evaluate_values(second, grads.values(), given_, dtype=DType.F64)
    np.testing.assert_allclose(found[grads[value("x")]], 6 * given_["x"])


def test_only_one_float_has_a_gradient() -> None:
    graph = read("%i = argmax(%x) {axis=1} %l = reduce_sum(%x) {axes=(0, 1)}")
    with pytest.raises(TypeRuleError, match=r"taken of one float; %x is f32\[2,3\]"):
        backward(graph, value("x"), [value("x")])
    with pytest.raises(TypeRuleError, match=r"%i is i64\[2\]; only floats have a gradient"):
        backward(graph, value("l"), [value("i")])


def test_an_op_without_rule_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = read("%a = exp(%x) %l = reduce_sum(%a) {axes=(0, 1)}")
    monkeypatch.delitem(vjp._rules, OPS["exp"])
    with pytest.raises(VerifyError, match="a: exp has no vjp rule"):
        backward(graph, value("l"), [value("x")])
    assert backward(graph, value("l"), [value("y")])[1]


def test_a_rule_that_gives_the_wrong_type_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = read("%a = exp(%x) %l = reduce_sum(%a) {axes=(0, 1)}")

    def scalar(b: Builder, node: Node[Attrs], grad: Value) -> Sequence[Value]:
        return (value("l"),)

    def nothing(b: Builder, node: Node[Attrs], grad: Value) -> Sequence[Value]:
        return ()

    monkeypatch.setitem(vjp._rules, OPS["exp"], scalar)
    with pytest.raises(VerifyError, match=r"the vjp rule of exp gives a f32\[\] for %x"):
        backward(graph, value("l"), [value("x")])
    monkeypatch.setitem(vjp._rules, OPS["exp"], nothing)
    with pytest.raises(VerifyError, match="exp gives 0 gradients for the 1 operands of a"):
        backward(graph, value("l"), [value("x")])


@given(graph=training_graphs())
@settings(max_examples=25)
def test_random_gradients_agree_with_differences(graph: Graph) -> None:
    weights = [n.results[0] for n in graph.nodes() if n.op is parameter and n.attrs.trainable]
    loss = graph.outputs["loss"]
    given_ = feeds(graph)
    report = check_gradient(graph, loss, weights, given_, limit=3)
    assert report.worst < 1e-5
    assert len(report.errors) == len(weights)
