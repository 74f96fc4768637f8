"""From tokens to the nodes of values: numbers, sizes, names, words and expressions.

The parser calls one method per rule of the grammar as it reduces it, bottom up, so that no depth
of nesting in the input becomes depth of calls. Tokens come as the parser's string tokens; this
module knows them only by the protocol `Token`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from decimal import Decimal
from functools import wraps
from typing import Any, ClassVar, Protocol, TypeAlias, TypeVar, cast

from cnndsl.frontend import ast
from cnndsl.support.diagnostics import DiagnosticError, error
from cnndsl.support.limits import DEFAULT_LIMITS, Limits
from cnndsl.support.source import SourceFile, Span

Children: TypeAlias = list[Any]
"""What a rule's method is given: nodes, tuples of nodes, punctuation tokens, None for an option
that is not there."""


class Token(Protocol):
    """What is used of a token of the parser."""

    type: str
    """Name of its terminal."""
    value: str
    """Its text."""
    line: int
    """Line of its first character, from 1."""
    column: int
    """Column of its first character, from 1."""
    end_line: int
    """Line of its end."""
    end_column: int
    """Column after its last character."""
    start_pos: int | None
    """Position of its first character in the text."""
    end_pos: int | None
    """Position after its last character in the text."""


Builder = TypeVar("Builder", bound="ValueBuilder")
Result = TypeVar("Result")


def rule(
    method: Callable[[Builder, Span, Children], Result],
) -> Callable[[Builder, Children], Result]:
    """Make a parser callback: convert leaf tokens to nodes and give the span of the whole."""

    @wraps(method)
    def callback(self: Builder, children: Children) -> Result:
        nodes = [self.leaf(c) if isinstance(c, str) else c for c in children]
        return method(self, self.span(nodes), nodes)

    return callback


SUFFIXES = {
    "%": Decimal("0.01"),
    "": Decimal(1),
    "B": Decimal(1),
    "K": Decimal(10**3),
    "M": Decimal(10**6),
    "G": Decimal(10**9),
    "T": Decimal(10**12),
    "Ki": Decimal(2**10),
    "Mi": Decimal(2**20),
    "Gi": Decimal(2**30),
    "Ti": Decimal(2**40),
}
"""What the letters after a number multiply it by; a `B` for bytes may follow them."""

OPERATORS = {
    "≤": "<=", "≥": ">=", "≠": "!=", "≈": "~=", "×": "*", "∗": "*", "–": "-", "—": "-", "−": "-",
}  # fmt: skip
"""ASCII form of the operators that slides print otherwise."""


def number_value(text: str) -> int | float:
    """Give the value of a number as the language writes it.

    >>> number_value("35K"), number_value("40%"), number_value("1_000"), number_value("5e-4")
    (35000, 0.4, 1000, 0.0005)
    """
    digits = text.replace("_", "").replace(",", "")
    body = digits.rstrip("%KMGTiB")
    suffix = digits[len(body) :]
    if not suffix:
        return int(body) if body.isdigit() else float(body)
    factor = SUFFIXES[suffix if suffix in SUFFIXES else suffix.removesuffix("B")]
    if "e" in body or "E" in body:
        return float(body) * float(factor)
    exact = Decimal(body) * factor
    return int(exact) if exact == exact.to_integral_value() and suffix != "%" else float(exact)


class ValueBuilder:
    """Builds leaves, words and expressions."""

    def __init__(self) -> None:
        """Build nodes for no file yet; the parser says which before it starts."""
        self.begin(SourceFile("<text>", ""), limits=DEFAULT_LIMITS)

    def begin(self, source: SourceFile, *, limits: Limits) -> None:
        """Build nodes whose spans point into `source` from now on."""
        self.source = source
        self.file = source.name
        self.limits = limits

    # -------------------------------------------------------------- spans and leaves

    def span(self, nodes: Sequence[Any]) -> Span:
        """Give the span from the first to the last of `nodes` that is there."""
        present = [n for n in nodes if n is not None and n != ()]
        if not present:
            return Span(self.file, 1, 1, 1, 1)
        first, last = present[0], present[-1]
        while isinstance(first, tuple):
            first = first[0]
        while isinstance(last, tuple):
            last = last[-1]
        if first is last:
            return self._place(first)
        start, end = self._place(first), self._place(last)
        return Span(self.file, start.line, start.column, end.end_line, end.end_column)

    def _place(self, node: Any) -> Span:
        if isinstance(node, str):
            return self.token_span(cast(Token, node))
        return cast(Span, node.span)

    def token_span(self, token: Token) -> Span:
        """Give the span of a token."""
        return Span(self.file, token.line, token.column, token.end_line, token.end_column)

    def leaf(self, text: str) -> object:
        """Turn a token that carries a value into its node; leave punctuation as it is."""
        token = cast(Token, text)
        make = self._LEAVES.get(token.type)
        return make(self, token) if make is not None else text

    def _number(self, token: Token) -> ast.Number:
        span = self.token_span(token)
        if sum(c.isdigit() for c in token.value) > self.limits.digits:
            raise self._too_long(span, "number", self.limits.digits, "digits")
        value = number_value(token.value)
        if isinstance(value, float) and not math.isfinite(value):
            raise DiagnosticError(
                error("E0616", "this number is larger than any that can be computed with", span)
            )
        return ast.Number(value, token.value, span=span)

    def _size(self, token: Token) -> ast.Size:
        span = self.token_span(token)
        body, _, stride = token.value.replace("×", "x").replace("X", "x").partition("/")
        dims = body.split("x")
        if max(map(len, [*dims, stride])) > self.limits.digits:
            raise self._too_long(span, "number", self.limits.digits, "digits")
        return ast.Size(
            tuple(None if d == "?" else int(d) for d in dims),
            int(stride) if stride else None,
            span=span,
        )

    def _string(self, token: Token) -> ast.String:
        span = self.token_span(token)
        if len(token.value) - 2 > self.limits.string_chars:
            raise self._too_long(span, "string", self.limits.string_chars, "characters")
        return ast.String(token.value[1:-1], span=span)

    def _name(self, token: Token) -> ast.Name:
        span = self.token_span(token)
        if len(token.value) > self.limits.name_chars:
            raise self._too_long(span, "name", self.limits.name_chars, "characters")
        return ast.Name(token.value, span=span)

    def _sized(self, token: Token) -> ast.Sized:
        span = self.token_span(token)
        name, _, digits = token.value.rpartition("-")
        if len(name) > self.limits.name_chars:
            raise self._too_long(span, "name", self.limits.name_chars, "characters")
        if len(digits) > self.limits.digits:
            raise self._too_long(span, "number", self.limits.digits, "digits")
        return ast.Sized(name, int(digits), span=span)

    def _remark(self, token: Token) -> ast.Remark:
        return ast.Remark(token.value.replace("×", "x"), span=self.token_span(token))

    _LEAVES: ClassVar[dict[str, Callable[[Any, Token], ast.Syntax]]] = {
        "NUMBER": _number,
        "THOUSANDS": _number,
        "DIMS": _size,
        "STRING": _string,
        "NAME": _name,
        "SIZED": _sized,
        "REMARK": _remark,
    }

    def _too_long(self, span: Span, what: str, limit: int, unit: str) -> DiagnosticError:
        return DiagnosticError(
            error("E0616", f"this {what} is too long; the limit is {limit} {unit}", span)
        )

    # -------------------------------------------------------------- words

    @rule
    def words(self, span: Span, items: Children) -> ast.Words:
        """`conv 96 11x11 filters at stride 4`."""
        return ast.Words(tuple(items), span=span)

    @rule
    def dotted(self, span: Span, nodes: Children) -> ast.Dotted:
        """`trunk.conv1`."""
        return ast.Dotted(tuple(nodes[::2]), span=span)

    @rule
    def through(self, span: Span, nodes: Children) -> ast.Through:
        """`CONV2..12`."""
        return ast.Through(nodes[0], nodes[2], span=span)

    @rule
    def call(self, span: Span, nodes: Children) -> ast.Call:
        """`conv(4*c, 1x1, stride=2)`."""
        return ast.Call(nodes[0], nodes[2] or (), span=span)

    @rule
    def indexed(self, span: Span, nodes: Children) -> ast.Indexed:
        """`skip[i]`, `input [224x224x3]`: a lone size is a shape."""
        target, *rest = nodes
        if isinstance(rest[0], ast.ShapeLiteral):
            return ast.Indexed(target, rest[0], span=span)
        items = tuple(rest[1:-1:2])
        if len(items) == 1 and isinstance(items[0], ast.Size) and items[0].stride is None:
            shape = ast.ShapeLiteral(items[0].dims, span=items[0].span)
            return ast.Indexed(target, shape, span=span)
        return ast.Indexed(target, items, span=span)

    @rule
    def args(self, span: Span, nodes: Children) -> tuple[ast.Argument, ...]:
        """Arguments of a call."""
        return tuple(
            n if isinstance(n, ast.Argument) else ast.Argument(None, n, span=n.span)
            for n in nodes
            if not isinstance(n, str)
        )

    @rule
    def keyword(self, span: Span, nodes: Children) -> ast.Argument:
        """`stride=2`."""
        return ast.Argument(nodes[0], nodes[2], span=span)

    @rule
    def shape(self, span: Span, nodes: Children) -> ast.ShapeLiteral:
        """`[227x227x3]`, `[4096]`, `[H x W x 3]`, `[7 x 7 x ?]`."""
        dims: list[int | str | ast.Expr | None] = []
        for node in nodes[1:-1]:
            if isinstance(node, ast.Size):
                if node.stride is not None:
                    raise self._not_a_size(node.span)
                dims.extend(node.dims)
            elif isinstance(node, ast.Number):
                if not isinstance(node.value, int):
                    raise self._not_a_size(node.span)
                dims.append(node.value)
            elif isinstance(node, ast.Name):
                dims.append(node.text)
            elif node == "?":
                dims.append(None)
            elif isinstance(node, ast.Syntax):
                dims.append(cast(ast.Expr, node))
        return ast.ShapeLiteral(tuple(dims), span=span)

    def _not_a_size(self, span: Span) -> DiagnosticError:
        return DiagnosticError(
            error(
                "E0107",
                "a size in brackets is made of whole numbers, names and `?`",
                span,
                label="not a whole number",
            )
        )

    # -------------------------------------------------------------- expressions

    @rule
    def choose(self, span: Span, nodes: Children) -> ast.Choose:
        """`3x3 if deep else 1x1`."""
        return ast.Choose(nodes[0], nodes[2], nodes[4], span=span)

    @rule
    def logic(self, span: Span, nodes: Children) -> ast.Logic:
        """Operands joined by `and` or by `or`."""
        return ast.Logic(str(nodes[1]), tuple(nodes[::2]), span=span)

    @rule
    def negation(self, span: Span, nodes: Children) -> ast.Not:
        """`not done`."""
        return ast.Not(nodes[1], span=span)

    @rule
    def compare(self, span: Span, nodes: Children) -> ast.Compare:
        """`0 <= K <= 2`."""
        signs = tuple(OPERATORS.get(str(n), str(n)) for n in nodes[1::2])
        return ast.Compare(tuple(nodes[::2]), signs, span=span)

    @rule
    def member(self, span: Span, nodes: Children) -> ast.Member:
        """`v in [C, D]`."""
        return ast.Member(nodes[0], nodes[2], span=span)

    @rule
    def within(self, span: Span, nodes: Children) -> ast.Member:
        """`i in 1..6` after a postfix `if`."""
        ends = ast.Interval(nodes[2], nodes[4], span=nodes[2].span.to(nodes[4].span))
        return ast.Member(nodes[0], ends, span=span)

    @rule
    def interval(self, span: Span, nodes: Children) -> ast.Interval:
        """`4..2 by -1`."""
        return ast.Interval(nodes[0], nodes[2], nodes[4], span=span)

    @rule
    def arith(self, span: Span, nodes: Children) -> ast.Arith:
        """`a + b` and the other operators of two operands."""
        sign = str(nodes[1])
        return ast.Arith(OPERATORS.get(sign, sign), nodes[0], nodes[2], span=span)

    @rule
    def minus(self, span: Span, nodes: Children) -> ast.Minus:
        """`-1`."""
        return ast.Minus(nodes[1], span=span)

    @rule
    def attr(self, span: Span, nodes: Children) -> ast.Attr:
        """`shape.c`."""
        return ast.Attr(nodes[0], nodes[2], span=span)

    @rule
    def subscript(self, span: Span, nodes: Children) -> ast.Index:
        """`width[i]`."""
        return ast.Index(nodes[0], nodes[2], span=span)

    @rule
    def apply(self, span: Span, nodes: Children) -> ast.Apply:
        """`round(alpha * 32)`."""
        return ast.Apply(nodes[0], nodes[2] or (), span=span)

    @rule
    def truth(self, span: Span, nodes: Children) -> ast.Boolean:
        """`true` or `false`."""
        return ast.Boolean(nodes[0] == "true", span=span)

    @rule
    def paren(self, span: Span, nodes: Children) -> object:
        """`(a + b)`: the inner node, with the parentheses in its span."""
        return replace(nodes[1], span=span)

    @rule
    def listing(self, span: Span, nodes: Children) -> ast.ListExpr:
        """`[64, 128, 256]`."""
        items = tuple(n for n in nodes if n is not None and not isinstance(n, str))
        return ast.ListExpr(items, span=span)

    @rule
    def mapping(self, span: Span, nodes: Children) -> ast.MapExpr:
        """`[18: [2, 2], 34: [3, 4]]`."""
        return ast.MapExpr(tuple(n for n in nodes if isinstance(n, tuple)), span=span)

    @rule
    def pair(self, span: Span, nodes: Children) -> tuple[Any, Any]:
        """`18: [2, 2]`."""
        return nodes[0], nodes[2]
