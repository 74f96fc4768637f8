"""Tables for documents: the same rows as text, Markdown or LaTeX."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, TypeAlias, TypeVar

import click

from cnndsl.cli.text_tables import Column, rule, text_table

F = TypeVar("F", bound=Callable[..., object])

Format: TypeAlias = Literal["text", "markdown", "latex"]
"""How a table is written."""

LATEX = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#",
    "%": r"\%", "_": r"\_", "^": r"\^{}", "~": r"\textasciitilde{}", "<": r"\textless{}",
    ">": r"\textgreater{}",
}  # fmt: skip
"""What stands for characters that mean something to LaTeX."""


def format_option(command: F) -> F:
    """Add `--format`; the command gets it as `form`."""
    option = click.option(
        "--format",
        "form",
        type=click.Choice(["text", "markdown", "latex"]),
        default="text",
        help="How tables are written.  [default: text]",
    )
    return option(command)


def table_text(
    columns: Sequence[Column],
    rows: Sequence[Sequence[str]],
    *,
    total: Sequence[str] | None = None,
    form: Format = "text",
    width: int | None = None,
) -> str:
    """Write a table; `total` is a last row that is set off. Only text is fitted to a width."""
    if form == "markdown":
        return _markdown(columns, [*rows, *([[_bold(c) for c in total]] if total else [])])
    if form == "latex":
        return _latex(columns, rows, total)
    written = text_table(columns, [*rows, *([total] if total else [])], width=width).split("\n")
    head, *body = written
    dashes = rule("\n".join(written))
    if not total:
        return "\n".join((head, dashes, *body))
    return "\n".join((head, dashes, *body[:-1], dashes, body[-1]))


def _bold(cell: str) -> str:
    return f"**{cell}**" if cell else ""


def _markdown(columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> str:
    """Write a pipe table, its columns aligned in the text too."""
    lines = [[column.title for column in columns], *(list(map(_markdown_cell, r)) for r in rows)]
    widths = [max(3, *map(len, cells)) for cells in zip(*lines, strict=True)]
    ruler = [
        "-" * (width - 1) + ":" if column.right else "-" * width
        for column, width in zip(columns, widths, strict=True)
    ]
    written = []
    for cells in (lines[0], ruler, *lines[1:]):
        padded = (
            cell.rjust(width) if column.right else cell.ljust(width)
            for cell, width, column in zip(cells, widths, columns, strict=True)
        )
        written.append(f"| {' | '.join(padded)} |")
    return "\n".join(written)


def _markdown_cell(cell: str) -> str:
    """Write a cell so that Markdown takes none of it for its own signs.

    >>> _markdown_cell("(3*3*3)*64"), _markdown_cell("a|b"), _markdown_cell("**total**")
    ('(3\\\\*3\\\\*3)\\\\*64', 'a\\\\|b', '**total**')
    """
    if cell.startswith("**") and cell.endswith("**") and len(cell) > 4:
        return cell
    for sign in ("\\", "|", "*", "_", "<", "`"):
        cell = cell.replace(sign, f"\\{sign}")
    return cell


def _latex(
    columns: Sequence[Column], rows: Sequence[Sequence[str]], total: Sequence[str] | None
) -> str:
    """Write a `tabular`; it needs no package."""
    kinds = "".join("r" if column.right else "l" for column in columns)
    lines = [rf"\begin{{tabular}}{{{kinds}}}", r"\hline"]
    lines += [_latex_row([column.title for column in columns]), r"\hline"]
    lines += [_latex_row(row) for row in rows]
    lines += [r"\hline"]
    if total:
        lines += [_latex_row(total), r"\hline"]
    return "\n".join([*lines, r"\end{tabular}"])


def _latex_row(cells: Sequence[str]) -> str:
    return " & ".join("".join(LATEX.get(c, c) for c in cell) for cell in cells) + r" \\"
