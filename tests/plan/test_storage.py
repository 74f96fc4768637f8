"""Plans for backends that keep values in their own way: narrow elements, views that are copies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given

from cnndsl.ir.builder import Builder
from cnndsl.ir.graph import Graph, Node, Value
from cnndsl.ir.op import Trait
from cnndsl.ir.types import TensorType, f32
from cnndsl.ops.activations import relu
from cnndsl.ops.shape import ReshapeAttrs, reshape
from cnndsl.ops.structural import InputAttrs, input_
from cnndsl.plan.memory import make_plan
from cnndsl.plan.plan import Arena, Plan
from cnndsl.plan.storage import PLAIN, Storage
from cnndsl.plan.verify import verify_plan
from cnndsl.support.diagnostics import VerifyError
from tests.plan.graphs import graphs


@dataclass(frozen=True, slots=True)
class Halving(Storage):
    """Values between input and output have two bytes an element; nothing is a view."""

    halves: frozenset[Value]

    def element_bytes(self, value: Value, kind: TensorType) -> int:
        return 2 if value in self.halves else kind.dtype.nbytes

    def is_view(self, node: Node[Any], operand: TensorType) -> bool:
        return False


def chain() -> tuple[Graph, list[Value]]:
    """Give x -> relu -> relu -> reshape -> relu, and the three values between."""
    b = Builder(Graph("chain"))
    x = b.emit(input_, attrs=InputAttrs(f32(8, 16)), name="x")
    first = b.emit(relu, x)
    second = b.emit(relu, first)
    third = b.emit(reshape, second, attrs=ReshapeAttrs((16, 8)))
    b.graph.outputs["y"] = b.emit(relu, third)
    return b.graph, [first, second, third]


def plan_of(graph: Graph, storage: Storage) -> Plan:
    plan = make_plan(graph, alignment=64, storage=storage)
    verify_plan(plan)
    return plan


def test_narrow_values_take_fewer_bytes_and_copies_are_launched() -> None:
    graph, between = chain()
    plan = plan_of(graph, Halving(frozenset(between)))
    assert [step.node.op.name for step in plan.steps] == ["relu", "relu", "reshape", "relu"]
    assert all(plan.slots[value].nbytes == 256 for value in between)
    assert plan.slots[graph.outputs["y"]].nbytes == 512
    whole = plan_of(graph, PLAIN)
    assert [step.node.op.name for step in whole.steps] == ["relu", "relu", "relu"]
    assert whole.slots[between[1]].nbytes == 512


def test_a_result_overwrites_no_operand_of_another_width() -> None:
    graph, (first, second, third) = chain()
    plan = plan_of(graph, Halving(frozenset([second, third])))
    assert plan.slots[first].offset != plan.slots[second].offset
    same = plan_of(graph, Halving(frozenset([first, second, third])))
    assert same.slots[first].offset == same.slots[second].offset


@given(graphs())
def test_plans_of_narrow_values_are_proven(graph: Graph) -> None:
    kept = {*graph.outputs.values(), *graph.updates.values()}
    inner = [
        value
        for node in graph.nodes()
        if Trait.STRUCTURAL not in node.op.traits
        for value in node.results
        if value not in kept and graph.type_of(value).dtype.is_float
    ]
    plan = plan_of(graph, Halving(frozenset(inner)))
    assert plan.arena_bytes[Arena.INPUT] == plan_of(graph, PLAIN).arena_bytes[Arena.INPUT]


def test_a_step_that_reads_another_width_than_was_written_is_refused() -> None:
    graph, between = chain()
    plan = plan_of(graph, Halving(frozenset(between)))
    other = make_plan(graph, alignment=64, storage=Halving(frozenset()))
    mixed = Plan(
        **{
            **{name: getattr(plan, name) for name in Plan.__dataclass_fields__},
            "steps": (*plan.steps[:1], *other.steps[1:]),
        }
    )
    with pytest.raises(VerifyError, match="reads"):
        verify_plan(mixed)
