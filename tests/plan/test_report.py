from __future__ import annotations

from collections.abc import Callable

from hypothesis import given, settings
from hypothesis import strategies as st

from cnndsl.ir.builder import Builder
from cnndsl.ir.graph import Graph, NodeId, Value
from cnndsl.ir.types import f32
from cnndsl.ops.activations import relu
from cnndsl.ops.elementwise import mul, neg, sub
from cnndsl.ops.linalg import MatmulAttrs, matmul
from cnndsl.ops.structural import InputAttrs, ParameterAttrs, input_, parameter
from cnndsl.plan.memory import make_plan
from cnndsl.plan.plan import Arena, Phase
from cnndsl.plan.report import chart, rows, size, summary, table, totals
from tests.plan.graphs import graphs


def two_layers() -> Graph:
    b = Builder(Graph("net"))
    value = b.emit(input_, attrs=InputAttrs(f32(32, 64)), name="x")
    for name, width in (("one", 128), ("two", 16)):
        kind = f32(b.type_of(value).shape[1], width)
        weight = b.emit(parameter, attrs=ParameterAttrs(kind), name=f"{name}.weight")
        if name == "one":
            weight = b.emit(neg, weight, name="turned")
        value = b.emit(matmul, value, weight, attrs=MatmulAttrs(), name=name)
        value = b.emit(relu, value, name=f"{name}.relu")
    two = Value(NodeId("two.weight"))
    b.graph.outputs["y"] = value
    b.graph.updates[two.node] = b.emit(sub, two, b.emit(mul, two, two), name="step")
    return b.graph


def test_table(golden: Callable[[str], None]) -> None:
    golden(table(make_plan(two_layers())))


def test_chart(golden: Callable[[str], None]) -> None:
    golden(chart(make_plan(two_layers())))


def test_rows_tell_why_a_place_is_shared() -> None:
    found = {row.node: row for row in rows(make_plan(two_layers()))}
    assert found[NodeId("turned")].phase is Phase.PREPARE
    assert found[NodeId("one.relu")].sharing == "in place"
    assert found[NodeId("step")].sharing == "donated"
    assert found[NodeId("two")].sharing == ""
    assert found[NodeId("one")].nbytes == 32 * 128 * 4


def test_totals_compare_with_a_place_for_every_result() -> None:
    total = totals(make_plan(two_layers()))
    results = 2 * 32 * 128 * 4 + 2 * 32 * 16 * 4 + 2 * 128 * 16 * 4
    assert total.unshared == results
    assert total.workspace == total.lower_bound == 32 * 128 * 4 + 32 * 16 * 4
    assert total.ratio == results / total.workspace
    assert total.arenas[Arena.STATE] == (64 * 128 + 128 * 16) * 4


def test_an_empty_plan_is_reported() -> None:
    plan = make_plan(Graph("empty"))
    assert rows(plan) == ()
    assert totals(plan).ratio == 1.0
    assert chart(plan) == "the workspace is empty"
    assert "workspace         0 B" in summary(plan)


@settings(max_examples=40)
@given(graphs(most=30), st.integers(40, 100))
def test_charts_fit(graph: Graph, width: int) -> None:
    plan = make_plan(graph, alignment=16)
    for phase in Phase:
        lines = chart(plan, phase=phase, width=width).split("\n")
        assert all(len(line) <= width for line in lines)
    assert len(table(plan).split("\n")) >= len(plan.steps) + len(plan.prepare)


def test_sizes_read_well() -> None:
    assert [size(n) for n in (0, 999, 1000, 999_999_999_999)] == [
        "0 B",
        "999 B",
        "1.0 kB",
        "1000.0 GB",
    ]
