"""The folder of a run: `runs/NAME-N/`, where everything about one training lies.

program.cnn         the program as it was read
resolved.json       every setting, defaults written out
env.json            versions and machine
metrics.jsonl       a line an epoch
log.txt             what was said
best.safetensors    the weights with the best validation metric
last/state.safetensors   weights, optimizer, progress: what `--resume` goes on from
"""

from __future__ import annotations

import json
import platform
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cnndsl.support.diagnostics import DiagnosticError, error
from cnndsl.support.files import sync_folder, write_atomic


@dataclass(frozen=True, slots=True)
class RunFolder:
    """The paths of one run."""

    path: Path
    """The folder."""

    @classmethod
    def claim(cls, root: Path, name: str) -> RunFolder:
        """Make the next free folder `root/NAME-N`; safe when several processes do so at once."""
        root.mkdir(parents=True, exist_ok=True)
        taken = [p.name.rpartition("-")[2] for p in root.glob(f"{name}-*")]
        number = max((int(text) for text in taken if text.isdigit()), default=0) + 1
        while True:
            path = root / f"{name}-{number}"
            try:
                path.mkdir()
            except FileExistsError:
                number += 1
                continue
            (path / "last").mkdir()
            return cls(path)

    @classmethod
    def open(cls, path: Path) -> RunFolder:
        """Find the folder of an earlier run; raises `DiagnosticError` if it is none."""
        if not (path / "program.cnn").is_file():
            near = sorted(p.parent.name for p in path.parent.glob("*/program.cnn"))
            helps = (f"{path.parent} holds {', '.join(near[-5:])}",) if near else ()
            raise DiagnosticError(error("E0720", f"{path} is not the folder of a run", helps=helps))
        return cls(path)

    @property
    def program(self) -> Path:
        """The program's text."""
        return self.path / "program.cnn"

    @property
    def resolved(self) -> Path:
        """Every setting as JSON."""
        return self.path / "resolved.json"

    @property
    def metrics(self) -> Path:
        """A JSON line an epoch."""
        return self.path / "metrics.jsonl"

    @property
    def log(self) -> Path:
        """What was said."""
        return self.path / "log.txt"

    @property
    def best(self) -> Path:
        """The best weights."""
        return self.path / "best.safetensors"

    @property
    def last(self) -> Path:
        """The state that `--resume` goes on from."""
        return self.path / "last" / "state.safetensors"

    def describe(self, program: str, resolved: Mapping[str, Any]) -> None:
        """Write the program's text, the settings and the environment."""
        write_atomic(self.program, program.encode())
        write_atomic(self.resolved, _pretty(resolved))
        write_atomic(self.path / "env.json", _pretty(environment()))

    def write_metrics(self, rows: list[dict[str, Any]]) -> None:
        """Write the lines of all epochs so far; a resumed run replaces what it does again."""
        text = "".join(json.dumps(row) + "\n" for row in rows)
        write_atomic(self.metrics, text.encode())

    def read_metrics(self) -> list[dict[str, Any]]:
        """Read the lines of all epochs so far."""
        if not self.metrics.exists():
            return []
        return [json.loads(line) for line in self.metrics.read_text().splitlines()]

    def say(self, line: str) -> None:
        """Add a line to the log."""
        with self.log.open("a", encoding="utf-8") as file:
            file.write(line + "\n")

    def sync(self) -> None:
        """Make new names in the folder durable."""
        sync_folder(self.path)


def environment() -> dict[str, str]:
    """Give versions and machine, for `env.json` and `cnndsl doctor`."""
    from cnndsl import __version__

    return {
        "cnndsl": __version__,
        "python": sys.version.split()[0],
        "numpy": np.__version__,
        "system": platform.system(),
        "machine": platform.machine(),
    }


def _pretty(record: Mapping[str, Any]) -> bytes:
    return (json.dumps(record, indent=2) + "\n").encode()
