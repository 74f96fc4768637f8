"""From reduced rules to the nodes of chains and statements (see `frontend.ast`)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

from cnndsl.frontend import ast
from cnndsl.frontend.habits import WORDS, foreign_word
from cnndsl.frontend.tree_values import OPERATORS, Children, Token, ValueBuilder, rule
from cnndsl.support.diagnostics import DiagnosticError, Label, error
from cnndsl.support.source import Span

JOINTS = {"->": "->", "→": "->", ",": ","}
"""ASCII form of what joins two parts; everything else is a dash."""

BEFORE_NUMBER = ("at",)
"""First words of a label that may hold a number: `at 10: lr 1e-4`."""


class TreeBuilder(ValueBuilder):
    """One method per rule of grammars/cnn.lark; the parser calls them as it reduces."""

    # -------------------------------------------------------------- chains

    @rule
    def section(self, span: Span, nodes: Children) -> ast.Section:
        """`concat { .. }`."""
        return ast.Section(nodes[0], nodes[1], span=span)

    @rule
    def parallel(self, span: Span, nodes: Children) -> ast.Parallel:
        """`(a | b)`."""
        return ast.Parallel(tuple(nodes[1:-1:2]), span=span)

    @rule
    def group(self, span: Span, nodes: Children) -> ast.Bracket:
        """`[CONV-RELU]`."""
        return ast.Bracket(nodes[1], span=span)

    @rule
    def labelled_branch(self, span: Span, nodes: Children) -> ast.Branch:
        """`score: conv 3 1x1`."""
        self._check_label(nodes[0], self.token_span(nodes[1]), nodes[2])
        return ast.Branch(nodes[0], nodes[2], span=span)

    @rule
    def plain_branch(self, span: Span, nodes: Children) -> ast.Branch:
        """`conv 3 1x1 - relu`."""
        return ast.Branch(None, nodes[0], span=span)

    @rule
    def chain(self, span: Span, nodes: Children) -> ast.Chain:
        """`conv 64 3x3 - relu`."""
        joints = tuple(JOINTS.get(str(n), "-") for n in nodes[1::2])
        return ast.Chain(tuple(nodes[::2]), joints, span=span)

    @rule
    def part(self, span: Span, nodes: Children) -> ast.Part:
        """An element and what is written after it."""
        return ast.Part(nodes[0], tuple(nodes[1:]), span=span)

    @rule
    def times(self, span: Span, nodes: Children) -> ast.Times:
        """`*3`, `*N`, `*(n-1)`, `*1..5`."""
        if len(nodes) == 2:
            return ast.Times(nodes[1], span=span)
        if isinstance(nodes[1], str):
            return ast.Times(nodes[2], span=span)
        start, stop = (self._whole(n) for n in nodes[1::2])
        ends = ast.CountRange(start, stop, span=nodes[1].span.to(nodes[3].span))
        return ast.Times(ends, span=span)

    def _whole(self, number: ast.Number) -> int:
        if isinstance(number.value, int):
            return number.value
        raise DiagnosticError(
            error(
                "E0107",
                f"a number of turns is a whole number, and `{number.text}` is not one",
                number.span,
            )
        )

    @rule
    def maybe(self, span: Span, nodes: Children) -> ast.Maybe:
        """`?`."""
        return ast.Maybe(span=span)

    @rule
    def when(self, span: Span, nodes: Children) -> ast.When:
        """`if depth >= 50`."""
        return ast.When(nodes[1], span=span)

    @rule
    def alias(self, span: Span, nodes: Children) -> ast.Alias:
        """`as c[i]`."""
        return ast.Alias(nodes[1], span=span)

    @rule
    def expects(self, span: Span, nodes: Children) -> ast.Expects:
        """`=> [55x55x96] (probability map)`."""
        return ast.Expects(nodes[1], nodes[2], span=span)

    # -------------------------------------------------------------- lines

    @rule
    def plain(self, span: Span, nodes: Children) -> ast.Line:
        """A chain."""
        return ast.Line(None, None, nodes[0], (), nodes[1] or (), span=span)

    @rule
    def shaped(self, span: Span, nodes: Children) -> ast.Line:
        """`[227x227x3] INPUT`."""
        shape = self._leading(nodes[0], nodes[1])
        return ast.Line(shape, None, nodes[1], (), nodes[2] or (), span=span)

    @rule
    def labelled(self, span: Span, nodes: Children) -> ast.Line:
        """`[55x55x96] CONV1: 96 11x11 filters at stride 4`."""
        shape, label, colon, chain, claims, where = nodes
        if shape is not None:
            shape = self._leading(shape, label)
        self._check_label(label, self.token_span(colon), chain)
        if claims:
            chain, claims = self._move_key(chain, claims)
        return ast.Line(shape, label, chain, claims or (), where or (), span=span)

    def _leading(self, shape: Any, after: ast.Words | ast.Chain) -> ast.ShapeLiteral:
        """The size before a line; `[classes]` was read as a group and is a name alone."""
        if isinstance(shape, ast.ShapeLiteral):
            return shape
        match shape.chain.parts:
            case (ast.Part(ast.Words((ast.Name(text=name),)), ()),):
                return ast.ShapeLiteral((name,), span=shape.span)
        first: Any = after.items[0] if isinstance(after, ast.Words) else after.parts[0].element
        while isinstance(first, ast.Section | ast.Words):
            first = first.words if isinstance(first, ast.Section) else first.items[0]
        if isinstance(first, ast.Parallel | ast.Bracket):
            first = replace(
                first,
                span=replace(
                    first.span, end_line=first.span.line, end_column=first.span.column + 1
                ),
            )
        found, before = self.source.cut(first.span), self.source.cut(shape.span)
        before = before if len(before) <= 40 and "\n" not in before else "..]"
        raise DiagnosticError(
            error(
                "E0110",
                f"nothing joins `{found}` to what stands before it",
                first.span,
                label="expected `->`",
                helps=(f"write `{before} -> {found}`",),
            )
        )

    def _check_label(self, label: ast.Words, colon: Span, chain: ast.Chain) -> None:
        head = label.items[0]
        numbers = isinstance(head, ast.Name) and head.text in BEFORE_NUMBER
        kinds = (ast.Name, ast.Sized, ast.Dotted, ast.Through, ast.Indexed)
        for word in label.items:
            if isinstance(word, kinds) and not (
                isinstance(word, ast.Indexed) and isinstance(word.index, ast.ShapeLiteral)
            ):
                continue
            if not (numbers and isinstance(word, ast.Number)):
                if isinstance(head, ast.Name) and head.text in WORDS:
                    raise DiagnosticError(foreign_word(head.text, head.span))
                after = self.source.cut(chain.parts[0].span)
                before = self.source.cut(label.span)
                raise self._bad_label(
                    label.span,
                    colon,
                    f"for a sequence write `{before} -> {after}`",
                    f"for a name write `{before[0].lower()}1: {before} {after}`",
                )

    def _bad_label(self, label: Span, colon: Span, *helps: str) -> DiagnosticError:
        return DiagnosticError(
            error(
                "E0106",
                f"`{self.source.cut(label)}` cannot be a label",
                colon,
                label="what stands before a colon is a name",
                related=(Label(label),),
                helps=helps,
            )
        )

    def _move_key(
        self, chain: ast.Chain, claims: tuple[ast.Claim, ...]
    ) -> tuple[ast.Chain, tuple[ast.Claim, ...]]:
        """The first key of the claims was read as the last word of the chain; move it."""
        *before, last = chain.parts
        words = last.element
        if not isinstance(words, ast.Words) or last.postfixes or len(words.items) < 2:
            raise self._bad_label(last.span, claims[0].key.span)
        *items, key = words.items
        if not isinstance(key, ast.Name):
            raise self._bad_label(words.span, claims[0].key.span)
        kept = ast.Words(tuple(items), span=items[0].span.to(items[-1].span))
        part = ast.Part(kept, span=kept.span)
        moved = replace(claims[0], key=key, span=key.span.to(claims[0].span))
        return (
            ast.Chain((*before, part), chain.joints, span=chain.span.to(kept.span)),
            (moved, *claims[1:]),
        )

    @rule
    def claims(self, span: Span, nodes: Children) -> tuple[ast.Claim, ...]:
        """`: 224*224*64 = 3.2M params: 0`; the first claim gets its key later."""
        colon = cast(Token, nodes[0])
        first = replace(nodes[1], key=ast.Name("", span=self.token_span(colon)))
        rest = [
            replace(claim, key=key, span=key.span.to(claim.span))
            for key, claim in zip(nodes[2::3], nodes[4::3], strict=True)
        ]
        return (first, *rest)

    @rule
    def claim(self, span: Span, nodes: Children) -> ast.Claim:
        """`224*224*64 = 3.2M`."""
        value, _, rounded, remark = nodes
        return ast.Claim(ast.Name("", span=span), value, rounded, remark, span=span)

    @rule
    def where(self, span: Span, nodes: Children) -> tuple[ast.Binding, ...]:
        """`where N in 1..5 = 2, 0 <= K <= 2`."""
        return cast("tuple[ast.Binding, ...]", nodes[1])

    @rule
    def bindings(self, span: Span, nodes: Children) -> tuple[ast.Binding, ...]:
        """`a = 1, b in 1..5`."""
        return tuple(nodes[::2])

    @rule
    def required(self, span: Span, nodes: Children) -> ast.Binding:
        """A formal without a default."""
        return ast.Binding(nodes[0], span=span)

    @rule
    def default(self, span: Span, nodes: Children) -> ast.Binding:
        """`stride = 1`."""
        return ast.Binding(nodes[0], default=nodes[2], span=span)

    @rule
    def choice(self, span: Span, nodes: Children) -> ast.Binding:
        """`depth in [18, 34] = 18`."""
        return ast.Binding(nodes[0], nodes[2], nodes[4], span=span)

    @rule
    def bounds(self, span: Span, nodes: Children) -> ast.Binding:
        """`0 <= K <= 2`."""
        low, less, name, less_again, high = nodes
        for sign in (less, less_again):
            if OPERATORS.get(sign, sign) != "<=":
                raise DiagnosticError(
                    error(
                        "E0107",
                        f"bounds are written `low <= {name.text} <= high`",
                        self.token_span(sign),
                    )
                )
        ends = ast.Interval(low, high, span=span)
        return ast.Binding(name, ends, span=span)

    # -------------------------------------------------------------- statements

    @rule
    def import_stmt(self, span: Span, nodes: Children) -> ast.Import:
        """`import "vgg.cnn" as vgg`."""
        return ast.Import(nodes[1], nodes[3], span=span)

    @rule
    def param_stmt(self, span: Span, nodes: Children) -> ast.Param:
        """`param depth in [18, 34] = 18`."""
        return ast.Param(nodes[1], span=span)

    @rule
    def let_stmt(self, span: Span, nodes: Children) -> ast.Let:
        """`let n = 3`."""
        return ast.Let(nodes[1], nodes[3], span=span)

    @rule
    def formals(self, span: Span, nodes: Children) -> tuple[ast.Binding, ...]:
        """`(c, stride=1)`."""
        formals = (n for n in nodes if n is not None and not isinstance(n, str))
        return tuple(ast.Binding(n, span=n.span) if isinstance(n, ast.Name) else n for n in formals)

    @rule
    def block_def(self, span: Span, nodes: Children) -> ast.Block:
        """`block name(formals) { .. }`."""
        return ast.Block(nodes[1], nodes[2] or (), nodes[3], span=span)

    @rule
    def net_def(self, span: Span, nodes: Children) -> ast.Net:
        """`net name(formals) { .. }`."""
        return ast.Net(nodes[1], nodes[2] or (), nodes[3], span=span)

    @rule
    def net_bind(self, span: Span, nodes: Children) -> ast.NetBinding:
        """`net trunk = vgg(v=D) until conv13`."""
        return ast.NetBinding(nodes[1], nodes[3], span=span)

    @rule
    def repeat_stmt(self, span: Span, nodes: Children) -> ast.Repeat:
        """`repeat i in 0..3 { .. } => [7x7x512]`."""
        _, variable, _, turns, body, _, shape = nodes
        return ast.Repeat(variable, turns, body, shape, span=span)

    @rule
    def if_stmt(self, span: Span, nodes: Children) -> ast.If:
        """`if test { .. } else { .. }`."""
        _, test, then, _, other = nodes
        return ast.If(test, then, other, span=span)

    @rule
    def assert_stmt(self, span: Span, nodes: Children) -> ast.Assert:
        """`assert params == 61_706`."""
        return ast.Assert(nodes[1], nodes[3], span=span)

    @rule
    def objective(self, span: Span, nodes: Children) -> ast.Objective:
        """`update D minimize bce(D(x), 1)`."""
        return ast.Objective(nodes[0], nodes[2], span=span)

    @rule
    def body(self, span: Span, nodes: Children) -> ast.Body:
        """`{ .. }`."""
        return ast.Body(self._statements(nodes), span=span)

    @rule
    def start(self, span: Span, nodes: Children) -> tuple[ast.Statement, ...]:
        """A whole file."""
        return self._statements(nodes)

    def _statements(self, nodes: Children) -> tuple[Any, ...]:
        return tuple(n for n in nodes if not isinstance(n, str))
