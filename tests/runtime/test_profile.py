from __future__ import annotations

import pytest

from cnndsl.ir.builder import Builder
from cnndsl.ir.graph import Graph, NodeId
from cnndsl.ir.types import f32
from cnndsl.ops.elementwise import add, neg
from cnndsl.ops.rules import Cost
from cnndsl.ops.structural import InputAttrs, input_
from cnndsl.plan.memory import make_plan
from cnndsl.plan.plan import Plan
from cnndsl.runtime.profile import Ceiling, Profile, ProfileRow, fastest


def plan() -> Plan:
    b = Builder(Graph("net"))
    x = b.emit(input_, attrs=InputAttrs(f32(10)), name="x")
    one = b.emit(neg, x, name="one")
    b.graph.outputs["y"] = b.emit(add, b.emit(neg, one, name="two"), x, name="three")
    return make_plan(b.graph)


def test_rows_have_rates() -> None:
    profile = Profile.of(plan(), [0.5, 0.25, 0.125], 1.0)
    assert [row.node for row in profile.rows] == ["one", "two", "three"]
    first = profile.rows[0]
    assert first.flops_per_second == 10 / 0.5
    assert first.bytes_per_second == 80 / 0.5
    assert profile.share(first) == 0.5
    assert profile.rows[2].cost == Cost(flops=10, bytes_read=80, bytes_written=40)


def test_rows_of_an_op_are_summed_slowest_first() -> None:
    by_op = Profile.of(plan(), [0.5, 0.25, 1.0], 2.0).by_op()
    assert [(row.op, row.seconds, row.steps) for row in by_op] == [
        ("add", 1.0, 1),
        ("neg", 0.75, 2),
    ]
    assert by_op[1].cost.flops == 20


def test_the_roofline_is_the_longer_of_computing_and_moving() -> None:
    ceiling = Ceiling(threads=1, flops_per_second=100.0, bytes_per_second=10.0)
    assert ceiling.seconds(Cost(flops=50, bytes_read=1, bytes_written=1)) == 0.5
    assert ceiling.seconds(Cost(flops=50, bytes_read=7, bytes_written=3)) == 1.0
    profile = Profile.of(plan(), [0.5, 0.25, 0.125], 1.0)
    assert profile.roofline(ceiling) == (80 + 80 + 120) / 10


def test_nothing_measured_is_no_division_by_zero() -> None:
    row = ProfileRow(NodeId("a"), "neg", 0.0, Cost(flops=1))
    assert row.flops_per_second == row.bytes_per_second == 0.0
    assert Profile((row,), 0.0).share(row) == 0.0


def test_fastest_takes_the_best_of_each_step() -> None:
    one = Profile.of(plan(), [0.5, 0.25, 0.125], 1.0)
    two = Profile.of(plan(), [0.25, 0.5, 0.125], 0.9)
    best = fastest([one, two])
    assert [row.seconds for row in best.rows] == [0.25, 0.25, 0.125]
    assert best.seconds == 0.9


def test_times_must_be_those_of_the_plan() -> None:
    with pytest.raises(ValueError, match="argument"):
        Profile.of(plan(), [0.5], 1.0)
