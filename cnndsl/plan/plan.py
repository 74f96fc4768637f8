"""The plan: what is launched in which order, and where every value lies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from cnndsl.ir.graph import Graph, Node, NodeId, Value
from cnndsl.ir.types import TensorType
from cnndsl.plan.storage import PLAIN, Storage


class Arena(Enum):
    """A stretch of memory that is allocated once; slots are places in it."""

    INPUT = "input"
    """What a run is fed; written before its first step, never by a step."""
    STATE = "state"
    """The parameters; shared by all runs."""
    CONSTANT = "constant"
    """Fixed arrays; filled when the program is made."""
    PREPARED = "prepared"
    """What depends on state and constants alone; computed when a state is loaded."""
    WORKSPACE = "workspace"
    """Everything else; its content means nothing between runs."""


class Phase(Enum):
    """When a step runs."""

    PREPARE = "prepare"
    """Once, after a state is loaded."""
    RUN = "run"
    """At every run."""


@dataclass(frozen=True, slots=True)
class Slot:
    """The place of one value: elements of `type` from byte `offset` on, without gaps.

    They are in row-major order, unless the plan's storage says otherwise.
    """

    arena: Arena
    """Which memory."""
    offset: int
    """First byte, counted from the arena's beginning; a multiple of the plan's alignment."""
    type: TensorType
    """What lies there."""
    element_bytes: int = 0
    """Bytes of an element where a backend keeps fewer than the type has; 0: those of the type."""

    @property
    def nbytes(self) -> int:
        """Bytes of all elements."""
        return self.type.size * (self.element_bytes or self.type.dtype.nbytes)

    @property
    def end(self) -> int:
        """Byte after the last one."""
        return self.offset + self.nbytes

    def __str__(self) -> str:
        return f"{self.arena.value}+{self.offset}"


@dataclass(frozen=True, slots=True)
class Lifetime:
    """The steps of one phase during which memory must not change; both ends are included.

    -1 stands before the first step; the number of steps stands for the end of the phase, when
    outputs are copied out and updates are stored.
    """

    first: int
    """The step that writes."""
    last: int
    """The last step that reads; `first` when none does."""

    def overlaps(self, other: Lifetime) -> bool:
        """Tell whether both live at some step.

        >>> Lifetime(0, 2).overlaps(Lifetime(2, 3)), Lifetime(0, 1).overlaps(Lifetime(2, 3))
        (True, False)
        """
        return self.first <= other.last and other.first <= self.last


@dataclass(frozen=True, slots=True)
class Region:
    """A stretch of an arena that is held for some time by values which share it.

    Several values share a region when they are views of one another, when an op overwrites its
    operand, or when an update is written straight into its parameter.
    """

    arena: Arena
    """Which memory."""
    offset: int
    """First byte."""
    nbytes: int
    """Bytes held: the values' bytes rounded up to the alignment."""
    phase: Phase
    """The phase whose steps `lifetime` counts."""
    lifetime: Lifetime
    """When it is held; memory outside the workspace is held for good."""
    values: tuple[Value, ...]
    """What lies there, in order of writing; empty for a stop on the way of a copy."""

    @property
    def end(self) -> int:
        """Byte after the last one."""
        return self.offset + self.nbytes


@dataclass(frozen=True, slots=True)
class Step:
    """One launch."""

    node: Node[Any]
    """What is computed."""
    operands: tuple[Slot, ...]
    """Where the operands lie, in their order."""
    results: tuple[Slot, ...]
    """Where the results go; the first may lie upon an operand where the op allows it."""


@dataclass(frozen=True, slots=True)
class Copy:
    """A move of bytes at the end of a run."""

    source: Slot
    """Where from."""
    target: Slot
    """Where to; never overlaps the source."""


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """A graph made ready for a backend.

    A state is loaded: its arrays are written to the slots of the parameters, then the steps of
    `prepare` run. A run: feeds are written to the slots of the inputs, `steps` run in order, the
    slots of the outputs are read, and after that `copies` are made in order.
    """

    graph: Graph
    """What is computed."""
    alignment: int
    """Every offset is a multiple of it, in bytes."""
    prepare: tuple[Step, ...]
    """What runs once after a state is loaded."""
    steps: tuple[Step, ...]
    """What a run launches."""
    copies: tuple[Copy, ...]
    """How updates that were not written in place reach their parameters."""
    slots: Mapping[Value, Slot]
    """Where each value lies; values that nothing needs have no slot."""
    lifetimes: Mapping[Value, Lifetime]
    """When each value is live: in the steps of a run, or of `prepare` if a run never touches it."""
    regions: tuple[Region, ...]
    """Who holds which memory when."""
    donated: frozenset[NodeId]
    """Parameters whose update is written straight into their slot."""
    arena_bytes: Mapping[Arena, int]
    """Size of each arena."""
    storage: Storage = PLAIN
    """How values lie in their slots."""

    def steps_of(self, phase: Phase) -> tuple[Step, ...]:
        """Give the steps of a phase."""
        return self.prepare if phase is Phase.PREPARE else self.steps

    def nodes_of(self, op_name: str) -> tuple[Node[Any], ...]:
        """Give the graph's nodes of one op, in topological order."""
        return tuple(node for node in self.graph.nodes() if node.op.name == op_name)
