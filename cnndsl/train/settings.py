"""What a program's `train {}` and the command line say, resolved: every setting has a value."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from cnndsl.recipes.optimizers import OPTIMIZERS, SGD, Optimizer
from cnndsl.recipes.schedules import SCHEDULES, Constant, Schedule
from cnndsl.support.registry import Registry

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class TrainSettings:
    """How a network is trained."""

    data: str = "digits"
    """Name of the data set."""
    loss: str = "crossentropy"
    """Name of the loss."""
    loss_options: Mapping[str, float | bool | str] = dataclasses.field(default_factory=dict)
    """Its options."""
    optimizer: Optimizer = SGD(lr=0.05, momentum=0.9)  # noqa: RUF009 - frozen
    """The update rule."""
    schedule: Schedule = Constant()  # noqa: RUF009 - frozen
    """How the learning rate changes."""
    batch: int = 32
    """Images of a step."""
    epochs: int = 10
    """Passes over the training images."""
    seed: int = 0
    """Where every random number of the run comes from."""
    clip: float | None = None
    """Largest norm of the gradients."""
    patience: int | None = None
    """Epochs without progress before training stops."""
    top: int = 5
    """The k of top-k accuracy."""
    val: float = 0.1
    """Share of the training images set apart for validation, where the data set sets none apart."""

    def record(self) -> dict[str, Any]:
        """Give every setting as JSON values, for `resolved.json`."""
        plain: dict[str, Any] = {
            field.name: getattr(self, field.name) for field in dataclasses.fields(self)
        }
        plain["optimizer"] = _named(OPTIMIZERS, self.optimizer)
        plain["schedule"] = _named(SCHEDULES, self.schedule)
        return plain

    def describe_optimizer(self) -> str:
        """Write the optimizer as a program does: `sgd(lr=0.05, momentum=0.9)`."""
        record = _named(OPTIMIZERS, self.optimizer)
        usual = dataclasses.asdict(type(self.optimizer)())
        name = record.pop("name")
        said = {k: v for k, v in record.items() if v != usual[k] or k == "lr"}
        return f"{name}({', '.join(f'{k}={v:g}' for k, v in said.items())})"


def _named(registry: Registry[type[T]], thing: Any) -> dict[str, Any]:
    name = next(name for name, kind in registry.items() if kind is type(thing))
    return {"name": name, **dataclasses.asdict(thing)}
