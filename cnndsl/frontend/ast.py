"""The syntax tree: one frozen dataclass per construct of the grammar, each with its span.

Spans and the layout of the source (comments, blank lines) take no part in comparison, so that
`parse(format(program)) == program`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

from cnndsl.support.source import SourceFile, Span


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
    """`[227x227x3]`, `[4096]`, `[H x W x 3]`, `[19 x 19 x k]`, `[7x7x?]`."""

    dims: tuple[int | str | None, ...]
    """A number, a name, or nothing for `?`."""


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


# ------------------------------------------------------------------ chains


@dataclass(frozen=True, slots=True)
class Section(Syntax):
    """`concat { .. }`, `train { .. }`, `data mnist { .. }`, a patch `alexnet { .. }`."""

    words: Words
    body: Body


@dataclass(frozen=True, slots=True)
class Branch(Syntax):
    """One branch of a parallel group, with its label if it has one."""

    label: Words | None
    chain: Chain


@dataclass(frozen=True, slots=True)
class Parallel(Syntax):
    """`(a | b)`; with one branch, plain grouping."""

    branches: tuple[Branch, ...]


@dataclass(frozen=True, slots=True)
class Bracket(Syntax):
    """`[CONV-RELU]`: plain grouping, as the slides write it."""

    chain: Chain


Element: TypeAlias = Words | Section | Parallel | Bracket


@dataclass(frozen=True, slots=True)
class CountRange(Syntax):
    """`*1..5`: a choice without a name."""

    start: int
    stop: int


@dataclass(frozen=True, slots=True)
class Times(Syntax):
    """`*3`, `*N`, `*(n-1)`, `*1..5`."""

    count: Expr | CountRange


@dataclass(frozen=True, slots=True)
class Maybe(Syntax):
    """`?`: a choice between leaving in and leaving out."""


@dataclass(frozen=True, slots=True)
class When(Syntax):
    """`if test` after an element."""

    test: Expr


@dataclass(frozen=True, slots=True)
class Alias(Syntax):
    """`as name`, `as c[i+2]`."""

    name: Name | Indexed


@dataclass(frozen=True, slots=True)
class Expects(Syntax):
    """`=> [55x55x96]`: the size must be this."""

    shape: ShapeLiteral
    remark: Remark | None = None


Postfix: TypeAlias = Times | Maybe | When | Alias | Expects


@dataclass(frozen=True, slots=True)
class Part(Syntax):
    """An element with what is written after it."""

    element: Element
    postfixes: tuple[Postfix, ...] = ()


@dataclass(frozen=True, slots=True)
class Chain(Syntax):
    """Parts in a row; `joints` are the separators between them."""

    parts: tuple[Part, ...]
    joints: tuple[str, ...]
    """`-`, `->` or `,`, one fewer than parts; a comma may join clauses to the layer before it."""


# ------------------------------------------------------------------ statements


@dataclass(frozen=True, slots=True)
class Binding(Syntax):
    """`name = value`, `name in choices = value`, `low <= name <= high`, or a bare formal."""

    name: Name
    choices: Expr | None = None
    """A list or interval (`0 <= K <= 2` gives the interval 0..2)."""
    default: Expr | None = None


@dataclass(frozen=True, slots=True)
class Import(Syntax):
    """`import "vgg.cnn" as vgg`."""

    path: String
    alias: Name | None


@dataclass(frozen=True, slots=True)
class Param(Syntax):
    """`param depth in [18, 34] = 18, classes = 1000`."""

    bindings: tuple[Binding, ...]


@dataclass(frozen=True, slots=True)
class Let(Syntax):
    """`let n = 3`."""

    name: Name
    value: Expr


@dataclass(frozen=True, slots=True)
class Block(Syntax):
    """`block name(formals) { .. }`."""

    name: Name
    formals: tuple[Binding, ...]
    body: Body


@dataclass(frozen=True, slots=True)
class Net(Syntax):
    """`net name(formals) { .. }`."""

    name: Name
    formals: tuple[Binding, ...]
    body: Body


@dataclass(frozen=True, slots=True)
class NetBinding(Syntax):
    """`net zfnet = alexnet { .. }`, `net trunk = vgg(v=D) until conv13`."""

    name: Name
    chain: Chain


@dataclass(frozen=True, slots=True)
class Repeat(Syntax):
    """`repeat i in 0..3 { .. } => [7x7x512]`."""

    variable: Name | None
    range: Expr
    """An interval, a list, or a number of turns."""
    body: Body
    expects: ShapeLiteral | None = None


@dataclass(frozen=True, slots=True)
class If(Syntax):
    """`if test { .. } else { .. }`."""

    test: Expr
    then: Body
    other: Body | If | None = None


@dataclass(frozen=True, slots=True)
class Assert(Syntax):
    """`assert params == 61_706 : "message"`."""

    test: Expr
    message: String | None = None


@dataclass(frozen=True, slots=True)
class Objective(Syntax):
    """`minimize expr`, `update G and F minimize expr`."""

    words: Words | None
    value: Expr


@dataclass(frozen=True, slots=True)
class Claim(Syntax):
    """`memory: 224*224*64 = 3.2M`, `params: 0 (not counting biases)`."""

    key: Name
    value: Expr
    rounded: Expr | None = None
    """What stands after `=`, which may be rounded."""
    remark: Remark | None = None


@dataclass(frozen=True, slots=True)
class Line(Syntax):
    """A line of a body: an optional leading size, an optional label, and a chain."""

    shape: ShapeLiteral | None
    """`[55x55x96]` before the line: the size must be this."""
    label: Words | None
    """What stands before the colon."""
    chain: Chain
    claims: tuple[Claim, ...] = ()
    where: tuple[Binding, ...] = ()


Statement: TypeAlias = (
    Import | Param | Let | Block | Net | NetBinding | Repeat | If | Assert | Objective | Line
)


@dataclass(frozen=True, slots=True)
class Body(Syntax):
    """Statements between braces."""

    statements: tuple[Statement, ...]


@dataclass(frozen=True, slots=True)
class Comment:
    """A comment, kept for the formatter."""

    text: str
    """With its `#` or `//`."""
    span: Span
    """Where it stands."""


@dataclass(frozen=True, slots=True)
class Program(Syntax):
    """A whole file."""

    statements: tuple[Statement, ...]
    source: SourceFile = field(compare=False, repr=False)
    """The file it was read from."""
    comments: tuple[Comment, ...] = field(default=(), compare=False, repr=False)
    """Every comment, in order."""
