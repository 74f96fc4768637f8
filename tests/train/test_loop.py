"""The loop: learns, stops, resumes bit for bit, says where a NaN came from."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cnndsl.layers.initializers import initial_state
from cnndsl.ops.rules import Array
from cnndsl.recipes.optimizers import SGD
from cnndsl.recipes.schedules import Cosine
from cnndsl.support.diagnostics import WeightsError
from cnndsl.train.checkpoint import load_state
from cnndsl.train.loop import (
    EpochDone,
    Event,
    FitOptions,
    NotFiniteError,
    RunInterruptedError,
    StepDone,
    Trainer,
    load_checkpoint,
)
from cnndsl.train.progress import Progress
from cnndsl.train.runs import RunFolder
from tests.train import toy
from tests.train.toy import ToyData

OPTIONS = FitOptions(epochs=4, rate=0.05, schedule=Cosine(), top=2)


def sha256(state: Mapping[str, Array]) -> str:
    digest = hashlib.sha256()
    for name in sorted(state):
        digest.update(name.encode() + state[name].tobytes())
    return digest.hexdigest()


def trainer(folder: RunFolder | None = None, stop_after: int = 10**9, **more: Any) -> Trainer:
    taken = 0

    def stop() -> bool:
        nonlocal taken
        taken += 1
        return taken >= stop_after

    return toy.trainer(OPTIONS, ToyData(), folder=folder, stop=stop, **more)


def resumed(folder: RunFolder, stop_after: int = 10**9) -> Trainer:
    state, progress = load_checkpoint(folder)
    return trainer(folder, stop_after, state=state, progress=progress)


def comparable(progress: Progress) -> object:
    return [{k: v for k, v in row.items() if k != "seconds"} for row in progress.rows]


def test_learns_and_tells_what_it_does() -> None:
    events: list[Event] = []
    run = toy.trainer(OPTIONS, ToyData(), observe=events.append)
    progress = run.fit()
    assert progress.rows[-1]["val_accuracy"] > 0.9
    assert [type(e) for e in events] == ([StepDone] * 6 + [EpochDone]) * 4
    assert run.state["fc1.seen"] == 24
    assert [row["epoch"] for row in progress.rows] == [1, 2, 3, 4]
    assert progress.best_epoch == max(
        range(1, 5),
        key=lambda e: (
            progress.rows[e - 1]["val_accuracy"],
            -progress.rows[e - 1]["val_loss"],
            -e,
        ),
    )


def test_the_same_seed_gives_the_same_bits_and_another_does_not() -> None:
    first, second = trainer(), trainer()
    first.fit()
    second.fit()
    assert sha256(first.state) == sha256(second.state)
    other = trainer()
    other.progress.seed = 6  # only dropout draws from it here
    other.fit()
    assert sha256(other.state) != sha256(first.state)


def test_a_run_stopped_at_any_step_goes_on_bit_for_bit(tmp_path: Path) -> None:
    whole = trainer()
    whole.fit()
    expected = sha256(whole.state)
    for steps in range(1, 25):
        folder = RunFolder.claim(tmp_path, f"stop{steps}")
        first = trainer(folder, stop_after=steps)
        with pytest.raises(RunInterruptedError):
            first.fit()
        second = resumed(folder)
        second.fit()
        assert sha256(second.state) == expected
        assert comparable(second.progress) == comparable(whole.progress)
        assert second.progress.best == whole.progress.best


def test_stopping_again_and_again_changes_nothing(tmp_path: Path) -> None:
    whole = trainer()
    whole.fit()
    folder = RunFolder.claim(tmp_path, "toy")
    with pytest.raises(RunInterruptedError):
        trainer(folder, stop_after=1).fit()
    for _ in range(11):
        with pytest.raises(RunInterruptedError):
            resumed(folder, stop_after=2).fit()
    last = resumed(folder)
    last.fit()
    assert sha256(last.state) == sha256(whole.state)


def test_the_folder_holds_best_last_and_metrics(tmp_path: Path) -> None:
    folder = RunFolder.claim(tmp_path, "toy")
    run = trainer(folder)
    run.fit()
    best, metadata = load_state(folder.best)
    assert run.best is not None
    assert sha256(best) == sha256(run.best)
    assert not any(name.startswith("optimizer.") for name in best)
    assert metadata["metrics"] == str(run.progress.best)
    last, _ = load_state(folder.last)
    assert sha256(last) == sha256(run.state)
    assert folder.read_metrics() == run.progress.rows


def test_a_full_disk_keeps_the_last_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = RunFolder.claim(tmp_path, "toy")
    with pytest.raises(RunInterruptedError):
        trainer(folder, stop_after=7).fit()
    before = folder.last.read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        resumed(folder).fit()
    assert folder.last.read_bytes() == before


def test_patience_ends_training() -> None:
    options = FitOptions(epochs=50, rate=0.0, patience=3, top=2)
    run = toy.trainer(options, ToyData())
    run.fit()
    # A rate of zero never gets better than the first epoch.
    assert run.progress.epoch == 4


@pytest.mark.parametrize("spoil", [0, 8])
def test_a_value_that_is_not_finite_is_traced_to_its_layer(spoil: int, tmp_path: Path) -> None:
    folder = RunFolder.claim(tmp_path, "toy")
    run = toy.trainer(OPTIONS, ToyData(spoil=spoil), folder=folder)
    with pytest.raises(NotFiniteError) as stopped:
        run.fit()
    message = str(stopped.value)
    assert message.startswith(
        f"the loss became nan in epoch {spoil // 6 + 1}, step {spoil % 6 + 1}"
    )
    assert "input of input, 32 of 32 elements" in message
    if spoil >= 6:
        state, progress = load_checkpoint(folder)
        assert progress.epoch == 1
        assert all(np.isfinite(array).all() for array in state.values())


def test_a_divergence_names_the_layer_that_overflowed() -> None:
    options = FitOptions(epochs=4, rate=1e30, top=2)
    run = toy.trainer(options, ToyData())
    with np.errstate(all="ignore"), pytest.raises(NotFiniteError, match="the result of dense_1"):
        run.fit()


def test_a_folder_without_a_checkpoint_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="no weights file"):
        load_checkpoint(RunFolder.claim(tmp_path, "toy"))


def test_rates_said_for_an_epoch_hold_from_it_on() -> None:
    options = FitOptions(epochs=4, rate=0.05, rates=((2, 0.01), (4, 0.001)), top=2)
    run = toy.trainer(options, ToyData())
    assert [row["lr"] for row in run.fit().rows] == [0.05, 0.01, 0.01, 0.001]


def test_an_epoch_may_have_a_step_of_its_own() -> None:
    plain, other = toy.stepper(), toy.stepper(optimizer=SGD(lr=0.05, momentum=0.9))
    state = initial_state(plain.plan.graph, 0)
    run = Trainer(
        lambda epoch: other if epoch >= 2 else plain,
        state,
        toy.scorer,
        ToyData(),
        OPTIONS,
        progress=Progress(seed=5),
    )
    run.fit()
    names = set(run.state)
    assert "optimizer.fc1.weight.momentum" in names
    assert "optimizer.fc1.weight.m" not in names
    assert run.state["fc1.seen"] == 24
