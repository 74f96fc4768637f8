"""Canonical forms of arithmetic; exact but for the sign of zero, unless "(rounded)" is said."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from cnndsl.ir.builder import Builder
from cnndsl.ir.graph import Graph, Value
from cnndsl.ir.rewrite import Match, Rule, is_shared, pattern, var
from cnndsl.ops.activations import relu, relu6
from cnndsl.ops.elementwise import add, div, emit_scalar, maximum, minimum, mul, neg, sub
from cnndsl.ops.softmax import log_softmax, softmax
from cnndsl.ops.structural import constant, full
from cnndsl.ops.unary import abs_, log, square

X, Y = var("x"), var("y")


def uniform_value(graph: Graph, value: Value) -> float | None:
    """Give the number that a constant holds everywhere; nothing for other values."""
    node = graph[value]
    if node.op is full:
        return float(node.attrs.value)
    if node.op is constant and node.type.size:
        array = node.attrs.array
        first = array.flat[0]
        return float(first) if bool((array == first).all()) else None
    return None


def _as_type(b: Builder, value: Value, match: Match) -> Value | None:
    """Give `value` where it has the type of the result: a constant may have broadcast it."""
    return value if b.type_of(value) == match.root.type else None


def _drop(number: float, *, only_second: bool = False) -> Callable[[Builder, Match], Value | None]:
    """Make a rule's action: where one operand is `number` everywhere, give the other."""

    def build(b: Builder, match: Match) -> Value | None:
        first, second = match.root.operands
        if uniform_value(b.graph, second) == number:
            return _as_type(b, first, match)
        if not only_second and uniform_value(b.graph, first) == number:
            return _as_type(b, second, match)
        return None

    return build


def _times_minus_one(b: Builder, match: Match) -> Value | None:
    for value, other in (match.root.operands, match.root.operands[::-1]):
        if uniform_value(b.graph, other) == -1 and _as_type(b, value, match) is not None:
            return b.emit(neg, value)
    return None


def _from_zero(b: Builder, match: Match) -> Value | None:
    first, second = match.root.operands
    if uniform_value(b.graph, first) == 0 and _as_type(b, second, match) is not None:
        return b.emit(neg, second)
    return None


def _divide_by_power_of_two(b: Builder, match: Match) -> Value | None:
    """The inverse of a power of two is exact, and so is multiplying by it."""
    x, divisor = match.root.operands
    number = uniform_value(b.graph, divisor)
    limits = np.finfo(match.root.type.dtype.value.replace("f", "float"))
    if number is None or not math.isfinite(number) or abs(math.frexp(number)[0]) != 0.5:
        return None
    tiny, huge = float(limits.tiny), float(limits.max)
    if not (tiny <= abs(1 / number) <= huge and tiny <= abs(number) <= huge):
        return None
    new = b.emit(mul, x, emit_scalar(b, 1 / number, x))
    return new if b.type_of(new) == match.root.type else None


def _scale_of_scale(b: Builder, match: Match) -> Value | None:
    """(x * c) * d is x * (c * d), computed in the precision of the graph, far from overflow."""
    outer = inner = None
    for value in match.root.operands:
        node = b.graph[value]
        number = uniform_value(b.graph, value)
        if number is not None:
            outer = number
        elif node.op is mul:
            inner = node
    if outer is None or inner is None or is_shared(b.graph, inner):
        return None
    for x, factor in (inner.operands, inner.operands[::-1]):
        number = uniform_value(b.graph, factor)
        if number is None or uniform_value(b.graph, x) is not None:
            continue
        if not all(1e-3 <= abs(each) <= 1e3 for each in (number, outer)):
            return None
        new = b.emit(mul, x, emit_scalar(b, outer * number, x))
        return new if b.type_of(new) == match.root.type else None
    return None


def _scalar_operand(b: Builder, match: Match) -> Value | None:
    """A constant that is one number everywhere is read as a scalar, if the type stays."""
    operands = list(match.root.operands)
    for index, value in enumerate(operands):
        number = uniform_value(b.graph, value)
        if number is None or b.type_of(value).rank == 0:
            continue
        others = [*operands[:index], *operands[index + 1 :]]
        if all(b.type_of(other) != match.root.type for other in others):
            continue
        operands[index] = emit_scalar(b, number, value)
    if tuple(operands) == match.root.operands:
        return None
    return b.emit(match.root.op, *operands, attrs=match.root.attrs)


def _subtract(b: Builder, match: Match) -> Value:
    return b.emit(sub, match.values["x"], match.values["y"])


def _add(b: Builder, match: Match) -> Value:
    return b.emit(add, match.values["x"], match.values["y"])


def _x(b: Builder, match: Match) -> Value:
    return match.values["x"]


def _abs(b: Builder, match: Match) -> Value:
    return b.emit(abs_, match.values["x"])


def _square(b: Builder, match: Match) -> Value:
    return b.emit(square, match.values["x"])


def _inner(b: Builder, match: Match) -> Value:
    return match.values["inner"]


def _log_softmax(b: Builder, match: Match) -> Value:
    return b.emit(log_softmax, match.values["x"], attrs=match.nodes["inner"].attrs)


ALGEBRA: tuple[Rule, ...] = (
    Rule("x + 0 is x", pattern(add, X, Y), _drop(0.0)),
    Rule("x - 0 is x", pattern(sub, X, Y), _drop(0.0, only_second=True)),
    Rule("0 - x is -x", pattern(sub, X, Y), _from_zero),
    Rule("x * 1 is x", pattern(mul, X, Y), _drop(1.0)),
    Rule("x / 1 is x", pattern(div, X, Y), _drop(1.0, only_second=True)),
    Rule("x * -1 is -x", pattern(mul, X, Y), _times_minus_one),
    Rule("-(-x) is x", pattern(neg, pattern(neg, X, shared=True)), _x),
    Rule("x + -y is x - y", pattern(add, X, pattern(neg, Y, shared=True)), _subtract),
    Rule("x - -y is x + y", pattern(sub, X, pattern(neg, Y, shared=True)), _add),
    Rule("|-x| is |x|", pattern(abs_, pattern(neg, X, shared=True)), _abs),
    Rule("||x|| is |x|", pattern(abs_, pattern(abs_, X, name="inner", shared=True)), _inner),
    Rule("(-x)^2 is x^2", pattern(square, pattern(neg, X, shared=True)), _square),
    Rule("|x|^2 is x^2", pattern(square, pattern(abs_, X, shared=True)), _square),
    *(
        Rule(
            "relu of what has no negatives",
            pattern(relu, pattern(op, X, name="inner", shared=True)),
            _inner,
        )
        for op in (relu, relu6, abs_)
    ),
    Rule("relu6 of relu6", pattern(relu6, pattern(relu6, X, name="inner", shared=True)), _inner),
    Rule("max(x, x) is x", pattern(maximum, X, X), _x),
    Rule("min(x, x) is x", pattern(minimum, X, X), _x),
    Rule("x / 2^n is x * 2^-n", pattern(div, X, Y), _divide_by_power_of_two),
    Rule("(x * c) * d is x * (c * d) (rounded)", pattern(mul, X, Y), _scale_of_scale),
    Rule(
        "log of softmax is log_softmax (rounded)",
        pattern(log, pattern(softmax, X, name="inner")),
        _log_softmax,
    ),
    *(
        Rule("a constant operand is a scalar", pattern(op, X, Y), _scalar_operand)
        for op in (add, sub, mul, div, maximum, minimum)
    ),
)
"""Rules for arithmetic, with which numbers and results they keep in their names."""
