from __future__ import annotations

import pytest

from cnndsl.ir.builder import Builder
from cnndsl.ir.graph import Graph, NodeId, Value
from cnndsl.ir.op import Trait
from cnndsl.ir.types import f32
from cnndsl.ops.elementwise import add, neg
from cnndsl.ops.linalg import MatmulAttrs, matmul
from cnndsl.ops.shape import ReshapeAttrs, reshape
from cnndsl.ops.structural import InputAttrs, ParameterAttrs, input_, parameter
from cnndsl.plan.donation import donations, overwritable
from cnndsl.plan.memory import make_plan
from cnndsl.plan.partition import partition
from cnndsl.plan.plan import Arena
from cnndsl.plan.verify import verify_plan
from tests.plan.graphs import stray_op


def start() -> tuple[Builder, Value, Value]:
    b = Builder(Graph("net"))
    x = b.emit(input_, attrs=InputAttrs(f32(4, 4)), name="x")
    w = b.emit(parameter, attrs=ParameterAttrs(f32(4, 4)), name="w")
    return b, x, w


def found(b: Builder, value: Value) -> list[Value]:
    b.graph.outputs["y"] = value
    return list(overwritable(b.graph[value], b.graph, partition(b.graph).origin))


def test_elementwise_may_overwrite_any_operand_of_its_type() -> None:
    b, x, w = start()
    row = b.emit(input_, attrs=InputAttrs(f32(1, 4)), name="row")
    assert found(b, b.emit(add, x, w)) == [x, w]
    assert found(b, b.emit(add, row, w)) == [w]
    assert found(b, b.emit(matmul, x, w, attrs=MatmulAttrs())) == []


def test_other_in_place_ops_may_overwrite_the_first_operand_of_their_type_once() -> None:
    op = stray_op("sorted", Trait.INPLACE)
    b, x, w = start()
    assert found(b, b.emit(op, x, w)) == [x]
    assert found(b, b.emit(op, x, x)) == []
    flat = b.emit(reshape, x, attrs=ReshapeAttrs((16,)))
    assert found(b, b.emit(op, x, flat)) == []


@pytest.mark.parametrize("traits", [(), (Trait.INPLACE,)])
def test_a_new_value_that_reads_the_old_one_needs_leave_to_overwrite_it(
    traits: tuple[Trait, ...],
) -> None:
    op = stray_op("step", *traits)
    b, x, w = start()
    b.graph.updates[NodeId("w")] = b.emit(op, w, x)
    plan = make_plan(b.graph)
    verify_plan(plan)
    assert plan.donated == ({"w"} if traits else set())


def test_only_the_first_result_may_lie_upon_an_operand() -> None:
    op = stray_op("pair", Trait.INPLACE, results=2)
    b, x, w = start()
    one, two = b.emit_all(op, b.emit(neg, x), w)
    b.graph.outputs.update(one=one, two=two)
    plan = make_plan(b.graph)
    verify_plan(plan)
    assert plan.slots[one].offset != plan.slots[two].offset
    assert plan.arena_bytes[Arena.WORKSPACE] == 128
    del b.graph.outputs["one"]
    verify_plan(make_plan(b.graph))
    second = b.emit_all(op, w, x)[1]
    b.graph.updates[NodeId("w")] = second
    assert donations(b.graph, partition(b.graph)).into == {}
    b.graph.updates[NodeId("w")] = Value(second.node)
    assert donations(b.graph, partition(b.graph)).into == {Value(second.node): "w"}


def test_a_value_that_does_not_read_the_old_one_may_have_any_op() -> None:
    b, x, w = start()
    b.graph.updates[NodeId("w")] = b.emit(matmul, x, x, attrs=MatmulAttrs(), name="new")
    b.graph.outputs["y"] = b.emit(matmul, x, w, attrs=MatmulAttrs(), name="old")
    given = donations(b.graph, partition(b.graph))
    assert given.into == {Value(NodeId("new")): "w"}
    assert given.after == {"new": ("old",)}
    assert given.order == ("old", "new")
