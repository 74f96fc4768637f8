"""A program's canonical text: `parse(format_program(p)) == p`, comments and blank lines kept.

A line has at most 100 columns where it can be broken. Lines that follow one another have their
sizes, labels, assertions and comments in columns. Formatting what was formatted changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from cnndsl.frontend import ast
from cnndsl.frontend.format_chains import Pieces, statement_pieces
from cnndsl.frontend.format_columns import WIDTH, Row, align, fill, flat
from cnndsl.support.source import Span

INDENT = 2
"""Columns by which a body is indented."""


def format_program(program: ast.Program) -> str:
    """Give the canonical text of a program, in ASCII outside strings and comments."""
    lines = _region(program.statements, program.comments, 0)
    return "".join([f"{line}\n" for line in lines])


@dataclass(slots=True)
class Item:
    """One statement or comment, before it is laid out among its neighbours."""

    first: int
    """Line of the source where it begins."""
    last: int
    """Line of the source where it ends."""
    row: Row | None = None
    """What it is if it stands on one line."""
    lines: list[str] = field(default_factory=list)
    """What it is if it does not."""


def _region(
    statements: Sequence[ast.Statement], comments: Sequence[ast.Comment], indent: int
) -> list[str]:
    """The lines of a body's statements and comments, in the order of the source."""
    items: list[Item] = []
    waiting = list(reversed(comments))
    for index, statement in enumerate(statements):
        span = statement.span
        while waiting and _start(waiting[-1].span) < _start(span):
            items.append(_comment(waiting.pop(), at=None, indent=indent))
        inner: list[ast.Comment] = []
        while waiting and _start(waiting[-1].span) < _end(span):
            inner.append(waiting.pop())
        trailing = ""
        if waiting and waiting[-1].span.line == span.end_line:
            following = statements[index + 1].span if index + 1 < len(statements) else None
            if following is None or _start(waiting[-1].span) < _start(following):
                trailing = waiting.pop().text
        _statement(items, statement, inner, trailing, indent)
    while waiting:
        items.append(_comment(waiting.pop(), at=None, indent=indent))
    return _laid_out(items, indent)


def _start(span: Span) -> tuple[int, int]:
    return span.line, span.column


def _end(span: Span) -> tuple[int, int]:
    return span.end_line, span.end_column


def _comment(comment: ast.Comment, *, at: int | None, indent: int) -> Item:
    line = comment.span.line if at is None else at
    return Item(line, line, lines=[" " * indent + comment.text])


def _statement(
    items: list[Item],
    statement: ast.Statement,
    comments: list[ast.Comment],
    trailing: str,
    indent: int,
) -> None:
    """Append a statement; of its comments, those inside no body go before it."""
    pieces = statement_pieces(statement)
    span = statement.span
    kept = [c for c in comments if any(_inside(c, body) for body in pieces.bodies())]
    for comment in comments:
        if comment not in kept:
            items.append(_comment(comment, at=span.line, indent=indent))
    text = pieces.inline() if not kept else None
    if text is not None:
        cells = {key: flat(cell) for key, cell in pieces.cells.items()} or {"core": flat(text)}
        row = Row(cells, trailing)
        if indent + len(row.joined()) <= WIDTH:
            items.append(Item(span.line, span.end_line, row=row))
            return
    lines = _several_lines(pieces, kept, indent)
    if trailing:
        lines[-1] += f"  {trailing}"
    items.append(Item(span.line, span.end_line, lines=lines))


def _inside(comment: ast.Comment, body: ast.Body) -> bool:
    return _start(body.span) < _start(comment.span) < _end(body.span)


def _several_lines(pieces: Pieces, comments: list[ast.Comment], indent: int) -> list[str]:
    """Text broken where it is too long, every body on lines of its own."""
    lines = [" " * indent]
    for part in pieces.parts:
        if isinstance(part, str):
            lines[-1:] = fill(part, lines[-1], indent)
            continue
        inside = [comment for comment in comments if _inside(comment, part)]
        if not part.statements and not inside:
            lines[-1] += "{}"
            continue
        lines[-1] += "{"
        first = part.statements[0].span if part.statements else None
        if (
            inside
            and inside[0].span.line == part.span.line
            and (first is None or _start(inside[0].span) < _start(first))
        ):
            lines[-1] += f"  {inside.pop(0).text}"
        lines += _region(part.statements, inside, indent + INDENT)
        lines.append(" " * indent + "}")
    return lines


def _laid_out(items: Sequence[Item], indent: int) -> list[str]:
    """The lines of items: blank lines kept single, runs of one-line statements in columns."""
    lines: list[str] = []
    run: list[Row] = []
    previous: Item | None = None
    for item in items:
        apart = previous is not None and item.first - previous.last > 1
        if run and (apart or item.row is None):
            lines += align(run, indent)
            run = []
        if apart:
            lines.append("")
        if item.row is not None:
            run.append(item.row)
        else:
            lines += item.lines
        previous = item
    return lines + (align(run, indent) if run else [])
