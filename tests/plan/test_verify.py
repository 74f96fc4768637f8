from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings

from cnndsl.ir.builder import Builder
from cnndsl.ir.graph import Graph, NodeId, Value
from cnndsl.ir.types import f32
from cnndsl.ops.elementwise import add, mul, neg, sub
from cnndsl.ops.linalg import MatmulAttrs, matmul
from cnndsl.ops.structural import InputAttrs, ParameterAttrs, input_, parameter
from cnndsl.plan.memory import make_plan
from cnndsl.plan.plan import Arena, Plan, Slot, Step
from cnndsl.plan.verify import verify_plan
from cnndsl.support.diagnostics import VerifyError
from tests.plan.graphs import graphs


def network() -> Graph:
    b = Builder(Graph("net"))
    x = b.emit(input_, attrs=InputAttrs(f32(8, 8)), name="x")
    w = b.emit(parameter, attrs=ParameterAttrs(f32(8, 8)), name="w")
    v = b.emit(parameter, attrs=ParameterAttrs(f32(8, 8)), name="v")
    y = b.emit(matmul, x, b.emit(neg, b.emit(neg, v)), attrs=MatmulAttrs(), name="y")
    z = b.emit(mul, y, w, name="z")
    b.graph.outputs["out"] = b.emit(add, y, z, name="out")
    b.graph.outputs["old"] = w
    b.graph.updates[NodeId("w")] = b.emit(sub, w, z, name="new")
    return b.graph


def moved(plan: Plan, node: str, slot: Slot) -> Plan:
    """Let the first result of `node` lie elsewhere, for its readers too."""
    value = Value(NodeId(node))

    def change(step: Step) -> Step:
        read = zip(step.node.operands, step.operands, strict=True)
        operands = tuple(slot if v == value else s for v, s in read)
        results = (slot, *step.results[1:]) if step.node.id == node else step.results
        return replace(step, operands=operands, results=results)

    slots = {**plan.slots, value: slot}
    if slot.arena is Arena.STATE and node == "neg_1":
        return replace(plan, prepare=tuple(map(change, plan.prepare)), slots=slots)
    return replace(plan, steps=tuple(map(change, plan.steps)), slots=slots)


def at(plan: Plan, node: str, **changes: object) -> Slot:
    return replace(plan.slots[Value(NodeId(node))], **changes)  # type: ignore[arg-type]


BREAKAGES: dict[str, tuple[Callable[[Plan], Plan], str]] = {
    "another order": (lambda p: replace(p, steps=p.steps[::-1]), "reads"),
    "a step left out": (lambda p: replace(p, steps=p.steps[1:]), "reads"),
    "preparation left out": (lambda p: replace(p, prepare=()), "reads"),
    "copies left out": (lambda p: replace(p, copies=()), "update of w"),
    "a copy from nowhere": (
        lambda p: replace(p, copies=(replace(p.copies[0], source=at(p, "w", offset=512)),)),
        "nothing whole",
    ),
    "a result upon an operand": (
        lambda p: moved(p, "z", p.slots[Value(NodeId("y"))]),
        "out reads %y",
    ),
    "a result upon an input": (lambda p: moved(p, "z", p.slots[Value(NodeId("x"))]), "overwrites"),
    "a matmul upon its operand": (
        lambda p: moved(p, "y", p.slots[Value(NodeId("x"))]),
        "overwrites its operand",
    ),
    "the state changed early": (lambda p: moved(p, "new", p.slots[Value(NodeId("w"))]), "old"),
    "a place outside": (
        lambda p: moved(p, "z", at(p, "z", offset=p.arena_bytes[Arena.WORKSPACE])),
        "does not fit",
    ),
    "a place between": (lambda p: moved(p, "z", at(p, "z", offset=8)), "does not fit"),
    "prepared upon the state": (
        lambda p: moved(p, "neg_1", p.slots[Value(NodeId("w"))]),
        "changes the state",
    ),
    "half upon another": (lambda p: moved(p, "z", at(p, "y", offset=64)), "overwrites its operand"),
}


@pytest.mark.parametrize("name", BREAKAGES)
def test_broken_plans_are_found(name: str) -> None:
    plan = make_plan(network())
    verify_plan(plan)
    breakage, message = BREAKAGES[name]
    with pytest.raises(VerifyError, match=message):
        verify_plan(breakage(plan))


@settings(max_examples=60)
@given(graphs(updates=True))
def test_a_plan_with_everything_in_one_place_is_found(graph: Graph) -> None:
    plan = make_plan(graph)
    written = [s for step in plan.steps for s in step.results if s.arena is Arena.WORKSPACE]
    if len({slot.offset for slot in written}) < 2:
        return
    squeezed = {
        value: replace(slot, offset=0) if slot.arena is Arena.WORKSPACE else slot
        for value, slot in plan.slots.items()
    }
    steps = tuple(
        replace(
            step,
            operands=tuple(squeezed[value] for value in step.node.operands),
            results=tuple(squeezed[value] for value in step.node.results),
        )
        for step in plan.steps
    )
    with pytest.raises(VerifyError):
        verify_plan(replace(plan, slots=squeezed, steps=steps))
