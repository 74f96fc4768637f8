"""`cnndsl variants`: the family that a program is."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

import click

from cnndsl.cli.console import emit_json
from cnndsl.cli.loading import Reading, read_program, reading_options, sizes_of_data
from cnndsl.cli.options import json_option, program_argument
from cnndsl.cli.table_formats import table_text
from cnndsl.cli.text_tables import Column

if TYPE_CHECKING:
    from cnndsl.frontend.elaborate import Elaboration
    from cnndsl.frontend.values import Value
    from cnndsl.frontend.variants import Count, Family

MOST_LISTED = 10_000
"""Variants that are listed where nobody says how many."""


@click.command()
@program_argument
@reading_options
@click.option("--limit", type=click.IntRange(min=0), metavar="N", help="List at most N.")
@click.option(
    "--sizes", is_flag=True, help="Build each: say its parameters, or why it does not fit."
)
@json_option
def variants(
    *, program: str, reading: Reading, limit: int | None, sizes: bool, as_json: bool
) -> None:
    """Count and list the variants of a program: all that its parameters leave open.

    Parameters are those of `param` and `where`, and N, M and K of the lecture's pattern; every `?`
    and every `*1..5` is a choice too, one for each place. A variant is chosen with the -p that its
    line gives. Over 10,000 are counted, and listed only with --limit; -p fixes a parameter.
    """
    open_family = family_of(program, reading)
    count = open_family.count()
    listed = count.exact and count.variants <= MOST_LISTED
    most = limit if limit is not None else MOST_LISTED if listed else 0
    rows = [_row(open_family, chosen, sizes=sizes) for chosen in islice(_all(open_family), most)]
    if as_json:
        emit_json(record(open_family, count, rows))
        return
    click.echo(_counted(program, count))
    for name, values in _choices(open_family).items():
        click.echo(f"  {name} in {values}")
    if rows:
        click.echo("")
        columns = (
            Column("settings", wraps=True),
            Column("layers", right=True),
            Column("parameters", right=True),
            Column("multiply-adds", right=True),
        )
        if not sizes:
            click.echo("\n".join(_settings_text(row) for row in rows))
        else:
            click.echo(table_text(columns, [_cells(row) for row in rows]))
    if len(rows) < count.variants:
        click.echo(f"\n{count.variants - len(rows):,} more are not listed; --limit N lists N")


def family_of(program: str, reading: Reading) -> Family:
    """Read a program and find what it leaves open.

    Raises `DiagnosticError` for what cannot be read, or fixes no parameter of it.
    """
    from cnndsl.frontend.variants import family

    tree, base_dir = read_program(program, reading)
    size, classes = sizes_of_data(reading.data)
    return family(tree, params=reading.params, input_size=size, classes=classes, base_dir=base_dir)


def _all(open_family: Family) -> islice[dict[str, Value]]:
    return islice(open_family.variants(), None)


def _counted(program: str, count: Count) -> str:
    shown = "<stdin>" if program == "-" else program
    least = "" if count.exact else "at least "
    number = f"{count.variants:,}" if count.variants < 10**18 else f"about {count.variants:.2e}"
    return f"{shown}: {least}{number} variant{'' if count.variants == 1 else 's'}"


def _choices(open_family: Family) -> dict[str, str]:
    """Give the choices of each parameter as a program writes them."""
    from cnndsl.frontend.values import RangeValue
    from cnndsl.frontend.variants import plain

    found = {}
    for name, parameter in open_family.params.items():
        choices = parameter.choices
        if isinstance(choices, RangeValue):
            found[name] = str(choices)
        else:
            found[name] = f"[{', '.join(map(plain, choices or ()))}]"
    return found


def _row(open_family: Family, chosen: dict[str, Value], *, sizes: bool) -> dict[str, object]:
    """Give a variant as JSON values; `problem` says why it cannot be built."""
    from cnndsl.frontend.variants import plain

    row: dict[str, object] = {"settings": {name: plain(value) for name, value in chosen.items()}}
    return {**row, **_sizes(open_family, chosen)} if sizes else row


def _sizes(open_family: Family, chosen: dict[str, Value]) -> dict[str, object]:
    from cnndsl.frontend.elaborate import elaborate
    from cnndsl.layers.analysis import analyse
    from cnndsl.support.diagnostics import DiagnosticError

    try:
        built: Elaboration = elaborate(
            open_family.program,
            params={**open_family.fixed, **chosen},
            input_size=open_family.input_size,
            classes=open_family.classes,
            base_dir=open_family.base_dir,
        )
    except DiagnosticError as problem:
        first = problem.diagnostics[0]
        none: dict[str, object] = {"layers": None, "params": None, "macs": None}
        return {**none, "problem": f"{first.code}: {first.message}"}
    counts = analyse(built.network)
    return {
        "layers": len(built.network.layers),
        "params": counts.params,
        "macs": counts.macs,
        "problem": None,
    }


def _settings_text(row: dict[str, object]) -> str:
    settings = row["settings"]
    assert isinstance(settings, dict)
    return " ".join(f"{name}={value}" for name, value in settings.items()) or "(nothing is open)"


def _cells(row: dict[str, object]) -> list[str]:
    if row["problem"] is not None:
        return [f"{_settings_text(row)}: {row['problem']}", "", "", ""]
    numbers = (row["layers"], row["params"], row["macs"])
    return [_settings_text(row), *(f"{number:,}" for number in numbers)]


def record(open_family: Family, count: Count, rows: list[dict[str, object]]) -> dict[str, object]:
    """Give the family as JSON values."""
    return {
        "count": count.variants,
        "exact": count.exact,
        "choices": _choices(open_family),
        "variants": rows,
    }
