"""Tables with a network in each column, and tables of their parameters."""

from __future__ import annotations

import re
from collections.abc import Sequence

from cnndsl.importers.grid import Grid, filled, spans
from cnndsl.importers.rules import Reader
from cnndsl.importers.sheet import hyphened

LAYER = re.compile(r"conv\d+-\d+|LRN|FC-\d+", re.IGNORECASE)


def read_configurations(grid: Grid, reader: Reader) -> bool:
    """Read the configurations of VGG: a network in each column, one program for all of them.

    A cell may hold several layers, or a column may have one a row; a row with one cell is for all.
    """
    names, rest = _names(grid)
    if not names:
        return False
    sheet = reader.turn()
    sheet.head.append(f"param column in [{', '.join(names)}]")
    depths = [""] * len(names)
    stage: list[list[str]] = [[] for _ in names]
    for row in rest:
        shared = spans(row)
        if shared:
            _add_stage(reader, names, stage)
            stage = [[] for _ in names]
            _add_shared(reader, shared)
            continue
        for at, cell in enumerate(row[: len(names)]):
            depths[at] = depths[at] or _depth(cell)
            stage[at] += LAYER.findall(cell)
    _add_stage(reader, names, stage)
    for depth in dict.fromkeys(depths):
        if depth:
            having = [n for n, d in zip(names, depths, strict=True) if d == depth]
            sheet.tail.append(f"if {_among(having)} {{ assert weight_layers == {depth} }}")
    return True


def _names(grid: Grid) -> tuple[list[str], Sequence[tuple[str, ...]]]:
    """Give the columns' names, and the rows under them."""
    for at, row in enumerate(grid.rows):
        cells = filled(row)
        if len(cells) > 1 and all(re.fullmatch(r"[A-Z](?:-[A-Z]+)?", cell) for cell in cells):
            return [hyphened(cell) for cell in cells], grid.rows[at + 1 :]
    return [], ()


def _depth(cell: str) -> str:
    found = re.match(r"(\d+) weight", cell)
    return found[1] if found else ""


def _add_shared(reader: Reader, text: str) -> None:
    folded = text.casefold()
    if folded.startswith("input"):
        size = re.search(r"\d+x\d+(?:x\d+)?", text)
        if size is not None:
            axes = size[0] if size[0].count("x") == 2 else f"{size[0]}x3"
            reader.input(axes)
        return
    words = {"maxpool": "maxpool", "pool": "maxpool", "softmax": "softmax"}
    reader.layer(words.get(folded.replace("-", ""), text))


def _add_stage(reader: Reader, names: Sequence[str], stage: Sequence[Sequence[str]]) -> None:
    """Add the layers between two shared rows, once for every group of columns that agree."""
    groups: dict[str, list[str]] = {}
    for name, layers in zip(names, stage, strict=True):
        if layers:
            groups.setdefault(" - ".join(layers), []).append(name)
    if len(groups) == 1 and len(next(iter(groups.values()))) == len(names):
        reader.layer(next(iter(groups)))
        return
    for layers, having in groups.items():
        reader.sheet.rows.append(f"if {_among(having)} {{ {layers} }}")


def _among(names: Sequence[str]) -> str:
    return f"column == {names[0]}" if len(names) == 1 else f"column in [{', '.join(names)}]"


def read_counts(grid: Grid, reader: Reader) -> bool:
    """Read `Network | A,A-LRN | B ..` and `Number of parameters | 133 | 133 ..`, in millions."""
    reader.resume()
    header, counts = grid.rows[0], grid.rows[1]
    for names, count in zip(header[1:], counts[1:], strict=False):
        if not names or not count:
            continue
        having = [hyphened(name) for name in names.split(",")]
        reader.sheet.tail.append(f"if {_among(having)} {{ assert params ~= {count}M }}")
    return True
