"""The text of a Darknet .cfg: sections of settings, and complaints that point into it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from cnndsl.support.diagnostics import DiagnosticError, Label, error
from cnndsl.support.source import SourceFile, Span
from cnndsl.support.suggest import nearest

HEADER = re.compile(r"\s*\[\s*([^\]]*?)\s*\]\s*$")
REMARK = re.compile(r"[#;].*")


@dataclass(frozen=True, slots=True)
class Entry:
    """`filters=64`."""

    text: str
    """What stands behind the equals sign."""
    span: Span
    """The whole line without blanks."""


@dataclass(slots=True)
class Section:
    """`[convolutional]` and its settings."""

    name: str
    """What stands between the brackets."""
    span: Span
    """The header."""
    source: SourceFile
    """The file."""
    entries: dict[str, Entry] = field(default_factory=dict)
    """Settings by name."""
    used: set[str] = field(default_factory=set)
    """Those that were read."""

    def complain(self, message: str, *, at: str = "", label: str = "", helps: tuple[str, ...] = (),
                 related: tuple[Label, ...] = ()) -> DiagnosticError:  # fmt: skip
        """Make a complaint, about the setting `at` or the header: E0930."""
        span = self.entries[at].span if at in self.entries else self.span
        found = error("E0930", message, span, label=label, helps=helps, related=related)
        return DiagnosticError(found, sources={self.source.name: self.source})

    def word(self, key: str, usual: str) -> str:
        """Give a setting that is a word."""
        self.used.add(key)
        return self.entries[key].text if key in self.entries else usual

    def whole(self, key: str, usual: int, *, least: int = 0) -> int:
        """Give a setting that is a whole number; raises E0930."""
        text = self.word(key, str(usual))
        if not re.fullmatch(r"[0-9]{1,9}", text) or int(text) < least:
            what = f"is a whole number from {least} on, not `{text}`"
            raise self.complain(f"`{key}` of [{self.name}] {what}", at=key)
        return int(text)

    def number(self, key: str, usual: float) -> float:
        """Give a setting that is a number; raises E0930."""
        text = self.word(key, f"{usual:g}")
        try:
            found = float(text)
        except ValueError:
            found = float("nan")
        if not 0 <= found < 1e12:
            raise self.complain(f"`{key}` of [{self.name}] is a number, not `{text}`", at=key)
        return found

    def whole_numbers(self, key: str) -> list[int]:
        """Give a setting that lists layers: `-1, 36`; raises E0930 without any."""
        text = self.word(key, "")
        parts = [part.strip() for part in text.split(",")]
        if not all(re.fullmatch(r"-?[0-9]{1,9}", part) for part in parts):
            shown = f", not `{text}`" if text else ""
            raise self.complain(f"`{key}` of [{self.name}] names layers by number{shown}", at=key)
        return [int(part) for part in parts]

    def refuse_unread(self, ignored: Mapping[str, object] | frozenset[str]) -> None:
        """Complain about the first setting that nothing reads; raises E0930."""
        for key, entry in self.entries.items():
            if key in self.used or key in ignored:
                continue
            close = nearest(key, sorted(self.used))
            raise self.complain(
                f"[{self.name}] has no setting `{key}` that is known here",
                at=key,
                label=f"did you mean `{close[0]}`?" if close else "",
                helps=() if close else (f"without `{entry.text}` it might be another network",),
            )


def read_sections(source: SourceFile) -> list[Section]:
    """Read a .cfg; raises `DiagnosticError` E0930 for what is neither a header nor a setting."""
    found: list[Section] = []
    for number, line in enumerate(source.text.splitlines(), start=1):
        text = REMARK.sub("", line).strip()
        if not text:
            continue
        start = line.index(text) + 1
        span = Span(source.name, number, start, number, start + len(text))
        header = HEADER.match(text)
        if header is not None:
            found.append(Section(header[1].lower(), span, source))
            continue
        key, equals, value = (part.strip() for part in text.partition("="))
        if not equals or not key or not value or not found:
            what = "this line is neither a `[section]` nor a `setting=value`"
            if equals and not found:
                what = "this setting stands before the first `[section]`"
            raise DiagnosticError(error("E0930", what, span), sources={source.name: source})
        if key in found[-1].entries:
            first = found[-1].entries[key].span
            section = found[-1]
            section.entries[key] = Entry(value, span)
            raise section.complain(
                f"`{key}` of [{section.name}] stands there twice",
                at=key,
                label="again here",
                related=(Label(first, "first here"),),
                helps=("Darknet takes the first and says nothing",),
            )
        found[-1].entries[key] = Entry(value, span)
    return found
