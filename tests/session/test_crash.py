"""What is on disk when a process is killed, and what several processes do to one another."""

from __future__ import annotations

import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cnndsl.frontend.find import find_program
from cnndsl.train.checkpoint import load_state
from cnndsl.train.loop import load_checkpoint
from cnndsl.train.runs import RunFolder
from tests.session.runs import (
    PROGRAM,
    begin,
    environment,
    finish,
    left_in,
    resume,
    session_of,
    start,
)

ROOT = Path(__file__).parents[2]
MARK = ".cnndsl-tmp-"
"""Part of the names of files that are being written."""

EPOCHS = 1000
"""More than the killed processes of the command line come to see."""

MANY_EPOCHS = PROGRAM.replace("epochs:    3", f"epochs:    {EPOCHS}")
MANY_EPOCHS = MANY_EPOCHS.replace("limit:   100", "limit:   20")

SAVER = """
import sys
from pathlib import Path
from cnndsl.cli.train import reopen
from cnndsl.train.loop import StepDone, load_checkpoint
from cnndsl.train.runs import RunFolder

folder = RunFolder.open(Path(sys.argv[1]))
session = reopen(folder)
state, progress = load_checkpoint(folder)

def save_often(event):
    if isinstance(event, StepDone):
        for _ in range(40):
            trainer.save()

trainer = session.trainer(state=state, progress=progress, folder=folder, observe=save_often)
trainer.fit()
"""
"""Goes on with a run and spends nearly all its time in saving."""


def files_below(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def checked(folder: RunFolder) -> int:
    """Hold a killed run's folder to being whole; gives the epochs that it kept."""
    _, progress = load_checkpoint(folder)
    assert [row["epoch"] for row in progress.rows] == list(range(1, progress.epoch + 1))
    # The checkpoint is written last: metrics.jsonl may be one epoch ahead of it, never behind.
    assert len(folder.read_metrics()) in (progress.epoch, progress.epoch + 1)
    if progress.epoch:
        load_state(folder.best)
    leftovers = [
        path.name.partition(MARK)[0] for path in folder.path.rglob("*") if MARK in path.name
    ]
    assert len(leftovers) == len(set(leftovers)), "a second leftover of the same file"
    return progress.epoch


def killed(process: subprocess.Popen[str], folder: RunFolder, before: int, wait: float) -> int:
    """Kill a process some time after its first save; gives the epochs that the run kept."""
    deadline = time.monotonic() + 60
    while stamp(folder) == before:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.001)
    time.sleep(wait)
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL, "it had ended before"
    return checked(folder)


def stamp(folder: RunFolder) -> int:
    """Give the time of the last save; 0 before the first."""
    return folder.last.stat().st_mtime_ns if folder.last.exists() else 0


@pytest.mark.slow
def test_kill_9_during_saves_always_leaves_a_whole_checkpoint(tmp_path: Path) -> None:
    text = find_program("lenet.cnn").read_text()
    chosen = {"limit": 800, "epochs": 2, "batch": 20}
    whole = left_in(begin(tmp_path, session_of(text, **chosen)))
    folder = begin(tmp_path, session_of(text, **chosen), stop_after=1)
    rng = random.Random(7)
    steps, leftovers = [], 0
    for _ in range(40):
        before = stamp(folder)
        process = subprocess.Popen(
            [sys.executable, "-c", SAVER, str(folder.path)],
            cwd=ROOT,
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        killed(process, folder, before, rng.uniform(0.0, 0.1))
        steps.append(load_checkpoint(folder)[1].steps)
        leftovers += any(MARK in path.name for path in folder.path.rglob("*"))
    assert steps == sorted(steps)
    assert 1 < steps[-1] < 80, "some progress, but not the end"
    assert leftovers >= 10, "too few of the kills came during a save"
    resume(folder)
    assert left_in(folder) == whole
    assert not [path for path in folder.last.parent.iterdir() if path != folder.last]


@pytest.mark.slow
def test_kill_9_of_the_command_line_leaves_a_run_that_goes_on_bit_for_bit(tmp_path: Path) -> None:
    (tmp_path / "small.cnn").write_text(MANY_EPOCHS)
    folder = RunFolder(tmp_path / "runs" / "small-1")
    process = start("train", "small.cnn", cwd=tmp_path)
    rng = random.Random(6)
    kept: list[int] = []
    before = 0
    for _ in range(20):
        kept.append(killed(process, folder, before, rng.uniform(0.0, 0.05)))
        before = stamp(folder)
        process = start("train", "--resume", folder.path, cwd=tmp_path)
    kept.append(killed(process, folder, before, 0.0))
    assert kept == sorted(kept)
    assert len(kept) <= kept[-1] < EPOCHS

    finish("train", "--resume", folder.path, cwd=tmp_path)
    finish("train", "small.cnn", cwd=tmp_path)
    assert left_in(folder) == left_in(RunFolder.open(tmp_path / "runs" / "small-2"))


def test_runs_begun_at_once_take_folders_of_their_own(tmp_path: Path) -> None:
    (tmp_path / "small.cnn").write_text(PROGRAM)
    processes = [start("run", "small.cnn", "--epochs", "1", cwd=tmp_path) for _ in range(3)]
    said = [process.communicate(timeout=120)[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0]
    folders = {found for err in said for found in re.findall(r"the run is in (\S+);", err)}
    assert folders == {"runs/small-1", "runs/small-2", "runs/small-3"}
    left = [left_in(RunFolder.open(tmp_path / folder)) for folder in folders]
    assert left[0] == left[1] == left[2]


def test_a_run_writes_nothing_outside_its_folder(tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "home").mkdir()
    (tmp_path / "tmp").mkdir()
    (tmp_path / "here" / "small.cnn").write_text(PROGRAM)
    before = files_below(tmp_path)
    places = {
        "HOME": str(tmp_path / "home"),
        "TMPDIR": str(tmp_path / "tmp"),
        "XDG_CACHE_HOME": str(tmp_path / "home" / ".cache"),
    }
    finish("run", "small.cnn", "--epochs", "2", cwd=tmp_path / "here", env=places)
    new = files_below(tmp_path) - before
    assert {path for path in new if not path.startswith("here/runs/small-1/")} == {
        "here/runs",
        "here/runs/small-1",
    }
    assert {path.removeprefix("here/runs/small-1/") for path in new if "small-1/" in path} == {
        "best.safetensors",
        "env.json",
        "last",
        "last/state.safetensors",
        "log.txt",
        "metrics.jsonl",
        "program.cnn",
        "resolved.json",
    }
