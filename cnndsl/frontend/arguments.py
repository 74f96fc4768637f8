"""Arguments of blocks, nets and files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from cnndsl.frontend import ast
from cnndsl.frontend.closeness import instead, is_close, near
from cnndsl.frontend.evaluate import Evaluator
from cnndsl.frontend.scope import Scope
from cnndsl.frontend.values import Callee, Symbol, Value, show
from cnndsl.layers.base import find_layer
from cnndsl.support.diagnostics import DiagnosticError, Label, error
from cnndsl.support.source import Span


def bind_arguments(
    callee: Callee,
    formals: Sequence[ast.Binding],
    arguments: Sequence[ast.Argument],
    scope: Scope,
    evaluator: Evaluator,
    span: Span,
    *,
    defaults: bool = True,
) -> dict[str, Value]:
    """Give formals their values, by position or by name; those that were given are returned.

    Arguments are worked out with `evaluator`, defaults in `scope`. Raises `DiagnosticError` E0211.
    """
    given: dict[str, Value] = {}
    for index, argument in enumerate(arguments):
        formal = _formal(callee, formals, argument, index)
        if formal.name.text in given:
            raise DiagnosticError(
                error("E0211", f"`{formal.name.text}` is given twice", argument.span)
            )
        value = _value(argument.value, evaluator)
        given[formal.name.text] = value
        scope.bind(formal.name.text, value, argument.span)
    if not defaults:
        return given
    own = Evaluator(scope, scope.all_symbols(), {}, evaluator.limits)
    for formal in formals:
        if formal.name.text in given:
            continue
        if formal.default is None:
            raise DiagnosticError(
                error(
                    "E0211",
                    f"`{callee.name}` needs `{formal.name.text}`",
                    span,
                    label=f"it takes {signature(callee, formals)}",
                    related=(Label(formal.span, "without a default"),)
                    if formal.span.file == span.file
                    else (),
                )
            )
        scope.bind(formal.name.text, own.value(formal.default), formal.span)
    return given


def _formal(
    callee: Callee, formals: Sequence[ast.Binding], argument: ast.Argument, index: int
) -> ast.Binding:
    if argument.name is None:
        if index < len(formals):
            return formals[index]
        raise DiagnosticError(
            error(
                "E0211",
                f"`{callee.name}` takes {len(formals)} "
                f"{'argument' if len(formals) == 1 else 'arguments'}, and this is one more",
                argument.span,
                label=f"it takes {signature(callee, formals)}",
            )
        )
    for formal in formals:
        if formal.name.text == argument.name.text:
            return formal
    close = near(argument.name.text, [f.name.text for f in formals], limit=1)
    label = f"it takes {signature(callee, formals)}"
    meant = close[0] if close and is_close(argument.name.text, close[0]) else ""
    if meant:
        label = f"did you mean `{meant}`?"
    raise DiagnosticError(
        error(
            "E0211",
            f"`{callee.name}` has no argument `{argument.name.text}`",
            argument.name.span,
            label=label,
            fixes=instead(argument.name.span, meant),
        )
    )


def _value(expr: ast.Expr, evaluator: Evaluator) -> Value:
    """Work out an argument; the name of a layer stands for itself."""
    if isinstance(expr, ast.Name) and evaluator.names.value(expr.text) is None:
        found = find_layer([expr.text])
        if found is not None and expr.text not in evaluator.special:
            return Symbol(expr.text)
    return evaluator.value(expr)


def signature(callee: Callee, formals: Sequence[ast.Binding]) -> str:
    """Write what a block takes: `stage(c, stride=..)`."""
    texts = [f.name.text if f.default is None else f"{f.name.text}=.." for f in formals]
    return f"`{callee.name}({', '.join(texts)})`"


def written(name: str, arguments: Sequence[ast.Argument], values: Mapping[str, Value]) -> str:
    """Write a use with its values: `bottleneck(64, stride=2)`."""
    if not arguments:
        return name
    texts = [
        show(value) if argument.name is None else f"{key}={show(value)}"
        for argument, (key, value) in zip(arguments, values.items(), strict=True)
    ]
    return f"{name}({', '.join(texts)})"
