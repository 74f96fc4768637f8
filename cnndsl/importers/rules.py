"""The registry of rules that read a slide's lines, and what they share."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

from cnndsl.importers.sheet import Options, Row, Sheet

DIMS = r"(?:\d+|\?)(?:\s?x\s?(?:\d+|\?))+"
"""A size: `32x32x3`."""

NUMBER = r"\d[\d,]*(?:\.\d+)?(?:\s?[KMGk](?![a-z]))?%?"
"""A number as slides print it: `1,728`, `3.2M`, `48k`, `95%`."""

FORMULA = r"\(*\d[\d\s()*x/+-]*?\d?\)*"
"""Arithmetic with numbers only: `(11*11*3)*96`."""


@dataclass(slots=True)
class Reader:
    """What has been read so far."""

    options: Options
    """The conventions."""
    sheets: list[Sheet] = field(default_factory=lambda: [Sheet()])
    """A program for each page; the last one is being written."""
    known: dict[str, Row] = field(default_factory=dict)
    """Every labelled layer so far, the latest of each name."""
    expecting: bool = False
    """Whether the next size is what the last layer makes."""
    topic: str = ""
    """What the lines are about: "params", the title of a block."""
    values: dict[str, str] = field(default_factory=dict)
    """What was noted on the way, by rules for their own use."""

    @property
    def sheet(self) -> Sheet:
        """The page that is being written."""
        return self.sheets[-1]

    def turn(self) -> Sheet:
        """Begin another page, unless this one is empty."""
        for row in self.sheet.layers:
            if row.label:
                self.known[row.label] = row
        self.expecting = False
        self.topic = ""
        if not self.sheet.is_empty:
            self.sheets.append(Sheet())
        return self.sheet

    def resume(self) -> Sheet:
        """Go on with the program of the page before, if this one has no layers of its own."""
        if not self.sheet.layers and len(self.sheets) > 1:
            earlier = next((s for s in reversed(self.sheets[:-1]) if s.layers), None)
            if earlier is not None:
                self.sheets[-1] = earlier.copy()
        return self.sheet

    def input(self, size: str) -> None:
        """Declare the input; a page has one, so a second one begins another page."""
        if self.sheet.layers:
            self.turn()
        axes = self.options.size(size).split("x")
        shown = "x".join([*axes, "1"] if len(axes) == 2 else axes)
        self.sheet.add(f"input [{shown}]")

    def layer(self, words: str, *, label: str = "", size: str = "", remark: str = "") -> None:
        """Add a layer, behind the input that the options give if the page shows none."""
        if not self.sheet.layers and self.options.input:
            self.sheet.add(f"input [{self.options.size(self.options.input)}]")
        self.sheet.add(words, label=label, size=size, remark=remark)
        self.expecting = False

    def expect(self, size: str) -> bool:
        """Say what the last layer must make; False if there is none."""
        last = self.sheet.last
        if last is None or last.size:
            return False
        shown = self.options.size(size)
        last.size = f"{shown}x?" if shown.count("x") == 1 else shown
        self.expecting = False
        return True


Rule: TypeAlias = Callable[[Reader, "re.Match[str]"], bool]
"""Reads a line; False if it is none of its own after all."""

RULES: dict[str, list[tuple[re.Pattern[str], Rule]]] = {}
"""The rules of each file, in the order in which they are tried."""

JOINS: list[re.Pattern[str]] = []
"""What stands on several lines and is read as one."""


def rule(pattern: str, *, case: bool = False) -> Callable[[Rule], Rule]:
    """Decorator: read lines that match the whole of `pattern`."""

    def entered(function: Rule) -> Rule:
        flags = re.NOFLAG if case else re.IGNORECASE
        rules = RULES.setdefault(function.__module__, [])
        rules.append((re.compile(rf"\s*{pattern}\s*", flags), function))
        return function

    return entered


def join(pattern: str) -> None:
    """Read text that matches `pattern`, blanks and line ends alike, as one line."""
    JOINS.append(re.compile(pattern.replace(" ", r"\s+"), re.IGNORECASE))


def whole(text: str) -> str:
    """Write a number as programs do: `1,728` as `1728`, `48k` as `48K`, without blanks.

    >>> whole("0.16 M"), whole("48k"), whole("62,378,344")
    ('0.16M', '48K', '62378344')
    """
    shown = text.replace(",", "").replace(" ", "").rstrip("!.")
    return f"{shown[:-1]}K" if shown.endswith("k") else shown


def sign(number: str) -> str:
    """Give the comparison that a printed number stands for: rounded ones hold to their digits."""
    return "~=" if not number.isdigit() else "=="


def product(text: str) -> str:
    """Write arithmetic as programs do: `16x5x5x120` as `16*5*5*120`."""
    return re.sub(r"\s*[x×]\s*", "*", text.strip())
