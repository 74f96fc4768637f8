"""One variant of a program and what became of it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Trial:
    """A variant, trained for some epochs."""

    number: int
    """From 1, in the order in which variants were drawn."""
    settings: Mapping[str, bool | int | float | str]
    """Values of parameters and places."""
    epochs: int
    """How many it was trained for."""
    accuracy: float | None
    """Validation accuracy of its best epoch, 0 to 1; nothing if its loss was no number."""
    params: int
    """Numbers that training moved."""
    macs: int
    """Multiply-adds for one image."""
    layers: int
    """How many layers it has."""
    seconds: float = field(default=0.0, compare=False)
    """How long training took."""
    test: float | None = None
    """Accuracy on the test images; measured for the best one alone."""

    def record(self) -> dict[str, Any]:
        """Give it as JSON values."""
        return {**asdict(self), "settings": dict(self.settings)}


def trial_of(record: Mapping[str, Any]) -> Trial:
    """Read a trial back; raises `KeyError` or `TypeError` for what is none."""
    return Trial(**record)


def ranked(trials: Iterable[Trial]) -> list[Trial]:
    """Put the best first: longest trained, most accurate, fewest parameters, fewest operations.

    Of a variant that was trained several times only the longest training counts.
    """
    last: dict[int, Trial] = {}
    for trial in trials:
        known = last.get(trial.number)
        if known is None or trial.epochs >= known.epochs:
            last[trial.number] = trial
    return sorted(last.values(), key=_merit)


def _merit(trial: Trial) -> tuple[float, ...]:
    accuracy = -math.inf if trial.accuracy is None else trial.accuracy
    return (-trial.epochs, -accuracy, trial.params, trial.macs, trial.number)


def front(trials: Iterable[Trial]) -> set[int]:
    """Give the numbers of those that no other beats: none is better and as small, or the reverse.

    Only trials trained for as long as the longest are compared.
    """
    known = [trial for trial in trials if trial.accuracy is not None]
    most = max((trial.epochs for trial in known), default=0)
    known = [trial for trial in known if trial.epochs == most]
    return {one.number for one in known if not any(_beats(other, one) for other in known)}


def _beats(other: Trial, one: Trial) -> bool:
    assert other.accuracy is not None
    assert one.accuracy is not None
    no_worse = other.accuracy >= one.accuracy and other.params <= one.params
    return no_worse and (other.accuracy > one.accuracy or other.params < one.params)
