from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cnndsl.ir.builder import Builder
from cnndsl.ir.graph import Graph, NodeId, Value
from cnndsl.ir.types import DType, TensorType, f32
from cnndsl.ops.activations import relu
from cnndsl.ops.elementwise import add, mul, neg, sub
from cnndsl.ops.linalg import MatmulAttrs, matmul
from cnndsl.ops.reduce import ReduceAttrs, reduce_sum
from cnndsl.ops.shape import ReshapeAttrs, reshape
from cnndsl.ops.structural import (
    ConstantAttrs,
    InputAttrs,
    ParameterAttrs,
    constant,
    input_,
    parameter,
)
from cnndsl.plan.liveness import most_live
from cnndsl.plan.memory import make_plan
from cnndsl.plan.plan import Arena, Phase, Plan
from cnndsl.plan.verify import verify_plan
from tests.plan.graphs import graphs

SHAPE = f32(4, 16)


def builder() -> Builder:
    return Builder(Graph("net"))


def feed(b: Builder, name: str, kind: TensorType = SHAPE) -> Value:
    return b.emit(input_, attrs=InputAttrs(kind), name=name)


def stored(b: Builder, name: str, kind: TensorType = SHAPE) -> Value:
    return b.emit(parameter, attrs=ParameterAttrs(kind), name=name)


def planned(b: Builder, *, inplace: bool = True, donate: bool = True) -> Plan:
    plan = make_plan(b.graph, inplace=inplace, donate=donate)
    verify_plan(plan)
    return plan


@settings(max_examples=150)
@given(graphs(), st.booleans(), st.booleans(), st.sampled_from((1, 16, 64, 256)))
def test_every_plan_proves_itself(graph: Graph, inplace: bool, donate: bool, unit: int) -> None:
    verify_plan(make_plan(graph, alignment=unit, inplace=inplace, donate=donate))


@settings(max_examples=100)
@given(graphs(), st.booleans())
def test_regions_that_live_together_lie_apart(graph: Graph, inplace: bool) -> None:
    plan = make_plan(graph, inplace=inplace)
    for index, one in enumerate(plan.regions):
        assert one.offset % plan.alignment == 0
        assert one.end <= plan.arena_bytes[one.arena]
        for other in plan.regions[:index]:
            if one.arena is other.arena and one.phase is other.phase:
                together = one.lifetime.overlaps(other.lifetime)
                apart = one.end <= other.offset or other.end <= one.offset
                assert apart or not together


@settings(max_examples=100)
@given(graphs())
def test_values_live_inside_their_region(graph: Graph) -> None:
    plan = make_plan(graph)
    region_of = {value: region for region in plan.regions for value in region.values}
    for step in (*plan.prepare, *plan.steps):
        for value, slot in zip(step.node.results, step.results, strict=True):
            region = region_of[value]
            life = plan.lifetimes[value]
            assert region.offset == slot.offset
            assert slot.end <= region.end
            assert region.lifetime.last >= life.last or region.arena is Arena.PREPARED
            assert region.lifetime.first <= life.first


@settings(max_examples=100)
@given(graphs())
def test_workspace_is_at_least_what_is_live_and_at_most_all(graph: Graph) -> None:
    plan = make_plan(graph)
    regions = [r for r in plan.regions if r.arena is Arena.WORKSPACE]
    for phase in Phase:
        bound = most_live((r.lifetime, r.nbytes) for r in regions if r.phase is phase)
        assert bound <= plan.arena_bytes[Arena.WORKSPACE]
    assert plan.arena_bytes[Arena.WORKSPACE] <= sum(r.nbytes for r in regions)


@settings(max_examples=50)
@given(graphs())
def test_plans_are_reproducible(graph: Graph) -> None:
    one, two = make_plan(graph), make_plan(graph.copy())
    assert one.steps == two.steps
    assert one.slots == two.slots
    assert one.copies == two.copies


@settings(max_examples=60)
@given(graphs(updates=True))
def test_without_donation_no_step_writes_the_state(graph: Graph) -> None:
    plan = make_plan(graph, donate=False)
    assert not plan.donated
    written = {slot.arena for step in plan.steps for slot in step.results}
    assert Arena.STATE not in written


def test_chain_of_elementwise_ops_takes_one_place() -> None:
    b = builder()
    value = feed(b, "x")
    for _ in range(6):
        value = b.emit(relu, value)
    b.graph.outputs["y"] = value
    plan = planned(b)
    assert plan.arena_bytes[Arena.WORKSPACE] == SHAPE.nbytes
    assert planned(b, inplace=False).arena_bytes[Arena.WORKSPACE] == 2 * SHAPE.nbytes


def test_inputs_parameters_and_constants_are_not_overwritten() -> None:
    b = builder()
    array = np.ones((4, 16), dtype=np.float32)
    sources = (feed(b, "x"), stored(b, "w"), b.emit(constant, attrs=ConstantAttrs.of(array)))
    for index, value in enumerate(sources):
        b.graph.outputs[f"y{index}"] = b.emit(neg, value)
    plan = planned(b)
    arenas = {slot.arena for step in (*plan.prepare, *plan.steps) for slot in step.results}
    assert arenas == {Arena.WORKSPACE, Arena.PREPARED}


def test_an_operand_that_is_read_later_is_not_overwritten() -> None:
    b = builder()
    x = b.emit(neg, feed(b, "x"))
    b.graph.outputs["y"] = b.emit(add, b.emit(relu, x), x)
    plan = planned(b)
    assert plan.arena_bytes[Arena.WORKSPACE] == 2 * SHAPE.nbytes


def test_an_output_is_not_overwritten() -> None:
    b = builder()
    x = b.emit(neg, feed(b, "x"))
    b.graph.outputs.update(x=x, y=b.emit(relu, x))
    assert planned(b).arena_bytes[Arena.WORKSPACE] == 2 * SHAPE.nbytes


def test_elementwise_result_takes_the_second_operand_when_the_first_is_broadcast() -> None:
    b = builder()
    row = b.emit(neg, feed(b, "row", f32(1, 16)))
    both = b.emit(sub, row, b.emit(neg, feed(b, "x")))
    b.graph.outputs["y"] = both
    plan = planned(b)
    (step,) = (step for step in plan.steps if step.node.op is sub)
    assert step.results[0] == step.operands[1]


def test_matmul_overwrites_nothing() -> None:
    b = builder()
    x = b.emit(neg, feed(b, "x", f32(16, 16)))
    b.graph.outputs["y"] = b.emit(matmul, x, x, attrs=MatmulAttrs())
    plan = planned(b)
    assert plan.arena_bytes[Arena.WORKSPACE] == 2 * 16 * 16 * 4


def test_views_are_not_launched_and_share_their_operands_place() -> None:
    b = builder()
    x = feed(b, "x")
    flat = b.emit(reshape, x, attrs=ReshapeAttrs((64,)))
    b.graph.outputs["y"] = b.emit(reshape, b.emit(neg, flat), attrs=ReshapeAttrs((8, 8)))
    plan = planned(b)
    assert [step.node.op for step in plan.steps] == [neg]
    assert plan.slots[flat] == replace(plan.slots[x], type=f32(64))


def test_a_view_keeps_its_operand_alive() -> None:
    b = builder()
    x = b.emit(neg, feed(b, "x"))
    flat = b.emit(reshape, x, attrs=ReshapeAttrs((64,)))
    other = b.emit(relu, x)
    b.graph.outputs["y"] = b.emit(reduce_sum, other, attrs=ReduceAttrs((0,), keepdims=False))
    b.graph.outputs["z"] = b.emit(neg, flat)
    planned(b)


def test_what_depends_on_state_alone_is_prepared_once() -> None:
    b = builder()
    w = stored(b, "w")
    folded = b.emit(mul, b.emit(neg, w), w)
    b.graph.outputs["y"] = b.emit(add, feed(b, "x"), folded)
    plan = planned(b)
    assert [step.node.op for step in plan.prepare] == [neg, mul]
    assert [step.node.op for step in plan.steps] == [add]
    assert plan.slots[folded].arena is Arena.PREPARED
    # What is needed while preparing only lies in the workspace.
    assert plan.arena_bytes[Arena.PREPARED] == SHAPE.nbytes


def test_nothing_that_depends_on_an_updated_parameter_is_prepared() -> None:
    b = builder()
    w, still = stored(b, "w"), stored(b, "still")
    x = feed(b, "x")
    moved = b.emit(add, b.emit(neg, w), b.emit(relu, still))
    b.graph.outputs["y"] = b.emit(add, x, moved)
    b.graph.updates[NodeId("w")] = b.emit(sub, w, x)
    plan = planned(b)
    assert [step.node.op for step in plan.prepare] == [relu]


def test_momentum_is_written_in_place_and_nothing_is_copied() -> None:
    b = builder()
    w, m = stored(b, "w"), stored(b, "m")
    x = feed(b, "x")
    grad = b.emit(mul, x, w)
    speed = b.emit(add, b.emit(mul, m, x), grad)
    b.graph.updates.update({NodeId("w"): b.emit(sub, w, speed), NodeId("m"): speed})
    plan = planned(b)
    assert plan.donated == {"w", "m"}
    assert not plan.copies
    assert plan.slots[speed] == plan.slots[m]


def test_update_waits_for_other_readers_of_the_old_value() -> None:
    b = builder()
    w, x = stored(b, "w"), feed(b, "x")
    new = b.emit(sub, w, x)
    late = b.emit(mul, b.emit(relu, b.emit(neg, x)), w)
    b.graph.outputs["y"] = late
    b.graph.updates[NodeId("w")] = new
    plan = planned(b)
    order = [step.node.id for step in plan.steps]
    assert plan.donated == {"w"}
    assert order.index(new.node) > order.index(late.node)


def test_update_is_copied_when_the_old_value_is_an_output() -> None:
    b = builder()
    w, x = stored(b, "w"), feed(b, "x")
    b.graph.outputs["before"] = b.emit(reshape, w, attrs=ReshapeAttrs((64,)))
    b.graph.updates[NodeId("w")] = b.emit(sub, w, x)
    plan = planned(b)
    assert not plan.donated
    assert [copy.target for copy in plan.copies] == [plan.slots[w]]


def test_update_is_copied_when_a_reader_of_the_old_value_needs_the_new_one() -> None:
    b = builder()
    w, x = stored(b, "w"), feed(b, "x")
    new = b.emit(sub, w, x)
    b.graph.outputs["change"] = b.emit(sub, new, w)
    b.graph.updates[NodeId("w")] = new
    assert not planned(b).donated


def test_parameters_that_change_places_are_brought_to_safety() -> None:
    b = builder()
    one, two, x = stored(b, "one"), stored(b, "two"), feed(b, "x")
    b.graph.outputs["y"] = b.emit(neg, x)
    b.graph.updates.update({NodeId("one"): two, NodeId("two"): one})
    plan = planned(b)
    assert len(plan.copies) == 4


def test_updates_that_wait_for_each_other_give_up_one_donation() -> None:
    b = builder()
    one, two, x = stored(b, "one"), stored(b, "two"), feed(b, "x")
    first = b.emit(add, b.emit(add, one, two), x)
    second = b.emit(sub, b.emit(sub, two, one), first)
    b.graph.updates.update({NodeId("one"): first, NodeId("two"): second})
    planned(b)
    c = builder()
    one, two = stored(c, "one"), stored(c, "two")
    c.graph.updates[NodeId("one")] = c.emit(add, one, two)
    c.graph.updates[NodeId("two")] = c.emit(sub, two, one)
    assert planned(c).donated == {"two"}


def test_one_value_for_two_parameters_is_written_once_and_copied_once() -> None:
    b = builder()
    one, two, x = stored(b, "one"), stored(b, "two"), feed(b, "x")
    new = b.emit(sub, one, x)
    b.graph.updates.update({NodeId("one"): new, NodeId("two"): new})
    plan = planned(b)
    assert plan.donated == {"one"}
    assert [copy.target for copy in plan.copies] == [plan.slots[two]]


def test_what_nothing_needs_is_not_launched_but_keeps_its_place_at_the_border() -> None:
    b = builder()
    x, w = feed(b, "x"), stored(b, "w")
    dead = b.emit(mul, x, w)
    b.graph.outputs["y"] = b.emit(neg, feed(b, "z"))
    plan = planned(b)
    assert [step.node.op for step in plan.steps] == [neg]
    assert {x, w} <= plan.slots.keys()
    assert dead not in plan.slots


def test_empty_and_scalar_values_have_places() -> None:
    b = builder()
    empty = b.emit(neg, feed(b, "x", f32(0, 3)))
    scalar = b.emit(neg, feed(b, "s", TensorType(DType.F64, ())))
    b.graph.outputs.update(empty=empty, scalar=scalar)
    plan = planned(b)
    assert plan.slots[empty].offset != plan.slots[scalar].offset


@pytest.mark.parametrize("unit", [0, -64, 48])
def test_alignment_must_be_a_power_of_two(unit: int) -> None:
    with pytest.raises(ValueError, match="power of two"):
        make_plan(Graph("empty"), alignment=unit)


def test_plan_of_nothing() -> None:
    plan = make_plan(Graph("empty"))
    verify_plan(plan)
    assert not plan.steps
    assert set(plan.arena_bytes.values()) == {0}


def test_long_graphs_are_planned() -> None:
    b = builder()
    values = [feed(b, "x")]
    for index in range(2500):
        kept = values[max(0, len(values) - 1 - index % 40)]
        values.append(b.emit(relu, b.emit(sub, values[-1], kept)))
    b.graph.outputs["y"] = values[-1]
    plan = planned(b)
    assert len(plan.steps) == 5000
