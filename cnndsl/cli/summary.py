"""`cnndsl summary`: sizes, parameters and operations, layer by layer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import click

from cnndsl.cli.console import emit_json
from cnndsl.cli.loading import Reading, load_program, reading_options
from cnndsl.cli.options import json_option, program_argument
from cnndsl.cli.table_formats import Format, format_option, table_text
from cnndsl.cli.text_tables import Column

if TYPE_CHECKING:
    from cnndsl.layers.analysis import Analysis, LayerReport
    from cnndsl.layers.base import Steps
    from cnndsl.layers.network import Network

NARROW = (
    Column("layer", wraps=True),
    Column("what", wraps=True),
    Column("output"),
    Column("parameters", right=True),
    Column("multiply-adds", right=True),
)
"""What is always shown."""

WIDE = (
    Column("weights", right=True),
    Column("activations", right=True),
    Column("sees"),
    Column("every"),
    Column("padding"),
    Column("line", right=True),
)
"""What `--wide` adds."""

UNLIMITED = 10_000
"""Columns that no table needs."""


@click.command()
@program_argument
@reading_options
@click.option("--wide", is_flag=True, help="Also weights, activations, receptive fields and lines.")
@format_option
@json_option
def summary(*, program: str, reading: Reading, wide: bool, form: Format, as_json: bool) -> None:
    """Show the size, parameters and multiply-adds of every layer, for one image.

    An activation stands in the row of the layer it follows. Parameters include biases, weights
    do not. Multiply-adds are those of convolutions and fully connected layers. A layer sees the
    window of the input that one of its numbers depends on. Bytes are those of single precision.
    """
    from cnndsl.layers.analysis import analyse

    network = load_program(program, reading, quiet=as_json).network
    analysis = analyse(network)
    if as_json:
        emit_json(record(network, analysis))
        return
    width = UNLIMITED if wide else None
    click.echo(table(network, analysis, wide=wide, width=width, form=form))
    if form == "latex":
        return
    click.echo("")
    said = totals(analysis).split("\n")
    click.echo("\n".join(f"- {line}" if form == "markdown" else line for line in said))


@dataclass(frozen=True, slots=True)
class Row:
    """One line: a layer with the activations that follow it."""

    report: LayerReport
    """The layer."""
    last: str
    """The layer whose result the row gives: the layer itself, or its last activation."""
    layer: str
    """The layer as a program writes it."""
    activations: tuple[str, ...]
    """Those activations as a program writes them."""
    reads: tuple[str, ...]
    """The rows that it reads, by name, where that is not simply the row before."""

    @property
    def name(self) -> str:
        """What the row is called: its layer's name."""
        return self.report.name

    @property
    def words(self) -> str:
        """The layer and its activations as a program writes them."""
        return ", ".join((self.layer, *self.activations))


def rows(network: Network, analysis: Analysis) -> Iterator[Row]:
    """Give the rows of the table: every input and layer, activations within their layer's row."""
    reads: dict[str, int] = {}
    for layer in network.layers:
        for name in layer.inputs:
            reads[name] = reads.get(name, 0) + 1
    owners: dict[str, str] = {}
    current: Row | None = None
    for report in analysis.layers:
        if (
            current is not None
            and report.inputs == (current.last,)
            and current.report.kind != "input"
            and _is_activation(network, report)
            and report.output == current.report.output
            and reads[current.last] == 1
        ):
            activations = (*current.activations, said(network, report))
            current = replace(current, last=report.name, activations=activations)
            owners[report.name] = current.name
            continue
        if current is not None:
            yield current
        before = (current.last,) if current is not None else ()
        elsewhere = report.inputs if report.inputs != before else ()
        reads_of = tuple(owners[name] for name in elsewhere)
        current = Row(report, report.name, said(network, report), (), reads_of)
        owners[report.name] = report.name
    if current is not None:
        yield current


def said(network: Network, report: LayerReport) -> str:
    """Write a layer as it stands by itself: `softmax 10` has brought its `fc 10` already."""
    if report.kind == "input":
        return report.words
    spec = network[report.name].spec
    return spec.kind.name if spec.kind.brings(spec.settings) else report.words


def _is_activation(network: Network, report: LayerReport) -> bool:
    """Tell whether a layer is an activation without a label or weights of its own."""
    kind = network[report.name].spec.kind
    return kind.activation and report.params == 0 and report.name not in network.streams


def table(
    network: Network,
    analysis: Analysis,
    *,
    wide: bool = False,
    width: int | None = None,
    form: Format = "text",
) -> str:
    """Write the table with its total; as text it fits `width` columns, else the terminal or 80."""
    lines = [cells_of(row, wide=wide) for row in rows(network, analysis)]
    total = ["total", "", "", f"{analysis.params:,}", f"{analysis.macs:,}"]
    if wide:
        total += [f"{analysis.weights:,}", f"{analysis.activations:,}", "", "", "", ""]
    columns = (*NARROW, *(WIDE if wide else ()))
    return table_text(columns, lines, total=total, form=form, width=width)


def cells_of(row: Row, *, wide: bool = False) -> list[str]:
    """Give the cells of a row: layer, what, output, parameters, multiply-adds, and `wide` ones."""
    report = row.report
    moves = report.kind != "input"
    what = row.layer if moves else "input" if report.name != "input" else ""
    if row.reads:
        *others, last = row.reads
        what += f" of {', '.join(others)} and {last}" if others else f" of {last}"
    what = ", ".join((what, *row.activations))
    what += f" (weights of {report.shares})" if report.shares else ""
    what += " (frozen)" if report.params > report.trainable else ""
    cells = [
        report.name,
        what,
        _size(report.output),
        f"{report.params:,}" if moves else "",
        f"{report.macs:,}" if moves else "",
    ]
    if wide:
        cells += [
            f"{report.weights:,}" if moves else "",
            f"{report.activations:,}",
            _size(report.receptive_field),
            _size(report.stride),
            _size(report.padding),
            "" if report.line is None else str(report.line),
        ]
    return cells


def _size(size: Sequence[Steps]) -> str:
    return "x".join(map(str, size))


def totals(analysis: Analysis) -> str:
    """Write the sums in words."""
    biases = analysis.params - analysis.weights
    lines = [
        f"parameters     {analysis.params:,} ({analysis.weights:,} weights, {biases:,} biases), "
        f"{_bytes(analysis.parameter_bytes)}",
        f"multiply-adds  {analysis.macs:,} an image",
        f"activations    {analysis.activations:,} numbers an image, "
        f"{_bytes(analysis.activation_bytes)}; {_bytes(analysis.training_bytes)} with gradients",
    ]
    if analysis.trainable < analysis.params:
        lines.insert(1, f"frozen         {analysis.params - analysis.trainable:,} parameters")
    if analysis.statistics:
        lines.insert(1, f"statistics     {analysis.statistics:,} numbers that training keeps")
    return "\n".join(lines)


def _bytes(number: int) -> str:
    for unit, size in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if number >= size:
            return f"{number / size:.1f} {unit}"
    return f"{number} B"


def record(network: Network, analysis: Analysis) -> dict[str, object]:
    """Give the summary as JSON values; shapes in the language's order, H, W, C."""
    return {
        "name": network.name,
        "inputs": {source.name: list(source.size) for source in network.inputs},
        "outputs": {name: list(network.size_of(of)) for name, of in network.outputs.items()},
        "totals": {
            "params": analysis.params,
            "trainable": analysis.trainable,
            "weights": analysis.weights,
            "statistics": analysis.statistics,
            "macs": analysis.macs,
            "flops": analysis.flops,
            "activations": analysis.activations,
            "activation_bytes": analysis.activation_bytes,
            "training_bytes": analysis.training_bytes,
        },
        "layers": [_layer(report) for report in analysis.layers if report.kind != "input"],
    }


def _layer(report: LayerReport) -> dict[str, object]:
    return {
        "name": report.name,
        "kind": report.kind,
        "words": report.words,
        "inputs": list(report.inputs),
        "output": list(report.output),
        "params": report.params,
        "trainable": report.trainable,
        "weights": report.weights,
        "statistics": report.statistics,
        "macs": report.macs,
        "flops": report.flops,
        "activations": report.activations,
        "receptive_field": list(report.receptive_field),
        "stride": [step if isinstance(step, int) else float(step) for step in report.stride],
        "padding": list(report.padding),
        "formula": report.formula,
        "shares": report.shares or None,
        "line": report.line,
    }
