"""From a name with options, as a program writes it, to an optimizer or a schedule."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from cnndsl.recipes.optimizers import OPTIMIZERS, Optimizer
from cnndsl.recipes.ranges import RANGES, Range
from cnndsl.recipes.schedules import SCHEDULES, Schedule, Steps
from cnndsl.support.diagnostics import DiagnosticError, error
from cnndsl.support.registry import Registry
from cnndsl.support.source import Span
from cnndsl.support.suggest import nearest

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


def make_optimizer(choice: Choice) -> Optimizer:
    """Make the optimizer of a program; raises `DiagnosticError` E0730, E0731 or E0732."""
    return _make(OPTIMIZERS, choice, RANGES)


def make_schedule(choice: Choice) -> Schedule:
    """Make the schedule of a program; raises `DiagnosticError` E0730, E0731 or E0732."""
    rates = choice.positional[0] if choice.positional else None
    if choice.name in ("steps", "step") and isinstance(rates, Mapping):
        _check_rates(rates, choice)
        return Steps(tuple(sorted((int(k), float(v)) for k, v in rates.items())))
    return _make(SCHEDULES, choice, {})


def _check_rates(rates: Mapping[object, object], choice: Choice) -> None:
    for epoch, rate in rates.items():
        number = isinstance(rate, int | float) and not isinstance(rate, bool)
        if not isinstance(epoch, int) or not number or not 0 <= float(rate) < math.inf:  # type: ignore[arg-type]
            expected = "an epoch and a rate from 0 up"
            raise _wrong_value(choice, "rates", f"{epoch}: {rate}", expected)


def _make(registry: Registry[type[T]], choice: Choice, ranges: Mapping[str, Range]) -> T:
    kind = registry.get(choice.name.casefold())
    if kind is None:
        raise _unknown(registry.kind, choice, list(registry))
    fields = {f.name: f for f in dataclasses.fields(kind)}  # type: ignore[arg-type]
    options: dict[str, object] = {}
    written: dict[str, str] = {}
    if len(choice.positional) > len(fields):
        shown = f"{len(choice.positional)} options without a name"
        raise _wrong_value(choice, choice.name, shown, f"at most {len(fields)}")
    options.update(zip(fields, choice.positional, strict=False))
    for name, value in choice.named.items():
        option = _option_name(name, fields, choice)
        options[option], written[option] = value, name
    for name, value in options.items():
        said = written.get(name, name)
        options[name] = _fit(value, fields[name], choice, said, ranges.get(name))
    return kind(**options)


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


def _fit(
    value: object, field: dataclasses.Field[Any], choice: Choice, said: str, within: Range | None
) -> object:
    """Bring a value to the type of its field, and refuse those that make no sense.

    `said` is what the program calls the option; `within` is where its numbers lie.
    """
    kind = str(field.type)
    if kind == "bool" and isinstance(value, bool):
        return value
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if number and kind.startswith("int") and float(value).is_integer() and value > 0:  # type: ignore[arg-type, operator]
        return int(value)  # type: ignore[call-overload]
    if number and kind.startswith("float"):
        plain = float(value)  # type: ignore[arg-type]
        if within is not None and not within.holds(plain):
            usual = field.default if isinstance(field.default, float) else 0.0
            raise _outside(choice, said, plain, within, usual or within.usual)
        if 0 <= plain < float("inf"):
            return plain
    expected = {
        "bool": "true or false",
        "int": "a whole number above 0",
    }.get(kind, "a number from 0 up" if within is None else within.words)
    raise _wrong_value(choice, said, value, expected)


def _outside(
    choice: Choice, option: str, value: float, within: Range, usual: float
) -> DiagnosticError:
    notes = (within.why(value),) if math.isfinite(value) else ()
    return DiagnosticError(
        error(
            "E0732",
            f"`{option}` of `{choice.name}` cannot be {value:g}",
            choice.spans.get(option, choice.span),
            label=f"`{option}` is {within.words}",
            notes=notes,
            helps=(f"begin with `{option}={usual:g}`",),
        )
    )


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
