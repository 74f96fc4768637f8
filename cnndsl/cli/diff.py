"""`cnndsl diff`: what is different between two programs, layer by layer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from typing import TYPE_CHECKING, TypeVar

import click

from cnndsl.cli.console import emit_json
from cnndsl.cli.loading import Reading, load_program, reading_options
from cnndsl.cli.options import complete_program, json_option, parameters
from cnndsl.cli.summary import Row, cells_of, rows
from cnndsl.cli.table_formats import Format, format_option, table_text
from cnndsl.cli.text_tables import Column

if TYPE_CHECKING:
    from cnndsl.layers.analysis import Analysis
    from cnndsl.layers.network import Network

F = TypeVar("F", bound=Callable[..., object])

COLUMNS = (
    Column(""),
    Column("layer", wraps=True),
    Column("what", wraps=True),
    Column("output"),
    Column("parameters", right=True),
    Column("multiply-adds", right=True),
)
AROUND = 2
"""Rows alike that are shown before and behind a difference."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A row of the one program beside the row of the other that stands for it."""

    old: Row | None
    """In the first program; nothing if it is new."""
    new: Row | None
    """In the second; nothing if it is gone."""

    @property
    def alike(self) -> bool:
        """Whether nothing is different but perhaps the name."""
        return (
            self.old is not None
            and self.new is not None
            and _account(self.old) == _account(self.new)
        )


def sides_options(command: F) -> F:
    """Add `-a` and `-b`: parameters of one of the two programs."""
    for letter in ("b", "a"):
        option = click.option(
            f"-{letter}",
            f"only_{letter}",
            multiple=True,
            metavar="NAME=VALUE",
            help=f"Choose a parameter of {letter.upper()} alone; -p chooses for both.",
        )
        command = option(command)
    return command


def side(reading: Reading, only: tuple[str, ...]) -> Reading:
    """Give how one of two programs is read."""
    return replace(reading, params={**reading.params, **parameters(only)})


@click.command()
@click.argument("a", shell_complete=complete_program)
@click.argument("b", shell_complete=complete_program)
@reading_options
@sides_options
@click.option("--all", "everything", is_flag=True, help="Show every row, alike or not.")
@format_option
@json_option
def diff(
    *,
    a: str,
    b: str,
    reading: Reading,
    only_a: tuple[str, ...],
    only_b: tuple[str, ...],
    everything: bool,
    form: Format,
    as_json: bool,
) -> None:
    """Show what is different between programs A and B: layers, parameters, multiply-adds.

    Rows of A alone begin with `-`, rows of B alone with `+`. `-a v=A -b v=E` compares two members
    of one family.
    """
    from cnndsl.layers.analysis import analyse

    old = load_program(a, side(reading, only_a), quiet=as_json).network
    new = load_program(b, side(reading, only_b), quiet=as_json).network
    counts = analyse(old), analyse(new)
    pairs = paired(list(rows(old, counts[0])), list(rows(new, counts[1])))
    if as_json:
        emit_json(record(old, new, counts, pairs))
        return
    shown = _shown(pairs, everything=everything)
    if all(pair.alike for pair in pairs):
        click.echo("the layers are the same")
    else:
        click.echo(table_text(COLUMNS, shown, form=form))
    click.echo("")
    click.echo(_totals(counts, form))


def paired(old: Sequence[Row], new: Sequence[Row]) -> list[Pair]:
    """Align two tables: first rows that are alike, between them rows of the same words, then kinds.

    What then is left stands for each other in order, if it is as much on both sides.
    """
    return _aligned(old, new, (_account, lambda row: (row.words,), lambda row: (row.report.kind,)))


def _aligned(
    old: Sequence[Row], new: Sequence[Row], keys: Sequence[Callable[[Row], tuple[object, ...]]]
) -> list[Pair]:
    if not keys or not old or not new:
        if len(old) == len(new):
            return [Pair(one, two) for one, two in zip(old, new, strict=True)]
        return [*(Pair(one, None) for one in old), *(Pair(None, two) for two in new)]
    key, *rest = keys
    looks = [key(row) for row in old], [key(row) for row in new]
    found: list[Pair] = []
    for tag, a0, a1, b0, b1 in SequenceMatcher(None, *looks, autojunk=False).get_opcodes():
        found += _aligned(old[a0:a1], new[b0:b1], () if tag == "equal" else rest)
    return found


def _account(row: Row) -> tuple[object, ...]:
    report = row.report
    return row.words, report.output, report.params, report.macs


def _shown(pairs: Sequence[Pair], *, everything: bool) -> list[list[str]]:
    """Give the lines of the table; long runs of rows alike are cut short."""
    lines: list[list[str]] = []
    marks = [not pair.alike for pair in pairs]
    hidden = 0
    for index, pair in enumerate(pairs):
        near = any(marks[max(0, index - AROUND) : index + AROUND + 1])
        if pair.alike and not near and not everything:
            hidden += 1
            continue
        if hidden:
            lines.append(_cut(hidden))
            hidden = 0
        if pair.alike and pair.new is not None:
            lines.append([" ", *cells_of(pair.new)])
            continue
        lines += [["-", *cells_of(pair.old)]] if pair.old is not None else []
        lines += [["+", *cells_of(pair.new)]] if pair.new is not None else []
    return [*lines, _cut(hidden)] if hidden else lines


def _cut(hidden: int) -> list[str]:
    return ["", "..", f"{hidden} alike", "", "", ""]


def _totals(counts: tuple[Analysis, Analysis], form: Format) -> str:
    columns = (
        Column("total"),
        Column("A", right=True),
        Column("B", right=True),
        Column("B - A", right=True),
        Column("B/A", right=True),
    )
    lines = []
    for title, old, new in _sums(counts):
        ratio = f"{new / old:.3f}" if old else ""
        lines.append([title, f"{old:,}", f"{new:,}", f"{new - old:+,}", ratio])
    return table_text(columns, lines, form=form)


def _sums(counts: tuple[Analysis, Analysis]) -> list[tuple[str, int, int]]:
    old, new = counts
    layers = [sum(report.kind != "input" for report in c.layers) for c in counts]
    return [
        ("layers", layers[0], layers[1]),
        ("parameters", old.params, new.params),
        ("multiply-adds", old.macs, new.macs),
        ("activations", old.activations, new.activations),
    ]


def record(
    old: Network, new: Network, counts: tuple[Analysis, Analysis], pairs: Sequence[Pair]
) -> dict[str, object]:
    """Give the differences as JSON values."""
    return {
        "a": old.name,
        "b": new.name,
        "same": all(pair.alike for pair in pairs),
        "rows": [
            {
                "alike": pair.alike,
                "a": _row(pair.old) if pair.old is not None else None,
                "b": _row(pair.new) if pair.new is not None else None,
            }
            for pair in pairs
        ],
        "totals": {title: {"a": a, "b": b} for title, a, b in _sums(counts)},
    }


def _row(row: Row) -> dict[str, object]:
    report = row.report
    return {
        "name": row.name,
        "words": row.words,
        "output": list(report.output),
        "params": report.params,
        "macs": report.macs,
    }
