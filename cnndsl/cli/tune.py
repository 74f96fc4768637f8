"""`cnndsl tune`: the algorithms of a program's convolutions, chosen by measurement."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cnndsl.cli.console import emit_json
from cnndsl.cli.loading import Reading, load_program, reading_options
from cnndsl.cli.lowering import Wanted, backend_of, graph_options
from cnndsl.cli.options import device_options, json_option, program_argument
from cnndsl.cli.text_tables import Column, text_table

if TYPE_CHECKING:
    from cnndsl.backends.base import Measurement, Precision

COLUMNS = (
    Column("nodes", wraps=True),
    Column("op", wraps=True),
    Column("chosen"),
    Column("times", wraps=True),
)
NAMED = 3
"""Nodes of one shape that are named; the rest are counted."""


@click.command()
@program_argument
@reading_options
@graph_options
@device_options
@json_option
def tune(
    *,
    program: str,
    reading: Reading,
    wanted: Wanted,
    device: str | None,
    precision: Precision | None,
    as_json: bool,
) -> None:
    """Time the algorithms that each convolution of PROGRAM could take, and keep the fastest.

    The choice otherwise rests on estimates. What is measured holds for this processor, the number
    of threads, the batch, and inference or training apart; `cnndsl plan` shows it, and `cnndsl
    cache clear` forgets it. `*` marks choices that differ from the estimate.

    With --device cuda, cuDNN and cuBLASLt (the extra cudnn) are timed beside our own kernels, and
    refused where they give something else.
    """
    from cnndsl.compiler import plan_graph

    backend = backend_of(device, precision)
    elaboration = load_program(program, reading, quiet=as_json)
    plan = plan_graph(wanted.optimized(elaboration), backend)
    found = list(backend.tune(plan))
    if as_json:
        emit_json({"name": plan.graph.name, "shapes": [record(each) for each in found]})
        return
    if found:
        click.echo(text_table(COLUMNS, [cells(each) for each in found]))
        click.echo("")
    for name, why in refusals(found):
        click.echo(f"refused: {name}: {why}")
    changed = sum(each.chosen != each.estimated for each in found)
    click.echo(f"{len(found)} shapes measured; {changed} choices differ from the estimate")


def refusals(found: list[Measurement]) -> list[tuple[str, str]]:
    """Give what was refused, each once, with the words about it."""
    return list(dict.fromkeys(pair for each in found for pair in each.refused.items()))


def cells(found: Measurement) -> tuple[str, ...]:
    """Write one shape as cells of the table."""
    from cnndsl.cli.bench import duration

    named = [str(node) for node in found.nodes[:NAMED]]
    more = len(found.nodes) - len(named)
    order = sorted(found.seconds, key=found.seconds.__getitem__)
    return (
        ", ".join(named) + (f" and {more} more" if more else ""),
        found.op,
        f"{found.chosen}{'' if found.chosen == found.estimated else ' *'}",
        ", ".join(f"{name} {duration(found.seconds[name])}" for name in order),
    )


def record(found: Measurement) -> dict[str, object]:
    """Give one shape as JSON values; times in seconds."""
    return {
        "nodes": [str(node) for node in found.nodes],
        "op": found.op,
        "shape": found.shape,
        "seconds": dict(found.seconds),
        "estimated": found.estimated,
        "chosen": found.chosen,
        "refused": dict(found.refused),
    }
