"""What was measured to be fastest, kept: in the user's folder, and in a table that is shipped.

A choice holds for the GPU, its driver, the versions of CUDA and of the libraries, and for all that
a step's kernel depends on. Code is chosen by it, so a folder that somebody else could write to is
not read. What cannot be read is no choice.
"""

from __future__ import annotations

import functools
import hashlib
import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import zip_longest
from pathlib import Path
from typing import Any

from cnndsl import __version__
from cnndsl.backends.cuda.folders import prepare
from cnndsl.backends.cuda.kernel import Key
from cnndsl.backends.cuda.providers.base import Rules
from cnndsl.support.diagnostics import BackendError

OWN = "own"
"""The way of our own kernels."""
SHIPPED = Path(__file__).parent / "tuned.json"
SUFFIX = ".choice"


@dataclass(frozen=True, slots=True)
class Choice:
    """The fastest way of a step."""

    way: str
    """Its name."""
    seconds: float
    """Median of what it took."""
    spread: float
    """Difference of the longest and the shortest time."""
    own_seconds: float
    """Median of what our own kernel took."""


@dataclass(frozen=True, slots=True)
class Site:
    """Where a choice holds."""

    gpu: str
    """Name of the device."""
    identity: str
    """All that a measurement on it depends on."""
    libraries: tuple[str, ...]
    """Versions of the libraries that were measured."""


def question(key: Key, rules: Rules) -> str:
    """Write all of a step that the fastest way depends on.

    Factors are the same whatever they are called, so names of nodes and parameters are left out.
    """
    attrs: Any = key.attrs
    tail = ""
    program = getattr(attrs, "epilogue", None)
    if program is not None:
        steps = (f"{s.op.name}{s.attrs}{list(s.operands)}" for s in program.steps)
        tail = f" then {' '.join(steps)}"
        attrs = replace(attrs, epilogue=None)
    halves = [*key.halves[0], False, *key.halves[1]] if key.halves[0] else []
    kinds = (*key.operands, "->", *key.results)
    marked = zip_longest(map(str, kinds), halves, fillvalue=False)
    types = " ".join(f"{kind} in halves" if half else str(kind) for kind, half in marked)
    exact = " exact" if rules.exact else ""
    return f"{key.op.name} {attrs} {types}{tail} {rules.policy.precision}{exact}"


@functools.cache
def shipped(path: Path = SHIPPED) -> Mapping[str, Mapping[str, Any]]:
    """Read the table that comes with the package: site and question to a choice."""
    table: Mapping[str, Mapping[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
    return table


def shipped_name(site: Site, asked: str) -> str:
    """Write the name under which the table has a choice; drivers may differ."""
    return " | ".join((site.gpu, *site.libraries, asked))


@dataclass(frozen=True, slots=True)
class Choices:
    """The choices that hold at one site."""

    folder: Path | None
    """Where new ones are kept; nothing to keep none."""
    site: Site
    """Where they hold."""

    def get(self, asked: str) -> Choice | None:
        """Give the choice for a question: measured here, else shipped."""
        return self._measured(asked) or _read(shipped().get(shipped_name(self.site, asked)))

    def _measured(self, asked: str) -> Choice | None:
        if self.folder is None or not self._path(asked).exists():
            return None
        prepare(self.folder)
        try:
            told = json.loads(self._path(asked).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        # Names of files are digests; the question itself is kept, and must be the same.
        same = isinstance(told, dict) and told.get("question") == asked
        return _read(told.get("choice")) if same else None

    def put(self, asked: str, choice: Choice) -> None:
        """Keep a choice; raises `BackendError` where there is no folder for it."""
        if self.folder is None:
            raise BackendError("what is measured cannot be kept: CNNDSL_KERNELS is off")
        prepare(self.folder)
        told = {"question": asked, "site": asdict(self.site), "choice": asdict(choice)}
        with tempfile.TemporaryDirectory(dir=self.folder) as room:
            new = Path(room) / "new"
            new.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
            new.replace(self._path(asked))

    def _path(self, asked: str) -> Path:
        assert self.folder is not None, "there is a folder"
        parts = (__version__, self.site.identity, *self.site.libraries, asked)
        digest = hashlib.sha256("\0".join(parts).encode()).hexdigest()
        return self.folder / f"{digest}{SUFFIX}"


def _read(told: object) -> Choice | None:
    """Read a choice from JSON values; nothing for what is none."""
    names = ("seconds", "spread", "own_seconds")
    if not isinstance(told, Mapping) or not isinstance(told.get("way"), str):
        return None
    numbers = [told.get(name) for name in names]
    if not all(isinstance(number, int | float) for number in numbers):
        return None
    return Choice(str(told["way"]), *(float(str(number)) for number in numbers))


def as_shipped(site: Site, found: Sequence[tuple[str, Choice]]) -> dict[str, object]:
    """Give choices in the form of the shipped table."""
    return {shipped_name(site, asked): asdict(choice) for asked, choice in found}
