from __future__ import annotations

import numpy as np
import pytest

import cnndsl.ops  # noqa: F401 - fills OPS
from cnndsl.autodiff.check_gradient import check_gradient
from cnndsl.ir.builder import Builder
from cnndsl.ir.graph import Graph, NodeId, Value
from cnndsl.ir.op import OPS
from cnndsl.ir.parser import parse_graph
from cnndsl.ops.elementwise import emit_scalar, mul
from cnndsl.ops.rules import vjp

X, L = Value(NodeId("x")), Value(NodeId("l"))


def read(body: str) -> Graph:
    text = "graph g { %x = input {type=f32[3]} " + body + " %l = reduce_sum(%a) {axes=(0,)} }"
    return parse_graph(text)


SMOOTH = "%e = exp(%x) %s = sigmoid(%e) %a = mul(%s, %x)"


def test_a_right_gradient_agrees() -> None:
    report = check_gradient(read(SMOOTH), L, [X], {"x": np.array([0.3, -1.2, 2.0])})
    assert report.checked == 3
    assert report.kinks == ()
    assert report.worst < 1e-8
    assert set(report.errors) == {X}


def test_a_wrong_gradient_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(b: object, node: object, grad: Value) -> tuple[Value]:
        return (grad,)

    monkeypatch.setitem(vjp._rules, OPS["exp"], wrong)
    report = check_gradient(read(SMOOTH), L, [X], {"x": np.array([0.3, -1.2, 2.0])})
    assert report.worst > 0.1


def test_a_gradient_wrong_at_one_element_of_many_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    def doubled(b: object, node: object, grad: Value) -> tuple[Value, Value]:
        return (grad, grad)

    monkeypatch.setitem(vjp._rules, mul, doubled)
    report = check_gradient(
        read("%c = constant {type=f32[3], data=bytes\"AACAPwAAgD8AAEBA\"} %a = mul(%x, %c)"),
        L, [X], {"x": np.ones(3)},
    )  # fmt: skip
    assert report.worst > 0.5


@pytest.mark.parametrize("distance", [0.0, 1e-6, 2e-6, 3e-6, 10e-6 / 3, 4e-6, 6e-6, 9e-6])
@pytest.mark.parametrize("side", [-1, 1])
def test_a_kink_is_told_wherever_it_lies_near(distance: float, side: int) -> None:
    graph = read("%a = relu(%x)")
    report = check_gradient(graph, L, [X], {"x": np.array([1.0, side * distance, -1.0])})
    (kink,) = report.kinks
    assert (kink.value, kink.index) == (X, (1,))
    assert kink.lies_between
    assert (round(kink.left, 1), round(kink.right, 1)) == pytest.approx((0.0, 1.0), abs=0.95)
    assert report.checked == 2
    assert report.worst < 1e-9


def test_a_gradient_outside_a_kink_s_slopes_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(b: Builder, node: object, grad: Value) -> tuple[Value]:
        return (b.emit(mul, grad, emit_scalar(b, 7.0, grad)),)

    monkeypatch.setitem(vjp._rules, OPS["relu"], wrong)
    report = check_gradient(read("%a = relu(%x)"), L, [X], {"x": np.array([0.0, 1.0, 2.0])})
    assert [kink.lies_between for kink in report.kinks] == [False]


def test_strong_curvature_is_no_kink() -> None:
    graph = read("%k = full {type=f32[], value=1000.0} %m = mul(%x, %k) %a = square(%m)")
    report = check_gradient(graph, L, [X], {"x": np.array([1e-4, 0.5, -2.0])})
    assert report.kinks == ()
    assert report.worst < 1e-6


def test_a_limit_takes_evenly_spaced_elements() -> None:
    graph = parse_graph("graph g { %x = input {type=f32[5,7]} %l = reduce_mean(%x) {axes=(0, 1)} }")
    report = check_gradient(graph, L, [X], {"x": np.ones((5, 7))}, limit=4)
    assert report.checked == 4


def test_a_gradient_of_nothing_has_no_error() -> None:
    graph = read("%z = full {type=f32[3], value=0.0} %a = mul(%z, %x)")
    report = check_gradient(graph, L, [X], {"x": np.ones(3)})
    assert report.worst == 0.0
    assert report.checked == 3


def test_only_what_is_fed_can_be_moved() -> None:
    graph = read("%a = relu(%x)")
    with pytest.raises(ValueError, match="%a is no input or parameter"):
        check_gradient(graph, L, [Value(NodeId("a"))], {"x": np.ones(3)})
    with pytest.raises(ValueError, match="no array is given for the input 'x'"):
        check_gradient(graph, L, [X], {})
