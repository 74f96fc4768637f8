"""The family that a program is: every value that its parameters and places may have."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from itertools import product
from pathlib import Path

from cnndsl.frontend import ast
from cnndsl.frontend.elaborate import explore
from cnndsl.frontend.params import PATTERN, Parameter
from cnndsl.frontend.places import Place, assignments, count, drawn
from cnndsl.frontend.values import RangeValue, Value, show
from cnndsl.layers.base import Hwc
from cnndsl.support.diagnostics import DiagnosticError, error

MOST_EXPLORED = 1_000
"""Settings of the parameters for which places are counted; for more, the count is a bound."""
STEPS = 8
"""Values that stand for a range of any numbers when it is listed."""


@dataclass(frozen=True, slots=True)
class Count:
    """How many variants there are."""

    variants: int
    """Their number, or a number that it is at least."""
    exact: bool
    """Whether it is their number."""


@dataclass(frozen=True, slots=True)
class Family:
    """A program with what it leaves open."""

    program: ast.Program
    """The syntax tree."""
    fixed: Mapping[str, Value]
    """What was chosen already."""
    params: Mapping[str, Parameter]
    """Parameters with choices, by name."""
    has_places: bool
    """Whether there is any `?` or `*1..5`."""
    input_size: Hwc | None = None
    """The size of an input that the program does not say."""
    classes: int | None = None
    """The same for the number of classes."""
    base_dir: Path | None = None
    """The program's folder."""
    _places: dict[tuple[tuple[str, str], ...], tuple[Place, ...]] = field(
        default_factory=dict, repr=False, compare=False
    )

    def places(self, chosen: Mapping[str, Value]) -> tuple[Place, ...]:
        """Give the places that there are when parameters have these values."""
        if not self.has_places:
            return ()
        key = tuple((name, show(value)) for name, value in chosen.items())
        if key not in self._places:
            self._places[key] = explore(
                self.program,
                params={**self.fixed, **chosen},
                input_size=self.input_size,
                classes=self.classes,
                base_dir=self.base_dir,
            )[1]
        return self._places[key]

    def count(self) -> Count:
        """Count the variants: settings of the parameters times ways of choosing at places."""
        settings = math.prod(len(values_of(p)) for p in self.params.values())
        if not self.has_places:
            return Count(settings, True)
        total = 0
        for seen, chosen in enumerate(self._settings()):
            if seen == MOST_EXPLORED:
                return Count(total + settings - seen, False)
            total += count(self.places(chosen))
        return Count(total, True)

    def variants(self) -> Iterator[dict[str, Value]]:
        """Give every variant, as values for `params`."""
        for chosen in self._settings():
            for ways in assignments(self.places(chosen)):
                yield {**chosen, **ways}

    def draw(self, rng: random.Random) -> dict[str, Value]:
        """Choose a variant by chance: every value of a parameter is as likely as the others."""
        chosen = {name: _drawn(parameter, rng) for name, parameter in self.params.items()}
        return {**chosen, **drawn(self.places(chosen), rng)}

    def _settings(self) -> Iterator[dict[str, Value]]:
        names = list(self.params)
        for values in product(*(values_of(parameter) for parameter in self.params.values())):
            yield dict(zip(names, values, strict=True))


def family(
    program: ast.Program,
    *,
    params: Mapping[str, Value] | None = None,
    input_size: Hwc | None = None,
    classes: int | None = None,
    base_dir: Path | None = None,
) -> Family:
    """Find what a program leaves open; what `params` says is not.

    Raises `DiagnosticError` E0502 for a value that no parameter takes.
    """
    fixed = dict(params or {})
    found, places = explore(
        program, params=fixed, input_size=input_size, classes=classes, base_dir=base_dir
    )
    for name in fixed:
        if name not in found:
            raise _unknown(name, found)
    free = {
        name: parameter
        for name, parameter in found.items()
        if parameter.choices is not None and name not in fixed
    }
    has_places = bool(places) or _mentions_places(program)
    return Family(program, fixed, _ordered(free), has_places, input_size, classes, base_dir)


def _unknown(name: str, found: Mapping[str, Parameter]) -> DiagnosticError:
    listed = ", ".join(found)
    notes: tuple[str, ...] = (f"parameters: {listed}" if listed else "there are no parameters",)
    if "." in name:  # which places there are depends on the rest
        notes = (*notes, "choices without a name stay open in a family")
    return DiagnosticError(error("E0502", f"there is no parameter `{name}` to fix", notes=notes))


def _mentions_places(program: ast.Program) -> bool:
    """Tell whether there is a `?` or a `*1..5` anywhere, even where nothing is unrolled now."""
    waiting: list[object] = [program]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Maybe | ast.CountRange):
            return True
        if isinstance(node, tuple):
            waiting.extend(node)
        elif isinstance(node, ast.Syntax):
            waiting.extend(getattr(node, each.name) for each in fields(node))
    return False


def _ordered(params: Mapping[str, Parameter]) -> dict[str, Parameter]:
    """Put N, M and K of the lecture's pattern into their order; others keep theirs."""
    pattern = [name for name in PATTERN if name in params]
    others = [name for name in params if name not in PATTERN]
    return {name: params[name] for name in (*pattern, *others)}


def values_of(parameter: Parameter) -> tuple[Value, ...]:
    """Give what a parameter may be; a range of any numbers is stood for by `STEPS` of them.

    >>> values_of(Parameter("N", 2, 2, RangeValue(1, 5, 2)))
    (1, 3, 5)
    """
    choices = parameter.choices
    if isinstance(choices, tuple):
        return choices
    assert choices is not None
    if choices.is_whole:
        return tuple(choices)
    low, high = float(choices.start), float(choices.stop)
    if choices.step is not None:
        turns = int((high - low) / choices.step + 1e-9) + 1
        return tuple(low + turn * choices.step for turn in range(turns))
    return tuple(low + (high - low) * turn / (STEPS - 1) for turn in range(STEPS))


def _drawn(parameter: Parameter, rng: random.Random) -> Value:
    choices = parameter.choices
    if isinstance(choices, RangeValue) and not choices.is_whole and choices.step is None:
        return rng.uniform(float(choices.start), float(choices.stop))
    return rng.choice(values_of(parameter))


def described(chosen: Mapping[str, Value]) -> str:
    """Write a variant as the command line takes it, without `-p`.

    >>> described({"N": 2, "POOL.1": False})
    'N=2 POOL.1=no'
    """
    return " ".join(f"{name}={plain(value)}" for name, value in chosen.items())


def plain(value: Value) -> str:
    """Write a value as `-p` takes it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}"
    return show(value).strip('"')
