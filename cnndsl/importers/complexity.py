"""Tables of costs: assertions on nets that stand elsewhere in the program."""

from __future__ import annotations

import re
from collections.abc import Sequence

from cnndsl.importers.grid import Grid, filled
from cnndsl.importers.rules import Reader, sign, whole
from cnndsl.importers.sheet import hyphened

COLUMNS = ("weights", "macs")
"""What the two halves of a complexity table count: biases are left out."""


def read_costs(grid: Grid, reader: Reader) -> bool:
    """Read `| Inception | 0.16 M | 128 M |`: parameters and operations of the nets of that name."""
    for name, params, macs in (row for row in grid.rows[1:] if len(row) == 3):
        net = hyphened(name)
        reader.sheet.claim(f"{net}.weights ~= {whole(params)}")
        reader.sheet.claim(f"{net}.macs ~= {whole(macs)}")
    return bool(reader.sheet.tail)


def read_complexity(grid: Grid, reader: Reader) -> bool:
    """Read `| Conv1 | 35K | 150 | 101M | 1.2M |`: a net in each column, a layer in each row.

    Figures that the text extraction moved into a neighbouring cell are put back where they belong.
    """
    nets = [hyphened(cell) for cell in filled(grid.rows[1])]
    if len(nets) != 4 or nets[:2] != nets[2:]:
        return False
    shown: list[str] = []
    for row in grid.rows[2:]:
        name = row[0]
        cells = _placed(row[1:5])
        if name == "Increase":
            _add_increase(reader, nets, cells)
            continue
        for at, figure in enumerate(cells):
            if figure:
                text = whole(figure)
                subject = _subject(nets[at], name, shown, COLUMNS[at // 2])
                reader.sheet.claim(f"{subject} {sign(text)} {text}")
        if name != "Total":
            shown += _layers(name)
    return bool(reader.sheet.tail)


def _layers(name: str) -> list[str]:
    """Give the labels of a row: `Conv3-5` is conv3, conv4 and conv5."""
    found = re.fullmatch(r"([A-Za-z]+)(\d+)(?:-(\d+))?", name)
    if found is None:
        return [name.casefold()]
    first, last = int(found[2]), int(found[3] or found[2])
    return [f"{found[1].casefold()}{number}" for number in range(first, last + 1)]


def _subject(net: str, name: str, shown: Sequence[str], quantity: str) -> str:
    """Write what a cell counts; a total is that of the network, not of the rows shown."""
    if name == "Total":
        return f"{net}.{quantity}"
    return " + ".join(f"{net}.{label}.{quantity}" for label in _layers(name))


def _placed(cells: Sequence[str]) -> list[str]:
    """Put a row's figures into their columns: one cell may hold those of its neighbours."""
    found = [*cells, *[""] * (4 - len(cells))]
    parts = [_figures(cell) for cell in found]
    for at, cell in enumerate(parts):
        if len(cell) > 1:
            own, neighbour = cell[-2:]
            parts[at] = [own]
            if at + 1 < len(parts) and not parts[at + 1]:
                parts[at + 1] = [neighbour]
    return [cell[0] if cell else "" for cell in parts]


def _figures(cell: str) -> list[str]:
    """Give the figures of a cell; an N behind digits was an M."""
    return [f.replace("N", "M") for f in re.findall(r"\d[\d.,]*\s?[KMGN]?x?", cell)]


def _add_increase(reader: Reader, nets: Sequence[str], cells: Sequence[str]) -> None:
    """Read `Increase | 11x | 1x | 250x | 1x`: the ratio of the two nets."""
    for at in (0, 2):
        figure = cells[at].rstrip("x")
        if figure:
            quantity = COLUMNS[at // 2]
            reader.sheet.claim(f"{nets[0]}.{quantity} / {nets[1]}.{quantity} ~= {figure}")
