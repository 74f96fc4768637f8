"""What a person sees and what a program reads: diagnostics, tables, JSON.

Data goes to stdout, words go to stderr. Colour and animation are decided apart: NO_COLOR,
TERM=dumb and a stream that is no terminal switch colour off, and nothing moves unless stderr is a
terminal, whatever FORCE_COLOR says.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import click

from cnndsl.support.diagnostics import Diagnostic, Severity, render
from cnndsl.support.fixes import fixes_of
from cnndsl.support.limits import DEFAULT_LIMITS
from cnndsl.support.source import SourceFile, Span

if TYPE_CHECKING:
    from rich.console import Console

COLOURS = {Severity.ERROR: "red", Severity.WARNING: "yellow", Severity.NOTE: "cyan"}


def emit_json(record: object) -> None:
    """Print one JSON document on a line of its own on stdout."""
    click.echo(json.dumps(record, allow_nan=False))


def span_record(span: Span) -> dict[str, dict[str, int]]:
    """Give a span as the language-server protocol does, but counted from 1."""
    return {
        "start": {"line": span.line, "column": span.column},
        "end": {"line": span.end_line, "column": span.end_column},
    }


def diagnostic_record(diagnostic: Diagnostic) -> dict[str, object]:
    """Give a diagnostic as JSON values."""
    span = diagnostic.span
    return {
        "code": diagnostic.code,
        "severity": diagnostic.severity.value,
        "message": diagnostic.message,
        "label": diagnostic.label,
        "file": span.file if span else None,
        "range": span_record(span) if span else None,
        "related": [
            {"file": r.span.file, "range": span_record(r.span), "text": r.text}
            for r in diagnostic.related
        ],
        "notes": list(diagnostic.notes),
        "helps": list(diagnostic.helps),
        "fixes": [
            {"title": f.title, "range": span_record(f.span), "text": f.text}
            for f in fixes_of(diagnostic)
        ],
    }


def show_diagnostics(diagnostics: Sequence[Diagnostic], sources: Mapping[str, SourceFile]) -> None:
    """Print diagnostics on stderr, with colour where that is welcome; the first of a flood."""
    shown = diagnostics[: DEFAULT_LIMITS.messages]
    for index, diagnostic in enumerate(shown):
        if index:
            click.echo("", err=True)
        first, *rest = render(diagnostic, sources).split("\n")
        head, colon, message = first.partition(":")
        colour = COLOURS[diagnostic.severity]
        click.echo(
            click.style(head, fg=colour, bold=True) + colon + click.style(message, bold=True),
            err=True,
            color=wants_colour(sys.stderr),
        )
        for line in rest:
            click.echo(_tinted(line, colour), err=True, color=wants_colour(sys.stderr))
    if len(diagnostics) > len(shown):
        click.echo(f"\n{len(diagnostics) - len(shown):,} more like these (`--json`)", err=True)


def _tinted(line: str, colour: str) -> str:
    if line.startswith("help:"):
        return click.style("help:", fg="green", bold=True) + line.removeprefix("help:")
    gutter, bar, text = line.partition(" | ")
    if bar and not gutter.strip() and set(text.lstrip()[:1]) <= set("^-|"):
        return f"{gutter}{bar}{click.style(text, fg=colour)}"
    return line


def wants_colour(stream: object) -> bool:
    """Tell whether colour is welcome on a stream."""
    import os

    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return False
    return is_terminal(stream)


def is_terminal(stream: object) -> bool:
    """Tell whether a stream is a terminal."""
    check = getattr(stream, "isatty", None)
    return bool(check is not None and check())


def out() -> Console:
    """Give the console for data: stdout, never cutting a line when it is no terminal."""
    return _console(sys.stdout)


def err() -> Console:
    """Give the console for words and bars: stderr."""
    return _console(sys.stderr)


def _console(stream: object) -> Console:
    from rich.console import Console

    terminal = is_terminal(stream)
    return Console(
        file=stream,  # type: ignore[arg-type]
        force_terminal=terminal,
        force_interactive=terminal,
        no_color=not wants_colour(stream),
        highlight=False,
        soft_wrap=not terminal,
        width=None if terminal else 80,
    )
