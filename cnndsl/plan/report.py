"""The plan for people: a table of steps, totals, and a chart of who holds which memory when."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cnndsl.ir.graph import NodeId
from cnndsl.plan.liveness import most_live
from cnndsl.plan.plan import Arena, Lifetime, Phase, Plan, Region, Slot, Step

WIDTH = 80
"""Columns of a terminal that a chart fits into."""
ROWS = 20
"""Lines of a chart, at most."""
NAMED = 30
"""Regions that a chart's legend names."""
MARKS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
"""Letters of a chart; used again from the start when there are more regions."""


@dataclass(frozen=True, slots=True)
class Row:
    """One step of a plan."""

    phase: Phase
    """Whether it is prepared or run."""
    order: int
    """Number of the step in its phase, from 0."""
    node: NodeId
    """The node."""
    op: str
    """Name of its op."""
    operands: tuple[Slot, ...]
    """Where it reads."""
    results: tuple[Slot, ...]
    """Where it writes."""
    nbytes: int
    """Bytes of its results."""
    lifetime: Lifetime
    """From this step to the last one of its phase that needs any of its results."""
    sharing: str
    """Why its first result has no place of its own: "in place", "donated"; else empty."""


@dataclass(frozen=True, slots=True)
class Totals:
    """How much memory a plan takes, in bytes."""

    arenas: dict[Arena, int]
    """Each arena."""
    unshared: int
    """What the workspace would take if every result had a place of its own."""
    lower_bound: int
    """Most bytes held at one step: with these regions no placement needs less."""

    @property
    def workspace(self) -> int:
        """The workspace."""
        return self.arenas[Arena.WORKSPACE]

    @property
    def ratio(self) -> float:
        """How many times smaller than `unshared` the workspace is; 1 where there is none."""
        return self.unshared / self.workspace if self.workspace else 1.0


def rows(plan: Plan) -> tuple[Row, ...]:
    """Give the steps of a plan in order, the prepared ones first."""
    found = []
    for phase in Phase:
        for order, step in enumerate(plan.steps_of(phase)):
            found.append(
                Row(
                    phase=phase,
                    order=order,
                    node=step.node.id,
                    op=step.node.op.name,
                    operands=step.operands,
                    results=step.results,
                    nbytes=sum(slot.nbytes for slot in step.results),
                    lifetime=Lifetime(order, _last(plan, phase, step)),
                    sharing=_sharing(step),
                )
            )
    return tuple(found)


def totals(plan: Plan) -> Totals:
    """Add up the memory of a plan."""
    unshared = {phase: sum(_own_bytes(step) for step in plan.steps_of(phase)) for phase in Phase}
    held = [region for region in plan.regions if region.arena is Arena.WORKSPACE]
    bounds = [
        most_live((region.lifetime, region.nbytes) for region in held if region.phase is phase)
        for phase in Phase
    ]
    return Totals(dict(plan.arena_bytes), max(unshared.values()), max(bounds))


def table(plan: Plan) -> str:
    """Write the steps as text, a line a step, then the totals.

    Places are an arena's first letter and an offset: `w128` is byte 128 of the workspace. Steps
    of the preparation have a `p` before their number.
    """
    lines = [("step", "node", "op", "reads", "writes", "bytes", "live")]
    for row in rows(plan):
        lines.append(
            (
                f"p{row.order}" if row.phase is Phase.PREPARE else str(row.order),
                row.node,
                row.op,
                " ".join(map(_short, row.operands)),
                " ".join(map(_short, row.results)) + (f" ({row.sharing})" if row.sharing else ""),
                size(row.nbytes),
                _span(row.lifetime),
            )
        )
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    text = []
    for line in lines:
        cells = (
            cell.rjust(width) if index in (0, 5) else cell.ljust(width)
            for index, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        text.append("  ".join(cells).rstrip())
    return "\n".join((*text, "", summary(plan)))


def summary(plan: Plan) -> str:
    """Write the totals as text."""
    total = totals(plan)
    lines = [f"{arena.value:<10} {size(nbytes):>10}" for arena, nbytes in total.arenas.items()]
    lines.append(
        f"without sharing the workspace would take {size(total.unshared)}, "
        f"{total.ratio:.1f} times as much; at least {size(total.lower_bound)} are live at once"
    )
    return "\n".join(lines)


def chart(plan: Plan, *, phase: Phase = Phase.RUN, width: int = WIDTH, height: int = ROWS) -> str:
    """Draw the workspace: steps from left to right, offsets from bottom to top.

    Each letter is a region; a dot is memory that nobody holds. A cell that several regions share
    shows the one that holds most of it. Below, the letters of the largest regions with the nodes
    whose results they hold. Fits `width` columns, of which there must be 40 at least.
    """
    regions = [r for r in plan.regions if r.arena is Arena.WORKSPACE and r.phase is phase]
    if not regions:
        return "the workspace is empty"
    regions.sort(key=lambda region: (-region.nbytes, region.lifetime.first, region.offset))
    steps = max(region.lifetime.last for region in regions) + 1
    top = max(region.end for region in regions)
    columns = min(steps, width - 12)
    cells = _cells(regions, (steps, columns), (top, min(height, top // plan.alignment)))
    lines = [
        f"{size(index * top // len(cells)):>10} |{''.join(line)}"
        for index, line in reversed(list(enumerate(cells)))
    ]
    lines.append(" " * 11 + "+" + "-" * columns)
    numbers = f"0{steps - 1:>{columns - 1}}" if columns > len(str(steps)) else "0"
    lines.append(f"{'step':>10}  {numbers}")
    return "\n".join((*lines, *_legend(regions, width)))


def size(nbytes: int) -> str:
    """Write a number of bytes for people.

    >>> size(64), size(24_000), size(3_500_000)
    ('64 B', '24.0 kB', '3.5 MB')
    """
    number = float(nbytes)
    for unit in ("B", "kB", "MB"):
        if number < 1000:
            return f"{nbytes} B" if unit == "B" else f"{number:.1f} {unit}"
        number /= 1000
    return f"{number:.1f} GB"


def _cells(
    regions: Sequence[Region], time: tuple[int, int], place: tuple[int, int]
) -> list[list[str]]:
    """Give the chart's letters, lowest line first; `time` and `place` are (extent, cells)."""
    most = np.zeros((place[1], time[1]))
    cells = [["."] * time[1] for _ in range(place[1])]
    for index, region in enumerate(regions):
        across = _overlaps(region.lifetime.first, region.lifetime.last + 1, *time)
        along = _overlaps(region.offset, region.end, *place)
        held = np.outer(along, across)
        for line, column in zip(*np.nonzero(held > most), strict=True):
            cells[line][column] = _mark(index)
        most = np.maximum(most, held)
    return cells


def _overlaps(begin: int, end: int, extent: int, count: int) -> npt.NDArray[np.float64]:
    """Give how much of [begin, end) lies in each of `count` equal parts of [0, extent)."""
    edges = np.linspace(0, extent, count + 1)
    covered = np.minimum(edges[1:], end) - np.maximum(edges[:-1], begin)
    overlap: npt.NDArray[np.float64] = np.maximum(covered, 0.0)
    return overlap


def _legend(regions: Sequence[Region], width: int) -> list[str]:
    lines = []
    for index, region in enumerate(regions[:NAMED]):
        names = ", ".join(str(value.node) for value in region.values) or "(copied through)"
        lead = f"{_mark(index)} {size(region.nbytes):>9} {_span(region.lifetime):>11}  "
        lines.append(lead + _clip(names, width - len(lead)))
    if len(regions) > NAMED:
        rest = sum(region.nbytes for region in regions[NAMED:])
        lines.append(f"and {len(regions) - NAMED} smaller ones of {size(rest)} together")
    return lines


def _mark(index: int) -> str:
    return MARKS[index % len(MARKS)]


def _short(slot: Slot) -> str:
    return f"{slot.arena.value[0]}{slot.offset}"


def _span(life: Lifetime) -> str:
    return f"{life.first}-{life.last}"


def _clip(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"


def _sharing(step: Step) -> str:
    first = step.results[0]
    if first.arena is Arena.STATE:
        return "donated"
    upon = any(s.arena is first.arena and s.offset == first.offset for s in step.operands)
    return "in place" if upon else ""


def _last(plan: Plan, phase: Phase, step: Step) -> int:
    if any(slot.arena is Arena.PREPARED for slot in step.results):
        return len(plan.steps_of(phase))
    return max(plan.lifetimes[value].last for value in step.node.results)


def _own_bytes(step: Step) -> int:
    """Bytes that a step's results would take in the workspace without sharing."""
    return sum(slot.nbytes for slot in step.results if slot.arena is not Arena.PREPARED)
