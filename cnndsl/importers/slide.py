"""From the text of a slide to programs: cleaned, joined, and read line by line by rules.

A line that no rule knows stays as a remark. A table is read as a table. A second input begins a
second program.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from cnndsl.importers import (
    claim_lines,
    contract_lines,
    equation_lines,
    layer_lines,
    pattern_lines,
    prose_lines,
    recipe_lines,
)
from cnndsl.importers.clean import Repair, clean
from cnndsl.importers.grid import find_grids
from cnndsl.importers.rules import JOINS, RULES, Reader
from cnndsl.importers.sheet import Options
from cnndsl.importers.tables import read_table

RULE_FILES = (
    equation_lines, claim_lines, contract_lines, layer_lines, pattern_lines, prose_lines,
    recipe_lines,
)  # fmt: skip
"""The files that fill the registry of rules, in the order in which they are tried."""

BREAK = "~~~"
"""A line that says that the slides go on somewhere else."""


@dataclass(frozen=True, slots=True)
class Slide:
    """What a slide's text says."""

    programs: tuple[str, ...]
    """A program for each network that it shows."""
    repairs: tuple[Repair, ...]
    """What was cleaned."""
    remarks: tuple[str, ...] = ()
    """What is prose, or odd, on pages that show no network."""


def read_slide(*texts: str, options: Options | None = None) -> Slide:
    """Read slides in their order; the programs are those of the last text.

    A later slide may speak of an earlier one's network: `After CONV1: ..`, `AlexNet but: ..`.
    """
    reader = Reader(options or Options())
    repairs: tuple[Repair, ...] = ()
    start = 0
    for text in texts:
        reader.turn()
        start = len(reader.sheets) - 1
        repairs = _read(text, reader)
    made = tuple(sheet.text() for sheet in reader.sheets[start:] if not sheet.is_empty)
    remarks = tuple(s.text() for s in reader.sheets[start:] if s.is_empty and s.rows)
    return Slide(made, repairs, remarks)


def _read(text: str, reader: Reader) -> tuple[Repair, ...]:
    cleaned = clean(text)
    for page in _pages(cleaned.lines):
        reader.turn()
        rest: list[str] = []
        for part in find_grids(page):
            if isinstance(part, str):
                rest.append(part)
                continue
            _read_lines(rest, reader)
            rest = []
            if not read_table(part, reader):
                rest = [" | ".join(row) for row in part.rows]
        _read_lines(rest, reader)
    return cleaned.repairs


def _pages(lines: Sequence[str]) -> list[list[str]]:
    pages: list[list[str]] = [[]]
    for line in lines:
        if line.strip() == BREAK:
            pages.append([])
        else:
            pages[-1].append(line)
    return pages


def _read_lines(lines: Sequence[str], reader: Reader) -> None:
    text = "\n".join(lines)
    for pattern in JOINS:
        text = pattern.sub(lambda found: " ".join(found[0].split()), text)
    for line in text.split("\n"):
        if line.strip() and not _read_line(" ".join(line.split()), reader):
            reader.sheet.note(line)


def _read_line(line: str, reader: Reader) -> bool:
    for file in RULE_FILES:
        for pattern, rule in RULES[file.__name__]:
            found = pattern.fullmatch(line)
            if found is not None and rule(reader, found):
                return True
    return False


def is_slide(text: str) -> bool:
    """Tell whether a text has the typesetting of slides in it: formulas or emphasis."""
    return re.search(r"\$[^$\n]+\$|\*\*\S|\\(?:times|text|mathbf)\b", text) is not None
