"""Diagnostics: one record for everything that is wrong with what the user wrote.

The same record serves the terminal, `--json`, and embedding tools. Rendering here is plain
text; colour belongs to the command line.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

from cnndsl.support.source import SourceFile, Span


class Severity(Enum):
    """How bad it is."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Label:
    """A second place in the source that belongs to a diagnostic, with a word on it."""

    span: Span
    """Where."""
    text: str = ""
    """What is said about it; may be empty."""
    caret: bool = False
    """Whether it is marked as the main place is: one thing that stands at several places."""


@dataclass(frozen=True, slots=True)
class Fix:
    """A change that removes the diagnostic: replace `span` by `text`."""

    title: str
    """What it does, as a help line says it."""
    span: Span
    """What is replaced; an empty span inserts."""
    text: str
    """The new text."""


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One thing that is wrong, or worth knowing, about a program or file."""

    severity: Severity
    """Error, warning or note."""
    code: str
    """"E0301": see support/codes.py."""
    message: str
    """One sentence in the user's words."""
    span: Span | None = None
    """Where; nothing for a complaint about a whole file or command."""
    label: str = ""
    """What is written after the carets, usually the arithmetic."""
    related: tuple[Label, ...] = ()
    """Other places, underlined with dashes."""
    notes: tuple[str, ...] = ()
    """What was computed and where from; shown after `=`; may hold several lines."""
    helps: tuple[str, ...] = ()
    """What to do; shown after `help:`."""
    fixes: tuple[Fix, ...] = ()
    """Edits that can be applied."""


def error(code: str, message: str, span: Span | None = None, **details: object) -> Diagnostic:
    """Make a diagnostic of severity error; `details` are the other fields."""
    return Diagnostic(Severity.ERROR, code, message, span, **details)  # type: ignore[arg-type]


def note(code: str, message: str, span: Span | None = None, **details: object) -> Diagnostic:
    """Make a diagnostic of severity note; `details` are the other fields."""
    return Diagnostic(Severity.NOTE, code, message, span, **details)  # type: ignore[arg-type]


class CnnDslError(Exception):
    """Base of every error that this package raises on purpose."""

    diagnostics: tuple[Diagnostic, ...] = ()


class DiagnosticError(CnnDslError):
    """What the user gave is wrong; `diagnostics` say what, where and what to do."""

    def __init__(
        self, *diagnostics: Diagnostic, sources: Mapping[str, SourceFile] | None = None
    ) -> None:
        """Carry `diagnostics`, and the `sources` by name that they point into."""
        super().__init__(*(f"{d.severity.value}[{d.code}]: {d.message}" for d in diagnostics))
        self.diagnostics = diagnostics
        self.sources: Mapping[str, SourceFile] = sources or {}

    def __str__(self) -> str:
        return render_all(self.diagnostics, self.sources)


class DataError(DiagnosticError):
    """A data set or data file is missing, broken or refused."""


class WeightsError(DiagnosticError):
    """A weights file is missing, broken, refused or does not fit the program."""


class SettingError(DiagnosticError):
    """A variable of the environment has a value that it cannot have."""


class TypeRuleError(CnnDslError):
    """An op's type rule refuses its operands; the caller adds span and code."""


class VerifyError(CnnDslError):
    """A graph is malformed: the compiler is wrong, not the user."""


class BackendError(CnnDslError):
    """A backend cannot serve: no kernel, no device, failed compilation."""


class StoppedError(CnnDslError):
    """Work was stopped because the user asked for it; what there was is saved."""


class DivergedError(CnnDslError):
    """Training produced a value that is not a number."""


def printable(text: str) -> str:
    """Show control and bidirectional characters as escapes, so that a file cannot drive a terminal.

    >>> printable("a\\x1b[31m")
    'a\\\\x1b[31m'
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


WIDTH = 160
"""Longest source line that is shown whole, in columns."""

TAB = "    "
"""How a tab of a source line is shown."""

Mark: TypeAlias = tuple[Span, str, str]
"""A place to underline: where, what is said about it, and the sign that underlines it."""


def render(diagnostic: Diagnostic, sources: Mapping[str, SourceFile]) -> str:
    """Render one diagnostic as plain text: sentence, place, lines with carets, notes, help."""
    out = [f"{diagnostic.severity.value}[{diagnostic.code}]: {printable(diagnostic.message)}"]
    gutter = ""
    if diagnostic.span is not None:
        marks = [
            (label.span, label.text, "^" if label.caret else "-") for label in diagnostic.related
        ]
        marks.append((diagnostic.span, diagnostic.label, "^"))
        files = list(dict.fromkeys([diagnostic.span.file, *(mark[0].file for mark in marks)]))
        shown = [mark[0].line for mark in marks if mark[0].file in sources]
        gutter = " " * len(str(max(shown, default=1)))
        for file in files:
            here = [mark for mark in marks if mark[0].file == file]
            place = diagnostic.span if file == diagnostic.span.file else here[0][0]
            arrow = "-->" if file == diagnostic.span.file else ":::"
            out.append(f"{gutter}{arrow} {printable(file)}:{place.line}:{place.column}")
            if file in sources:
                out.append(f"{gutter} |")
                out.extend(_source_lines(sources[file], here, gutter))
                out.append(f"{gutter} |")
    for text in diagnostic.notes:
        out.extend(_hanging(f"{gutter or ' '} = ", text))
    for text in diagnostic.helps:
        out.extend(_hanging("help: ", text))
    return "\n".join(line.rstrip() for line in out)


def render_all(diagnostics: Sequence[Diagnostic], sources: Mapping[str, SourceFile]) -> str:
    """Render several diagnostics, an empty line between them."""
    return "\n\n".join(render(d, sources) for d in diagnostics)


def _hanging(lead: str, text: str) -> list[str]:
    first, *rest = printable_lines(text)
    return [lead + first, *(" " * len(lead) + line for line in rest)]


def printable_lines(text: str) -> list[str]:
    """Split into lines and make each of them printable."""
    return [printable(line) for line in text.split("\n")]


def _source_lines(source: SourceFile, marks: Sequence[Mark], gutter: str) -> list[str]:
    out: list[str] = []
    lines = sorted({span.line for span, _, _ in marks})
    previous = lines[0]
    for number in lines:
        if number > previous + 1:
            out.append(f"{gutter} | ...")
        previous = number
        raw = source.line(number)
        here = sorted((m for m in marks if m[0].line == number), key=lambda m: m[0].column)
        start = _window(raw, here)
        out.append(f"{number:>{len(gutter)}} | {_shown(raw[start : start + WIDTH])}")
        out.extend(f"{gutter} | {text}" for text in _mark_rows(raw, start, here))
    return out


def _shown(raw: str) -> str:
    """A stretch of a source line as it is printed."""
    return printable(raw.replace("\t", TAB))


def _columns(raw: str) -> int:
    """How many columns of a terminal a stretch of a source line takes."""
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in _shown(raw))


def _window(raw: str, marks: Sequence[Mark]) -> int:
    """First column to show of a very long line: the marked place stays in sight."""
    if len(raw) <= WIDTH:
        return 0
    place = next((span for span, _, sign in marks if sign == "^"), marks[-1][0])
    return max(0, min(place.column - 1 - WIDTH // 2, len(raw) - WIDTH))


def _mark_rows(raw: str, start: int, marks: Sequence[Mark]) -> list[str]:
    """Underline rows: carets and dashes on one row with the last label; other labels hang below."""
    row = ""
    hanging: list[tuple[int, str]] = []
    for index, (span, text, sign) in enumerate(marks):
        end = span.end_column if span.end_line == span.line else len(raw) + 1
        left = _columns(raw[start : max(start, span.column - 1)])
        width = max(1, _columns(raw[max(start, span.column - 1) : min(end - 1, start + WIDTH)]))
        row = row.ljust(left)
        row = row[:left] + sign * width + row[left + width :]
        if text and index < len(marks) - 1:
            hanging.append((left, printable(text)))
        elif text:
            row = f"{row} {printable(text)}"
    rows = [row]
    for position in range(len(hanging) - 1, -1, -1):
        bars = ""
        for left, _ in hanging[:position]:
            bars = bars.ljust(left) + "|"
        left, text = hanging[position]
        rows.append(bars.ljust(left) + text)
    return rows
