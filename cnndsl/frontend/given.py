"""Values from outside: read as their parameter takes them, and held to its choices."""

from __future__ import annotations

from dataclasses import dataclass

from cnndsl.frontend import ast
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
from cnndsl.support.diagnostics import DiagnosticError, error
from cnndsl.support.suggest import nearest


@dataclass(frozen=True, slots=True)
class Given:
    """A value from outside: the command line, a caller, the arguments of an import."""

    value: Value
    """The value; text of the command line is converted when the parameter is known."""
    is_text: bool
    """Whether it is text of the command line."""
    asked: str
    """How it was asked for: "-p depth=51", "resnet(depth=51)"."""


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
    if text.casefold() in ("yes", "no") and isinstance(default, bool):
        return text.casefold() == "yes"
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


def is_allowed(
    value: Value, choices: tuple[Value, ...] | RangeValue | None, default: Value
) -> bool:
    """Tell whether a parameter may have a value: one of its choices, or like its default."""
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


def names_in(expr: ast.Expr) -> list[ast.Name]:
    """Give the names among listed choices: `[A, B, C]`."""
    return (
        [i for i in expr.items if isinstance(i, ast.Name)] if isinstance(expr, ast.ListExpr) else []
    )


def outside(
    name: str,
    asked: Given,
    value: Value,
    choices: tuple[Value, ...] | RangeValue | None,
    default: Value,
    binding: ast.Binding,
) -> DiagnosticError:
    """Say that a value from outside is none of the choices: E0501."""
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
