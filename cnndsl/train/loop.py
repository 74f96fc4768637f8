"""The training loop: steps, epochs, validation, checkpoints, early stopping, resuming."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

import numpy as np

from cnndsl.layers.initializers import initial_state
from cnndsl.ops.rules import Array
from cnndsl.recipes.optimizers import STATE_PREFIX
from cnndsl.recipes.schedules import Constant, Position, Schedule
from cnndsl.runtime.executable import Executable, State
from cnndsl.support.diagnostics import DivergedError, StoppedError
from cnndsl.train.checkpoint import load_state, save_state
from cnndsl.train.evaluate import Batches, Scorers, evaluate
from cnndsl.train.metrics import Tally
from cnndsl.train.progress import Progress
from cnndsl.train.runs import RunFolder
from cnndsl.train.step import RATE

T = TypeVar("T")


class TrainingData(Protocol):
    """What the loop trains on."""

    @property
    def classes(self) -> int:
        """Number of classes."""
        ...

    @property
    def steps(self) -> int:
        """Training batches in an epoch."""
        ...

    def training(self, epoch: int, start: int) -> Iterator[tuple[Array, Array]]:
        """Walk the training batches of `epoch` from batch `start`: a pure function of both."""
        ...

    def validation(self) -> Batches:
        """Walk the validation batches."""
        ...

    def feeds(self, images: Array, labels: Array) -> dict[str, Array]:
        """Name a batch's arrays as the inputs of the network and its loss."""
        ...


@dataclass(frozen=True, slots=True)
class FitOptions:
    """What the loop is asked to do."""

    epochs: int
    """How many epochs."""
    rate: float
    """Learning rate at the start."""
    schedule: Schedule = Constant()  # noqa: RUF009 - frozen
    """How it changes."""
    rates: tuple[tuple[int, float], ...] = ()
    """(epoch from 1, rate): learning rates that replace `rate` from an epoch on."""
    patience: int | None = None
    """Stop after so many epochs without a better validation accuracy; nothing: never."""
    top: int = 5
    """The k of top-k accuracy."""
    metadata: Mapping[str, str] = field(default_factory=dict)
    """What is written into weights files beside the arrays."""


@dataclass(frozen=True, slots=True)
class StepDone:
    """A step has been taken."""

    epoch: int
    """Number of the epoch, from 1."""
    step: int
    """Steps done in the epoch."""
    steps: int
    """Steps of an epoch."""
    loss: float
    """Mean loss over the epoch so far."""
    accuracy: float
    """Accuracy over the epoch so far, each image seen before its own step."""


@dataclass(frozen=True, slots=True)
class EpochDone:
    """An epoch has been done and measured."""

    row: Mapping[str, Any]
    """The line of metrics.jsonl."""
    epochs: int
    """Epochs of the run."""
    improved: bool
    """Whether this is the best epoch so far."""


Event = StepDone | EpochDone
"""What the loop tells its observer."""


class RunInterruptedError(StoppedError):
    """Training was asked to stop; its state is saved if it has a folder."""

    def __init__(self, progress: Progress, folder: RunFolder | None) -> None:
        super().__init__(f"stopped in epoch {progress.epoch + 1} after step {progress.step}")
        self.progress = progress
        self.folder = folder


class NotFiniteError(DivergedError):
    """The loss is not a number any more."""

    def __init__(self, progress: Progress, loss: float, culprit: str) -> None:
        where = f"epoch {progress.epoch + 1}, step {progress.step + 1}"
        super().__init__(f"the loss became {loss} in {where}{culprit}")
        self.progress = progress
        self.loss = loss


class Trainer:
    """One run: executable steps, a way to measure, data, and a position."""

    def __init__(
        self,
        steps: Callable[[int], Executable],
        state: Mapping[str, Array],
        scorers: Scorers,
        data: TrainingData,
        options: FitOptions,
        *,
        progress: Progress,
        folder: RunFolder | None = None,
        observe: Callable[[Event], None] = lambda event: None,
        stop: Callable[[], bool] = lambda: False,
    ) -> None:
        """Prepare to go on from `progress`, to which `state` belongs.

        `steps` gives the executable of an epoch (from 0): the same one, unless layers are frozen
        or thawed there. Arrays are saved in `folder` if there is one. `stop` is asked after every
        step.
        """
        self._steps = steps
        self._step = steps(progress.epoch)
        self._step.load_state(self._fitted(state, seed=progress.seed))
        self._scorers = scorers
        self._data = data
        self._options = options
        self._folder = folder
        self._observe = observe
        self._stop = stop
        self.progress = progress
        self.best: State | None = None
        """Weights of the best epoch so far; nothing before the first."""

    @property
    def state(self) -> State:
        """Every array of the run: parameters, running statistics, optimizer."""
        return self._step.read_state()

    def fit(self) -> Progress:
        """Train until the last epoch or until patience ends.

        Raises `RunInterruptedError` when told to stop (the state is saved first), `NotFiniteError`
        when the loss is not a number (the checkpoint of the last epoch stays), and `OSError` when
        the state cannot be saved.
        """
        options, progress = self._options, self.progress
        if self._folder is not None and not self._folder.last.exists():
            self.save()  # a run that is killed in its first epoch can be resumed as well
        while progress.epoch < options.epochs:
            if options.patience is not None and progress.waited >= options.patience:
                break
            self._epoch()
        return progress

    def _epoch(self) -> None:
        progress = self.progress
        began = time.perf_counter()
        self._enter_epoch()
        start_state = self._step.read_state()
        start_step = progress.step
        tally = Tally(self._data.classes, self._options.top)
        if progress.tally:
            tally.restore(progress.tally)
        for images, labels in self._data.training(progress.epoch, progress.step):
            outputs = self._step.run(self._feeds(images, labels))
            loss = float(outputs["loss"])
            if not math.isfinite(loss):
                raise NotFiniteError(progress, loss, self._culprit(start_state, start_step))
            tally.add(outputs["output"], labels, loss)
            progress.step += 1
            progress.steps += 1
            progress.tally = tally.state()
            self._observe(
                StepDone(
                    progress.epoch + 1, progress.step, self._data.steps, tally.loss, tally.accuracy
                )
            )
            if self._stop():
                self.save()
                raise RunInterruptedError(progress, self._folder)
        self._close_epoch(tally, time.perf_counter() - began)

    def _feeds(self, images: Array, labels: Array) -> dict[str, Array]:
        """Name the arrays of a step; counters are fed only to graphs that draw random numbers."""
        graph = self._step.plan.graph
        feeds = self._data.feeds(images, labels)
        feeds[RATE] = np.asarray(
            self._rate(self.progress.step), dtype=self._step.inputs[RATE].dtype.numpy
        )
        if "random.key" in graph:
            feeds["random.key"] = np.asarray(self.progress.seed, dtype=np.int64)
            feeds["random.step"] = np.asarray(self.progress.steps, dtype=np.int64)
        return feeds

    def _rate(self, step: int) -> float:
        """Give the learning rate of a step of this epoch, from 0."""
        progress, options = self.progress, self._options
        at = Position(progress.epoch, step, self._data.steps, options.epochs, progress.losses)
        said = [rate for epoch, rate in options.rates if epoch <= progress.epoch + 1]
        return options.schedule.rate(said[-1] if said else options.rate, at)

    def _enter_epoch(self) -> None:
        """Take up the epoch's own executable; state that only it has begins as it is drawn."""
        step = self._steps(self.progress.epoch)
        if step is not self._step:
            state, self._step = self._step.read_state(), step
            step.load_state(self._fitted(state, seed=self.progress.seed))

    def _fitted(self, state: Mapping[str, Array], *, seed: int) -> State:
        """Give a state in which the optimizer's arrays are those of this epoch's executable.

        Where other layers are frozen, there are others: in the epoch before, or in a checkpoint
        made at its end. What is new begins as it is drawn.
        """
        drawn = initial_state(self._step.plan.graph, seed)
        fresh = {name: array for name, array in drawn.items() if name.startswith(STATE_PREFIX)}
        kept = {
            name: array
            for name, array in state.items()
            if name in drawn or not name.startswith(STATE_PREFIX)
        }
        return {**fresh, **kept}

    def _close_epoch(self, tally: Tally, seconds: float) -> None:
        progress, options = self.progress, self._options
        rate = self._rate(max(0, progress.step - 1))
        state = self._step.read_state()
        measured = evaluate(
            self._scorers,
            state,
            self._data.validation(),
            classes=self._data.classes,
            top=options.top,
            feeds=self._data.feeds,
        )
        progress.epoch, progress.step, progress.tally = progress.epoch + 1, 0, {}
        row = {
            "epoch": progress.epoch,
            "steps": progress.steps,
            "lr": rate,
            **tally.report(),
            **{f"val_{name}": value for name, value in measured.report().items()},
            "seconds": round(seconds, 3),
        }
        progress.rows.append(row)
        pair = (measured.accuracy, -measured.loss)
        improved = progress.best is None or pair > progress.best
        if improved:
            progress.best, progress.best_epoch = pair, progress.epoch
            self.best = weights_only(state)
        self._save_epoch(state, improved=improved)
        self._observe(EpochDone(row, options.epochs, improved))

    def _save_epoch(self, state: State, *, improved: bool) -> None:
        if self._folder is None:
            return
        if improved:
            metadata = {**self._options.metadata, "metrics": str(self.progress.best)}
            save_state(self._folder.best, weights_only(state), metadata)
        # The checkpoint comes last: whatever a crash leaves out before it is done again after it.
        self._folder.write_metrics(self.progress.rows)
        self.save()

    def save(self) -> None:
        """Save everything that `--resume` needs, if the run has a folder."""
        if self._folder is not None:
            metadata = {**self._options.metadata, "progress": self.progress.to_json()}
            save_state(self._folder.last, self._step.read_state(), metadata)

    def _culprit(self, start_state: State, start_step: int) -> str:
        """Name the first layer whose result is not finite, by doing the epoch again.

        Steps are pure functions of state and position, so the epoch can be done once more from
        its start up to the step that failed, and that step looked at value by value.
        """
        from cnndsl.train.diverged import first_not_finite

        failed = self.progress.step
        begin = start_state
        self._step.load_state(begin)
        steps = self.progress.steps
        self.progress.step, self.progress.steps = start_step, steps - (failed - start_step)
        for images, labels in self._data.training(self.progress.epoch, start_step):
            feeds = self._feeds(images, labels)
            if self.progress.step == failed:
                return first_not_finite(self._step, feeds)
            self._step.run(feeds)
            self.progress.step += 1
            self.progress.steps += 1
        return ""


def weights_only(state: Mapping[str, T]) -> dict[str, T]:
    """Leave out what belongs to the optimizer."""
    return {name: thing for name, thing in state.items() if not name.startswith(STATE_PREFIX)}


def load_checkpoint(folder: RunFolder) -> tuple[State, Progress]:
    """Read what `Trainer.save` wrote; raises `WeightsError`."""
    state, metadata = load_state(folder.last)
    return state, Progress.from_json(metadata.get("progress"))
