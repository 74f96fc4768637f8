"""Tables as plain text that fit a terminal: columns of words wrap, numbers and sizes never do."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from cnndsl.cli.console import is_terminal

WIDTH = 80
"""Columns where nothing says how wide the terminal is."""
GAP = "  "
"""What stands between columns."""
LEAST = 10
"""Columns that a wrapping column keeps, at least."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table."""

    title: str
    """What stands above it."""
    right: bool = False
    """Whether its cells end at the right edge, as numbers do."""
    wraps: bool = False
    """Whether long cells go on in the next line; the others are never cut or broken."""


def terminal_width() -> int:
    """Give the columns of the terminal on stdout, or 80 where it is none."""
    if not is_terminal(sys.stdout):
        return WIDTH
    return max(40, shutil.get_terminal_size((WIDTH, 24)).columns)


def text_table(
    columns: Sequence[Column], rows: Sequence[Sequence[str]], *, width: int | None = None
) -> str:
    """Write a table that is at most `width` columns wide, if its unbreakable cells allow that.

    Wider columns that wrap give way first. A cell longer than its column goes on in the next line,
    broken between words, or inside a word where that is longer than the column.
    """
    allowed = terminal_width() if width is None else width
    lines = [[column.title for column in columns], *map(list, rows)]
    widths = _fit([max(map(len, cells)) for cells in zip(*lines, strict=True)], columns, allowed)
    written = []
    for line in lines:
        cells = [
            wrapped(cell, size) if column.wraps else [cell]
            for cell, size, column in zip(line, widths, columns, strict=True)
        ]
        for turn in range(max(map(len, cells))):
            parts = (
                _aligned(cell[turn] if turn < len(cell) else "", size, column)
                for cell, size, column in zip(cells, widths, columns, strict=True)
            )
            written.append(GAP.join(parts).rstrip())
    return "\n".join(written)


def rule(text: str) -> str:
    """Give a line of dashes as wide as the widest line of `text`."""
    return "-" * max(map(len, text.split("\n")))


def _fit(widths: list[int], columns: Sequence[Column], allowed: int) -> list[int]:
    """Take what is too much from the widest wrapping columns, a column at a time."""
    widths = list(widths)
    excess = sum(widths) + len(GAP) * (len(widths) - 1) - allowed
    while excess > 0:
        loose = [i for i, c in enumerate(columns) if c.wraps and widths[i] > LEAST]
        if not loose:
            break
        widths[max(loose, key=lambda i: widths[i])] -= 1
        excess -= 1
    return widths


def wrapped(cell: str, size: int) -> list[str]:
    """Break a text into lines: between words, else behind `.`, `_` and `/`, else anywhere.

    >>> wrapped("softmax_cross_entropy of fc3", 16)
    ['softmax_cross_', ' entropy of fc3']
    """
    indent = " " if size >= LEAST else ""
    lines: list[str] = []
    line = ""
    for piece in re.findall(r"\s+|[^\s._/]+[._/]*|[._/]+", cell):
        while len(line) + len(piece.rstrip()) > size:
            if line.strip():
                lines.append(line.rstrip())
                line = indent
                piece = piece.lstrip()
            else:
                room = size - len(line)
                lines.append(line + piece[:room])
                line, piece = indent, piece[room:]
        line += piece
    if line.strip():
        lines.append(line.rstrip())
    return lines or [""]


def _aligned(cell: str, size: int, column: Column) -> str:
    return cell.rjust(size) if column.right else cell.ljust(size)
