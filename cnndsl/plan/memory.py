"""The planner: order, aliasing, in-place results, donated parameters, offsets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from cnndsl.ir.graph import Graph, NodeId, Value
from cnndsl.ir.op import Trait
from cnndsl.ir.types import TensorType
from cnndsl.ops.structural import input_, parameter
from cnndsl.plan.donation import Donations, donations, no_donations, overwritable
from cnndsl.plan.liveness import BEFORE, lifetimes, of_memory
from cnndsl.plan.offsets import Request, place, round_up
from cnndsl.plan.partition import Partition, partition
from cnndsl.plan.plan import Arena, Copy, Lifetime, Phase, Plan, Region, Slot, Step
from cnndsl.plan.schedule import Problem, Task, order
from cnndsl.plan.storage import PLAIN, Storage


def make_plan(
    graph: Graph,
    *,
    alignment: int = 64,
    inplace: bool = True,
    donate: bool = True,
    storage: Storage = PLAIN,
) -> Plan:
    """Plan `graph`: what is prepared and what is run, in which order, and where everything lies.

    `inplace` lets results overwrite operands that die; `donate` lets updates be written straight
    into their parameters. Without either a plan computes the same and takes more memory; without
    `donate` a run that fails half-way has changed no parameter. `storage` says how a backend keeps
    values. The same graph gives the same
    plan. Raises `ValueError` for an alignment that is not a power of two.
    """
    if alignment < 1 or alignment & (alignment - 1):
        raise ValueError(f"the alignment is {alignment}; it must be a power of two")
    part = partition(graph, storage)
    given = donations(graph, part, storage) if donate else no_donations(part)
    planner = _Planner(graph, part, given, alignment=alignment, inplace=inplace, storage=storage)
    planner.permanent()
    planner.phase(Phase.PREPARE)
    planner.phase(Phase.RUN)
    return planner.finish()


@dataclass(slots=True)
class _Hold:
    """A region in the making."""

    arena: Arena
    nbytes: int
    phase: Phase
    lifetime: Lifetime
    values: list[Value] = field(default_factory=list)
    offset: int = 0


class _Planner:
    """Everything that is known while a plan is made."""

    def __init__(
        self,
        graph: Graph,
        part: Partition,
        given: Donations,
        *,
        alignment: int,
        inplace: bool,
        storage: Storage,
    ) -> None:
        self.graph = graph
        self.part = part
        self.given = given
        self.alignment = alignment
        self.inplace = inplace
        self.storage = storage
        self.holds: list[_Hold] = []
        self.held: dict[Value, _Hold] = {}  # by the value that owns the memory
        self.orders: dict[Phase, tuple[NodeId, ...]] = {}
        self.lives: dict[Phase, dict[Value, Lifetime]] = {}
        self.tops = dict.fromkeys(Arena, 0)
        self.copies: list[tuple[Value | _Hold, NodeId | _Hold, TensorType]] = []

    def permanent(self) -> None:
        """Give inputs, parameters and constants their places."""
        forever = Lifetime(BEFORE, len(self.part.run))
        for node in self.graph.nodes():
            # An input or parameter that nothing needs keeps its place: it is fed or stored.
            if node.op is input_:
                self._append(node.results[0], Arena.INPUT, forever)
            elif node.op is parameter:
                self._append(node.results[0], Arena.STATE, forever)
            elif Trait.STRUCTURAL in node.op.traits and node.results[0] in self.part.origin:
                self._append(node.results[0], Arena.CONSTANT, forever)

    def _append(self, value: Value, arena: Arena, life: Lifetime) -> None:
        """Put `value` at the end of an arena for good."""
        nbytes = self._bytes(value)
        hold = _Hold(arena, nbytes, Phase.RUN, life, [value], self.tops[arena])
        self.tops[arena] += nbytes
        self.holds.append(hold)
        self.held[value] = hold

    def _bytes(self, value: Value) -> int:
        """Give the bytes that are held for a value."""
        return round_up(self.storage.nbytes(value, self.graph.type_of(value)), self.alignment)

    def phase(self, phase: Phase) -> None:
        """Order the nodes of a phase and give their results places."""
        nodes = self.part.prepare if phase is Phase.PREPARE else self.given.order
        at_end = self._needed_after_prepare() if phase is Phase.PREPARE else self.graph.roots()
        outside = self._outside(phase, at_end)
        sequence = self._sequence(nodes, at_end, outside)
        self.orders[phase] = sequence
        self.lives[phase] = lifetimes(self.graph, sequence, self.part.origin, at_end)
        memory = of_memory(self.lives[phase], self.part.origin)
        for node_id in sequence:
            self._place_results(node_id, phase, memory, outside)
        if phase is Phase.RUN:
            self._plan_copies(len(sequence))
        self._place_workspace(phase)

    def _needed_after_prepare(self) -> tuple[Value, ...]:
        """Give the prepared values that the run reads or gives back."""
        prepared = set(self.part.prepare)
        read = (value for node_id in self.part.run for value in self.graph[node_id].operands)
        wanted = dict.fromkeys((*read, *self.graph.roots()))
        return tuple(v for v in wanted if self.part.origin[v].node in prepared)

    def _outside(self, phase: Phase, at_end: Iterable[Value]) -> frozenset[Value]:
        """Give the memories made in this phase that do not lie in the workspace."""
        if phase is Phase.PREPARE:
            return frozenset(self.part.origin[value] for value in at_end)
        return frozenset(self.given.into)

    def _sequence(
        self, nodes: Sequence[NodeId], at_end: Iterable[Value], outside: frozenset[Value]
    ) -> tuple[NodeId, ...]:
        """Order `nodes`."""
        graph, origin = self.graph, self.part.origin
        position = {node_id: index for index, node_id in enumerate(nodes)}
        number: dict[Value, int] = {}
        sizes: list[int] = []

        def memory(value: Value) -> int:
            owner = origin[value]
            if owner not in number:
                number[owner] = len(sizes)
                local = owner.node in position and owner not in outside
                sizes.append(self._bytes(owner) if local else 0)
            return number[owner]

        tasks = []
        for node_id in nodes:
            node = graph[node_id]
            reuses = overwritable(node, graph, origin, self.storage) if self.inplace else ()
            after = self.given.after.get(node_id, ())
            tasks.append(
                Task(
                    reads=tuple(dict.fromkeys(memory(value) for value in node.operands)),
                    writes=tuple(memory(value) for value in node.results),
                    after=tuple(position[earlier] for earlier in after),
                    reuses=tuple(memory(value) for value in reuses),
                )
            )
        kept = frozenset(memory(value) for value in at_end)
        found = order(Problem(tuple(tasks), tuple(sizes), kept))
        return tuple(nodes[index] for index in found)

    def _place_results(
        self,
        node_id: NodeId,
        phase: Phase,
        memory: Mapping[Value, Lifetime],
        outside: frozenset[Value],
    ) -> None:
        """Give each result of a node a region: its parameter's, a dying operand's or a new one."""
        node = self.graph[node_id]
        for value in node.results:
            if value in self.given.into:
                hold = self.held[Value(self.given.into[value])]
                hold.values.append(value)
                self.held[value] = hold
            elif value in outside:
                self._append(value, Arena.PREPARED, Lifetime(BEFORE, len(self.part.run)))
            elif value.index == 0 and (dying := self._dying(node_id, memory)):
                dying.values.append(value)
                dying.lifetime = Lifetime(dying.lifetime.first, memory[value].last)
                self.held[value] = dying
            else:
                nbytes = self._bytes(value)
                hold = _Hold(Arena.WORKSPACE, nbytes, phase, memory[value], [value])
                self.holds.append(hold)
                self.held[value] = hold

    def _dying(self, node_id: NodeId, memory: Mapping[Value, Lifetime]) -> _Hold | None:
        """Give the workspace region of an operand that the node may overwrite and reads last."""
        if not self.inplace:
            return None
        node, origin = self.graph[node_id], self.part.origin
        now = memory[node.results[0]].first
        for value in overwritable(node, self.graph, origin, self.storage):
            hold = self.held[origin[value]]
            if hold.arena is Arena.WORKSPACE and hold.lifetime.last == now:
                return hold
        return None

    def _plan_copies(self, end: int) -> None:
        """Plan the moves of updates that are not in place, as if all were made at once.

        A source that is itself overwritten by a move is first brought to safety.
        """
        moves = [
            (self.part.origin[value], target)
            for target, value in self.graph.updates.items()
            if self.held[self.part.origin[value]] is not self.held[Value(target)]
        ]
        targets = {id(self.held[Value(target)]) for _, target in moves}
        safe: dict[Value, _Hold] = {}
        for source, _ in moves:
            if id(self.held[source]) in targets and source not in safe:
                kind = self.graph.type_of(source)
                nbytes = round_up(kind.nbytes, self.alignment)
                safe[source] = _Hold(Arena.WORKSPACE, nbytes, Phase.RUN, Lifetime(end, end))
                self.holds.append(safe[source])
                self.copies.append((source, safe[source], kind))
        for source, target in moves:
            kind = self.graph[target].type
            self.copies.append((safe.get(source, source), target, kind))

    def _place_workspace(self, phase: Phase) -> None:
        """Give the workspace regions of a phase their offsets."""
        holds = [h for h in self.holds if h.arena is Arena.WORKSPACE and h.phase is phase]
        placed = place([Request(hold.lifetime, hold.nbytes) for hold in holds])
        for hold, offset in zip(holds, placed.offsets, strict=True):
            hold.offset = offset
        self.tops[Arena.WORKSPACE] = max(self.tops[Arena.WORKSPACE], placed.nbytes)

    def finish(self) -> Plan:
        """Write down the plan."""
        slots = {value: self._slot(value) for value in (*self.held, *self.part.origin)}
        return Plan(
            graph=self.graph,
            alignment=self.alignment,
            prepare=self._steps(Phase.PREPARE, slots),
            steps=self._steps(Phase.RUN, slots),
            copies=tuple(
                Copy(self._end_of(source, kind), self._end_of(target, kind))
                for source, target, kind in self.copies
            ),
            slots=slots,
            lifetimes={**self.lives[Phase.PREPARE], **self.lives[Phase.RUN]},
            regions=tuple(
                Region(h.arena, h.offset, h.nbytes, h.phase, h.lifetime, tuple(h.values))
                for h in self.holds
            ),
            donated=frozenset(self.given.into.values()),
            arena_bytes=dict(self.tops),
            storage=self.storage,
        )

    def _slot(self, value: Value) -> Slot:
        hold = self.held[self.part.origin.get(value, value)]
        kind = self.graph.type_of(value)
        width = self.storage.element_bytes(value, kind)
        return Slot(hold.arena, hold.offset, kind, 0 if width == kind.dtype.nbytes else width)

    def _end_of(self, place: Value | NodeId | _Hold, kind: TensorType) -> Slot:
        """Give the slot at one end of a copy."""
        if isinstance(place, _Hold):
            return Slot(place.arena, place.offset, kind)
        value = place if isinstance(place, Value) else Value(place)
        return Slot(self.held[value].arena, self.held[value].offset, kind)

    def _steps(self, phase: Phase, slots: Mapping[Value, Slot]) -> tuple[Step, ...]:
        nodes = (self.graph[node_id] for node_id in self.orders[phase])
        return tuple(
            Step(
                node,
                tuple(slots[value] for value in node.operands),
                tuple(slots[value] for value in node.results),
            )
            for node in nodes
        )
