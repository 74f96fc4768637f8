"""Lines that belong together in columns, and lines that are too long on several lines."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from cnndsl.frontend.format_values import BAR, STRONG, TIGHT, WEAK

WIDTH = 100
"""Columns of a line."""
HANG = 4
"""Columns by which what continues a line is indented further."""
GAP = "  "
"""Between columns."""
HEAD = ("shape", "let", "label", "core")
"""Columns that a line begins with."""
MARKS = BAR + STRONG + WEAK + TIGHT
"""Where a long line may be broken."""
FLAT = {ord(BAR): " ", ord(STRONG): " ", ord(WEAK): " ", ord(TIGHT): None}
"""What the marks become on one line."""


def flat(text: str) -> str:
    """Give text with marks as one line."""
    return text.translate(FLAT)


def fill(text: str, current: str, indent: int) -> list[str]:
    """Continue the line `current` with `text`, broken at its marks where it grows too long.

    Marks outside brackets are used before those inside.
    """
    lines = [current]
    _place(_levels(text), lines, " " * (indent + HANG))
    return [line.rstrip() for line in lines[:-1]] + lines[-1:]


def _levels(text: str) -> list[tuple[int, str]]:
    """Cut before each mark; every piece comes with how deep in brackets its mark stands."""
    pieces: list[tuple[int, str]] = []
    depth = 0
    for piece in re.split(f"(?=[{MARKS}])", text):
        if piece:
            pieces.append((2 * depth - (piece[0] == BAR), piece))
            plain = re.sub(r'"[^"]*"', "", piece)
            depth += len(re.findall(r"[(\[]", plain)) - len(re.findall(r"[)\]]", plain))
    return pieces


def _place(pieces: list[tuple[int, str]], lines: list[str], hang: str) -> None:
    """Append pieces to the last line, and to new ones where they do not fit."""
    whole = "".join([text for _, text in pieces])
    if len(pieces) == 1 or len(lines[-1]) + len(flat(whole)) <= WIDTH:
        lines[-1] += flat(whole)
        return
    outermost = min(level for level, _ in pieces[1:])
    units: list[list[tuple[int, str]]] = [[pieces[0]]]
    for piece in pieces[1:]:
        if piece[0] == outermost:
            units.append([piece])
        else:
            units[-1].append(piece)
    for number, unit in enumerate(units):
        text = flat("".join([piece for _, piece in unit]))
        if number and len(lines[-1]) + len(text) > WIDTH and lines[-1].strip():
            lines.append(hang)
            unit[0] = (unit[0][0], unit[0][1][1:])
        _place(unit, lines, hang)


@dataclass(frozen=True, slots=True)
class Row:
    """A statement that stands on one line."""

    cells: dict[str, str]
    """Its text by column: `shape`, `let`, `label`, `core`, `expects`, `claim ..`, `where`."""
    comment: str = ""
    """The comment behind it."""

    def joined(self) -> str:
        """Give the text without columns and comment."""
        text = " ".join([self.cells[key] for key in HEAD if key in self.cells])
        for key, cell in self.cells.items():
            if key not in HEAD:
                text += GAP + cell
        return text


def align(rows: Sequence[Row], indent: int) -> list[str]:
    """Give the lines of rows that follow one another, in columns where they fit."""
    lead = " " * indent
    texts = [lead + _head(row, rows) for row in rows]
    if any(len(text) > WIDTH for text in texts):
        texts = [lead + _head(row, [row]) for row in rows]
    columns = sorted({key for row in rows for key in row.cells if key not in HEAD}, key=_order)
    for column in columns:
        texts = _add_column(texts, [row.cells.get(column, "") for row in rows])
    if any(len(text) > WIDTH for text in texts):
        texts = [lead + row.joined() for row in rows]
    return _add_column(texts, [row.comment for row in rows])


def _order(key: str) -> tuple[int, str]:
    return (("expects", "claim", "where").index(key.split()[0]), key)


def _head(row: Row, rows: Sequence[Row]) -> str:
    """Shape, label and core, all but the last as wide as those of `rows`."""
    text = ""
    shaped = "shape" in row.cells
    if shaped:
        width = max(len(r.cells.get("shape", "")) for r in rows)
        text = row.cells["shape"].ljust(width) + GAP
    if "let" in row.cells:
        width = max(len(r.cells.get("let", "")) for r in rows)
        text += row.cells["let"].ljust(width) + " "
    if "label" in row.cells:
        alike = [r for r in rows if ("shape" in r.cells) == shaped]
        width = max(len(r.cells.get("label", "")) for r in alike)
        text += row.cells["label"].ljust(width) + " "
    return text + row.cells["core"]


def _add_column(texts: list[str], cells: list[str]) -> list[str]:
    width = max((len(t) for t, cell in zip(texts, cells, strict=True) if cell), default=0)
    return [
        text.ljust(width) + GAP + cell if cell else text
        for text, cell in zip(texts, cells, strict=True)
    ]
