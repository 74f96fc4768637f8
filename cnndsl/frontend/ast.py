"""The syntax tree: one frozen dataclass per construct of the grammar, each with its span.

Spans and the layout of the source (comments, blank lines) take no part in comparison, so that
`parse(format(program)) == program`.

Expressions and words are defined in `frontend.ast_values`; this module gives all of them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

from cnndsl.frontend.ast_values import Apply as Apply
from cnndsl.frontend.ast_values import Argument as Argument
from cnndsl.frontend.ast_values import Arith as Arith
from cnndsl.frontend.ast_values import Attr as Attr
from cnndsl.frontend.ast_values import Boolean as Boolean
from cnndsl.frontend.ast_values import Call as Call
from cnndsl.frontend.ast_values import Choose as Choose
from cnndsl.frontend.ast_values import Compare as Compare
from cnndsl.frontend.ast_values import Dotted as Dotted
from cnndsl.frontend.ast_values import Expr as Expr
from cnndsl.frontend.ast_values import Index as Index
from cnndsl.frontend.ast_values import Indexed as Indexed
from cnndsl.frontend.ast_values import Interval as Interval
from cnndsl.frontend.ast_values import ListExpr as ListExpr
from cnndsl.frontend.ast_values import Logic as Logic
from cnndsl.frontend.ast_values import MapExpr as MapExpr
from cnndsl.frontend.ast_values import Member as Member
from cnndsl.frontend.ast_values import Minus as Minus
from cnndsl.frontend.ast_values import Name as Name
from cnndsl.frontend.ast_values import Not as Not
from cnndsl.frontend.ast_values import Number as Number
from cnndsl.frontend.ast_values import Remark as Remark
from cnndsl.frontend.ast_values import ShapeLiteral as ShapeLiteral
from cnndsl.frontend.ast_values import Size as Size
from cnndsl.frontend.ast_values import Sized as Sized
from cnndsl.frontend.ast_values import String as String
from cnndsl.frontend.ast_values import Syntax as Syntax
from cnndsl.frontend.ast_values import Through as Through
from cnndsl.frontend.ast_values import Word as Word
from cnndsl.frontend.ast_values import Words as Words
from cnndsl.support.source import SourceFile, Span

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
