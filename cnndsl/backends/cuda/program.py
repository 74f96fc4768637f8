"""Programs: the kernels of a plan, one block of memory for all of it, and commands in order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, replace

from cnndsl.backends.cuda.driver import Command, Fill, Invoke, Move, Run, Stretch
from cnndsl.backends.cuda.joined import Update, in_order, waves
from cnndsl.backends.cuda.joined_launch import table_bytes, wave_launch
from cnndsl.backends.cuda.kernel import (
    ALIGNMENT,
    Access,
    Argument,
    Call,
    Kernel,
    KernelBuilder,
    Key,
    Launch,
    Place,
)
from cnndsl.backends.cuda.kernels.shape import turning
from cnndsl.backends.cuda.layout import is_turned
from cnndsl.backends.cuda.moments import moment_places, norms_after
from cnndsl.backends.cuda.policy import DEFAULT_POLICY, Policy
from cnndsl.backends.cuda.table import kernels as rules
from cnndsl.backends.cuda.updates import NONE_APART, Apart, origin, own_memory
from cnndsl.ir.graph import NodeId, Value
from cnndsl.ops.rules import Array
from cnndsl.ops.structural import input_
from cnndsl.plan.plan import Arena, Phase, Plan, Slot, Step

REPORT_BYTES = 8
POISON = 0xFF
"""Byte that dead memory is filled with: NaN as a float, -1 as a signed integer."""


def key_of(step: Step) -> Key:
    """Give what the text of a step's kernel depends on."""
    aliased = any(_overlap(operand, result) for operand in step.operands for result in step.results)
    return Key(
        step.node.op,
        step.node.attrs,
        tuple(slot.type for slot in step.operands),
        tuple(slot.type for slot in step.results),
        aliased,
        (_halved(step.operands), _halved(step.results)),
    )


def _halved(slots: Sequence[Slot]) -> tuple[bool, ...]:
    return tuple(slot.element_bytes > 0 for slot in slots)


def _overlap(a: Slot, b: Slot) -> bool:
    return a.arena is b.arena and a.offset < b.end and b.offset < a.end


def write_kernel(step: Step, key: Key, policy: Policy = DEFAULT_POLICY) -> Kernel:
    """Write our own kernel of one step."""
    builder = KernelBuilder(step.node, key, policy)
    rules[key.op](builder, step.node)
    return builder.finish()


def write_kernels(
    steps: Iterable[Step],
    policy: Policy = DEFAULT_POLICY,
    chosen: Mapping[Key, Kernel] | None = None,
    *,
    moments: bool = True,
) -> dict[NodeId, Kernel]:
    """Write the kernel of each step; equal steps share theirs, and `chosen` are there already.

    With `moments` a convolution of ours gives the statistics of its tiles to the batch norm that
    reads its result, which then need not read it for them.
    """
    known = dict(chosen or {})
    found: dict[NodeId, Kernel] = {}
    steps = tuple(steps)
    norms = norms_after(steps) if moments else {}
    rows: dict[NodeId, int] = {}
    for step in steps:
        name, key = step.node.id, key_of(step)
        if name in norms and key not in known:
            key = replace(key, moments=1)
        elif name in rows:
            key = replace(key, moments=rows[name])
        if key not in known:
            known[key] = write_kernel(step, key, policy)
        found[name] = known[key]
        if name in norms:
            rows[norms[name]] = known[key].moments
    return found


def launches_of(kernels: Iterable[Kernel]) -> tuple[Launch, ...]:
    """Give the distinct functions of kernels, in order of their first use; no library's."""
    found = (e for kernel in kernels for e in kernel.launches if isinstance(e, Launch))
    return tuple({e.name: e for e in found}.values())


def bind(part: Launch | Call, arguments: tuple[Stretch, ...]) -> Command:
    """Give the command that starts a part of a kernel on this memory."""
    return Run(part, arguments) if isinstance(part, Launch) else Invoke(part, arguments)


@dataclass(frozen=True, slots=True)
class Layout:
    """Where everything lies in the one block of memory of a program."""

    arenas: Mapping[Arena, int]
    """First byte of each arena of the plan."""
    scratch: int
    """First byte of what kernels have for themselves, one after the other."""
    scratch_bytes: int
    """The most that any kernel takes."""
    moments: Mapping[NodeId, int]
    """Where convolutions leave the moments of slices, by convolution and by batch norm."""
    reports: Mapping[NodeId, int]
    """The word of each step that may find fault."""
    outputs: Mapping[str, int]
    """Where outputs are brought to safety before parameters are overwritten."""
    own: Mapping[Value, int]
    """Values that have memory of their own, as steps that are not done at their place need it."""
    fed: Mapping[NodeId, int]
    """Where inputs are put that lie otherwise in the program than they come."""
    tables: tuple[int, int]
    """First byte of the rows and of the blocks of joined steps."""
    nbytes: int
    """Size of the block."""

    @classmethod
    def of(cls, plan: Plan, kernels: Mapping[NodeId, Kernel], apart: Apart = NONE_APART) -> Layout:
        """Lay out the memory of a plan and of its kernels; `apart` are the steps to be joined."""
        top = 0

        def take(nbytes: int) -> int:
            nonlocal top
            place, top = top, top + -(-nbytes // ALIGNMENT) * ALIGNMENT
            return place

        arenas = {arena: take(plan.arena_bytes[arena]) for arena in Arena}
        scratch_bytes = max((k.scratch_bytes for k in kernels.values()), default=0)
        scratch = take(scratch_bytes)
        moments = moment_places(plan, kernels, take)
        judges = [name for name, kernel in kernels.items() if kernel.reports]
        first = take(REPORT_BYTES * len(judges))
        reports = {name: first + REPORT_BYTES * i for i, name in enumerate(judges)}
        outputs = {}
        if plan.copies:
            for name, value in plan.graph.outputs.items():
                outputs[name] = take(plan.slots[value].nbytes)
        own = {v: take(plan.slots[v].nbytes) for v in own_memory(plan, apart)}
        fed = {
            node.id: take(node.type.nbytes)
            for node in plan.graph.nodes()
            if node.op is input_ and is_turned(node.type.shape)
        }
        rows, blocks = table_bytes(apart.steps)
        tables = take(rows), take(blocks)
        return cls(arenas, scratch, scratch_bytes, moments, reports, outputs, own, fed, tables, top)

    def place(self, slot: Slot) -> int:
        """Give the first byte of a slot."""
        return self.arenas[slot.arena] + slot.offset


class Program:
    """The commands of a plan at an address."""

    def __init__(
        self,
        plan: Plan,
        kernels: Mapping[NodeId, Kernel],
        layout: Layout,
        base: int,
        apart: Apart = NONE_APART,
        *,
        half: str | None = None,
        poison: bool = False,
    ) -> None:
        """Bind to memory that begins at `base`; the steps `apart` are joined.

        `half` is the element type of what has two bytes an element. `poison` fills memory whose
        lifetime has ended.
        """
        self._plan = plan
        self._kernels = kernels
        self._layout = layout
        self._base = base
        self._poison = poison
        self._apart = apart
        self._half = half
        self._bound: tuple[tuple[int, int, int], ...] = ()
        self._fed: Mapping[NodeId, int] = {n: base + place for n, place in layout.fed.items()}
        self._tops = [base + place for place in layout.tables]
        self.tables: list[tuple[int, Array]] = []
        self._shadows, self._updates = self._join(apart.first), self._join(apart.last)
        self._turned = self._turn()

    def bind(self, feeds: Mapping[NodeId, int]) -> Program:
        """Give the program that reads these inputs at addresses outside its memory.

        Only inputs of `bindable` may be bound: nobody writes to an input, and the tables of joined
        updates, which hold addresses, stay as they are.
        """
        twin = copy(self)
        slots = {name: self._plan.slots[Value(name)] for name in feeds if name not in self._fed}
        twin._bound = tuple((slot.offset, slot.end, feeds[n]) for n, slot in slots.items())
        twin._fed = {name: feeds.get(name, place) for name, place in self._fed.items()}
        twin._turned = twin._turn()
        return twin

    def bindable(self, name: NodeId) -> bool:
        """Tell whether an input may lie elsewhere: it has bytes, and no update reads it there."""
        slot = self._plan.slots[Value(name)]
        if name in self._fed:
            return True
        reads = (origin(self._plan, v) for step in self._apart.steps for v in step.node.operands)
        return slot.type.nbytes > 0 and Value(name) not in reads

    def _join(self, steps: Sequence[Step]) -> list[Command]:
        """Give the commands of steps as few launches, and keep the tables that those need."""
        updates = [
            Update(
                step,
                tuple(map(self._where, step.node.operands, step.operands)),
                self._where(step.node.results[0], step.results[0]),
                self._half,
                kept=step.results[0].arena is Arena.STATE or step in self._apart.first,
            )
            for step in steps
        ]
        commands: list[Command] = []
        for wave in waves(updates):
            chains, alone = in_order(wave)
            if chains:
                made = wave_launch(chains)
                stretches = tuple(map(self._table, (0, 1), (made.rows, made.blocks)))
                commands.append(Run(made.launch, stretches))
            for update in alone:
                commands.extend(self._runs(update.step))
        return commands

    def _table(self, index: int, table: Array) -> Stretch:
        """Give a table its place among the rows (0) or the blocks (1)."""
        place = self._tops[index]
        self.tables.append((place, table))
        self._tops[index] += -(-table.nbytes // ALIGNMENT) * ALIGNMENT
        return Stretch(place, table.nbytes, Access.READ)

    def _where(self, value: Value, slot: Slot) -> int:
        """Give the address of a value, which the plan has put in `slot`."""
        own = self._layout.own.get(origin(self._plan, value)) if self._layout.own else None
        return self.address(slot) if own is None else self._base + own

    def address(self, slot: Slot) -> int:
        """Give the address of a slot; of one in a bound input, where that lies."""
        if slot.arena is Arena.INPUT:
            for begin, end, place in self._bound:
                if begin <= slot.offset < end:
                    return place + slot.offset - begin
        return self._base + self._layout.place(slot)

    def feed(self, name: str) -> int:
        """Give the address at which an input is put before a run, in row-major order."""
        node = NodeId(name)
        if node in self._fed:
            return self._fed[node]
        return self.address(self._plan.slots[Value(node)])

    def output(self, name: str) -> int:
        """Give the address at which an output is read after a run."""
        if name in self._layout.outputs:
            return self._base + self._layout.outputs[name]
        value = self._plan.graph.outputs[name]
        return self._where(value, self._plan.slots[value])

    def reports(self) -> dict[NodeId, int]:
        """Give the address of each report."""
        return {name: self._base + place for name, place in self._layout.reports.items()}

    def steps(self, phase: Phase) -> list[list[Command]]:
        """Give the commands of each step of a phase."""
        dying = self._dying(phase)
        return [
            [*self._runs(step), *dying.get(index, ())]
            for index, step in enumerate(self._plan.steps_of(phase))
        ]

    def run(self) -> list[Command]:
        """Give all commands of a run: shadows, steps, updates that waited, and what comes last."""
        names = {step.node.id for step in self._apart.steps}
        dying = self._dying(Phase.RUN)
        commands = [*self.before(), *self._shadows]
        for index, step in enumerate(self._plan.steps):
            if step.node.id not in names:
                commands.extend(self._runs(step))
            commands.extend(dying.get(index, ()))
        return [*commands, *self._updates, *self.after()]

    def launches(self) -> list[Launch]:
        """Give the functions of the joined steps, and of what turns inputs."""
        commands = (*self._shadows, *self._updates, *self._turned)
        return [command.launch for command in commands if isinstance(command, Run)]

    def _turn(self) -> list[Command]:
        """Give the commands that bring inputs from where they are fed to where they are read."""
        commands: list[Command] = []
        for node, place in self._fed.items():
            slot = self._plan.slots[Value(node)]
            launch = turning(self._plan.graph[node])
            source = Stretch(place, slot.nbytes, Access.READ)
            target = Stretch(self.address(slot), slot.nbytes, Access.WRITE)
            commands.append(Run(launch, (source, target)))
        return commands

    def before(self, phase: Phase = Phase.RUN) -> list[Command]:
        """Give what comes before the steps of a phase: reports are cleared, inputs turned."""
        places = list(self.reports().values())
        commands: list[Command] = []
        if places:
            commands.append(Fill(min(places), REPORT_BYTES * len(places), 0))
        if self._poison:
            workspace = self._base + self._layout.arenas[Arena.WORKSPACE]
            commands.append(Fill(workspace, self._plan.arena_bytes[Arena.WORKSPACE], POISON))
            scratch = self._base + self._layout.scratch
            commands.append(Fill(scratch, self._layout.scratch_bytes, POISON))
        return commands + (self._turned if phase is Phase.RUN else [])

    def after(self) -> list[Command]:
        """Give what comes after the steps of a run: outputs to safety, then updates."""
        commands: list[Command] = []
        for name in self._layout.outputs:
            value = self._plan.graph.outputs[name]
            slot = self._plan.slots[value]
            place = self._where(value, slot)
            commands.append(Move(place, self.output(name), slot.nbytes))
        for kept in self._plan.copies:
            source, target = self.address(kept.source), self.address(kept.target)
            commands.append(Move(source, target, kept.source.type.nbytes))
        return commands

    def _runs(self, step: Step) -> list[Command]:
        kernel = self._kernels[step.node.id]
        return [
            bind(part, tuple(self._stretch(a, step) for a in part.arguments))
            for part in kernel.launches
        ]

    def _stretch(self, argument: Argument, step: Step) -> Stretch:
        match argument.place:
            case Place.OPERAND:
                index = argument.index
                address = self._where(step.node.operands[index], step.operands[index])
            case Place.RESULT:
                index = argument.index
                address = self._where(step.node.results[index], step.results[index])
            case Place.SCRATCH:
                address = self._base + self._layout.scratch + argument.index
            case Place.MOMENTS:
                address = self._base + self._layout.moments[step.node.id] + argument.index
            case Place.REPORT:
                address = self._base + self._layout.reports[step.node.id]
        return Stretch(address, argument.nbytes, argument.access)

    def _dying(self, phase: Phase) -> Mapping[int, Sequence[Command]]:
        """Give, by step, the fills of memory that nobody needs after it."""
        found: dict[int, list[Command]] = {}
        if self._poison:
            workspace = self._base + self._layout.arenas[Arena.WORKSPACE]
            for region in self._plan.regions:
                if region.arena is Arena.WORKSPACE and region.phase is phase:
                    fill = Fill(workspace + region.offset, region.nbytes, POISON)
                    found.setdefault(region.lifetime.last, []).append(fill)
        return found


def parameter_address(program: Program, plan: Plan, name: str) -> int:
    """Give the address of a parameter."""
    return program.address(plan.slots[Value(NodeId(name))])
