"""Tables in a slide's text: rows of cells between tabs or bars, put together again."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

RULER = re.compile(r"[|\s:-]+")
SPANNING = re.compile(
    r"input \([^)]*\)|max ?pool|pool|FC ?- ?\d+|soft-?max|ConvN\w+ Configuration", re.IGNORECASE
)
"""A row with one cell for all columns, which has no tab in a table with tabs."""


@dataclass(frozen=True, slots=True)
class Grid:
    """A table."""

    rows: tuple[tuple[str, ...], ...]
    """Its cells, stripped; empty ones stay."""

    def header(self) -> str:
        """Give the first two rows as one folded text, to know the table by."""
        cells = [cell for row in self.rows[:2] for cell in row if cell]
        return " ".join(cells).casefold()


def find_grids(lines: Sequence[str]) -> Iterator[str | Grid]:
    """Split a page into plain lines and tables.

    >>> list(find_grids(["a", "| x | y |", "|---|---|", "| 1 | |", "b"]))
    ['a', Grid(rows=(('x', 'y'), ('1', ''))), 'b']
    """
    rows: list[tuple[str, ...]] = []
    for line in lines:
        cells = _cells(line)
        if cells is None and rows and SPANNING.fullmatch(line.strip()):
            cells = (line.strip(),)
        if cells is not None:
            if any(cells) and not RULER.fullmatch(line):
                rows.append(cells)
            continue
        if rows:
            yield from _finished(rows)
            rows = []
        yield line
    if rows:
        yield from _finished(rows)


def _finished(rows: list[tuple[str, ...]]) -> Iterator[str | Grid]:
    if len(rows) > 1:
        yield Grid(tuple(rows))
    else:
        yield f"| {' | '.join(rows[0])} |"


def _cells(line: str) -> tuple[str, ...] | None:
    if "\t" in line:
        return tuple(cell.strip() for cell in line.split("\t"))
    text = line.strip()
    if text.startswith("|") and text.endswith("|") and len(text) > 1:
        return tuple(cell.strip() for cell in text[1:-1].split("|"))
    return None


def filled(row: Sequence[str]) -> list[str]:
    """Give the cells of a row that hold something."""
    return [cell for cell in row if cell]


def spans(row: Sequence[str]) -> str:
    """Give the text of a row that says one thing for all columns; empty if it does not.

    A word that fell apart into neighbouring cells is put together: `max | pool`, `FC- | 4096`.

    >>> spans(["", "", "max", "pool", ""]), spans(["conv3-64", "LRN"])
    ('maxpool', '')
    """
    text = "".join(filled(row)).replace(" ", "")
    if re.fullmatch(r"maxpool|pool|FC-?\d+|soft-?max", text, re.IGNORECASE):
        return text
    if len(filled(row)) == 1 and re.match(r"input\b", filled(row)[0], re.IGNORECASE):
        return filled(row)[0]
    return ""
