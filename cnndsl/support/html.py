"""Tables for notebooks: plain HTML with its style in place, without script."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

MOST_ROWS = 500
"""Rows of a table that a notebook shows."""

_CELL = "padding:2px 10px;border:none"


def html_table(
    columns: Sequence[tuple[str, bool]],
    rows: Sequence[Sequence[str]],
    *,
    caption: str,
    total: Sequence[str] = (),
) -> str:
    """Give a table; `columns` are titles and whether their cells are numbers.

    What is beyond `MOST_ROWS` is counted and not shown.
    """
    parts = ['<table style="border-collapse:collapse;font-size:90%">']
    parts.append(f'<caption style="text-align:left;font-weight:bold">{escape(caption)}</caption>')
    head = "".join(_cell("th", title, number) for title, number in columns)
    parts.append(f'<thead><tr style="border-bottom:1px solid">{head}</tr></thead><tbody>')
    for row in rows[:MOST_ROWS]:
        parts.append(_row(row, columns))
    if len(rows) > MOST_ROWS:
        parts.append(
            f'<tr><td colspan="{len(columns)}" style="{_CELL}">and {len(rows) - MOST_ROWS:,} more'
            "</td></tr>"
        )
    parts.append("</tbody>")
    if total:
        parts.append(f'<tfoot style="border-top:1px solid">{_row(total, columns)}</tfoot>')
    return "".join([*parts, "</table>"])


def _row(cells: Sequence[str], columns: Sequence[tuple[str, bool]]) -> str:
    shown = (_cell("td", cell, number) for cell, (_, number) in zip(cells, columns, strict=True))
    return f"<tr>{''.join(shown)}</tr>"


def _cell(tag: str, text: str, number: bool) -> str:
    side = "right" if number else "left"
    return f'<{tag} style="{_CELL};text-align:{side}">{escape(text)}</{tag}>'
