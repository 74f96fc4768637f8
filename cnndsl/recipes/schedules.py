"""Learning-rate schedules: pure functions of how far training is, so that a run can resume."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, field

from cnndsl.support.registry import Registry


@dataclass(frozen=True, slots=True)
class Position:
    """How far training is."""

    epoch: int
    """Whole epochs done."""
    step: int
    """Steps done in this epoch."""
    steps_per_epoch: int
    """Steps of an epoch."""
    epochs: int
    """Epochs of the whole run."""
    losses: tuple[float, ...] = ()
    """Validation loss after each epoch that is done."""

    @property
    def time(self) -> float:
        """Epochs done, with the fraction of the current one."""
        return self.epoch + self.step / max(1, self.steps_per_epoch)


@dataclass(frozen=True, slots=True)
class Schedule(ABC):
    """Gives the learning rate of the next step."""

    @abstractmethod
    def rate(self, base: float, at: Position) -> float:
        """Give the rate at a position; `base` is the optimizer's own learning rate."""


SCHEDULES: Registry[type[Schedule]] = Registry("schedule")
"""Every schedule by the name that a program uses."""


@SCHEDULES.named("constant")
@dataclass(frozen=True, slots=True)
class Constant(Schedule):
    """The same rate all the time."""

    def rate(self, base: float, at: Position) -> float:
        """See the class."""
        return base


@SCHEDULES.named("step")
@dataclass(frozen=True, slots=True)
class Step(Schedule):
    """The rate is multiplied by `by` after every `every` epochs."""

    every: int = 30
    """Epochs between two changes."""
    by: float = 0.1
    """The factor."""

    def rate(self, base: float, at: Position) -> float:
        """See the class."""
        return base * self.by ** (at.epoch // self.every)


@SCHEDULES.named("steps")
@dataclass(frozen=True, slots=True)
class Steps(Schedule):
    """Rates written down by the epoch from which they hold: `steps([0: 1e-3, 75: 1e-4])`."""

    rates: tuple[tuple[int, float], ...] = field(default=())
    """(epoch, rate), by epoch; before the first the optimizer's own rate holds."""

    def rate(self, base: float, at: Position) -> float:
        """See the class."""
        held = [rate for epoch, rate in sorted(self.rates) if epoch <= at.epoch]
        return held[-1] if held else base


@SCHEDULES.named("cosine")
@dataclass(frozen=True, slots=True)
class Cosine(Schedule):
    """Half a cosine from the base rate down to `to` times it (Loshchilov, Hutter 2017)."""

    to: float = 0.0
    """What is left at the end, as a share of the base rate."""
    warmup: float = 0.0
    """Epochs of linear warm-up at the start."""

    def rate(self, base: float, at: Position) -> float:
        """See the class."""
        if at.time < self.warmup:
            return base * (at.time + 1 / max(1, at.steps_per_epoch)) / self.warmup
        done = (at.time - self.warmup) / max(1e-9, at.epochs - self.warmup)
        return base * (self.to + (1 - self.to) * (1 + math.cos(math.pi * min(1.0, done))) / 2)


@SCHEDULES.named("linear")
@dataclass(frozen=True, slots=True)
class Linear(Schedule):
    """The base rate until epoch `start`, then a straight line to `to` times it at epoch `end`."""

    start: float = 0.0
    """Epoch at which the line begins (`from` in a program)."""
    end: float | None = None
    """Epoch at which it ends (`to` in a program); nothing for the end of the run."""
    floor: float = 0.0
    """What is left at the end, as a share of the base rate."""

    def rate(self, base: float, at: Position) -> float:
        """See the class."""
        end = at.epochs if self.end is None else self.end
        if end <= self.start:
            return base if at.time < self.start else base * self.floor
        share = min(1.0, max(0.0, (at.time - self.start) / (end - self.start)))
        return base * (1 - (1 - self.floor) * share)


@SCHEDULES.named("plateau")
@dataclass(frozen=True, slots=True)
class Plateau(Schedule):
    """The rate is multiplied by `by` when the validation loss has not fallen for `patience` epochs.

    AlexNet's recipe: "reduced by 10 when val accuracy plateaus". Whether it has is worked out from
    the losses of all epochs, so that nothing has to be remembered.
    """

    by: float = 0.1
    """The factor."""
    patience: int = 3
    """Epochs without a new lowest loss before the rate changes."""

    def rate(self, base: float, at: Position) -> float:
        """See the class."""
        best, waited, changes = math.inf, 0, 0
        for loss in at.losses:
            if loss < best:
                best, waited = loss, 0
            else:
                waited += 1
            if waited >= self.patience:
                changes, waited = changes + 1, 0
        return float(base * self.by**changes)
