"""A run that was stopped, anywhere and in any way, ends as the one that was not: bit for bit."""

from __future__ import annotations

import random
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from cnndsl.frontend.find import find_program
from cnndsl.train.loop import EpochDone, Event
from cnndsl.train.runs import RunFolder
from tests.session.runs import (
    PROGRAM,
    begin,
    finish,
    left_in,
    resume,
    session_of,
    start,
)

FREEZING = PROGRAM.replace(
    "epochs:    3", "epochs:    3\n  at 2: freeze c1\n  at 3: unfreeze c1, lr 1e-3"
)


def test_a_run_stopped_after_any_step_goes_on_bit_for_bit(tmp_path: Path) -> None:
    whole = left_in(begin(tmp_path, session_of()))
    hashes = set()
    instants = (1, 4, 5, 6, 10, 13, 15)  # within epochs of 5 steps, and before and after their ends
    for steps in instants:
        folder = begin(tmp_path, session_of(), stop_after=steps)
        state = folder.last.read_bytes()
        resume(folder)
        assert left_in(folder) == whole, f"stopped after step {steps}"
        hashes.add(state)
    assert len(hashes) == len(instants)


@pytest.mark.parametrize("device", ["cpu", "reference"])
def test_a_run_stopped_again_and_again_goes_on_bit_for_bit(device: str, tmp_path: Path) -> None:
    whole = left_in(begin(tmp_path, session_of(device=device)))
    folder = begin(tmp_path, session_of(device=device), stop_after=2)
    for _ in range(3):
        resume(folder, stop_after=4)
    resume(folder)
    assert left_in(folder) == whole


@pytest.mark.parametrize("text", [PROGRAM, FREEZING], ids=["plain", "freezing"])
def test_a_run_that_ended_between_two_epochs_goes_on_bit_for_bit(text: str, tmp_path: Path) -> None:
    session = session_of(text)
    folder = RunFolder.claim(tmp_path, "whole")
    folder.describe(text, session.record())
    copies: list[RunFolder] = []

    def observe(event: Event) -> None:
        if isinstance(event, EpochDone):
            copies.append(RunFolder(tmp_path / f"after-{event.row['epoch']}"))
            shutil.copytree(folder.path, copies[-1].path)

    session.trainer(folder=folder, observe=observe).fit()
    assert len(copies) == 3
    for copy in copies:
        resume(copy)
        assert left_in(copy) == left_in(folder)


def test_a_run_has_a_checkpoint_before_its_first_step(tmp_path: Path) -> None:
    whole = left_in(begin(tmp_path, session_of()))
    session = session_of()
    folder = RunFolder.claim(tmp_path, "first")
    folder.describe(PROGRAM, session.record())

    class PowerCutError(Exception):
        pass

    def observe(event: Event) -> None:
        raise PowerCutError

    with pytest.raises(PowerCutError):
        session.trainer(folder=folder, observe=observe).fit()
    resume(folder)
    assert left_in(folder) == whole


def test_more_epochs_go_on_where_the_run_ended(tmp_path: Path) -> None:
    text = PROGRAM.replace("  schedule:  cosine\n", "")
    whole = left_in(begin(tmp_path, session_of(text)))
    folder = begin(tmp_path, session_of(text, epochs=2))
    resume(folder, epochs=3)
    assert left_in(folder) == whole


def test_runs_of_other_seeds_differ_and_of_the_same_do_not(tmp_path: Path) -> None:
    first, again, other = (left_in(begin(tmp_path, session_of(seed=seed))) for seed in (1, 1, 2))
    assert first == again
    assert first[0] != other[0]


def interrupted(folder: Path, cwd: Path, process: subprocess.Popen[str], wait: float) -> bool:
    """Send Ctrl-C some time after a run's first checkpoint; tells whether it came in time."""
    deadline = time.monotonic() + 60
    while not (folder / "last" / "state.safetensors").exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.005)
    time.sleep(wait)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    if "everything is saved" in err:
        assert process.returncode == 130
        assert f"cnndsl train --resume {folder.relative_to(cwd)}" in err
        return True
    # It came while the best weights were tested, or when all was done and Python itself ended.
    assert process.returncode in (0, 130, -signal.SIGINT), err
    return False


@pytest.mark.slow
def test_ctrl_c_at_any_instant_of_the_real_lenet_loses_nothing(tmp_path: Path) -> None:
    lenet = ("lenet.cnn", "--limit", "200", "--epochs", "20", "--batch", "20")
    finish("run", *lenet, cwd=tmp_path)
    first = RunFolder.open(tmp_path / "runs" / "lenet-1")
    whole, rows = left_in(first), first.read_metrics()
    seconds = sum(row["seconds"] for row in rows)
    rng = random.Random(4)
    saved = 0
    for number in range(2, 14):
        folder = tmp_path / "runs" / f"lenet-{number}"
        process = start("run", *lenet, cwd=tmp_path)
        saved += interrupted(folder, tmp_path, process, rng.uniform(0.0, seconds))
        finish("train", "--resume", folder, cwd=tmp_path)
        assert left_in(RunFolder.open(folder)) == whole
    assert saved >= 6, "too few of the runs were stopped while they trained"


@pytest.mark.slow
def test_the_real_lenet_stopped_after_random_steps_goes_on_bit_for_bit(tmp_path: Path) -> None:
    text = find_program("lenet.cnn").read_text()
    chosen = {"limit": 200, "epochs": 2, "batch": 20}
    whole = left_in(begin(tmp_path, session_of(text, **chosen)))
    for steps in random.Random(5).sample(range(1, 21), 12):
        folder = begin(tmp_path, session_of(text, **chosen), stop_after=steps)
        resume(folder)
        assert left_in(folder) == whole, f"stopped after step {steps}"
