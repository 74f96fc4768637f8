"""How far a run is: everything about it that is not an array, as JSON in the checkpoint."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from cnndsl.support.diagnostics import WeightsError, error


@dataclass(slots=True)
class Progress:
    """A position in a run, and what was measured on the way there."""

    epoch: int = 0
    """Whole epochs done."""
    step: int = 0
    """Steps done in this epoch."""
    steps: int = 0
    """Steps done in all."""
    seed: int = 0
    """The seed of the run."""
    tally: dict[str, float] = field(default_factory=dict)
    """Sums over the steps of this epoch, from `Tally.state`."""
    rows: list[dict[str, Any]] = field(default_factory=list)
    """The line of metrics.jsonl of each epoch that is done."""
    best_epoch: int = 0
    """The epoch with the best validation metric, from 1; 0 before the first."""
    best: tuple[float, float] | None = None
    """Its accuracy and the negative of its loss: the larger pair is better."""

    @property
    def losses(self) -> tuple[float, ...]:
        """Validation loss of every epoch that is done."""
        return tuple(float(row["val_loss"]) for row in self.rows)

    @property
    def waited(self) -> int:
        """Epochs since the best one."""
        return self.epoch - self.best_epoch

    def to_json(self) -> str:
        """Write down; floats keep every bit."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str | None) -> Progress:
        """Read what `to_json` wrote; raises `WeightsError` for anything else."""
        try:
            record: Mapping[str, Any] = json.loads(text or "")
            progress = cls(**record)
            progress.best = None if progress.best is None else (progress.best[0], progress.best[1])
        except (ValueError, TypeError, IndexError) as why:
            raise WeightsError(
                error(
                    "E0711",
                    "the checkpoint does not say how far the run was",
                    notes=(str(why),),
                    helps=("`cnndsl train --weights FILE` starts a new run from its arrays",),
                )
            ) from None
        return progress
