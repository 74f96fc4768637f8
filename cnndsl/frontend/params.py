"""Parameters: `param`, `where`, and the pattern notation's free counts N, M and K."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from cnndsl.frontend import ast
from cnndsl.frontend.core import Env
from cnndsl.frontend.flow import NOTHING
from cnndsl.frontend.given import Given, convert, is_allowed, names_in, outside
from cnndsl.frontend.naming import Naming
from cnndsl.frontend.places import Place
from cnndsl.frontend.values import (
    RangeValue,
    Value,
    kind_of,
    show,
)
from cnndsl.support.diagnostics import DiagnosticError, Label, error, note
from cnndsl.support.limits import Limits
from cnndsl.support.source import Span
from cnndsl.support.suggest import nearest

PATTERN: Mapping[str, tuple[RangeValue, int]] = {
    "N": (RangeValue(1, 5), 2),
    "M": (RangeValue(1, 8), 3),
    "K": (RangeValue(0, 2), 1),
}
"""The counts of the lecture's pattern: their ranges, and what they are if nobody says."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of a program, resolved."""

    name: str
    """As the program calls it."""
    value: Value
    """Its value in this elaboration."""
    default: Value
    """Its value when nobody says otherwise."""
    choices: tuple[Value, ...] | RangeValue | None = None
    """What it may be: a list or a range; nothing if anything."""
    source: str = "default"
    """Who said the value: "default", "given", "where" (its default), "pattern" (the lecture's),
    "place" (a choice without a name)."""
    span: Span | None = field(default=None, compare=False)
    """Where it is declared."""


class Params(Naming):
    """Elaborates parameters."""

    def __init__(self, limits: Limits) -> None:
        """Elaborate within `limits`."""
        super().__init__(limits)
        self.given: dict[str, Given] = {}
        self.params: dict[str, Parameter] = {}
        self.free: dict[str, list[Span]] = {}
        self.fewer: dict[str, int] = {}
        self.misfit = ""
        self.numbers: Counter[str] = Counter()
        self.open_places: list[list[Place]] = [[]]

    def bind_params(
        self,
        bindings: tuple[ast.Binding, ...],
        env: Env,
        given: Mapping[str, Given],
        *,
        source: str = "default",
        own: bool = True,
    ) -> None:
        """Give parameters their values; `own` are those of the program itself."""
        for binding in bindings:
            try:
                found = self._resolve(binding, env, given, source)
            except DiagnosticError as problem:
                self.reports.add(*problem.diagnostics)
                usual = self._fallback(binding, env, source)
                if usual is None:
                    continue
                found = usual
            env.scope.bind(binding.name.text, found.value, binding.name.span)
            if own:
                self.params[found.name] = found

    def _resolve(
        self, binding: ast.Binding, env: Env, given: Mapping[str, Given], source: str
    ) -> Parameter:
        name = binding.name.text
        choices = self._choices(binding, env)
        default = self._default(binding, choices, env)
        asked = given.get(name)
        if asked is None:
            return Parameter(name, default, default, choices, source, binding.span)
        value = convert(asked.value, choices, default) if asked.is_text else asked.value
        if not is_allowed(value, choices, default):
            raise outside(name, asked, value, choices, default, binding)
        return Parameter(name, value, default, choices, "given", binding.span)

    def _fallback(self, binding: ast.Binding, env: Env, source: str) -> Parameter | None:
        """Go on with the default after an error, so that nothing else is complained about."""
        try:
            choices = self._choices(binding, env)
            default = self._default(binding, choices, env)
        except DiagnosticError:
            return None
        return Parameter(binding.name.text, default, default, choices, source, binding.span)

    def _choices(self, binding: ast.Binding, env: Env) -> tuple[Value, ...] | RangeValue | None:
        if binding.choices is None:
            return None
        for item in names_in(binding.choices):
            if env.scope.value(item.text) is None:
                env.scope.symbols.add(item.text)
        value = self.evaluator(env, NOTHING).value(binding.choices)
        if isinstance(value, RangeValue):
            return value
        if isinstance(value, tuple) and value:
            return value
        raise DiagnosticError(
            error(
                "E0505",
                f"choices are a list or a range, not {kind_of(value)}",
                binding.choices.span,
            )
        )

    def _default(
        self, binding: ast.Binding, choices: tuple[Value, ...] | RangeValue | None, env: Env
    ) -> Value:
        if binding.default is not None:
            value = self.evaluator(env, NOTHING).value(binding.default)
            if choices is not None and not is_allowed(value, choices, value):
                raise DiagnosticError(
                    error(
                        "E0501",
                        f"the default of {binding.name.text}, {show(value)}, is none of its "
                        "choices",
                        binding.default.span,
                    )
                )
            return value
        if isinstance(choices, RangeValue):
            lecture = PATTERN.get(binding.name.text)
            usual = lecture[1] if lecture is not None else choices.start
            return usual if choices.holds(usual) else choices.start
        if choices is not None:
            return choices[0]
        raise DiagnosticError(
            error(
                "E0505",
                f"the parameter {binding.name.text} has no value",
                binding.span,
                helps=(f"write `{binding.name.text} = ..` or `{binding.name.text} in [..]`",),
            )
        )

    def free_count(self, name: ast.Name, env: Env) -> int | None:
        """Give the value of a repetition count N, M or K that nothing binds."""
        if name.text not in PATTERN:
            return None
        choices, default = PATTERN[name.text]
        default = self.fewer.get(name.text, default)
        known = self.params.get(name.text)
        if known is None:
            asked = self.given.get(name.text)
            value: Value = default
            if asked is not None:
                value = convert(asked.value, choices, default) if asked.is_text else asked.value
                if not choices.holds(value):
                    usual = Parameter(name.text, default, default, choices, "given", name.span)
                    self.params[name.text] = usual
                    binding = ast.Binding(name, span=name.span)
                    raise outside(name.text, asked, value, choices, default, binding)
            source = "pattern" if asked is None else "given"
            known = Parameter(name.text, value, default, choices, source, name.span)
            self.params[name.text] = known
        if known.source == "pattern":
            places = self.free.setdefault(name.text, [])
            if name.span not in places:
                places.append(name.span)
        assert isinstance(known.value, int)
        return known.value

    def choose(self, stem: str, least: int, most: int, *, usual: int, span: Span) -> Place:
        """Take a choice without a name, `POOL?` or `*1..5`, and record it.

        Its name is the stem and its number: `-p POOL.2=no`.
        """
        self.numbers[stem] += 1
        name = f"{stem}.{self.numbers[stem]}"
        place = Place(stem, least, most, usual)
        if not self.exploring:
            place.value = self._turns_at(name, place, span)
        self.open_places[-1].append(place)
        if not place.optional and name not in self.given and not self.exploring:
            text = f"*{least}..{most}"
            other = f"choose with `-p {name}={most}`"
            self.reports.add(
                note(
                    "N0002",
                    f"`{text}` is free here: using {place.value}",
                    span,
                    label="a choice",
                    helps=(other,),
                )
            )
        return place

    def _turns_at(self, name: str, place: Place, span: Span) -> int:
        """Give how many turns a place has: what was asked for, else the usual number."""
        choices: tuple[Value, ...] | RangeValue = RangeValue(place.least, place.most)
        default: Value = place.said(place.value)
        if place.optional:
            choices = (True, False)
        asked = self.given.get(name)
        value = default
        if asked is not None:
            value = convert(asked.value, choices, default) if asked.is_text else asked.value
            if not is_allowed(value, choices, default):
                binding = ast.Binding(ast.Name(name, span=span), span=span)
                raise outside(name, asked, value, choices, default, binding)
        source = "place" if asked is None else "given"
        self.params[name] = Parameter(name, value, default, choices, source, span)
        assert isinstance(value, int)
        return int(value)

    @contextmanager
    def within(self, place: Place | None) -> Iterator[None]:
        """Let choices made meanwhile belong to a turn of `place`."""
        if place is None:
            yield
            return
        place.turns.append([])
        self.open_places.append(place.turns[-1])
        try:
            yield
        finally:
            self.open_places.pop()

    def note_free(self) -> None:
        """Say which values the free counts have."""
        if not self.free:
            return
        names = sorted(self.free, key=lambda name: self.free[name][0])
        used = ", ".join(f"{name} = {show(self.params[name].value)}" for name in names)
        listed = f"{', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else names[0]
        first, *rest = [span for name in names for span in self.free[name]]
        example = names[0]
        choices = PATTERN[example][0]
        other = 3 if example == "N" else 2
        verb = "are" if len(names) > 1 else "is"
        short = tuple(
            f"{name} = {PATTERN[name][1]}, the lecture's, does not fit: {self.misfit}"
            for name in names
            if name in self.fewer and self.params[name].source == "pattern"
        )
        self.reports.add(
            note(
                "N0001",
                f"{listed} {verb} free here: using {used}",
                first,
                related=tuple(Label(s, caret=True) for s in rest if s.file == first.file),
                notes=short,
                helps=(
                    f"choose with `-p {example}={other}`, or write "
                    f"`where {example} in {choices} = {PATTERN[example][1]}`",
                ),
            )
        )

    def refuse_unknown(self) -> None:
        """Report values from outside that no parameter takes: E0502."""
        for name, asked in self.given.items():
            if name in self.params:
                continue
            close = nearest(name, self.params)
            listed = ", ".join(self.params)
            self.reports.add(
                error(
                    "E0502",
                    f"there is no parameter `{name}`, asked for with `{asked.asked}`",
                    notes=(f"parameters: {listed}" if listed else "there are no parameters",),
                    helps=(f"did you mean `{close[0]}`?",) if close else (),
                )
            )
