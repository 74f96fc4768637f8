"""Runs for tests: what a run left behind as hashes, and the command line as a process."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cnndsl.cli.train import reopen
from cnndsl.frontend.parse import parse
from cnndsl.ops.rules import Array
from cnndsl.session import Choices, Session, open_session
from cnndsl.train.checkpoint import load_state
from cnndsl.train.loop import RunInterruptedError, load_checkpoint
from cnndsl.train.runs import RunFolder

PROGRAM = """
default conv: half, nobias

input [8x8x1]
c1: conv 4 3x3 - bn - relu - maxpool 2x2
c2: conv 6 3x3 - bn - relu - gap
dropout 0.25 - fc 10 - softmax

train {
  data:      digits
  loss:      crossentropy
  optimizer: adam(lr=0.01)
  schedule:  cosine
  batch:     20
  epochs:    3
}

data digits {
  source:  digits
  augment: shift 1
  limit:   100
}
"""
"""Everything that could go wrong in a resumed run: running statistics, dropout, moments and their
step count, a schedule, shuffling, augmentation."""


def sha256(state: Mapping[str, Array]) -> str:
    """Give one hash of all names, types, shapes and bits."""
    digest = hashlib.sha256()
    for name in sorted(state):
        array = state[name]
        digest.update(f"{name} {array.dtype} {array.shape}\n".encode() + array.tobytes())
    return digest.hexdigest()


def left_in(folder: RunFolder) -> tuple[str, str, list[dict[str, Any]]]:
    """Give hashes of the checkpoint and of the best weights, and the metrics without the times."""
    state, progress = load_checkpoint(folder)
    best, _ = load_state(folder.best)
    rows = folder.read_metrics()
    assert rows == progress.rows
    plain = [{k: v for k, v in row.items() if k != "seconds"} for row in rows]
    return sha256(state), sha256(best), plain


def session_of(text: str = PROGRAM, **choices: Any) -> Session:
    return open_session(parse(text, "small.cnn"), Choices(**choices), base_dir=None)


def begin(root: Path, session: Session, *, stop_after: int | None = None) -> RunFolder:
    """Train a session in a new folder below `root`; stopped after so many steps if asked."""
    folder = RunFolder.claim(root, session.network.name)
    folder.describe(session.elaboration.program.source.text, session.record())
    train(session, folder, stop_after=stop_after)
    return folder


def resume(folder: RunFolder, *, epochs: int | None = None, stop_after: int | None = None) -> None:
    """Go on with the run in `folder` with a session of its own, as a new process does."""
    session = reopen(folder, epochs=epochs)
    train(session, folder, resumed=True, stop_after=stop_after)


def train(
    session: Session, folder: RunFolder, *, resumed: bool = False, stop_after: int | None = None
) -> None:
    taken = 0

    def stop() -> bool:
        nonlocal taken
        taken += 1
        return taken == stop_after

    state, progress = load_checkpoint(folder) if resumed else (None, None)
    trainer = session.trainer(state=state, progress=progress, folder=folder, stop=stop)
    try:
        trainer.fit()
    except RunInterruptedError:
        assert taken == stop_after


def command(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "cnndsl", *map(str, arguments)]


def environment(more: Mapping[str, str] | None = None) -> dict[str, str]:
    """Give an environment without the user's settings.

    The number of BLAS threads stays that of this process: the last bits of a product depend on it.
    """
    kept = {k: v for k, v in os.environ.items() if not k.startswith("CNNDSL_")}
    return {**kept, "PYTHONDONTWRITEBYTECODE": "1", **(more or {})}


def start(
    *arguments: str | Path, cwd: Path, env: Mapping[str, str] | None = None
) -> subprocess.Popen[str]:
    """Start the command line in a process of its own."""
    return subprocess.Popen(
        command(*arguments),
        cwd=cwd,
        env=environment(env),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(
    *arguments: str | Path, cwd: Path, code: int = 0, env: Mapping[str, str] | None = None
) -> tuple[str, str]:
    """Run the command line to its end, which must be `code`; gives stdout and stderr."""
    process = start(*arguments, cwd=cwd, env=env)
    out, err = process.communicate(timeout=300)
    assert process.returncode == code, (process.returncode, out, err)
    return out, err
