"""`cnndsl plan`: order and memory of a program, as table and chart."""

from __future__ import annotations

import textwrap
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

import click

from cnndsl.cli.console import emit_json
from cnndsl.cli.loading import Reading, load_program, reading_options
from cnndsl.cli.lowering import Wanted, backend_of, graph_options
from cnndsl.cli.options import device_options, json_option, program_argument
from cnndsl.cli.text_tables import Column, terminal_width, text_table

if TYPE_CHECKING:
    from cnndsl.backends.base import Precision
    from cnndsl.ir.graph import NodeId
    from cnndsl.plan.plan import Plan, Slot
    from cnndsl.plan.report import Row

COLUMNS = (
    Column("step", right=True),
    Column("node", wraps=True),
    Column("op", wraps=True),
    Column("reads", wraps=True),
    Column("writes", wraps=True),
    Column("bytes", right=True),
    Column("live"),
)


@click.command()
@program_argument
@reading_options
@graph_options
@device_options
@json_option
def plan(
    *,
    program: str,
    reading: Reading,
    wanted: Wanted,
    device: str | None,
    precision: Precision | None,
    as_json: bool,
) -> None:
    """Show in which order a program runs and where each result lies in memory.

    A place is the first letter of an arena and a byte in it: w128 is byte 128 of the workspace, i
    stands for inputs, s for the state (parameters), c for constants, p for what is prepared from
    state and constants alone. A result is live until the last step that needs it. Steps p0, p1, ..
    run once, when weights are loaded. Behind a convolution stands the algorithm that the device
    would take; "tuned" if `cnndsl tune` measured it to be the fastest.
    """
    from cnndsl.compiler import plan_graph
    from cnndsl.plan.report import chart, summary

    backend = backend_of(device, precision)
    elaboration = load_program(program, reading, quiet=as_json)
    made = plan_graph(wanted.optimized(elaboration), backend)
    if as_json:
        emit_json(record(made, backend.algorithms(made), backend.tuned(made)))
        return
    width = terminal_width()
    click.echo(table(made, backend.algorithms(made), backend.tuned(made)))
    click.echo("")
    click.echo("\n".join(textwrap.fill(line, width) for line in summary(made).split("\n")))
    click.echo("")
    click.echo(chart(made, width=width))


def table(
    made: Plan, algorithms: Mapping[NodeId, str], tuned: Collection[NodeId] = frozenset()
) -> str:
    """Write a line a step, with the algorithms of those that have a choice."""
    from cnndsl.ir.graph import NodeId
    from cnndsl.plan.plan import Phase
    from cnndsl.plan.report import rows, size

    def cells(row: Row) -> tuple[str, ...]:
        sharing = f" ({row.sharing})" if row.sharing else ""
        node = NodeId(row.node)
        algorithm = short(algorithms.get(node, "")) + (" (tuned)" if node in tuned else "")
        return (
            f"{'p' if row.phase is Phase.PREPARE else ''}{row.order}",
            row.node,
            f"{row.op} {algorithm}".rstrip(),
            " ".join(map(_place, row.operands)),
            " ".join(map(_place, row.results)) + sharing,
            size(row.nbytes),
            f"{row.lifetime.first}-{row.lifetime.last}",
        )

    return text_table(COLUMNS, [cells(row) for row in rows(made)])


def short(algorithm: str) -> str:
    """Leave out how an algorithm cuts its work, which `--json` tells."""
    return "; ".join(part.partition(",")[0] for part in algorithm.split("; "))


def _place(slot: Slot) -> str:
    return f"{slot.arena.value[0]}{slot.offset}"


def record(
    made: Plan, algorithms: Mapping[NodeId, str], tuned: Collection[NodeId] = frozenset()
) -> dict[str, object]:
    """Give a plan as JSON values; offsets and sizes in bytes."""
    from cnndsl.ir.graph import NodeId
    from cnndsl.plan.report import rows, totals

    total = totals(made)
    return {
        "name": made.graph.name,
        "alignment": made.alignment,
        "arenas": {arena.value: nbytes for arena, nbytes in total.arenas.items()},
        "without_sharing": total.unshared,
        "lower_bound": total.lower_bound,
        "steps": [
            {
                "phase": row.phase.value,
                "step": row.order,
                "node": row.node,
                "op": row.op,
                "algorithm": algorithms.get(NodeId(row.node)),
                "tuned": row.node in tuned,
                "reads": [_slot(slot) for slot in row.operands],
                "writes": [_slot(slot) for slot in row.results],
                "bytes": row.nbytes,
                "live": [row.lifetime.first, row.lifetime.last],
                "sharing": row.sharing or None,
            }
            for row in rows(made)
        ],
    }


def _slot(slot: Slot) -> dict[str, object]:
    return {"arena": slot.arena.value, "offset": slot.offset, "type": str(slot.type)}
