"""Text to syntax tree: the LALR parser with its loop over tokens. Lark is used here alone."""

from __future__ import annotations

import re
import threading
from functools import cache
from pathlib import Path
from typing import Any, cast

from lark import Lark
from lark.exceptions import UnexpectedInput

from cnndsl.frontend import ast
from cnndsl.frontend.tree import TreeBuilder
from cnndsl.support.diagnostics import DiagnosticError, error
from cnndsl.support.resources import resource_dir
from cnndsl.support.source import SourceFile, Span

COMMENT = re.compile(r'"[^"\n]*"|(?:#|//)[^\n]*')


class Machine:
    """The parser's tables with the builder that its reductions call; one parse at a time."""

    def __init__(self) -> None:
        """Build the tables from the grammar."""
        self.lock = threading.Lock()
        self.builder = TreeBuilder()
        self.lark = Lark(
            (resource_dir("grammars") / "cnn.lark").read_text("utf-8"),
            parser="lalr",
            lexer="contextual",
            maybe_placeholders=True,
            keep_all_tokens=True,
            propagate_positions=False,
            transformer=cast(Any, self.builder),
        )


@cache
def machine() -> Machine:
    """Give the process's parser, built on first use."""
    return Machine()


def parse(source: SourceFile | str, name: str = "<text>") -> ast.Program:
    """Parse a program; raises `DiagnosticError` with the source for text that is none."""
    if isinstance(source, str):
        source = SourceFile(name, source)
    m = machine()
    with m.lock:
        m.builder.file = source.name
        interactive: Any = m.lark.parse_interactive(source.text)
        open_brackets: list[str] = []
        last = None
        try:
            for token in interactive.lexer_thread.lex(interactive.parser_state):
                if token.type in ("LPAR", "LSQB", "LBRACE"):
                    open_brackets.append(token.type)
                elif token.type in ("RPAR", "RSQB", "RBRACE") and open_brackets:
                    open_brackets.pop()
                elif token.type == "_NL" and open_brackets and open_brackets[-1] != "LBRACE":
                    continue
                last = token
                interactive.feed_token(token)
            statements = interactive.feed_eof(last)
        except UnexpectedInput as problem:
            span = Span(source.name, problem.line, problem.column, problem.line, problem.column + 1)
            raise DiagnosticError(
                error("E0107", "unexpected text", span), sources={source.name: source}
            ) from None
        except DiagnosticError as problem:
            raise DiagnosticError(*problem.diagnostics, sources={source.name: source}) from None
    lines = source.text.count("\n") + 1
    span = Span(source.name, 1, 1, lines, 1)
    return ast.Program(
        tuple(cast(Any, statements)), source=source, comments=_comments(source), span=span
    )


def parse_file(path: str | Path) -> ast.Program:
    """Parse the program in a file."""
    return parse(SourceFile(str(path), Path(path).read_text("utf-8")))


def _comments(source: SourceFile) -> tuple[ast.Comment, ...]:
    found: list[ast.Comment] = []
    for number, line in enumerate(source.text.split("\n"), start=1):
        for match in COMMENT.finditer(line):
            if match[0][0] != '"':
                text = match[0].rstrip()
                start = match.start() + 1
                span = Span(source.name, number, start, number, start + len(text))
                found.append(ast.Comment(text, span))
    return tuple(found)
