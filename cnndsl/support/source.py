"""Where a piece of text stands: source files and spans inside them."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """A stretch of source text; lines and columns count from 1, the end column is exclusive."""

    file: str
    """Name of the file as it is shown to the user."""
    line: int
    """First line."""
    column: int
    """First column on the first line."""
    end_line: int
    """Last line."""
    end_column: int
    """Column after the last character on the last line."""

    def to(self, other: Span) -> Span:
        """Give the smallest span that begins with this one and ends with `other`.

        >>> str(Span("a.cnn", 1, 3, 1, 5).to(Span("a.cnn", 2, 1, 2, 4)))
        'a.cnn:1:3'
        """
        return Span(self.file, self.line, self.column, other.end_line, other.end_column)

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True)
class SourceFile:
    """The text of one file together with the name it is shown under."""

    name: str
    """Name shown in messages."""
    text: str = field(repr=False)
    """The whole text."""

    @cached_property
    def lines(self) -> tuple[str, ...]:
        """Its lines, without the line feed."""
        return tuple(self.text.split("\n"))

    def line(self, number: int) -> str:
        """Give line `number` (from 1) without its end; an empty string outside the file."""
        return self.lines[number - 1].rstrip("\r") if 1 <= number <= len(self.lines) else ""

    def cut(self, span: Span) -> str:
        """Give the text that `span` covers."""
        lines = list(self.lines[span.line - 1 : span.end_line])
        if not lines:
            return ""
        lines[-1] = lines[-1][: span.end_column - 1]
        lines[0] = lines[0][span.column - 1 :]
        return "\n".join(lines)
