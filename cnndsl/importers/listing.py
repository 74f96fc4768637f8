"""Listings of Python read as text: statements one by one, calls with their literal arguments.

Nothing is executed or imported. Prose between statements and lost indentation are passed over,
as in listings that come off a slide.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from cnndsl.support.diagnostics import Diagnostic, DiagnosticError, error
from cnndsl.support.source import SourceFile, Span

Literal: TypeAlias = "bool | int | float | str | tuple[Literal, ...] | Reference | None"
"""What an argument can be."""

MOST_STATEMENT = 20_000
"""Characters of one statement."""


@dataclass(frozen=True, slots=True)
class Reference:
    """A name or anything else that is no literal, as written."""

    text: str
    """Its text."""


@dataclass(frozen=True, slots=True)
class Call:
    """A call of a listing."""

    name: str
    """The last word of what is called: "Conv2D" of `layers.Conv2D(..)`."""
    owner: str
    """The words before it: "layers"."""
    positional: tuple[Literal | Call | tuple[Call, ...], ...]
    """Arguments in order."""
    named: Mapping[str, Literal | Call | tuple[Call, ...]]
    """Arguments by name."""
    line: int
    """Its line, counted from 1."""
    made: str = ""
    """The name that its result is given."""
    applied: tuple[str, ...] = ()
    """What the result is called with: ("x",) of `Dense(10)(x)`."""

    def argument(self, name: str, position: int | None = None) -> Literal:
        """Give an argument by name or place; nothing if it is not there or no literal."""
        found = self.named.get(name)
        if found is None and position is not None and position < len(self.positional):
            found = self.positional[position]
        return None if isinstance(found, Call) or _is_calls(found) else found  # type: ignore[return-value]

    def calls(self) -> tuple[Call, ...]:
        """Give the calls among the arguments, those of lists included."""
        found: list[Call] = []
        for value in (*self.positional, *self.named.values()):
            if isinstance(value, Call):
                found.append(value)
            elif isinstance(value, tuple):
                found += [item for item in value if isinstance(item, Call)]
        return tuple(found)


@dataclass(slots=True)
class Listing:
    """A listing, read."""

    calls: list[Call] = field(default_factory=list)
    """Every call that is a statement or is given a name, in order."""
    functions: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Names of functions that are defined, and those of their parameters."""


def read_listing(text: str) -> Listing:
    """Read the statements of a listing; what is none is passed over."""
    listing = Listing()
    for line, statement in statements(text):
        if statement.startswith("def "):
            _define(statement, listing)
            continue
        try:
            nodes = ast.parse(statement).body
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            continue
        for node in nodes:
            made = ""
            value: ast.expr | None = None
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                made, value = node.targets[0].id, node.value
            elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Attribute):
                made, value = ast.unparse(node.targets[0]), node.value
            elif isinstance(node, ast.Expr | ast.Return):
                value = node.value
            if isinstance(value, ast.Call):
                listing.calls.append(_call(value, line, made))
    return listing


def statements(text: str) -> Iterator[tuple[int, str]]:
    """Split a listing into statements: lines, joined while a bracket is open.

    >>> list(statements("a(1,\\n  2)\\n  b()"))
    [(1, 'a(1, 2)'), (3, 'b()')]
    """
    gathered: list[str] = []
    first = 0
    for number, raw in enumerate(text.split("\n"), 1):
        line = _without_remark(raw).strip()
        if not gathered:
            first = number
        if line:
            gathered.append(line)
        joined = " ".join(gathered)
        if joined and (_balance(joined) <= 0 or len(joined) > MOST_STATEMENT):
            yield first, joined
            gathered = []
    if gathered:
        yield first, " ".join(gathered)


def _without_remark(line: str) -> str:
    quote = ""
    for at, letter in enumerate(line):
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "'\"":
            quote = letter
        elif letter == "#":
            return line[:at]
    return line


def _balance(text: str) -> int:
    depth, quote = 0, ""
    for letter in text:
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "'\"":
            quote = letter
        else:
            depth += (letter in "([{") - (letter in ")]}")
    return depth


def _define(statement: str, listing: Listing) -> None:
    try:
        body = ast.parse(f"{statement}\n  pass" if statement.endswith(":") else statement).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return
    if body and isinstance(body[0], ast.FunctionDef):
        listing.functions[body[0].name] = tuple(a.arg for a in body[0].args.args)


def _call(node: ast.Call, line: int, made: str = "") -> Call:
    applied: tuple[str, ...] = ()
    inner = node
    if isinstance(node.func, ast.Call):
        applied = tuple(_names(node.args))
        inner = node.func
    text = ast.unparse(inner.func)
    owner, _, name = text.rpartition(".")
    named = {k.arg: _value(k.value, line) for k in inner.keywords if k.arg is not None}
    return Call(name, owner, tuple(_value(a, line) for a in inner.args), named, line, made, applied)


def _names(nodes: Sequence[ast.expr]) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, ast.List | ast.Tuple):
            yield from _names(node.elts)
        else:
            yield ast.unparse(node)


def _value(node: ast.expr, line: int) -> Literal | Call | tuple[Call, ...]:
    if isinstance(node, ast.Constant):
        value = node.value
        known = value is None or isinstance(value, bool | int | float | str)
        return value if known else Reference(str(value))  # type: ignore[return-value]
    if isinstance(node, ast.Call):
        return _call(node, line)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        inner = _value(node.operand, line)
        return -inner if isinstance(inner, int | float) else Reference(ast.unparse(node))
    if isinstance(node, ast.Tuple | ast.List):
        return tuple(_value(item, line) for item in node.elts)  # type: ignore[return-value]
    return Reference(ast.unparse(node))


def _is_calls(value: object) -> bool:
    return isinstance(value, tuple) and any(isinstance(item, Call) for item in value)


def refuse(call: Call, name: str, what: str) -> DiagnosticError:
    """Make a complaint about a call that has no counterpart in the language."""
    return DiagnosticError(
        error("E0930", f"`{call.name}` {what}", Span(name, call.line, 1, call.line, 1))
    )


@contextmanager
def pointing_into(text: str, name: str) -> Iterator[None]:
    """Let complaints about calls point at the call, and carry the listing's text."""
    try:
        yield
    except DiagnosticError as problem:
        source = SourceFile(name, text)
        found = [replace(d, span=_at_call(d, text)) for d in problem.diagnostics]
        raise DiagnosticError(*found, sources={name: source}) from None


def _at_call(found: Diagnostic, text: str) -> Span | None:
    """Find the call that a message begins with, from the line on where its statement begins."""
    called = re.match(r"`(\w+)`", found.message)
    if found.span is None or called is None:
        return found.span
    for number, line in enumerate(text.splitlines()[found.span.line - 1 :], found.span.line):
        at = re.search(rf"\b{called[1]}\b", line)
        if at is not None:
            return Span(found.span.file, number, at.start() + 1, number, at.end() + 1)
    return found.span


def whole_number(value: Literal, usual: int = 0) -> int:
    """Give an argument that is a whole number."""
    return value if isinstance(value, int) and not isinstance(value, bool) else usual


def size_text(value: Literal) -> str:
    """Write a window: (3, 3) and 3 as `3x3`, (1, 7) as `1x7`.

    >>> size_text((1, 7)), size_text(3)
    ('1x7', '3x3')
    """
    if isinstance(value, tuple):
        return "x".join(str(side) for side in value)
    return f"{value}x{value}"


def short_size(value: Literal) -> str:
    """Write a stride: (2, 2) as `2`, (2, 1) as `2x1`."""
    if isinstance(value, tuple) and len(set(value)) == 1:
        return str(value[0])
    return size_text(value) if isinstance(value, tuple) else str(value)
