"""Damage of text extraction and dressing of slides, taken off: formulas, emphasis, strange letters.

A slide that goes through a text extractor loses its layout and keeps its typesetting: `$..$` and
`\\times` around sizes, `**` around names, Cyrillic letters that look Latin. Cleaning takes these
off and says what it took.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass

CONFUSABLE = str.maketrans("АВЕКМНОРСТХаеорсух", "ABEKMHOPCTXaeopcyx")
"""Cyrillic letters that look like Latin ones."""

SUBSCRIPTS = str.maketrans("₀₁₂₃₄₅₆₇₈₉", "0123456789")

LATEX = (
    (r"\\(?:text|mathbf|mathrm|mathit|widehat|stackrel|operatorname)\s*\{([^{}]*)\}", r"\1"),
    (r"\\times", "x"),
    (r"\\leq?(?![a-z])", "<="),
    (r"\\geq?(?![a-z])", ">="),
    (r"\\Rightarrow", "=>"),
    (r"\\(?:right|to)arrow", "->"),
    (r"\\approx", "≈"),
    (r"\\cdot", "*"),
    (r"\\therefore\s*\\backslash", ":\\\\"),
    (r"_\{([^{}]*)\}", r"_\1"),
    (r"\^\{?\*\}?", "*"),
)
"""LaTeX commands and what they say."""

BULLET = re.compile(r"^\s*(?:[-–][ \t]+(?![>\d(])|[•◆❖♦✓∗]+\s*|\*[ \t]+|#{1,6}[ \t]+)+")
LINK = re.compile(r"\[([^\]\n]*)\]\(#[^)\n]*\)")
EMPHASIS = re.compile(r"\*\*(?=\S)(.+?)(?<=\S)\*\*")
ITALIC = re.compile(r"\(\*([^*()\n]+)\*\)")
SPACED = re.compile(r"(?<=[\dHWDC?])\s*[x×]\s*(?=[\dHWDC?](?![a-z]))")
LOST_MINUS = re.compile(r"(?<![A-Za-z_])([a-z]_[a-z]|[WHN]1?|2sigm\(2x\)) ([F1])(?![\w.])")
FLOOR = re.compile(r"\[(\([^\[\]]*\)/s_[hw])\]")
MATH = re.compile(r"\$\$?")


@dataclass(frozen=True, slots=True)
class Repair:
    """Something that cleaning changed."""

    line: int
    """The line, counted from 1."""
    what: str
    """What was taken off: "a formula's dollar signs"."""
    before: str
    """The line as it was."""
    after: str
    """The line without it."""


@dataclass(frozen=True, slots=True)
class Cleaned:
    """A text without its damage."""

    lines: tuple[str, ...]
    """The lines."""
    repairs: tuple[Repair, ...]
    """What was done to them."""


def clean(text: str) -> Cleaned:
    """Take formulas, emphasis, bullets and look-alike letters off a slide's text.

    >>> clean("CONV3-64: [224x224x64] memory: $224*224*64=3.2M$").lines
    ('CONV3-64: [224x224x64] memory: 224*224*64=3.2M',)
    """
    lines: list[str] = []
    repairs: list[Repair] = []
    for number, raw in enumerate(text.split("\n"), 1):
        line = raw.rstrip()
        for what, step in STEPS:
            after = step(line)
            if after != line:
                repairs.append(Repair(number, what, line, after))
            line = after
        lines.append(line)
    return Cleaned(tuple(lines), tuple(repairs))


def _letters(line: str) -> str:
    folded = line.translate(CONFUSABLE).translate(SUBSCRIPTS)
    return "".join(c for c in folded if not _is_foreign(c))


def _is_foreign(letter: str) -> bool:
    """Tell whether a letter is of a script that lectures in Latin letters have by damage only."""
    if letter.isascii() or not letter.isalpha() or letter in "φσΣαβγδελμπτωΦΔ":
        return False
    name = unicodedata.name(letter, "")
    return name.startswith(("THAI", "CYRILLIC", "LAO", "KHMER"))


def _formulas(line: str) -> str:
    for pattern, meaning in LATEX:
        line = re.sub(pattern, meaning, line)
    line = MATH.sub("", line)
    return re.sub(r"\b([A-Z])_(\d)", r"\1\2", line)


def _signs(line: str) -> str:
    """Put back a minus sign between two operands, and floors that became brackets.

    >>> _signs("W2 = (W1 F + 2P)/S + 1"), _signs("p_h = k_h 1")
    ('W2 = (W1 - F + 2P)/S + 1', 'p_h = k_h - 1')
    """
    line = LOST_MINUS.sub(r"\1 - \2", line)
    return FLOOR.sub(r"floor(\1)", line)


def _emphasis(line: str) -> str:
    line = LINK.sub(r"\1", line)
    line = EMPHASIS.sub(r"\1", line)
    return ITALIC.sub(r"(\1)", line)


def _bullets(line: str) -> str:
    return BULLET.sub("", line)


def _sizes(line: str) -> str:
    return SPACED.sub("x", line)


def _dashes(line: str) -> str:
    return re.sub(r"(?<=\S) ,", ",", line)


STEPS: tuple[tuple[str, Callable[[str], str]], ...] = (
    ("letters of another alphabet", _letters),
    ("a formula's typesetting", _formulas),
    ("a lost minus sign or floor", _signs),
    ("emphasis and links", _emphasis),
    ("a bullet", _bullets),
    ("blanks inside a size", _sizes),
    ("a blank before a comma", _dashes),
)
"""The steps, in order, and what each takes off."""
