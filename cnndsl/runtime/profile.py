"""Profiles: where the time of a run goes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cnndsl.ir.graph import NodeId
from cnndsl.ops.rules import Cost, cost_of
from cnndsl.plan.plan import Plan


@dataclass(frozen=True, slots=True)
class Ceiling:
    """What a machine can do at most, as measured on it."""

    threads: int
    """Threads that it was measured on."""
    flops_per_second: float
    """Floating-point operations a second of multiply-adds in registers."""
    bytes_per_second: float
    """Bytes a second that are read from memory."""

    def seconds(self, cost: Cost) -> float:
        """Give the least time that a cost can take: of computing or of moving, the longer.

        Williams, Waterman and Patterson, "Roofline" (2009). Less is possible where the operations
        are fewer than were counted, as in Winograd's convolution, or bytes come from a cache.
        """
        moved = cost.bytes_read + cost.bytes_written
        return max(cost.flops / self.flops_per_second, moved / self.bytes_per_second)


@dataclass(frozen=True, slots=True)
class ProfileRow:
    """One step, or all steps of one op."""

    node: NodeId
    """The node; the name of the op in a row that sums several."""
    op: str
    """Name of the op."""
    seconds: float
    """Wall time."""
    cost: Cost
    """What was computed and moved."""
    steps: int = 1
    """How many steps it sums."""

    @property
    def flops_per_second(self) -> float:
        """Floating-point operations a second; 0 where no time was measured."""
        return self.cost.flops / self.seconds if self.seconds else 0.0

    @property
    def bytes_per_second(self) -> float:
        """Bytes read and written a second; 0 where no time was measured."""
        moved = self.cost.bytes_read + self.cost.bytes_written
        return moved / self.seconds if self.seconds else 0.0


@dataclass(frozen=True, slots=True)
class Profile:
    """The steps of one run with their times."""

    rows: tuple[ProfileRow, ...]
    """One a step, in the order of the plan."""
    seconds: float
    """Wall time of the whole run: feeds, steps, outputs, updates."""

    @classmethod
    def of(cls, plan: Plan, times: Sequence[float], seconds: float) -> Profile:
        """Join the steps of `plan` with their `times` in seconds."""
        rows = []
        for step, spent in zip(plan.steps, times, strict=True):
            cost = cost_of(step.node, [slot.type for slot in step.operands])
            rows.append(ProfileRow(step.node.id, step.node.op.name, spent, cost))
        return cls(tuple(rows), seconds)

    def share(self, row: ProfileRow) -> float:
        """Give the part of the whole run that `row` takes, from 0 to 1."""
        return row.seconds / self.seconds if self.seconds else 0.0

    def roofline(self, ceiling: Ceiling) -> float:
        """Give the least seconds that the steps can take, one after the other."""
        return sum(ceiling.seconds(row.cost) for row in self.rows)

    def by_op(self) -> tuple[ProfileRow, ...]:
        """Give one row an op, the slowest first."""
        sums: dict[str, ProfileRow] = {}
        for row in self.rows:
            known = sums.get(row.op, ProfileRow(NodeId(row.op), row.op, 0.0, Cost(), 0))
            sums[row.op] = ProfileRow(
                known.node,
                row.op,
                known.seconds + row.seconds,
                known.cost + row.cost,
                known.steps + row.steps,
            )
        return tuple(sorted(sums.values(), key=lambda row: (-row.seconds, row.op)))


def fastest(profiles: Sequence[Profile]) -> Profile:
    """Give each step's best time over several profiles of the same plan."""
    rows = []
    for same in zip(*(profile.rows for profile in profiles), strict=True):
        rows.append(min(same, key=lambda row: row.seconds))
    return Profile(tuple(rows), min(profile.seconds for profile in profiles))
