"""What an elaboration has found so far."""

from __future__ import annotations

from cnndsl.support.diagnostics import Diagnostic, Severity
from cnndsl.support.limits import Limits
from cnndsl.support.source import Span

MOST_REPEATED = 1000
"""How often the same mistake is met, in blocks and loops, before the rest is left alone."""


class Reports:
    """Diagnostics, one of a code at each place, and no more errors than the limit."""

    def __init__(self, limits: Limits) -> None:
        """Collect at most `limits.messages` errors."""
        self.limits = limits
        self.found: dict[tuple[str, Span | None, str], Diagnostic] = {}
        self.count = 0
        self.repeated = 0

    def add(self, *diagnostics: Diagnostic) -> None:
        """Report, unless the same was reported before."""
        for diagnostic in diagnostics:
            text = diagnostic.message if diagnostic.span is None else ""
            key = (diagnostic.code, diagnostic.span, text)
            if key not in self.found:
                self.found[key] = diagnostic
                self.count += diagnostic.severity is Severity.ERROR
            else:
                self.repeated += diagnostic.severity is Severity.ERROR

    @property
    def are_enough(self) -> bool:
        """Whether nothing more is worth finding: many mistakes, or one at thousands of turns."""
        return self.count >= self.limits.messages or self.repeated >= MOST_REPEATED

    @property
    def errors(self) -> tuple[Diagnostic, ...]:
        """The errors, in the order of the source."""
        found = [d for d in self.found.values() if d.severity is Severity.ERROR]
        return tuple(found[: self.limits.messages])

    @property
    def notes(self) -> tuple[Diagnostic, ...]:
        """Everything that is no error."""
        return tuple(d for d in self.found.values() if d.severity is not Severity.ERROR)
