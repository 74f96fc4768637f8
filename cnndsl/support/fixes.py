"""Changes that remove diagnostics: worked out from what they say, and applied to a text."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from cnndsl.support.diagnostics import Diagnostic, Fix, Severity
from cnndsl.support.source import Span

MEANT = re.compile(r"did you mean `([^`]+)`")
FITS = re.compile(r"`(stride \d+|pad \d+)` fits")


@dataclass(frozen=True, slots=True)
class Fixed:
    """A text after changes."""

    text: str
    """The text."""
    applied: tuple[Fix, ...]
    """The changes, in the order of the text."""


def fixes_of(diagnostic: Diagnostic, text: str = "") -> tuple[Fix, ...]:
    """Give the changes that would remove a diagnostic, the best first.

    Beside those that it carries: the name that was meant, and a stride that fits where `text`, the
    source, has a stride at its place.
    """
    found = list(diagnostic.fixes)
    if diagnostic.span is None or diagnostic.severity is not Severity.ERROR:
        return tuple(found)
    meant = MEANT.search(diagnostic.label)
    if meant is not None:
        found.append(Fix(f"write `{meant[1]}`", diagnostic.span, meant[1]))
    marked = _cut(text, diagnostic.span)
    for help_ in diagnostic.helps:
        fits = FITS.match(help_)
        if fits is not None and marked.startswith(fits[1].split()[0]):
            found.append(Fix(f"write `{fits[1]}`", diagnostic.span, fits[1]))
    return tuple(found)


def apply_fixes(text: str, fixes: Sequence[Fix]) -> Fixed:
    """Apply changes to a text; of two that overlap, the first.

    >>> span = Span("a.cnn", 1, 1, 1, 5)
    >>> apply_fixes("rleu - fc 10", [Fix("write `relu`", span, "relu")]).text
    'relu - fc 10'
    """
    starts = [0]
    for line in text.split("\n"):
        starts.append(starts[-1] + len(line) + 1)
    chosen: list[tuple[int, int, Fix]] = []
    for fix in fixes:
        begin = starts[fix.span.line - 1] + fix.span.column - 1
        end = starts[fix.span.end_line - 1] + fix.span.end_column - 1
        if all(end <= other or begin >= last for other, last, _ in chosen):
            chosen.append((begin, end, fix))
    chosen.sort(key=lambda item: item[0])
    made = text
    for begin, end, fix in reversed(chosen):
        made = made[:begin] + fix.text + made[end:]
    return Fixed(made, tuple(fix for _, _, fix in chosen))


def _cut(text: str, span: Span) -> str:
    lines = text.split("\n")
    if not 1 <= span.line <= len(lines):
        return ""
    return lines[span.line - 1][span.column - 1 :]
