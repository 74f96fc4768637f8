"""The words of a layer: which of its settings each of them is (language.md, "Words").

In order: a clause word takes its value; a bound name is its value, or its stream; an activation
comes after the layer; bare values go by the layer's own order; fillers mean nothing; anything else
is an error with the nearest word.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from cnndsl.frontend import ast
from cnndsl.frontend.heads import FILLERS, LayerHead, find_head
from cnndsl.frontend.here import Here, no_stream
from cnndsl.frontend.readings import Reading, read_setting, serves, wanted
from cnndsl.frontend.strangers import means_a_word, refuse_later, stranger
from cnndsl.frontend.values import SizeValue, Symbol, Value, kind_of
from cnndsl.layers.base import MOST_WORDS, Clause, LayerKind, Takes, find_layer
from cnndsl.support.diagnostics import DiagnosticError, error
from cnndsl.support.source import Span


@dataclass(slots=True)
class WordReader:
    """Reads the words behind a head into the settings of its kind."""

    here: Here
    """What names mean here."""
    items: Sequence[ast.Word]
    """The words of the element, its head included."""
    reading: Reading
    """What was found so far."""
    at: int = 0
    """The next word."""
    labelled: bool = False
    """Whether the head is the label, so that a size in brackets is an assertion."""
    current: Reading = field(init=False)
    """What bare values go to: the layer, or the activation that follows it."""

    def __post_init__(self) -> None:
        self.current = self.reading

    def read(self) -> Reading:
        """Read all words; raises `DiagnosticError` E0201 to E0207."""
        while self.at < len(self.items):
            item = self.items[self.at]
            match item:
                case ast.Remark():
                    self.at += 1
                case ast.Number() | ast.Size():
                    self.at += 1
                    self._bare(self.here.evaluator.value(item), item.span)
                case ast.ShapeLiteral():
                    self.at += 1
                    self._shape(item)
                case ast.Name():
                    self._name(item)
                case ast.Indexed() | ast.Dotted():
                    self._reference(item)
                case ast.Call() if self._is_function(item):
                    self.at += 1
                    expr = ast.Apply(_target(item.target), item.arguments, span=item.span)
                    self._bare(self.here.evaluator.value(expr), item.span)
                case _:
                    raise stranger(self.here, self.reading, self.items[self.at :])
        return self.reading

    def arguments(self, arguments: Sequence[ast.Argument]) -> None:
        """Read the arguments of the call form."""
        for argument in arguments:
            if argument.name is None:
                self._positional(argument.value)
            else:
                self._named(argument.name, argument.value)

    def index(self, index: tuple[ast.Expr, ...] | ast.ShapeLiteral) -> None:
        """Read what stands in brackets behind the head: `reshape [7x7x30]`."""
        clause = next((c for c in self.reading.kind.clauses if c.takes is Takes.SHAPE), None)
        span = index.span if isinstance(index, ast.ShapeLiteral) else index[0].span
        if clause is None:
            raise DiagnosticError(
                error(
                    "E0204",
                    f"`{self.reading.kind.name}` has no size in brackets",
                    span,
                    label="unexpected",
                )
            )
        self._give(self.reading, clause, self.here.shape(index), span)

    def _name(self, item: ast.Name) -> None:
        texts = self._texts()
        if self._clause(self.current, texts, item) or (
            self.current is not self.reading and self._clause(self.reading, texts, item)
        ):
            return
        value = self.here.scope.value(item.text)
        if value is not None:
            self.at += 1
            self._bound(value, item.span)
            return
        if self._takes_stream() and self._is_stream(item.text):
            self._reference(item)
            return
        if self._activation(texts, item):
            return
        if item.text.casefold() in FILLERS:
            self.at += 1
            return
        if self._takes_stream() and not means_a_word(self.reading.kind, item.text):
            raise no_stream(self.here, item.text, item)
        raise stranger(self.here, self.reading, self.items[self.at :])

    def _texts(self) -> list[str]:
        found = []
        for item in self.items[self.at : self.at + MOST_WORDS]:
            if not isinstance(item, ast.Name):
                break
            found.append(item.text)
        return found

    def _clause(self, target: Reading, texts: list[str], item: ast.Name) -> bool:
        """Read a clause word and its value, if the next words are one."""
        found = target.kind.find_clause(texts)
        if found is None:
            return False
        clause, count = found
        span = item.span.to(self.items[self.at + count - 1].span)
        if clause.takes is Takes.FLAG:
            self.at += count
            self._give(target, clause, True, span)
            return True
        after = self.at + count
        value = self._value_at(after, clause)
        own = self.here.scope.value(item.text)
        if value is None or not serves(clause, value):
            filler = item.text.casefold() in FILLERS
            if filler and clause.name in target.given:
                self.at = after
                return True
            if own is not None:  # `fc classes`: the name of the clause is that of its value too
                self.at = after
                self._give(target, clause, own, span)
                return True
            if filler:
                return False
        if value is None:
            what = wanted(clause)
            raise DiagnosticError(
                error("E0205", f"`{clause.name}` needs {what} behind it", span, label=clause.doc)
            )
        self.at = after + 1
        span = span.to(self.items[after].span)
        if isinstance(value, SizeValue) and value.stride is not None:
            self._strided(target, clause, value, span)
        else:
            self._give(target, clause, value, span)
        return True

    def _value_at(self, at: int, clause: Clause) -> Value | None:
        """Give the value that the word at `at` is, if it is one."""
        if at >= len(self.items):
            return None
        item = self.items[at]
        match item:
            case ast.Number() | ast.Size():
                return self.here.evaluator.value(item)
            case ast.ShapeLiteral():
                return self.here.shape(item)
            case ast.Name() if clause.takes is Takes.WORD:
                return Symbol(item.text.casefold())
            case ast.Name():
                return self.here.scope.value(item.text)
            case ast.Indexed() | ast.Dotted():
                return self.here.reference_value(item)
            case ast.Call() if self._is_function(item):
                expr = ast.Apply(_target(item.target), item.arguments, span=item.span)
                return self.here.evaluator.value(expr)
        return None

    def _is_function(self, item: ast.Call) -> bool:
        return isinstance(item.target, ast.Name) and self.here.is_function(item.target.text)

    def _bound(self, value: Value, span: Span) -> None:
        if isinstance(value, Symbol):
            if self._activation([value], None, span=span):
                return
            clause = self.reading.kind.clause(value)
            if clause is not None and clause.takes is Takes.FLAG:
                self._give(self.reading, clause, True, span)
                return
        self._bare(value, span)

    def _activation(
        self, texts: list[str], item: ast.Name | None, *, span: Span | None = None
    ) -> bool:
        found = find_layer(texts) if self.reading.kind.takes_activation else None
        if found is None or not found[0].activation or self.reading.activation is not None:
            return False
        kind, count = found
        if item is not None:
            span = item.span.to(self.items[self.at + count - 1].span)
            self.at += count
        assert span is not None
        self.reading.activation = self.current = Reading(kind, span)
        return True

    def _bare(self, value: Value, span: Span) -> None:
        """Let a value go to the next clause of the order that takes it."""
        targets = [self.current] if self.current is self.reading else [self.current, self.reading]
        for target in targets:
            clause = _place(target, value)
            if clause is not None:
                self._sized(target, clause, value, span)
                return
        kind = self.reading.kind
        has = ", ".join(kind.order) or "no values"
        raise DiagnosticError(
            error(
                "E0204",
                f"`{kind.name}` has no place for {kind_of(value)}",
                span,
                label="one value too many" if kind.order else "unexpected",
                notes=(f"the values of `{kind.name}` are, in order: {has}",),
            )
        )

    def _sized(self, target: Reading, clause: Clause, value: Value, span: Span) -> None:
        """Give a value that may be `7x7/2`, window and stride, or `5x5x3`, window and depth."""
        solid = target.kind.clause(target.kind.solid) if target.kind.solid else None
        if isinstance(value, SizeValue) and solid is not None and clause.takes is Takes.SIZE:
            depth = value.dims[2] if len(value.dims) == 3 else None
            if depth is not None:
                self._give(target, solid, depth, span)
                value = SizeValue(value.dims[:2], value.stride)
        if isinstance(value, SizeValue) and value.stride is not None:
            self._strided(target, clause, value, span)
        else:
            self._give(target, clause, value, span)

    def _strided(self, target: Reading, clause: Clause, value: SizeValue, span: Span) -> None:
        stride = target.kind.clause("stride")
        if stride is None:
            raise DiagnosticError(
                error("E0204", f"`{target.kind.name}` has no stride, and {value} has one", span)
            )
        self._give(target, clause, SizeValue(value.dims), span)
        assert value.stride is not None
        self._give(target, stride, value.stride, span)

    def _shape(self, item: ast.ShapeLiteral) -> None:
        clause = next((c for c in self.reading.kind.clauses if c.takes is Takes.SHAPE), None)
        if clause is not None and clause.name not in self.reading.given:
            self._give(self.reading, clause, self.here.shape(item), item.span)
        elif self.labelled:
            self.reading.shapes.append(item)
        else:
            raise DiagnosticError(
                error(
                    "E0204",
                    "a size in brackets belongs before the line or behind `=>`",
                    item.span,
                    label="unexpected",
                )
            )

    def _reference(self, item: ast.Indexed | ast.Dotted | ast.Name) -> None:
        """Read `skip[i]`, `trunk.conv1`, `shape.c`, `widths[2]`, `reshape [7x7]`."""
        if isinstance(item, ast.Indexed) and isinstance(item.target, ast.Name):
            clause = self.reading.kind.clause(item.target.text)
            if clause is not None and clause.takes in (Takes.SHAPE, Takes.ROWS):
                self.at += 1
                self._give(self.reading, clause, self._bracketed(clause, item.index), item.span)
                return
        if not isinstance(item, ast.Name):
            value = self.here.reference_value(item)
            if value is not None:
                self.at += 1
                self._bound(value, item.span)
                return
        if not self._takes_stream():
            raise stranger(self.here, self.reading, self.items[self.at :])
        self.at += 1
        self.reading.streams.append((self.here.flow(item), item.span))

    def _bracketed(self, clause: Clause, index: tuple[ast.Expr, ...] | ast.ShapeLiteral) -> Value:
        """Read `[7x7x30]`, or the rows of `weights [[0, 1], [1, 0]]`."""
        if clause.takes is Takes.ROWS and not isinstance(index, ast.ShapeLiteral):
            return tuple(self.here.evaluator.value(row) for row in index)
        return self.here.shape(index)

    def _is_stream(self, name: str) -> bool:
        known = self.here.scope.find_label(name) is not None
        return known or self.here.layer(name) is not None

    def _takes_stream(self) -> bool:
        most = self.reading.kind.inputs[1]
        return most is None or most > 1

    def _positional(self, expr: ast.Expr) -> None:
        if isinstance(expr, ast.Name) and self.here.scope.value(expr.text) is None:
            refuse_later(self.reading.kind, expr)
            clause = self.reading.kind.clause(expr.text)
            if clause is not None and clause.takes is Takes.FLAG:
                self._give(self.reading, clause, True, expr.span)
                return
            if self._activation([expr.text], None, span=expr.span):
                self.current = self.reading
                return
            if self._takes_stream():
                self.reading.streams.append((self.here.flow(expr), expr.span))
                return
        if isinstance(expr, ast.Apply) and isinstance(expr.target, ast.Name):
            head = find_head([expr.target], self.here.scope)
            if isinstance(head, LayerHead) and head.kind.activation:
                self._call_activation(head.kind, expr)
                return
        if isinstance(expr, ast.Index) and self._takes_stream():
            self.reading.streams.append((self.here.flow_of(expr), expr.span))
            return
        self._bare(self.here.evaluator.value(expr), expr.span)

    def _call_activation(self, kind: LayerKind, expr: ast.Apply) -> None:
        inner = WordReader(self.here, (), Reading(kind, expr.span))
        inner.arguments(expr.arguments)
        self.reading.activation = inner.reading

    def _named(self, name: ast.Name, expr: ast.Expr) -> None:
        kind = self.reading.kind
        if name.text.casefold() in ("activation", "act") and kind.takes_activation:
            if isinstance(expr, ast.Apply) or not self._activation(
                [_word_of(self.here, expr)], None, span=expr.span
            ):
                self._positional(expr)
            self.current = self.reading
            return
        clause = kind.clause(name.text)
        if clause is None:
            refuse_later(kind, name)
            raise stranger(self.here, self.reading, (name,))
        span = name.span.to(expr.span)
        if clause.takes is Takes.WORD and isinstance(expr, ast.Name):
            bound = self.here.scope.value(expr.text)
            value: Value = Symbol(expr.text.casefold()) if bound is None else bound
        elif clause.takes is Takes.FLAG:
            value = self.here.evaluator.truth(expr)
        elif clause.takes is Takes.SHAPE and isinstance(expr, ast.ListExpr):
            value = self.here.shape(expr.items)
        else:
            value = self.here.evaluator.value(expr)
        self._sized(self.reading, clause, value, span)

    def _give(self, target: Reading, clause: Clause, value: Value, span: Span) -> None:
        if clause.name in target.given:
            raise DiagnosticError(
                error(
                    "E0206",
                    f"`{clause.name}` of `{target.kind.name}` is said twice",
                    span,
                    related=target.said(clause.name),
                )
            )
        target.given[clause.name] = read_setting(target.kind, clause, value, span)
        target.spans[clause.name] = span


def _target(target: ast.Name | ast.Dotted) -> ast.Expr:
    return target if isinstance(target, ast.Name) else target.parts[-1]


def _word_of(here: Here, expr: ast.Expr) -> str:
    if isinstance(expr, ast.Name):
        value = here.scope.value(expr.text)
        return str(value) if isinstance(value, Symbol) else expr.text
    return ""


def _place(target: Reading, value: Value) -> Clause | None:
    """Find the clause of the order that a bare value goes to."""
    free = [
        clause
        for name in target.kind.order
        if (clause := target.kind.clause(name)) and clause.name not in target.given
    ]
    if isinstance(value, SizeValue | tuple):
        sizes = (Takes.SHAPE,) if isinstance(value, tuple) or len(value.dims) == 3 else ()
        sized = [c for c in free if c.takes in (*sizes, Takes.SIZE, Takes.MARGIN)]
        return sized[0] if sized else None
    if isinstance(value, Symbol):
        words = [c for c in free if c.takes is Takes.WORD and value.casefold() in c.words]
        return words[0] if words else free[0] if free else None
    return next((c for c in free if c.takes is not Takes.WORD), None)
