"""The folder of a search: `runs/NAME-search-N/`, from which it can go on.

program.cnn       the program as it was read
resolved.json     every decision
trials.jsonl      a line for each training that is done
trials/0001/      the run folder of each variant
plot.svg          accuracy against parameters
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cnndsl.search.trial import Trial, trial_of
from cnndsl.support.diagnostics import DiagnosticError, error
from cnndsl.support.files import write_atomic
from cnndsl.train.runs import RunFolder


@dataclass(frozen=True, slots=True)
class SearchFolder:
    """The paths of one search."""

    path: Path
    """The folder."""

    @classmethod
    def claim(
        cls, root: Path, name: str, *, program: str, record: Mapping[str, Any]
    ) -> SearchFolder:
        """Make the next free folder `root/NAME-search-N` and write what is decided."""
        claimed = RunFolder.claim(root, f"{name}-search")
        (claimed.path / "last").rmdir()
        (claimed.path / "trials").mkdir()
        write_atomic(claimed.program, program.encode())
        folder = cls(claimed.path)
        write_atomic(folder.settings, (json.dumps(record, indent=2) + "\n").encode())
        return folder

    @classmethod
    def open(cls, path: Path) -> tuple[SearchFolder, dict[str, Any]]:
        """Find the folder of an earlier search and what was decided.

        Raises `DiagnosticError` E0720 for a folder that is none, E0721 for one that is damaged.
        """
        folder = cls(path)
        if not folder.settings.is_file() or not folder.program.is_file():
            raise DiagnosticError(error("E0720", f"{path} is not the folder of a search"))
        try:
            record = json.loads(folder.settings.read_text("utf-8"))
        except ValueError as why:
            raise _damaged(folder.settings, why) from None
        if not isinstance(record, dict) or "plan" not in record:
            raise _damaged(folder.settings, ValueError("it holds no plan of a search"))
        return folder, record

    @property
    def program(self) -> Path:
        """The program's text."""
        return self.path / "program.cnn"

    @property
    def settings(self) -> Path:
        """Every decision as JSON."""
        return self.path / "resolved.json"

    @property
    def trials(self) -> Path:
        """A JSON line for each training that is done."""
        return self.path / "trials.jsonl"

    @property
    def plot(self) -> Path:
        """Accuracy against parameters, as SVG."""
        return self.path / "plot.svg"

    def run(self, number: int) -> RunFolder:
        """Give the run folder of a variant; it is made if it is not there."""
        path = self.path / "trials" / f"{number:04}"
        (path / "last").mkdir(parents=True, exist_ok=True)
        return RunFolder(path)

    def add(self, trials: list[Trial]) -> None:
        """Write the lines of all trials so far."""
        text = "".join(json.dumps(trial.record()) + "\n" for trial in trials)
        write_atomic(self.trials, text.encode())

    def read(self) -> list[Trial]:
        """Read the trials that are done; raises `DiagnosticError` E0721 for damaged lines."""
        if not self.trials.exists():
            return []
        try:
            lines = self.trials.read_text("utf-8").splitlines()
            return [trial_of(json.loads(line)) for line in lines]
        except (ValueError, KeyError, TypeError) as why:
            raise _damaged(self.trials, why) from None


def _damaged(path: Path, why: Exception) -> DiagnosticError:
    return DiagnosticError(error("E0721", f"{path} cannot be used", notes=(f"{why}",)))
