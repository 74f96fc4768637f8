"""Short ways to write and to get nodes of the tree, and to ask for the errors of a text."""

from __future__ import annotations

import pytest

from cnndsl.frontend import ast
from cnndsl.frontend.parse import parse
from cnndsl.support.codes import CODES
from cnndsl.support.diagnostics import Diagnostic, DiagnosticError
from cnndsl.support.source import Span

HERE = Span("<text>", 1, 1, 1, 1)


def name(text: str) -> ast.Name:
    return ast.Name(text, span=HERE)


def number(value: float, text: str | None = None) -> ast.Number:
    return ast.Number(value, str(value) if text is None else text, span=HERE)


def value(text: str) -> ast.Expr:
    (statement,) = parse(f"let a = {text}").statements
    assert isinstance(statement, ast.Let)
    return statement.value


def line(text: str) -> ast.Line:
    (statement,) = parse(text).statements
    assert isinstance(statement, ast.Line)
    return statement


def element(text: str) -> ast.Element:
    return line(text).chain.parts[0].element


def words(text: str) -> tuple[ast.Word, ...]:
    found = element(text)
    assert isinstance(found, ast.Words)
    return found.items


def outcome(text: str) -> tuple[Diagnostic, ...]:
    """Parse; nothing for a program, or its diagnostics, which must have a text."""
    try:
        program = parse(text)
    except DiagnosticError as problem:
        found, shown = problem.diagnostics, str(problem)
    else:
        assert isinstance(program, ast.Program)
        return ()
    assert found
    assert all(d.code in CODES and f"[{d.code}]" in shown for d in found)
    return found


def codes(text: str) -> list[str]:
    with pytest.raises(DiagnosticError) as caught:
        parse(text)
    return [d.code for d in caught.value.diagnostics]
