"""What a program's `train {}` and the command line say, resolved: every setting has a value."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from cnndsl.support.diagnostics import DiagnosticError, error
from cnndsl.support.registry import Registry
from cnndsl.support.source import Span
from cnndsl.support.suggest import nearest
from cnndsl.train.optimizers import OPTIMIZERS, SGD, Optimizer
from cnndsl.train.schedules import SCHEDULES, Constant, Schedule, Steps

T = TypeVar("T")

SPELLINGS = {"from": "start", "to": "end", "weight_decay": "decay", "learning_rate": "lr"}
"""Option names that read well in a program but are taken in Python, or are other tools' habit."""


@dataclass(frozen=True, slots=True)
class Choice:
    """A name with options, as in `sgd(lr=0.1, momentum=0.9)`."""

    name: str
    """The name."""
    positional: tuple[object, ...] = ()
    """Options without a name, in the order of the fields."""
    named: Mapping[str, object] = dataclasses.field(default_factory=dict)
    """Options with a name."""
    span: Span | None = None
    """Where it stands."""
    spans: Mapping[str, Span] = dataclasses.field(default_factory=dict)
    """Where each option with a name stands."""


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


def make_optimizer(choice: Choice) -> Optimizer:
    """Make the optimizer of a program; raises `DiagnosticError` E0730, E0731 or E0732."""
    return _make(OPTIMIZERS, choice)


def make_schedule(choice: Choice) -> Schedule:
    """Make the schedule of a program; raises `DiagnosticError` E0730, E0731 or E0732."""
    rates = choice.positional[0] if choice.positional else None
    if choice.name in ("steps", "step") and isinstance(rates, Mapping):
        _check_rates(rates, choice)
        return Steps(tuple(sorted((int(k), float(v)) for k, v in rates.items())))
    return _make(SCHEDULES, choice)


def _check_rates(rates: Mapping[object, object], choice: Choice) -> None:
    for epoch, rate in rates.items():
        if not isinstance(epoch, int) or not isinstance(rate, int | float):
            raise _wrong_value(choice, "rates", f"{epoch}: {rate}", "an epoch and a rate")


def _make(registry: Registry[type[T]], choice: Choice) -> T:
    kind = registry.get(choice.name.casefold())
    if kind is None:
        raise _unknown(registry.kind, choice, list(registry))
    fields = {f.name: f for f in dataclasses.fields(kind)}  # type: ignore[arg-type]
    options: dict[str, object] = {}
    if len(choice.positional) > len(fields):
        shown = f"{len(choice.positional)} options without a name"
        raise _wrong_value(choice, choice.name, shown, f"at most {len(fields)}")
    options.update(zip(fields, choice.positional, strict=False))
    for name, value in choice.named.items():
        options[_option_name(name, fields, choice)] = value
    return kind(**{name: _fit(value, fields[name], choice) for name, value in options.items()})


def _option_name(name: str, fields: Mapping[str, object], choice: Choice) -> str:
    plain = SPELLINGS.get(name, name)
    # A schedule may have a field of the plain name: cosine's `to` is a share of the rate.
    for candidate in (name, plain):
        if candidate in fields:
            return candidate
    close = nearest(name, fields, limit=1)
    raise DiagnosticError(
        error(
            "E0731",
            f"`{choice.name}` has no option `{name}`",
            choice.spans.get(name, choice.span),
            label=f"did you mean `{close[0]}`?" if close else "",
            notes=(f"`{choice.name}` takes: {', '.join(fields)}",),
        )
    )


def _fit(value: object, field: dataclasses.Field[Any], choice: Choice) -> object:
    """Bring a value to the type of its field, and refuse those that make no sense."""
    kind = str(field.type)
    if kind == "bool" and isinstance(value, bool):
        return value
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if number and kind.startswith("int") and float(value).is_integer() and value > 0:  # type: ignore[arg-type, operator]
        return int(value)  # type: ignore[call-overload]
    if number and kind.startswith("float") and 0 <= float(value) < float("inf"):  # type: ignore[arg-type]
        return float(value)  # type: ignore[arg-type]
    expected = {
        "bool": "true or false",
        "int": "a whole number above 0",
    }.get(kind, "a number from 0 up")
    raise _wrong_value(choice, field.name, value, expected)


def _wrong_value(choice: Choice, option: str, value: object, expected: str) -> DiagnosticError:
    return DiagnosticError(
        error(
            "E0732",
            f"`{option}` of `{choice.name}` cannot be {value}",
            choice.spans.get(option, choice.span),
            label=f"`{option}` is {expected}",
        )
    )


def _unknown(kind: str, choice: Choice, known: Sequence[str]) -> DiagnosticError:
    close = nearest(choice.name, known, limit=1)
    return DiagnosticError(
        error(
            "E0730",
            f"there is no {kind} called `{choice.name}`",
            choice.span,
            label=f"did you mean `{close[0]}`?" if close else "",
            notes=(f"known: {', '.join(known)}",),
        )
    )
