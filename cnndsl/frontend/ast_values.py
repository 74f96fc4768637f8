"""The lower half of the syntax tree: expressions and words (see `frontend.ast`, which has all)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

from cnndsl.support.source import Span


@dataclass(frozen=True, slots=True)
class Syntax:
    """Base of every node of the tree."""

    span: Span = field(compare=False, repr=False, kw_only=True)
    """Where it stands."""


# ------------------------------------------------------------------ expressions


@dataclass(frozen=True, slots=True)
class Number(Syntax):
    """`64`, `5e-4`, `1_000`, `40%`, `35K`, `93MB`."""

    value: int | float
    """The value: 40% is 0.4, 35K is 35,000, KiB and MiB are binary."""
    text: str
    """As written."""


@dataclass(frozen=True, slots=True)
class Size(Syntax):
    """`11x11`, `7x7/2`, `227x227x3`, `?x28x28x81`."""

    dims: tuple[int | None, ...]
    """The numbers; nothing for `?`."""
    stride: int | None = None
    """The number after the slash."""


@dataclass(frozen=True, slots=True)
class String(Syntax):
    """A string in double quotes."""

    value: str
    """The text between the quotes."""


@dataclass(frozen=True, slots=True)
class Name(Syntax):
    """A name."""

    text: str
    """As written."""


@dataclass(frozen=True, slots=True)
class Boolean(Syntax):
    """`true` or `false`."""

    value: bool
    """Which."""


@dataclass(frozen=True, slots=True)
class Choose(Syntax):
    """`then if test else other`."""

    then: Expr
    test: Expr
    other: Expr


@dataclass(frozen=True, slots=True)
class Logic(Syntax):
    """Operands joined by `and` or by `or`."""

    operator: str
    """`and` or `or`."""
    operands: tuple[Expr, ...]


@dataclass(frozen=True, slots=True)
class Not(Syntax):
    """`not operand`."""

    operand: Expr


@dataclass(frozen=True, slots=True)
class Compare(Syntax):
    """`a < b <= c`: one more operand than operators."""

    operands: tuple[Expr, ...]
    operators: tuple[str, ...]
    """`==`, `!=`, `<`, `<=`, `>`, `>=`, in ASCII."""


@dataclass(frozen=True, slots=True)
class Member(Syntax):
    """`item in container`."""

    item: Expr
    container: Expr


@dataclass(frozen=True, slots=True)
class Interval(Syntax):
    """`start..stop by step`; both ends belong to it."""

    start: Expr
    stop: Expr
    step: Expr | None = None


@dataclass(frozen=True, slots=True)
class Arith(Syntax):
    """`left operator right` with one of `+ - * / % ^`."""

    operator: str
    left: Expr
    right: Expr


@dataclass(frozen=True, slots=True)
class Minus(Syntax):
    """`-operand`."""

    operand: Expr


@dataclass(frozen=True, slots=True)
class Attr(Syntax):
    """`target.name`."""

    target: Expr
    name: Name


@dataclass(frozen=True, slots=True)
class Index(Syntax):
    """`target[index]`."""

    target: Expr
    index: Expr


@dataclass(frozen=True, slots=True)
class Argument(Syntax):
    """One argument of a call, by position or by name."""

    name: Name | None
    value: Expr


@dataclass(frozen=True, slots=True)
class Apply(Syntax):
    """`target(arguments)` inside an expression."""

    target: Expr
    arguments: tuple[Argument, ...]


@dataclass(frozen=True, slots=True)
class ListExpr(Syntax):
    """`[a, b, c]`."""

    items: tuple[Expr, ...]


@dataclass(frozen=True, slots=True)
class MapExpr(Syntax):
    """`[key: value, ...]`."""

    pairs: tuple[tuple[Expr, Expr], ...]


Expr: TypeAlias = (
    Number
    | Size
    | String
    | Name
    | Boolean
    | Choose
    | Logic
    | Not
    | Compare
    | Member
    | Interval
    | Arith
    | Minus
    | Attr
    | Index
    | Apply
    | ListExpr
    | MapExpr
)

# ------------------------------------------------------------------ words


@dataclass(frozen=True, slots=True)
class Sized(Syntax):
    """`conv3-64`, `FC-4096`: a name, a hyphen and digits without space."""

    name: str
    number: int


@dataclass(frozen=True, slots=True)
class Dotted(Syntax):
    """`trunk.conv1`."""

    parts: tuple[Name, ...]


@dataclass(frozen=True, slots=True)
class Through(Syntax):
    """`CONV2..12`, `conv1..FC7`, `trunk.conv1..trunk.conv4`."""

    start: Name | Dotted
    stop: Name | Dotted | Number


@dataclass(frozen=True, slots=True)
class Call(Syntax):
    """`conv(4*c, 1x1, stride=2)`: the call form of a layer, block, net or imported file."""

    target: Name | Dotted
    arguments: tuple[Argument, ...]


@dataclass(frozen=True, slots=True)
class Indexed(Syntax):
    """`skip[i]`, `trunk.c[5]`, and also `input [H x W x 3]`, where the brackets hold a shape."""

    target: Name | Dotted
    index: tuple[Expr, ...] | ShapeLiteral


@dataclass(frozen=True, slots=True)
class Remark(Syntax):
    """`(class scores)`: means nothing."""

    text: str
    """With its parentheses."""


@dataclass(frozen=True, slots=True)
class ShapeLiteral(Syntax):
    """`[227x227x3]`, `[4096]`, `[H x W x 3]`, `[H/2 x W/2 x 2*k]`, `[7x7x?]`."""

    dims: tuple[int | str | Expr | None, ...]
    """A number, a name, arithmetic, or nothing for `?`."""


Word: TypeAlias = (
    Name
    | Sized
    | Dotted
    | Through
    | Call
    | Indexed
    | Number
    | Size
    | String
    | Remark
    | ShapeLiteral
)


@dataclass(frozen=True, slots=True)
class Words(Syntax):
    """An element or a label: words in a row, read by the registries."""

    items: tuple[Word, ...]
