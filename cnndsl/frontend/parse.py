"""Text to syntax tree: the LALR parser driven token by token.

Driving it by hand gives what a file from anywhere needs: tokens are counted and brackets watched
before anything is built, line ends inside ( ) and [ ] are left out, and where the parser cannot
go on its state says what it could have taken.
"""

from __future__ import annotations

import threading
from collections.abc import Hashable, Sequence
from dataclasses import fields
from functools import cache
from pathlib import Path
from typing import Any, cast, get_args

from lark.exceptions import UnexpectedCharacters, UnexpectedToken

from cnndsl.frontend import ast, tables
from cnndsl.frontend.failure import CLOSERS, OPENERS, Failure
from cnndsl.frontend.foreign import recognise_text
from cnndsl.frontend.reading import SCAN, check_text, read_source
from cnndsl.frontend.recovery import blank, statement_end, statement_start
from cnndsl.frontend.syntax_errors import explain
from cnndsl.frontend.tree import TreeBuilder
from cnndsl.frontend.tree_values import Token
from cnndsl.support.collector import paused_collector
from cnndsl.support.diagnostics import Diagnostic, DiagnosticError, error
from cnndsl.support.limits import DEADLINE, DEFAULT_LIMITS, Limits, Watch
from cnndsl.support.source import SourceFile, Span

FATAL = frozenset({"E0103", "E0105", "E0609", "E0614", "E0615"})
"""Codes after which nothing that follows in the file can be judged."""


def parse(
    source: SourceFile | str, name: str = "<text>", *, limits: Limits = DEFAULT_LIMITS
) -> ast.Program:
    """Parse a program; `name` is how messages call a text that comes as a string.

    Raises `DiagnosticError` with every syntax error that can be told apart, at most
    `limits.messages`: a statement that is wrong is left out, and the rest is parsed again.
    """
    if isinstance(source, str):
        source = SourceFile(name, source)
    check_text(source, limits=limits)
    foreign = recognise_text(source, failed=False)
    if foreign is not None:
        raise DiagnosticError(foreign, sources={source.name: source})
    found: list[Diagnostic] = []
    text = source.text
    spent = 0
    while True:
        attempt = Attempt(source, text, limits)
        statements = attempt.run()
        if attempt.problem is None:
            break
        found.append(attempt.problem)
        foreign = recognise_text(source, failed=True) if len(found) == 1 else None
        if foreign is not None:
            found = [foreign]
        spent += len(attempt.tokens)
        if found[-1].code in FATAL or len(found) >= limits.messages or spent > limits.tokens:
            break
        rest = _without_mistake(text, attempt)
        if rest == text:
            break
        text = rest
    if found or statements is None:
        found.sort(key=lambda d: (d.span.line, d.span.column) if d.span else (0, 0))
        raise DiagnosticError(*found, sources={source.name: source})
    return ast.Program(statements, source=source, comments=comments_of(source), span=_whole(source))


def parse_file(
    path: str | Path, *, name: str | None = None, limits: Limits = DEFAULT_LIMITS
) -> ast.Program:
    """Parse the program in a file; raises `DiagnosticError` also for a file that is none."""
    return parse(read_source(path, name=name, limits=limits), limits=limits)


class Machine:
    """The parser's tables with the builder that its reductions call; one parse at a time."""

    def __init__(self) -> None:
        """Load the tables."""
        self.lock = threading.Lock()
        self.builder = TreeBuilder()
        self.parser = tables.load(self.builder)


@cache
def machine() -> Machine:
    """Give the process's parser, made on first use."""
    return Machine()


class Attempt:
    """One run of the parser over a text."""

    def __init__(self, source: SourceFile, text: str, limits: Limits) -> None:
        """Parse `text`, which is `source` with mistakes found so far blanked."""
        self.source = source
        self.text = text
        self.limits = limits
        self.tokens: list[Token] = []
        self.problem: Diagnostic | None = None
        self.position = 0

    def run(self) -> tuple[ast.Statement, ...] | None:
        """Give the statements, or nothing and set `problem` and its `position`."""
        parser = machine()
        with parser.lock, paused_collector():
            parser.builder.begin(self.source, limits=self.limits)
            driver: Any = parser.parser.parse_interactive(self.text)
            try:
                statements: tuple[ast.Statement, ...] = self._drive(driver)
                check_nesting(statements, limits=self.limits)
                return statements
            except UnexpectedToken as refused:
                token: Any = refused.token
                self._fail(driver, token.type, str(token), token.start_pos)
            except UnexpectedCharacters as refused:
                at: Any = refused.pos_in_stream
                self._fail(driver, "", self.text[at : at + 1], at)
            except DiagnosticError as refused:
                self.problem = refused.diagnostics[0]
                self.position = self._offset(self.problem.span)
        return None

    def _drive(self, driver: Any) -> Any:
        brackets: list[str] = []
        watch = Watch(self.limits)
        for token in driver.lexer_thread.lex(driver.parser_state):
            kind = token.type
            if kind in OPENERS:
                brackets.append(kind)
                if len(brackets) > self.limits.bracket_depth:
                    raise self._limit(
                        "E0615",
                        token,
                        f"over {self.limits.bracket_depth} brackets are open here",
                        "give an inner part a name: `block part { .. }`",
                    )
            elif kind in CLOSERS:
                if brackets:
                    brackets.pop()
            elif kind == "_NL" and brackets and brackets[-1] != "LBRACE":
                continue
            driver.feed_token(token)
            self.tokens.append(token)
            if watch.is_over:
                took = f"reading this file takes over {self.limits.seconds:g} seconds"
                raise self._limit("E0609", token, took, DEADLINE)
            if len(self.tokens) > self.limits.tokens:
                raise self._limit(
                    "E0614",
                    token,
                    f"this file has over {self.limits.tokens:,} words and signs",
                    "say what comes again once: `*3`, `repeat i in 1..3 { .. }`, `block`",
                )
        return driver.feed_eof(self.tokens[-1] if self.tokens else None)

    def _limit(self, code: str, token: Token, message: str, *helps: str) -> DiagnosticError:
        return DiagnosticError(
            error(
                code,
                message,
                Span(self.source.name, token.line, token.column, token.end_line, token.end_column),
                label="the limit is reached here",
                helps=helps,
            )
        )

    def _fail(self, driver: Any, kind: str, text: str, position: int) -> None:
        if kind == "$END":
            text, position = "", len(self.text.rstrip())
        self.position = position
        line = self.text.count("\n", 0, position) + 1
        column = position - self.text.rfind("\n", 0, position)
        width = max(1, len(text.split("\n")[0]))
        self.problem = explain(
            Failure(
                source=self.source,
                tokens=self.tokens,
                kind=kind,
                text=text,
                span=Span(self.source.name, line, column, line, column + width),
                position=position,
                expected=frozenset(driver.accepts()),
            )
        )

    def _offset(self, span: Span | None) -> int:
        if span is None:
            return 0
        position = 0
        for _ in range(span.line - 1):
            position = self.text.find("\n", position) + 1
        return position + span.column - 1


def _without_mistake(text: str, attempt: Attempt) -> str:
    position = attempt.position
    if attempt.problem is not None and attempt.problem.code == "E0108":
        return blank(text, position, position + 1)
    start = min(statement_start(attempt.tokens, position), position)
    return blank(text, start, statement_end(text, start, position))


# ------------------------------------------------------------------ after the parse

NESTING: frozenset[type] = frozenset({*get_args(ast.Expr), ast.Argument, ast.If})
"""Nodes that can stand inside one another without a bracket between them."""


@cache
def child_fields(kind: Hashable) -> tuple[str, ...]:
    """Give the names of the fields of a kind of node that take part in comparison."""
    return tuple(field.name for field in fields(cast(Any, kind)) if field.compare)


FLAT: frozenset[type] = frozenset(
    {ast.Name, ast.Number, ast.Size, ast.String, str, int, float, bool, type(None)}
)
"""What has no node in it; most of a text consists of such."""


def check_nesting(nodes: tuple[ast.Syntax, ...], *, limits: Limits = DEFAULT_LIMITS) -> None:
    """Refuse syntax nested deeper than `limits.nesting`; walks without recursion.

    Raises `DiagnosticError` with E0615.
    """
    waiting: list[tuple[Any, int]] = [(nodes, 0)]
    while waiting:
        node, depth = waiting.pop()
        inside: Sequence[Any] = ()
        if isinstance(node, tuple):
            inside = node
        elif isinstance(node, ast.Syntax):
            kind: Any = type(node)
            depth = depth + 1 if kind in NESTING else 0
            if depth > limits.nesting:
                raise DiagnosticError(
                    error("E0615", f"this is nested over {limits.nesting} deep", node.span)
                )
            inside = [getattr(node, name) for name in child_fields(kind)]
        for child in inside:
            if child and (type(child) not in FLAT or depth >= limits.nesting):
                waiting.append((child, depth))


def comments_of(source: SourceFile) -> tuple[ast.Comment, ...]:
    """Give every comment of a text, in order."""
    found: list[ast.Comment] = []
    line = 1
    position = 0
    for match in SCAN.finditer(source.text):
        if match.lastgroup != "comment":
            continue
        start = match.start()
        line += source.text.count("\n", position, start)
        line_start = source.text.rfind("\n", 0, start) + 1
        position = start
        text = match[0].rstrip()
        column = start - line_start + 1
        found.append(ast.Comment(text, Span(source.name, line, column, line, column + len(text))))
    return tuple(found)


def _whole(source: SourceFile) -> Span:
    text = source.text
    return Span(source.name, 1, 1, text.count("\n") + 1, len(text) - text.rfind("\n"))
