"""Parameters: `param`, `where`, and the pattern notation's free counts N, M and K."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from cnndsl.frontend import ast
from cnndsl.frontend.core import Env
from cnndsl.frontend.naming import Naming
from cnndsl.frontend.scope import NOTHING
from cnndsl.frontend.values import (
    MapValue,
    RangeValue,
    SizeValue,
    Symbol,
    Value,
    kind_of,
    same_value,
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
    """Who said the value: "default", "given", "where" (its default), "pattern" (the lecture's)."""
    span: Span | None = field(default=None, compare=False)
    """Where it is declared."""


@dataclass(frozen=True, slots=True)
class Given:
    """A value from outside: the command line, a caller, the arguments of an import."""

    value: Value
    """The value; text of the command line is converted when the parameter is known."""
    is_text: bool
    """Whether it is text of the command line."""
    asked: str
    """How it was asked for: "-p depth=51", "resnet(depth=51)"."""


class Params(Naming):
    """Elaborates parameters."""

    def __init__(self, limits: Limits) -> None:
        """Elaborate within `limits`."""
        super().__init__(limits)
        self.given: dict[str, Given] = {}
        self.params: dict[str, Parameter] = {}
        self.free: dict[str, list[Span]] = {}

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
        if not _allowed(value, choices, default):
            raise _outside(name, asked, value, choices, default, binding)
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
        for item in _names_in(binding.choices):
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
            if choices is not None and not _allowed(value, choices, value):
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
                    raise _outside(name.text, asked, value, choices, default, binding)
            source = "pattern" if asked is None else "given"
            known = Parameter(name.text, value, default, choices, source, name.span)
            self.params[name.text] = known
        if known.source == "pattern":
            places = self.free.setdefault(name.text, [])
            if name.span not in places:
                places.append(name.span)
        assert isinstance(known.value, int)
        return known.value

    def choose(self, text: str, value: int, span: Span) -> int:
        """Record a choice without a name, `POOL?` or `*1..5`, and give its value."""
        if text != "?":
            self.reports.add(
                note("N0002", f"`{text}` is free here: using {value}", span, label="a choice")
            )
        return value

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
        self.reports.add(
            note(
                "N0001",
                f"{listed} {verb} free here: using {used}",
                first,
                related=tuple(Label(s, caret=True) for s in rest if s.file == first.file),
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


def convert(value: Value, choices: tuple[Value, ...] | RangeValue | None, default: Value) -> Value:
    """Read the text of the command line as the choices and the default suggest.

    >>> convert("50", (18, 50), 18), convert("D", None, Symbol("A")), convert("0.5", None, 1.0)
    (50, 'D', 0.5)
    """
    text = str(value).strip()
    if isinstance(choices, tuple):
        for choice in choices:
            if show(choice).strip('"') == text:
                return choice
    if text.casefold() in ("true", "false"):
        return text.casefold() == "true"
    found = _read_number(text)
    if found is not None:
        return found
    sides = text.casefold().replace("×", "x").split("x")
    if len(sides) > 1 and all(side.isdigit() and len(side) < 10 for side in sides):
        return SizeValue(tuple(map(int, sides)))
    return text if isinstance(default, str) and not isinstance(default, Symbol) else Symbol(text)


def _read_number(text: str) -> int | float | None:
    try:
        found = float(text.rstrip("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        return None
    digits = text.lstrip("+-").replace("_", "")
    if digits.isdigit() and len(digits) <= 15:
        return int(text)
    return found if abs(found) < 1e18 else None


def _allowed(value: Value, choices: tuple[Value, ...] | RangeValue | None, default: Value) -> bool:
    if isinstance(choices, RangeValue):
        return choices.holds(value)
    if isinstance(choices, tuple):
        return any(same_value(value, choice) for choice in choices)
    numbers = isinstance(default, int | float) and not isinstance(default, bool)
    if numbers:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if isinstance(default, bool | SizeValue | tuple | MapValue):
        return isinstance(value, type(default))
    return True


def _names_in(expr: ast.Expr) -> list[ast.Name]:
    return (
        [i for i in expr.items if isinstance(i, ast.Name)] if isinstance(expr, ast.ListExpr) else []
    )


def _outside(
    name: str,
    asked: Given,
    value: Value,
    choices: tuple[Value, ...] | RangeValue | None,
    default: Value,
    binding: ast.Binding,
) -> DiagnosticError:
    span = binding.span if binding.choices is None else binding.choices.span
    label = "it is one of these"
    if isinstance(choices, RangeValue):
        label = "it lies in this range" if binding.choices else f"it lies in {choices}"
    if choices is None:
        label = f"like its default, {kind_of(default)}"
    return DiagnosticError(
        error(
            "E0501",
            f"{name} = {show(value)} was asked for with `{asked.asked}`",
            span,
            label=label,
            helps=_closest(value, choices),
        )
    )


def _closest(value: Value, choices: tuple[Value, ...] | RangeValue | None) -> tuple[str, ...]:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if isinstance(choices, RangeValue) and number and not isinstance(value, str):
        assert isinstance(value, int | float)
        ends = sorted((choices.start, choices.stop))
        return (f"the closest is {show(min(ends, key=lambda end: abs(end - value)))}",)
    if not isinstance(choices, tuple):
        return ()
    numbers = [c for c in choices if isinstance(c, int | float) and not isinstance(c, bool)]
    if number and numbers:
        assert isinstance(value, int | float)
        return (f"the closest is {show(min(numbers, key=lambda c: abs(c - value)))}",)
    close = nearest(str(value), [show(c) for c in choices])
    return (f"did you mean `{close[0]}`?",) if close else ()
