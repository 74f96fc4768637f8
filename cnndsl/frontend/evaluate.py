"""Constant expressions: everything that is worked out while a program is read.

Whole numbers stay whole, `/` gives a whole number when it comes out whole, and every result is
bounded before it is computed, so that no expression can take long or much memory.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from cnndsl.frontend import ast
from cnndsl.frontend.closeness import instead
from cnndsl.frontend.figures import PLAIN, Counting, Verdict, figure_of
from cnndsl.frontend.values import (
    LARGEST,
    MapValue,
    RangeValue,
    ShapeValue,
    SizeValue,
    Symbol,
    Value,
    kind_of,
    same_value,
    show,
)
from cnndsl.support.diagnostics import DiagnosticError, error
from cnndsl.support.limits import DEFAULT_LIMITS, Limits
from cnndsl.support.source import Span
from cnndsl.support.suggest import nearest

MOST_EXPONENT = 63
"""Largest exponent of a power."""

Number = int | float


class Names(Protocol):
    """Where names get their values."""

    def value(self, name: str) -> Value | None:
        """Give the value of a name, or nothing."""

    def known(self) -> Collection[str]:
        """Give the names that have a value, for suggestions."""


def _no_names() -> Mapping[str, Callable[[], Value]]:
    return {}


@dataclass(frozen=True, slots=True)
class Evaluator:
    """Evaluates expressions with the names of one place in a program."""

    names: Names
    """What names mean here."""
    symbols: Collection[str] = ()
    """Names without a value that stand for themselves."""
    special: Mapping[str, Callable[[], Value]] = field(default_factory=_no_names)
    """Names whose value depends on the place: `shape`, `params`."""
    limits: Limits = DEFAULT_LIMITS
    """How much an expression may make."""
    measured: Callable[[ast.Attr], Value | None] | None = None
    """What gives `FC8.params` and the like, where layers may be asked about."""
    counting: Counting = PLAIN
    """What figures stand for."""

    def value(self, expr: ast.Expr) -> Value:
        """Evaluate; raises `DiagnosticError` E0208, E0505 or E0617."""
        match expr:
            case ast.Number(value=value):
                return self._bounded(value, expr.span)
            case ast.Size(dims=dims, stride=stride):
                return SizeValue(dims, stride)
            case ast.String(value=value):
                return value
            case ast.Boolean(value=value):
                return value
            case ast.Name():
                return self._name(expr)
            case ast.Choose():
                return self.value(expr.then if self.truth(expr.test) else expr.other)
            case ast.Logic():
                wanted = expr.operator == "or"
                return any(self.truth(e) for e in expr.operands) if wanted else self._all(expr)
            case ast.Not():
                return not self.truth(expr.operand)
            case ast.Compare():
                return self._compare(expr)
            case ast.Member():
                return self._member(expr)
            case ast.Interval():
                return self._interval(expr)
            case ast.Arith() | ast.Minus():
                return self._arithmetic(expr)
            case ast.Attr():
                return self._attribute(expr)
            case ast.Index():
                return self._index(expr)
            case ast.Apply():
                return self._apply(expr)
            case ast.ListExpr(items=items):
                self._count(len(items), expr.span)
                return tuple(self.value(item) for item in items)
            case ast.MapExpr(pairs=pairs):
                return MapValue(tuple((self.value(k), self.value(v)) for k, v in pairs))

    def truth(self, expr: ast.Expr) -> bool:
        """Evaluate a condition."""
        value = self.value(expr)
        if not isinstance(value, bool):
            raise _misfit(f"a condition is true or false, not {kind_of(value)}", expr.span)
        return value

    def number(self, expr: ast.Expr) -> Number:
        """Evaluate to a number."""
        return self._number(self.value(expr), expr.span)

    def whole(self, expr: ast.Expr, what: str) -> int:
        """Evaluate to a whole number; `what` names it in the message."""
        value = self.number(expr)
        if isinstance(value, float) and value.is_integer():
            return int(value)
        if isinstance(value, float):
            raise _misfit(f"{what} is a whole number, not {show(value)}", expr.span)
        return value

    def _all(self, expr: ast.Logic) -> bool:
        return all(self.truth(e) for e in expr.operands)

    def _name(self, expr: ast.Name) -> Value:
        found = self.names.value(expr.text)
        if found is not None:
            return found
        if expr.text in self.special:
            return self.special[expr.text]()
        if expr.text in self.symbols:
            return Symbol(expr.text)
        close = nearest(expr.text, [*self.names.known(), *self.special, *self.symbols])
        raise DiagnosticError(
            error(
                "E0208",
                f"`{expr.text}` has no value here",
                expr.span,
                label=f"did you mean `{close[0]}`?" if close else "not a name known here",
                fixes=instead(expr.span, close[0] if close else ""),
            )
        )

    def _compare(self, expr: ast.Compare) -> bool:
        left = self.value(expr.operands[0])
        for sign, operand in zip(expr.operators, expr.operands[1:], strict=True):
            right = self.value(operand)
            if sign == "~=":
                holds = self._about(*expr.operands)
            elif sign in ("==", "!="):
                holds = same_value(left, right) == (sign == "==")
            else:
                a = self._number(left, expr.operands[0].span)
                holds = bool(ORDERS[sign](a, self._number(right, operand.span)))
            if not holds:
                return False
            left = right
        return True

    def _about(self, left: ast.Expr, right: ast.Expr, *more: ast.Expr) -> bool:
        """Hold a number to a printed figure: `memory ~= 24M`."""
        shown, other = (right, left) if isinstance(right, ast.Number) else (left, right)
        if more or not isinstance(shown, ast.Number):
            raise _misfit("`~=` holds a value to one figure, as in `memory ~= 24M`", left.span)
        figure = figure_of(shown, counting=self.counting)
        return figure.judge(self.number(other)) is not Verdict.WRONG

    def _member(self, expr: ast.Member) -> bool:
        item, container = self.value(expr.item), self.value(expr.container)
        if isinstance(container, RangeValue):
            return container.holds(item)
        if isinstance(container, MapValue):
            return container.get(item) is not None
        if isinstance(container, tuple):
            return any(same_value(item, known) for known in container)
        raise _misfit(f"{kind_of(container)} holds nothing", expr.container.span)

    def _interval(self, expr: ast.Interval) -> RangeValue:
        start, stop = self.number(expr.start), self.number(expr.stop)
        step = None if expr.step is None else self.number(expr.step)
        if step == 0:
            raise _misfit("the step of a range is not 0", expr.span)
        found = RangeValue(start, stop, step)
        if found.is_whole:
            self._count(len(found), expr.span)
        return found

    def _arithmetic(self, expr: ast.Arith | ast.Minus) -> Number:
        if isinstance(expr, ast.Minus):
            return -self.number(expr.operand)
        a, b = self.number(expr.left), self.number(expr.right)
        match expr.operator:
            case "+":
                return self._bounded(a + b, expr.span)
            case "-":
                return self._bounded(a - b, expr.span)
            case "*":
                return self._bounded(a * b, expr.span)
            case "^":
                return self._power(a, b, expr.span)
        if b == 0:
            raise _misfit(f"{show(a)} cannot be divided by 0", expr.span)
        if expr.operator == "%":
            return self._bounded(a % b, expr.span)
        if isinstance(a, int) and isinstance(b, int) and a % b == 0:
            return a // b
        return self._bounded(a / b, expr.span)

    def _power(self, base: Number, exponent: Number, span: Span) -> Number:
        if abs(exponent) > MOST_EXPONENT:
            raise _too_large(f"an exponent is at most {MOST_EXPONENT}", span)
        if base < 0 and not isinstance(exponent, int):
            raise _misfit(f"{show(base)} has no power {show(exponent)}", span)
        if base == 0 and exponent < 0:
            raise _misfit("0 cannot be divided by", span)
        try:
            result: Number = base**exponent
        except OverflowError:
            raise _too_large("the result is too large", span) from None
        return self._bounded(result, span)

    def _attribute(self, expr: ast.Attr) -> Value:
        if self.measured is not None:
            found = self.measured(expr)
            if found is not None:
                return found
        target = self.value(expr.target)
        if isinstance(target, ShapeValue):
            length = target.axis(expr.name.text)
            if length is not None:
                return length
            has = "h, w and c" if len(target.size) == 3 else "c only: it is flat"
            raise _misfit(f"the size {target} has {has}", expr.name.span)
        raise _misfit(f"{kind_of(target)} has no `{expr.name.text}`", expr.span)

    def _index(self, expr: ast.Index) -> Value:
        target = self.value(expr.target)
        if isinstance(target, MapValue):
            key = self.value(expr.index)
            found = target.get(key)
            if found is None:
                keys = ", ".join(show(k) for k, _ in target.pairs[:20])
                raise _misfit(f"the map has no {show(key)}; it has {keys}", expr.index.span)
            return found
        if not isinstance(target, tuple):
            raise _misfit(f"{kind_of(target)} has no items", expr.target.span)
        index = self.whole(expr.index, "an index")
        if not 0 <= index < len(target):
            count = len(target)
            items = f"its items are 0 to {count - 1}" if count else "it is empty"
            raise _misfit(f"the list has no item {index}: {items}", expr.index.span)
        return target[index]

    def _apply(self, expr: ast.Apply) -> Value:
        name = expr.target.text if isinstance(expr.target, ast.Name) else ""
        function = FUNCTIONS.get(name)
        if function is None:
            close = nearest(name, FUNCTIONS)
            raise DiagnosticError(
                error(
                    "E0208",
                    f"there is no function `{name}`" if name else "this cannot be called",
                    expr.target.span,
                    label=f"did you mean `{close[0]}`?" if close else "not a function",
                    fixes=instead(expr.target.span, close[0] if close else ""),
                    notes=(f"functions: {', '.join(FUNCTIONS)}",),
                )
            )
        arguments = [self.value(a.value) for a in expr.arguments]
        if any(a.name is not None for a in expr.arguments):
            raise _misfit(f"the arguments of `{name}` have no names", expr.span)
        try:
            result = function(*arguments)
        except (TypeError, ValueError, OverflowError, ZeroDivisionError):
            given = ", ".join(map(show, arguments))
            raise _misfit(f"`{name}({given})` has no value", expr.span) from None
        return self._number(result, expr.span)

    def _number(self, value: Value, span: Span) -> Number:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise _misfit(f"a number belongs here, not {kind_of(value)}", span)
        return self._bounded(value, span)

    def _bounded(self, value: Number, span: Span) -> Number:
        if not -LARGEST <= value <= LARGEST:  # also refuses what is not a number
            raise _too_large("the result is larger than 2^53", span)
        return value

    def _count(self, items: int, span: Span) -> None:
        if items > self.limits.list_items:
            raise _too_large(
                f"a list has at most {self.limits.list_items:,} items, not {items:,}", span
            )


def _misfit(message: str, span: Span) -> DiagnosticError:
    return DiagnosticError(error("E0505", message, span))


def _too_large(message: str, span: Span) -> DiagnosticError:
    return DiagnosticError(error("E0617", message, span))


def _plain(values: tuple[Value, ...]) -> list[Number]:
    found: list[Number] = []
    for value in values:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise TypeError
        found.append(value)
    return found


def _items(values: tuple[Value, ...]) -> list[Number]:
    """Give the numbers of one list or range, or the arguments themselves."""
    if len(values) == 1 and isinstance(values[0], RangeValue):
        return list(values[0])
    if len(values) == 1 and isinstance(values[0], tuple):
        return _plain(values[0])
    return _plain(values)


def _round(*values: Value) -> Number:
    """Round half away from zero, as on paper."""
    (x,) = _plain(values)
    return int(math.copysign(math.floor(abs(x) + 0.5), x))


def _len(*values: Value) -> Number:
    (value,) = values
    if isinstance(value, MapValue):
        return len(value.pairs)
    if isinstance(value, tuple | RangeValue):
        return len(value)
    raise TypeError


def _real(function: Callable[[float], Number]) -> Callable[..., Number]:
    def call(*values: Value) -> Number:
        (x,) = _plain(values)
        return function(x)

    return call


ORDERS: Mapping[str, Callable[[Number, Number], object]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
"""Comparisons of numbers."""

FUNCTIONS: Mapping[str, Callable[..., Number]] = {
    "round": _round,
    "floor": _real(math.floor),
    "ceil": _real(math.ceil),
    "abs": _real(abs),
    "min": lambda *v: min(_items(v)),
    "max": lambda *v: max(_items(v)),
    "sum": lambda *v: sum(_items(v)),
    "len": _len,
    "sqrt": _real(math.sqrt),
    "log": _real(math.log),
    "log2": _real(lambda x: int(math.log2(x)) if math.log2(x).is_integer() else math.log2(x)),
    "log10": _real(math.log10),
    "exp": _real(math.exp),
}
"""Functions that expressions may call."""
