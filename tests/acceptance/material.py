"""The notations of the seeds, as seeds.md quotes them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Block:
    """One notation."""

    id: str
    title: str
    kinds: tuple[str, ...]
    text: str

    @property
    def is_program_or_assertion(self) -> bool:
        return bool({"P", "A"} & set(self.kinds))


@cache
def blocks() -> dict[str, Block]:
    """Give every notation by its identifier."""
    text = (FOLDER / "seeds.md").read_text("utf-8")
    found = re.finditer(
        r"^## (N-\d+) (.*?) \(([A-Z/]+)\)\n\n````text\n(.*?)\n````$", text, re.MULTILINE | re.DOTALL
    )
    return {m[1]: Block(m[1], m[2], tuple(m[3].split("/")), m[4]) for m in found}
