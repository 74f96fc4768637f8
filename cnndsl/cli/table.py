"""`cnndsl table`: the lecture's accounting table of a program, which is a program itself."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from cnndsl.cli.console import emit_json
from cnndsl.cli.loading import Reading, load_program, reading_options
from cnndsl.cli.options import json_option, program_argument
from cnndsl.cli.summary import Row, rows

if TYPE_CHECKING:
    from cnndsl.layers.analysis import TableRow
    from cnndsl.layers.network import Network

NOT_IN_LABELS = re.compile(r"[^A-Za-z0-9_]+")


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the table."""

    row: Row
    """The layer, with the activations that follow it; or an input."""
    label: str
    """What the line calls its result."""
    shorthand: str
    """The layer in the lecture's shorthand, "CONV3-64"; empty if it is more than that."""
    reads: tuple[str, ...]
    """Labels of what it reads, where that is not simply the line before."""
    memory: str
    """"224*224*64=3.2M"; empty where the lecture counts none."""
    params: str
    """"(3*3*3)*64 = 1,728"."""

    @property
    def size(self) -> str:
        """The size of its result, "[224x224x64]"."""
        return f"[{'x'.join(map(str, self.row.report.output))}]"

    @property
    def claims(self) -> tuple[str, str]:
        """Its claims as a program writes them."""
        return (f"memory: {self.memory}" if self.memory else "", f"params: {self.params}")


@click.command()
@program_argument
@reading_options
@json_option
def table(*, program: str, reading: Reading, as_json: bool) -> None:
    """Print the slide's own table of a program: sizes, memory and parameters, line by line.

    The table is a program with the same layers, and its sizes and counts are checked when it is
    read. Memory is counted in numbers an image, parameters without biases. Training and data are
    not part of it.
    """
    network = load_program(program, reading, quiet=as_json).network
    lines = table_lines(network)
    if as_json:
        emit_json(record(network, lines))
    else:
        click.echo("\n".join(text(network, lines)))


def table_lines(network: Network) -> tuple[Line, ...]:
    """Give the lines of the table.

    Raises `DiagnosticError` E0922 for a network that uses weights twice, which no table can say.
    """
    from cnndsl.layers.analysis import analyse, table_rows

    refuse_sharing(network)
    accounts = {row.name: row for row in table_rows(network)}
    found = list(rows(network, analyse(network)))
    labels = _labels(found)
    return tuple(_line(network, row, accounts[row.name], labels) for row in found)


def refuse_sharing(network: Network) -> None:
    """Refuse a network that uses the weights of one layer in another."""
    from cnndsl.support.diagnostics import DiagnosticError, error

    for layer in network.layers:
        if layer.parameters and layer.parameters_of not in ("", layer.name):
            raise DiagnosticError(
                error(
                    "E0922",
                    f"no table can say that {layer.name} uses the weights of {layer.parameters_of}",
                    layer.span,
                    helps=("`cnndsl summary` shows this network",),
                )
            )


def _labels(found: list[Row]) -> dict[str, str]:
    """Give the label of each row by its name."""
    labels: dict[str, str] = {}
    for row in found:
        stem = NOT_IN_LABELS.sub("_", row.name).strip("_") or "layer"
        label, count = stem, 1
        while label in labels.values():
            count += 1
            label = f"{stem}_{count}"
        labels[row.name] = label
    return labels


def _line(network: Network, row: Row, account: TableRow, labels: Mapping[str, str]) -> Line:
    size = row.report.output
    product = "*".join(map(str, size))
    memory = product if len(size) == 1 else f"{product}={_rounded(math.prod(size))}"
    return Line(
        row,
        labels[row.name],
        _shorthand(network, row),
        tuple(labels[name] for name in row.reads),
        memory if row.report.counted else "",
        account.params if "=" in account.params else account.params.replace(",", ""),
    )


def _rounded(number: int) -> str:
    """Write a number as the slides do, cut to two digits, or three where two are 1 % off.

    >>> [_rounded(n) for n in (3_211_264, 150_528, 802_816, 186_624, 6_272, 784)]
    ['3.2M', '150K', '800K', '186K', '6.2K', '784']
    """
    for unit, size in (("G", 10**9), ("M", 10**6), ("K", 10**3)):
        if number >= size:
            step = 10 ** (len(str(number)) - 2)
            if number >= 100 * size and 100 * (number % step) >= number - number % step:
                step //= 10
            whole, tenths = divmod(number // step * step, size)
            digits = str(tenths).zfill(len(str(size)) - 1).rstrip("0")
            return f"{whole}.{digits}{unit}" if digits else f"{whole}{unit}"
    return str(number)


def _shorthand(network: Network, row: Row) -> str:
    """Write a layer in the lecture's shorthand, if that says all there is to say."""
    if row.report.kind == "input" or row.last != row.name or row.reads:
        return ""
    spec = network[row.name].spec
    settings = dict(spec.settings)
    if spec.kind.name == "conv":
        height, width = spec.size("window")
        digits, number, label = str(height), spec.count("filters"), "CONV"
        given = spec.kind.sized(digits, number) if height == width else {}
    elif spec.kind.name == "fc":
        digits, number, label = "", spec.count("neurons"), "FC"
        given = spec.kind.sized(digits, number)
    elif spec.kind.name == "maxpool":
        same = settings == spec.kind.complete({}, bare=True, pools=0)
        return "POOL2" if same else ""
    else:
        return ""
    if not given or settings != spec.kind.complete(given, bare=True, pools=0):
        return ""
    return f"{label}{digits}-{number}"


def text(network: Network, lines: tuple[Line, ...]) -> Iterator[str]:
    """Write the table.

    A network that the lecture's shorthand says is written like its VGG table, any other like its
    AlexNet table: the size, a label, and the layer's words.
    """
    plain = all(line.shorthand or line.row.report.kind == "input" for line in lines)
    if plain and len(network.inputs) == 1 and not _extras(network, lines):
        yield from _aligned([_plain_cells(line) for line in lines])
        return
    cells = [_full_cells(network, line, lines) for line in lines]
    written = list(_aligned(cells))
    before = ""
    for line, shown in zip(lines, written, strict=True):
        if line.reads and line.reads[0] != before:
            yield f"from {line.reads[0]}"
        yield shown
        before = line.label
    yield from _extras(network, lines)


def _plain_cells(line: Line) -> tuple[str, ...]:
    return (f"{line.shorthand or 'INPUT'}:", line.size, *line.claims)


def _full_cells(network: Network, line: Line, lines: tuple[Line, ...]) -> tuple[str, ...]:
    if line.row.report.kind != "input":
        words = written(network, line.row)
        joined = " ".join((words, *line.reads[1:]))
        said = ", ".join((joined, *line.row.activations))
        return (line.size, f"{line.label}:", said, *line.claims)
    if len(network.inputs) > 1:
        return (line.size, "", f"input {line.label}", "", "")
    later = any(line.label in other.reads for other in lines)
    return (line.size, "", f"INPUT as {line.label}" if later else "INPUT", "", "")


def written(network: Network, row: Row) -> str:
    """Write the layer of a row so that it is read back to itself.

    Words cannot say four margins, `pad=[0, 1, 2, 2]`; such a layer is written as a call.
    """
    from cnndsl.layers.clauses import Takes, show_value

    spec = network[row.name].spec
    usual = spec.kind.usual(spec.settings)
    arguments = []
    is_call = False
    for clause in spec.kind.clauses:
        value = spec.settings.get(clause.name)
        if clause.takes is Takes.SHAPE and isinstance(value, tuple):
            sides = "x".join("?" if side == -1 else str(side) for side in value)
            return f"{spec.kind.name} [{sides}]"
        if value is None or value is False or value == usual.get(clause.name):
            continue
        is_call = is_call or (isinstance(value, tuple) and len(value) == 4)
        arguments.append(f"{clause.name}={'true' if value is True else show_value(value)}")
    return f"{spec.kind.name}({', '.join(arguments)})" if is_call else row.layer


def _aligned(cells: list[tuple[str, ...]]) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for row in cells:
        padded = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        yield "  ".join(padded).rstrip()


def _extras(network: Network, lines: tuple[Line, ...]) -> list[str]:
    """Write what stands below the table: outputs, if not the last line, and frozen layers."""
    labels = {line.row.last: line.label for line in lines}
    found = []
    last = lines[-1].row.last
    if list(network.outputs.values()) != [last]:
        found.append(f"output {', '.join(labels[of] for of in network.outputs.values())}")
    frozen = [
        line.label
        for line in lines
        if line.row.report.kind != "input" and line.row.report.trainable < line.row.report.params
    ]
    if frozen:
        found.append(f"freeze {', '.join(frozen)}")
    return found


def record(network: Network, lines: tuple[Line, ...]) -> dict[str, object]:
    """Give the table as JSON values; `text` is the program."""
    return {
        "name": network.name,
        "rows": [
            {
                "name": line.row.name,
                "words": line.row.words,
                "size": list(line.row.report.output),
                "memory": line.memory or None,
                "params": line.params,
            }
            for line in lines
        ],
        "text": "".join(f"{line}\n" for line in text(network, lines)),
    }
