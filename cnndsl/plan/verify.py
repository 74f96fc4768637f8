"""Proof of a plan: a run is played through with names in place of numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from cnndsl.ir.graph import Value
from cnndsl.ir.op import Trait
from cnndsl.ops.structural import input_
from cnndsl.plan.donation import overwritable
from cnndsl.plan.partition import partition
from cnndsl.plan.plan import Arena, Phase, Plan, Slot, Step
from cnndsl.support.diagnostics import VerifyError


def verify_plan(plan: Plan) -> None:
    """Play preparation, two runs and their updates, and watch what lies where.

    Independent of lifetimes and regions: it knows only slots, steps and copies. Raises
    `VerifyError` when a step, an output or an update would read anything but its value, when a
    step would overwrite an operand that its op may not overwrite, when a constant, input or
    prepared value is overwritten, or when a slot is misaligned or leaves its arena.
    """
    for value, slot in plan.slots.items():
        if slot.offset % plan.alignment or slot.end > plan.arena_bytes[slot.arena]:
            raise VerifyError(f"{value} does not fit its arena: {slot} of {slot.type}")
    memory = _Memory(plan, partition(plan.graph, plan.storage).origin)
    for node in plan.graph.nodes():
        place = plan.slots.get(node.results[0])
        if place and Trait.STRUCTURAL in node.op.traits and node.op is not input_:
            memory.write(place, node.results[0], "the state")
    for step in plan.prepare:
        memory.launch(step, Phase.PREPARE)
    for _ in range(2):
        _play(plan, memory)


def _play(plan: Plan, memory: _Memory) -> None:
    """Play one run; afterwards every parameter must hold its update, which then is its value."""
    graph = plan.graph
    memory.forget_workspace()
    for node in graph.nodes():
        if node.op is input_:
            memory.write(plan.slots[node.results[0]], node.results[0], "the feeds")
    for step in plan.steps:
        memory.launch(step, Phase.RUN)
    for name, value in graph.outputs.items():
        memory.read(plan.slots[value], value, f"output {name}")
    for copy in plan.copies:
        moved = memory.holds(copy.source)
        if moved is None:
            raise VerifyError(f"a copy reads {copy.source}, where nothing whole lies")
        memory.write(copy.target, moved, "a copy")
    for parameter_id, value in graph.updates.items():
        slot = plan.slots[Value(parameter_id)]
        memory.read(slot, value, f"update of {parameter_id}")
    for parameter_id in graph.updates:
        slot = plan.slots[Value(parameter_id)]
        memory.write(slot, Value(parameter_id), f"the next run's {parameter_id}")


@dataclass
class _Memory:
    """What lies in each arena: stretches of bytes, each with the value that was written there."""

    plan: Plan
    origin: Mapping[Value, Value]
    content: dict[Arena, dict[tuple[int, int], Value]] = field(
        default_factory=lambda: {arena: {} for arena in Arena}
    )

    def forget_workspace(self) -> None:
        """Let the workspace and the inputs mean nothing."""
        self.content[Arena.WORKSPACE] = {}
        self.content[Arena.INPUT] = {}

    def holds(self, slot: Slot) -> Value | None:
        """Give the value that lies exactly in `slot`."""
        return self.content[slot.arena].get((slot.offset, slot.end))

    def read(self, slot: Slot, value: Value, reader: str) -> None:
        """Check that `slot` holds `value`."""
        found = self.holds(slot)
        if slot.nbytes and found != self.origin[value]:
            raise VerifyError(f"{reader} reads {value} at {slot} and finds {found}")

    def write(self, slot: Slot, value: Value, writer: str) -> None:
        """Let `slot` hold `value`; whatever it touches is gone."""
        stretches = self.content[slot.arena]
        begin, end = slot.offset, slot.end
        gone = [s for s in stretches if s[0] < end and begin < s[1]]
        replaced = [stretches.pop(stretch) for stretch in gone]
        if replaced and slot.arena in (Arena.INPUT, Arena.CONSTANT, Arena.PREPARED):
            raise VerifyError(f"{writer} overwrites {replaced[0]} at {slot}")
        stretches[begin, end] = self.origin.get(value, value)

    def launch(self, step: Step, phase: Phase) -> None:
        """Play one step."""
        node = step.node
        for value, slot in zip(node.operands, step.operands, strict=True):
            self.read(slot, value, node.id)
        allowed = {
            self.origin[v]
            for v in overwritable(node, self.plan.graph, self.origin, self.plan.storage)
        }
        for value, slot in zip(node.results, step.results, strict=True):
            if phase is Phase.PREPARE and slot.arena is Arena.STATE:
                raise VerifyError(f"{node.id} changes the state while preparing")
            for operand, place in zip(node.operands, step.operands, strict=True):
                upon = place.arena is slot.arena and (
                    place.offset < slot.end and slot.offset < place.end
                )
                whole = value.index == 0 and self.origin[operand] in allowed
                if upon and not (whole and place.offset == slot.offset):
                    raise VerifyError(f"{node.id} overwrites its operand {operand} at {slot}")
        for value, slot in zip(node.results, step.results, strict=True):
            self.write(slot, value, node.id)
        for value, slot in zip(node.results, step.results, strict=True):
            self.read(slot, value, f"{node.id}, of its own results,")
