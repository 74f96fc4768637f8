"""A page for every diagnostic code: cause, example, fix."""

from __future__ import annotations

import re
import textwrap
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from cnndsl.support.codes import CODES

WIDTH = 80

FOLDER = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Page:
    """What there is to say about a code."""

    code: str
    """"E0301"."""
    title: str
    """What it is about, in half a sentence."""
    cause: str
    """Why it comes up."""
    example: str
    """A program that has it, or a command line after `$`."""
    fix: str
    """What to do."""

    @property
    def is_program(self) -> bool:
        """Whether the example is a program."""
        return not self.example.startswith("$")

    def text(self) -> str:
        """Write the page as plain text of at most 80 columns, examples apart."""
        example = "\n".join(f"    {line}" for line in self.example.splitlines())
        cause, fix = (textwrap.fill(text, WIDTH) for text in (self.cause, self.fix))
        return f"{self.code}: {self.title}\n\n{cause}\n\n{example}\n\n{fix}\n"


def page_of(code: str) -> Page:
    """Give the page of a code, in any case; raises `KeyError` for one that there is not."""
    return _pages()[code.upper()]


@cache
def _pages() -> dict[str, Page]:
    found: dict[str, Page] = {}
    for path in sorted(FOLDER.glob("*.md")):
        for section in re.split(r"^## ", path.read_text("utf-8"), flags=re.MULTILINE)[1:]:
            code, _, rest = section.partition("\n")
            cause, _, behind = rest.partition("\n\n    ")
            example, _, fix = behind.partition("\n\nFix: ")
            shown = "\n".join(line.removeprefix("    ") for line in example.splitlines())
            found[code] = Page(code, CODES[code], cause.strip(), shown, f"Fix: {fix.strip()}")
    return found
