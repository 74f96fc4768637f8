from __future__ import annotations

import pytest

import cnndsl.ops  # noqa: F401 - fills OPS
from cnndsl.ir.builder import Builder
from cnndsl.ir.graph import Graph, NodeId, Origin, Value
from cnndsl.ir.op import Attrs
from cnndsl.ir.parser import parse_graph
from cnndsl.ir.printer import print_graph
from cnndsl.ir.rewrite import (
    Match,
    Rule,
    apply_rules,
    erase_dead,
    find_match,
    is_shared,
    pattern,
    replace_node,
    var,
)
from cnndsl.ir.verify import verify
from cnndsl.ops.activations import LeakyReluAttrs, leaky_relu, relu
from cnndsl.ops.elementwise import add, mul, neg, sub
from cnndsl.ops.shape import concat, reshape, split
from cnndsl.ops.unary import exp
from cnndsl.support.diagnostics import VerifyError

X, Y = var("x"), var("y")


def read(body: str) -> Graph:
    return parse_graph(
        "graph g { %x = input {type=f32[2,3]} %y = input {type=f32[2,3]} " + body + "}"
    )


def match_at(graph: Graph, rule: Rule, name: str) -> Match | None:
    return find_match(graph, rule, graph[NodeId(name)])


def make_sub(b: Builder, match: Match) -> Value:
    return b.emit(sub, match.values["x"], match.values["y"])


ADD_NEG = Rule("add of neg", pattern(add, X, pattern(neg, Y, name="minus")), make_sub)


def test_a_match_names_values_and_nodes() -> None:
    graph = read("%n = neg(%y) %a = add(%x, %n) output a = %a")
    match = match_at(graph, ADD_NEG, "a")
    assert match is not None
    assert match.values == {
        "x": Value(NodeId("x")), "y": Value(NodeId("y")), "minus": Value(NodeId("n")),
    }  # fmt: skip
    assert match.nodes == {"minus": graph[NodeId("n")]}
    assert match.root is graph[NodeId("a")]


def test_only_commutative_operands_change_places() -> None:
    swapped = read("%n = neg(%y) %a = add(%n, %x) %s = sub(%n, %x) output a = %a output s = %s")
    graph = read("%n = neg(%y) %s = sub(%n, %x) output s = %s")
    sub_neg = Rule("sub of neg", pattern(sub, X, pattern(neg, Y)), make_sub)
    assert match_at(swapped, Rule("", pattern(add, X, pattern(neg, Y, shared=True)), make_sub), "a")
    assert match_at(graph, sub_neg, "s") is None


def test_one_name_is_one_value() -> None:
    twice = Rule("twice", pattern(add, X, X), lambda b, m: m.values["x"])
    graph = read("%a = add(%x, %y) %b = add(%x, %x) output a = %a output b = %b")
    assert match_at(graph, twice, "a") is None
    assert match_at(graph, twice, "b") is not None


@pytest.mark.parametrize(
    "body",
    [
        "%n = neg(%y) %a = add(%x, %n) output a = %a output n = %n",
        "%n = neg(%y) %a = add(%x, %n) %b = exp(%n) output a = %a output b = %b",
        "%n = neg(%y) %a = add(%n, %n) output a = %a",
    ],
)
def test_inner_nodes_have_one_reader_unless_shared(body: str) -> None:
    graph = read(body)
    shared = Rule("", pattern(add, X, pattern(neg, Y, shared=True)), make_sub)
    assert match_at(graph, ADD_NEG, "a") is None
    assert match_at(graph, shared, "a") is not None


def test_conditions_counts_and_results() -> None:
    graph = read(
        "%a = leaky_relu(%x) {slope=0.5} %c = concat(%x, %y, %x) {axis=0}"
        "%s = split(%x) {axis=1, sizes=(1, 2)} %e = exp(%s#1)"
    )
    steep = pattern(leaky_relu, X, where=lambda node: bool(node.attrs.slope > 0.9))
    flat = pattern(leaky_relu, X, where=lambda node: bool(node.attrs.slope < 0.9))
    none = lambda b, m: None  # noqa: E731
    assert match_at(graph, Rule("", steep, none), "a") is None
    assert match_at(graph, Rule("", flat, none), "a") is not None
    assert match_at(graph, Rule("", pattern(concat, X, Y), none), "c") is None
    assert match_at(graph, Rule("", pattern(concat, X, any_operands=True), none), "c") is not None
    # %e reads the second result, and a pattern stands for a first one.
    inner = pattern(exp, pattern(split, X, shared=True))
    assert match_at(graph, Rule("", inner, none), "e") is None


def test_rules_run_until_none_fits_and_leave_their_argument() -> None:
    graph = read(
        "%n = neg(%y) %a = add(%n, %x) %m = neg(%x) %b = add(%a, %m) output b = %b output a = %a"
    )
    text = print_graph(graph)
    after = apply_rules(graph, [ADD_NEG], made_by="test")
    verify(after)
    assert print_graph(graph) == text
    assert print_graph(after) == print_graph(
        read("%a = sub(%x, %y) %b = sub(%a, %x) output b = %b output a = %a")
    )
    assert after[NodeId("a")].origin.made_by == "test"
    assert after[NodeId("a")].origin.of == "a"


def test_what_a_rule_makes_is_looked_at_again() -> None:
    unfold = Rule(
        "relu as leaky",
        pattern(relu, X),
        lambda b, m: b.emit(leaky_relu, m.values["x"], attrs=LeakyReluAttrs(0.0)),
    )
    double = Rule(
        "leaky of leaky",
        pattern(leaky_relu, pattern(leaky_relu, X)),
        lambda b, m: b.emit(neg, b.emit(neg, m.values["x"])),
    )
    negs = Rule("neg of neg", pattern(neg, pattern(neg, X)), lambda b, m: m.values["x"])
    told: list[tuple[str, NodeId]] = []
    after = apply_rules(
        read("%a = relu(%x) %b = relu(%a) %c = exp(%b) output c = %c"),
        [unfold, double, negs],
        made_by="test",
        on_apply=lambda rule, node: told.append((rule, node)),
    )
    assert print_graph(after) == print_graph(read("%c = exp(%x) output c = %c"))
    assert [rule for rule, _ in told] == [
        "relu as leaky", "relu as leaky", "leaky of leaky", "neg of neg",
    ]  # fmt: skip


def test_a_rule_that_declines_leaves_nothing_behind() -> None:
    def decline(b: Builder, match: Match) -> None:
        b.emit(neg, b.emit(exp, match.values["x"]))

    graph = read("%a = relu(%x) output a = %a")
    after = apply_rules(graph, [Rule("no", pattern(relu, X), decline)], made_by="test")
    assert print_graph(after) == print_graph(graph)


def test_rules_without_end_are_told() -> None:
    swap = Rule("swap", pattern(sub, X, Y), lambda b, m: b.emit(sub, m.values["y"], m.values["x"]))
    with pytest.raises(VerifyError, match="test does not end: rule 'swap' goes on applying"):
        apply_rules(read("%a = sub(%x, %y) output a = %a"), [swap], made_by="test", limit=20)


def test_a_pattern_for_everything_is_refused() -> None:
    with pytest.raises(ValueError, match="fits everything"):
        apply_rules(read(""), [Rule("all", X, lambda b, m: m.values["x"])], made_by="test")


def test_a_made_node_takes_over_the_name() -> None:
    graph = read("%a = add(%x, %y) %b = neg(%a) output a = %a output b = %b")
    b = Builder(graph, Origin(of=NodeId("a")))
    replace_node(graph, NodeId("a"), b.emit(mul, Value(NodeId("x")), Value(NodeId("y"))))
    expected = read("%a = mul(%x, %y) %b = neg(%a) output a = %a output b = %b")
    assert print_graph(graph) == print_graph(expected)


def test_a_value_that_was_there_keeps_its_own_name() -> None:
    graph = read("%r = relu(%x) %i = identity(%r) %b = neg(%i) output i = %i output b = %b")
    replace_node(graph, NodeId("i"), Value(NodeId("r")))
    expected = read("%r = relu(%x) %b = neg(%r) output i = %r output b = %b")
    assert print_graph(graph) == print_graph(expected)


def test_a_replacement_of_another_type_is_refused() -> None:
    graph = read("%a = add(%x, %y) %r = reshape(%x) {shape=(6,)} output a = %a")
    with pytest.raises(VerifyError, match=r"a is f32\[2,3\], but would be replaced by a f32\[6\]"):
        replace_node(graph, NodeId("a"), Value(NodeId("r")))
    assert graph[NodeId("r")].op is reshape


def test_erasing_stops_at_what_is_needed_and_at_the_interface() -> None:
    graph = read(
        "%p = parameter {type=f32[2,3]} %a = add(%x, %p) %b = neg(%a) %c = exp(%a) %d = mul(%b, %b)"
        "output c = %c"
    )
    assert erase_dead(graph, [NodeId("d")]) == ("d", "b")
    assert erase_dead(graph, [NodeId("a"), NodeId("c"), NodeId("p"), NodeId("y")]) == ()
    verify(graph)


def test_sharing() -> None:
    graph = read("%a = neg(%x) %b = add(%a, %a) %c = exp(%b) %d = exp(%c) output c = %c")
    assert [is_shared(graph, graph[NodeId(name)]) for name in "abc"] == [True, False, True]
    assert graph[NodeId("a")].attrs == Attrs()
