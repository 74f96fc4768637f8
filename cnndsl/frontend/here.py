"""A place in a program: what names, streams and sizes mean there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from cnndsl.frontend import ast
from cnndsl.frontend.closeness import MOST_NAMES, distance, instead, is_close
from cnndsl.frontend.evaluate import FUNCTIONS, Evaluator
from cnndsl.frontend.flow import Flow
from cnndsl.frontend.scope import Scope
from cnndsl.frontend.values import RangeValue, Value, kind_of, show
from cnndsl.layers.base import Hwc, show_size
from cnndsl.support.diagnostics import DiagnosticError, error

Reference = ast.Name | ast.Indexed | ast.Dotted | ast.Through


@dataclass(frozen=True, slots=True)
class Here:
    """What an element sees."""

    scope: Scope
    """Names and labels."""
    evaluator: Evaluator
    """Expressions."""
    arriving: Flow
    """The streams that reach the element."""
    layer: Callable[[str], Flow | None]
    """Finds the result of a layer by its name in the network."""

    def is_function(self, name: str) -> bool:
        """Tell whether a word is a function of expressions."""
        return name in FUNCTIONS

    def shape(self, index: tuple[ast.Expr, ...] | ast.ShapeLiteral) -> Value:
        """Work out a size in brackets, -1 for `?`; raises `DiagnosticError`."""
        if isinstance(index, ast.ShapeLiteral):
            return tuple(self._dim(d, index) for d in index.dims)
        if len(index) == 1 and isinstance(index[0], ast.Size):
            return tuple(-1 if d is None else d for d in index[0].dims)
        values = tuple(self.evaluator.value(expr) for expr in index)
        if len(values) == 1 and isinstance(values[0], tuple):
            return values[0]
        return values

    def _dim(self, dim: int | str | ast.Expr | None, literal: ast.ShapeLiteral) -> Value:
        if dim is None:
            return -1
        if isinstance(dim, int):
            return dim
        if isinstance(dim, str):
            return self.evaluator.value(ast.Name(dim, span=literal.span))
        return whole(self.evaluator.value(dim), dim)

    def reference_value(self, item: ast.Indexed | ast.Dotted) -> Value | None:
        """Give the value of `widths[2]` or `shape.c`; nothing if it names no value."""
        expr: ast.Expr
        if isinstance(item, ast.Dotted):
            first, *rest = item.parts
            if not self._is_value(first.text):
                return None
            expr = first
            for name in rest:
                expr = ast.Attr(expr, name, span=item.span)
            return self.evaluator.value(expr)
        target = item.target
        if not isinstance(target, ast.Name) or not self._is_value(target.text):
            return None
        if isinstance(item.index, ast.ShapeLiteral) or len(item.index) != 1:
            return None
        return self.evaluator.value(ast.Index(target, item.index[0], span=item.span))

    def _is_value(self, name: str) -> bool:
        return self.scope.value(name) is not None or name in self.evaluator.special

    def flow(self, item: Reference) -> Flow:
        """Give the stream or streams that a word names; raises `DiagnosticError` E0202."""
        if isinstance(item, ast.Indexed):
            if isinstance(item.index, ast.ShapeLiteral) or len(item.index) != 1:
                raise no_stream(self, text_of(item), item)
            return self._member(text_of(item.target), item.index[0], item)
        name = text_of(item)
        label = self.scope.find_label(name)
        found = label.flow if label is not None else self.layer(name)
        if found is None:
            raise no_stream(self, name, item)
        return found

    def flow_of(self, expr: ast.Index) -> Flow:
        """Give the stream that `e[i]` names inside the parentheses of a call."""
        if not isinstance(expr.target, ast.Name):
            raise no_stream(self, "this", expr)
        return self._member(expr.target.text, expr.index, expr)

    def _member(self, name: str, index: ast.Expr, at: ast.Syntax) -> Flow:
        family = self.scope.find_family(name)
        value = self.evaluator.value(index)
        if family is None:
            raise no_stream(self, f"{name}[{show(value)}]", at)
        if isinstance(value, RangeValue) and value.is_whole:
            flows = [self._one(name, v, at) for v in value]
            streams = tuple(s for flow in flows for s in flow.streams)
            return Flow(streams, any(flow.broken for flow in flows))
        return self._one(name, value, at)

    def _one(self, name: str, value: Value, at: ast.Syntax) -> Flow:
        family = self.scope.find_family(name) or {}
        if isinstance(value, tuple) or value not in family:
            raise no_stream(self, f"{name}[{show(value)}]", at)
        return family[value].flow


def whole(value: Value, said: ast.Expr) -> int:
    """Give a length that a size works out to; raises `DiagnosticError` E0505."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        what = show(value) if isinstance(value, float) else kind_of(value)
        raise DiagnosticError(
            error(
                "E0505",
                f"a size consists of whole numbers, not {what}",
                said.span,
                label=f"this is {what}" if isinstance(value, float) else "",
            )
        )
    return value


def text_of(item: ast.Syntax) -> str:
    """Write a word as the program does, without spaces.

    Names of streams and labels are compared in this form.
    """
    match item:
        case ast.Name(text=text):
            return text
        case ast.Dotted(parts=parts):
            return ".".join(p.text for p in parts)
        case ast.Sized(name=name, number=number):
            return f"{name}-{number}"
        case ast.Number(text=text):
            return text
        case ast.Size(dims=dims, stride=stride):
            text = "x".join("?" if d is None else str(d) for d in dims)
            return text if stride is None else f"{text}/{stride}"
        case ast.Indexed(target=target):
            return f"{text_of(target)}[..]"
        case ast.Through(start=start, stop=stop):
            return f"{text_of(start)}..{text_of(stop)}"
        case ast.Call(target=target):
            return f"{text_of(target)}(..)"
        case ast.String(value=value):
            return f'"{value}"'
        case ast.Remark(text=text):
            return text
    return ""


def no_stream(here: Here, name: str, at: ast.Syntax) -> DiagnosticError:
    """Say that no stream has this name; those of a fitting size are suggested first."""
    reach = here.scope.in_reach()
    wanted = here.arriving.size

    def fit(size: Hwc | None) -> bool:
        return size is not None and wanted is not None and size[:-1] == wanted[:-1]

    ranked = sorted(
        (not fit(label.flow.size), distance(name, known), order, known)
        for order, (known, label) in enumerate(list(reach.items())[-MOST_NAMES:])
        if is_close(name, known)
    )
    label, notes, best = "not a stream in reach", list[str](), ""
    if ranked:
        best = ranked[0][-1]
        size = reach[best].flow.size
        label = f"did you mean `{best}`{f', {show_size(size)}' if size else ''}?"
    if reach:
        shown = list(reach.items())[-12:]
        names = max(len(known) for known, _ in shown) + 3
        sizes = [show_size(x.flow.size) if x.flow.size else "" for _, x in shown]
        width = max(map(len, sizes)) + 3
        rows = [
            f"  {known:<{names}}{size:<{width}}line {entry.span.line}"
            for (known, entry), size in zip(shown, sizes, strict=True)
        ]
        notes.append("\n".join(["streams in reach here:", *rows]))
    return DiagnosticError(
        error(
            "E0202",
            f"no stream is called `{name}`",
            at.span,
            label=label,
            notes=tuple(notes),
            fixes=instead(at.span, best),
        )
    )
