"""`cnndsl compare`: what two networks, or their parts between two image sizes, cost."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cnndsl.cli.console import emit_json
from cnndsl.cli.diff import side, sides_options
from cnndsl.cli.loading import Reading, load_program, reading_options
from cnndsl.cli.options import complete_program, json_option
from cnndsl.cli.table_formats import Format, format_option, table_text
from cnndsl.cli.text_tables import Column

if TYPE_CHECKING:
    from cnndsl.layers.network import Network
    from cnndsl.layers.stretch import Stretch

BYTES = 4
"""Of a number in single precision."""


@click.command()
@click.argument("a", shell_complete=complete_program)
@click.argument("b", shell_complete=complete_program)
@reading_options
@sides_options
@click.option(
    "--from",
    "start",
    type=click.IntRange(min=1),
    metavar="N",
    help="Begin where the image is N pixels high.  [default: at the input]",
)
@click.option(
    "--to",
    "end",
    type=click.IntRange(min=1),
    metavar="N",
    help="End where the image is first N pixels high.  [default: at the last layer]",
)
@format_option
@json_option
def compare(
    *,
    a: str,
    b: str,
    reading: Reading,
    only_a: tuple[str, ...],
    only_b: tuple[str, ...],
    start: int | None,
    end: int | None,
    form: Format,
    as_json: bool,
) -> None:
    """Compare what A and B cost, as a whole or from one image size to another.

    `cnndsl compare googlenet vgg --from 224 --to 28` compares stems: the layers behind the image of
    224 pixels, up to and with the one that makes it 28. Memory is that of the results, for one
    image going forward, in single precision; with pools, a pooling counts one operation for each
    number in each of its windows.
    """  # fmt: skip
    networks = [
        load_program(name, side(reading, only), quiet=as_json).network
        for name, only in ((a, only_a), (b, only_b))
    ]
    parts = [_part(network, start, end) for network in networks]
    if as_json:
        emit_json(record(networks, parts, start, end))
        return
    names = [network.name for network in networks]
    if names[0] == names[1]:
        names = [f"{names[0]} (A)", f"{names[1]} (B)"]
    columns = (
        Column("" if start is None and end is None else _range(start, end)),
        *(Column(name, right=True) for name in names),
        Column("B/A", right=True),
    )
    lines = []
    for title, old, new in _quantities(*parts):
        ratio = f"{new / old:.2f}" if old else ""
        lines.append([title, *(_shown(title, number) for number in (old, new)), ratio])
    click.echo(table_text(columns, lines, form=form))


def _part(network: Network, start: int | None, end: int | None) -> Stretch:
    """Cut out the part; raises `DiagnosticError` E0924 for a size that is never there."""
    from cnndsl.layers.stretch import NoSuchSizeError, stretch
    from cnndsl.support.diagnostics import DiagnosticError, error

    try:
        return stretch(network, start=start, end=end)
    except NoSuchSizeError as missing:
        listed = ", ".join(map(str, missing.sides))
        raise DiagnosticError(
            error(
                "E0924",
                f"no image in `{network.name}` is {missing.side} pixels high",
                notes=(f"its heights are {listed}",) if listed else ("it has no images",),
            )
        ) from None


def _range(start: int | None, end: int | None) -> str:
    return f"{'input' if start is None else start} to {'end' if end is None else end}"


def _quantities(old: Stretch, new: Stretch) -> list[tuple[str, int, int]]:
    return [
        ("layers", len(old.reports), len(new.reports)),
        ("parameters", old.params, new.params),
        ("without biases", old.weights, new.weights),
        ("multiply-adds", old.macs, new.macs),
        ("with pools", old.macs_with_pools, new.macs_with_pools),
        ("numbers", old.activations, new.activations),
        ("memory", BYTES * old.activations, BYTES * new.activations),
    ]


def _shown(title: str, number: int) -> str:
    return f"{number / 2**20:.1f} MiB" if title == "memory" else f"{number:,}"


def record(
    networks: list[Network], parts: list[Stretch], start: int | None, end: int | None
) -> dict[str, object]:
    """Give the comparison as JSON values; memory in bytes."""
    return {
        "from": start,
        "to": end,
        "networks": [network.name for network in networks],
        "layers": [[report.name for report in part.reports] for part in parts],
        "quantities": {title: [old, new] for title, old, new in _quantities(*parts)},
    }
