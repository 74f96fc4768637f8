"""What can wait for the end of a step, or come before it, to be done by few launches for all.

A plan computes each update as soon as its gradient is there, so that the gradient's memory is free
again. On a GPU hundreds of small launches cost more than that memory: here gradients get memory of
their own, updates wait for the end, and weights are rounded to halves before everything else, so
that `joined` makes one launch of them. What is computed stays the same to the bit.
"""

from __future__ import annotations

from dataclasses import dataclass

from cnndsl.backends.cuda.shadows import is_shadow
from cnndsl.ir.graph import NodeId, Value
from cnndsl.ir.op import Trait
from cnndsl.plan.plan import Arena, Plan, Step


@dataclass(frozen=True, slots=True)
class Apart:
    """The steps of a plan that are not done at their place."""

    first: tuple[Step, ...] = ()
    """Done before all others."""
    last: tuple[Step, ...] = ()
    """Done after all others."""

    @classmethod
    def of(cls, plan: Plan) -> Apart:
        """Find them."""
        return cls(brought_forward(plan), put_off(plan))

    @property
    def steps(self) -> tuple[Step, ...]:
        """Both."""
        return (*self.first, *self.last)


NONE_APART = Apart()
"""Every step at its place."""


def brought_forward(plan: Plan) -> tuple[Step, ...]:
    """Give the steps that round weights to halves, which can be done before everything else."""
    states = {v for v, slot in plan.slots.items() if slot.arena is Arena.STATE}
    return tuple(
        step
        for step in plan.steps
        if is_shadow(plan.graph, step.node) and origin(plan, step.node.operands[0]) in states
    )


def origin(plan: Plan, value: Value) -> Value:
    """Give the value whose memory a value shows: itself unless it is a view."""
    node = plan.graph[value]
    while node.operands and plan.storage.is_view(node, plan.graph.type_of(node.operands[0])):
        value = node.operands[0]
        node = plan.graph[value]
    return value


def put_off(plan: Plan) -> tuple[Step, ...]:
    """Give the steps that can wait for the end of the run.

    They are elementwise, lead to nothing but parameters that they write in place, and read no
    parameter that a step which does not wait overwrites after them.
    """
    steps = {step.node.id: step for step in plan.steps}
    readers: dict[Value, set[NodeId]] = {}
    for step in plan.steps:
        for value in step.node.operands:
            readers.setdefault(origin(plan, value), set()).add(step.node.id)
    graph = plan.graph
    ends = {origin(plan, v): Value(parameter) for parameter, v in graph.updates.items()}
    outputs = {origin(plan, value) for value in graph.outputs.values()}
    waiting = {
        name
        for name, step in steps.items()
        if Trait.ELEMENTWISE in step.node.op.traits and step.node.results[0] not in outputs
    }

    def may_wait(step: Step) -> bool:
        result = step.node.results[0]
        known = readers.get(result, set())
        reads = {origin(plan, value) for value in step.node.operands}
        if not known <= waiting or reads & early:
            return False
        return step.results[0].arena is Arena.STATE if result in ends else bool(known)

    while True:
        early = {old for new, old in ends.items() if new.node in steps and new.node not in waiting}
        refused = {name for name in waiting if not may_wait(steps[name])}
        if not refused:
            break
        waiting -= refused
    return tuple(step for step in plan.steps if step.node.id in waiting)


def own_memory(plan: Plan, apart: Apart) -> tuple[Value, ...]:
    """Give the values in the workspace that live before or after their place in the plan."""
    found: dict[Value, None] = {}
    for step in apart.steps:
        for value in (*step.node.operands, *step.node.results):
            source = origin(plan, value)
            if plan.slots[source].arena is Arena.WORKSPACE:
                found[source] = None
    return tuple(found)
