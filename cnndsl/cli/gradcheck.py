"""`cnndsl gradcheck`: the gradients of a program against differences of its loss."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cnndsl.cli.console import emit_json
from cnndsl.cli.ending import Exit
from cnndsl.cli.loading import Reading, load_program, reading_options
from cnndsl.cli.options import json_option, program_argument
from cnndsl.cli.text_tables import Column, text_table

if TYPE_CHECKING:
    from cnndsl.autodiff.check_gradient import GradientReport
    from cnndsl.frontend.elaborate import Elaboration

BOUND = 1e-6
"""Largest relative error of a gradient; see `gradcheck`."""

COLUMNS = (
    Column("parameter", wraps=True),
    Column("shape"),
    Column("largest error", right=True),
    Column("kinks", right=True),
)


@click.command()
@program_argument
@reading_options
@click.option(
    "--samples",
    type=click.IntRange(min=1),
    default=8,
    show_default=True,
    metavar="N",
    help="Numbers of each parameter that are moved, drawn at random.",
)
@click.option(
    "--batch",
    type=click.IntRange(1, 4096),
    default=2,
    show_default=True,
    metavar="N",
    help="Images of a run.",
)
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    metavar="N",
    help="Where the random numbers come from.",
)
@json_option
def gradcheck(
    *, program: str, reading: Reading, samples: int, batch: int, seed: int, as_json: bool
) -> int:
    """Compare the gradient of every parameter with central differences, in double precision.

    Errors are relative to the largest number of each gradient. Beyond 1e-6 the exit code is 7:
    differences at a step of 1e-5 resolve about 1e-10, a wrong rule is off by far more. Where the
    loss bends (a ReLU at zero) there is no derivative to compare with; such kinks are counted.
    """
    elaboration = load_program(program, reading, quiet=as_json)
    report, shapes = check(elaboration, samples=samples, batch=batch, seed=seed)
    ok = report.worst <= BOUND and all(kink.lies_between for kink in report.kinks)
    rows = [
        {
            "name": value.node,
            "shape": list(shapes[value.node]),
            "error": error,
            "kinks": sum(kink.value == value for kink in report.kinks),
        }
        for value, error in report.errors.items()
    ]
    if as_json:
        emit_json(
            {
                "ok": ok,
                "name": elaboration.network.name,
                "bound": BOUND,
                "worst": report.worst,
                "checked": report.checked,
                "seed": seed,
                "parameters": rows,
            }
        )
    else:
        click.echo(table(rows))
        click.echo("")
        click.echo(verdict(report, ok=ok))
    return Exit.DONE if ok else Exit.DIFFERS


def check(
    elaboration: Elaboration, *, samples: int, batch: int, seed: int
) -> tuple[GradientReport, dict[str, tuple[int, ...]]]:
    """Check the parameters that training moves; gives the report and each parameter's shape."""
    from cnndsl.autodiff.check_gradient import check_gradient
    from cnndsl.cli.comparison import random_feeds
    from cnndsl.frontend.lower import lower
    from cnndsl.ir.types import DType
    from cnndsl.session import Choices, resolve
    from cnndsl.train.step import trainable_parameters

    settings = resolve(elaboration, Choices(), [])
    graph = lower(
        elaboration.network, batch=batch, training=True, dtype=DType.F64, loss=settings.loss
    )
    moved = trainable_parameters(graph)
    report = check_gradient(
        graph,
        graph.outputs["loss"],
        moved,
        random_feeds(graph, seed=seed),
        limit=samples,
        seed=seed,
    )
    return report, {value.node: graph.type_of(value).shape for value in moved}


def table(rows: list[dict[str, object]]) -> str:
    """Write a line a parameter."""
    cells = []
    for row in rows:
        shape = row["shape"]
        assert isinstance(shape, list)
        cells.append(
            (
                str(row["name"]),
                "x".join(map(str, shape)),
                f"{row['error']:.1e}",
                str(row["kinks"] or ""),
            )
        )
    return text_table(COLUMNS, cells)


def verdict(report: GradientReport, *, ok: bool) -> str:
    """Say in a sentence how it went."""
    bends = f"; {len(report.kinks)} more lie where the loss bends" if report.kinks else ""
    said = f"{report.checked} numbers compared, largest relative error {report.worst:.1e}{bends}"
    return said if ok else f"{said}\nthe gradient is wrong: the bound is {BOUND:.0e}"
