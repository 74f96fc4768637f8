"""From a failed parse to a message: brackets, the ends of things, and what is left over.

`explain` tries the rules in order; the first that knows the mistake names it. Rules for chains
and for habits from other languages stand in `frontend.habits`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

from cnndsl.frontend.failure import (
    CLOSERS,
    ELEMENTS,
    OPENERS,
    STATEMENTS,
    Failure,
    expectation,
)
from cnndsl.frontend.habits import HABITS
from cnndsl.frontend.recovery import PIECES
from cnndsl.frontend.tree_values import Token
from cnndsl.support.diagnostics import Diagnostic, Label, error
from cnndsl.support.source import Span

BRACKETS = {"RPAR": "(", "RSQB": "[", "RBRACE": "{"}
"""Terminals that close a bracket, with the text that opens it."""

STATEMENT_WORDS = frozenset(kind.lower() for kind in STATEMENTS)
"""The words that begin a statement."""


def explain(failure: Failure) -> Diagnostic:
    """Give the diagnostic for the place where the parser could not go on."""
    for rule in RULES:
        found = rule(failure)
        if found is not None:
            return _bounded(found)
    return _bounded(_unexpected(failure))


LONGEST = 320
"""Characters of the longest sentence of a message."""


def _bounded(found: Diagnostic) -> Diagnostic:
    """Cut what quotes too much of a file that goes on and on."""
    return replace(
        found,
        message=_cut(found.message),
        label=_cut(found.label),
        notes=tuple(map(_cut, found.notes)),
        helps=tuple(map(_cut, found.helps)),
    )


def _cut(text: str) -> str:
    if len(text) <= LONGEST:
        return text
    return f"{text[: LONGEST * 2 // 3]} .. {text[-LONGEST // 4 :]}"


# ------------------------------------------------------------------ brackets


def _closing(failure: Failure) -> Diagnostic | None:
    """A closing bracket that closes nothing, or the wrong one."""
    if failure.kind not in CLOSERS:
        return None
    stack = failure.open_brackets()
    if not stack or (failure.tokens[stack[-1]].type == "LBRACE" and failure.kind != "RBRACE"):
        return error(
            "E0108",
            f"this `{failure.text}` closes nothing",
            failure.span,
            label=f"no `{BRACKETS[failure.kind]}` is open here",
        )
    opener = failure.tokens[stack[-1]]
    if opener.type == CLOSERS[failure.kind]:
        return None
    return error(
        "E0103",
        f"this `{opener.value}` is never closed",
        failure.span_of(opener),
        label="opened here",
        related=(Label(failure.span, f"`{OPENERS[opener.type]}` must come before this"),),
    )


def _unclosed(failure: Failure) -> Diagnostic | None:
    """A bracket still open at the end, or where something begins that no bracket can hold."""
    stack = failure.open_brackets()
    if not stack:
        return None
    opener = failure.tokens[stack[-1]]
    if failure.kind == "$END":
        last = next(token for token in reversed(failure.tokens) if token.type != "_NL")
        where = "still inside it at the end of the file"
        place = _content(failure, last.end_line, last.end_column)
    elif opener.type != "LBRACE" and not _closes(failure, opener) and _is_outside(failure, opener):
        where = "still inside it here"
        place = _first_outside(failure, stack[-1])
    else:
        return None
    return error(
        "E0103",
        f"this `{opener.value}` is never closed",
        failure.span_of(opener),
        label="opened here",
        related=(Label(place, where),) if place.line > opener.line else (),
        helps=_where_to_close(failure, stack[-1]),
    )


def _is_outside(failure: Failure, opener: Token) -> bool:
    """Whether the refused text looks as if it belonged to what comes after the bracket."""
    if failure.kind in STATEMENTS:
        return True
    if failure.kind == "CMP" and failure.text == ">" and failure.previous() == "DASH":
        return True
    outside = ELEMENTS | {"COLON", "LBRACE", "EQUAL"}
    return failure.kind in outside and failure.span.line > opener.line


def _first_outside(failure: Failure, opener: int) -> Span:
    """The first word behind the bracket that begins a statement at the head of its line."""
    line = failure.tokens[opener].line
    for token in failure.tokens[opener + 1 :]:
        if token.line > line and token.value in STATEMENT_WORDS:
            return failure.span_of(token)
        line = max(line, token.end_line)
    return _content(failure, failure.span.line, failure.span.end_column)


def _closes(failure: Failure, opener: Token) -> bool:
    """Whether some later bracket closes `opener`."""
    depth = 0
    for match in PIECES.finditer(failure.source.text, opener.start_pos or 0):
        depth += (match[0] in "([{") - (match[0] in ")]}")
        if depth == 0:
            return True
    return False


def _content(failure: Failure, line: int, end_column: int) -> Span:
    """The span of a line from its first character that is not blank."""
    text = failure.source.line(line)
    start = len(text) - len(text.lstrip()) + 1
    return Span(failure.source.name, line, start, line, max(end_column, start + 1))


def _where_to_close(failure: Failure, opener: int) -> tuple[str, ...]:
    """Where two things in a row can only follow a bracket: `POOL?*2` in an open `[`."""
    tokens = failure.tokens
    closer = OPENERS[tokens[opener].type]
    depth = 0
    for index in range(opener + 1, len(tokens) - 1):
        kind = tokens[index].type
        depth += (kind in OPENERS) - (kind in CLOSERS)
        doubled = tokens[index - 1].type == "QMARK" or tokens[index - 2].type == "STAR"
        if kind == "STAR" and depth == 0 and doubled and index - 1 > opener:
            inner = failure.between(opener, index)
            count = failure.between(index, index + 2)
            shown = f": {inner}{closer}{count}" if "\n" not in inner else ""
            return (f"`{closer}` probably belongs before `{count}`{shown}",)
    return ()


# ------------------------------------------------------------------ characters


def _character(failure: Failure) -> Diagnostic | None:
    """Text that no terminal matches."""
    if failure.kind:
        return None
    rest = failure.rest_of_line()
    if rest[0] == '"':
        return error(
            "E0109",
            "this string is never closed",
            failure.here(0, len(rest.rstrip())),
            label="it must end on its own line",
            helps=('close it with `"`',),
        )
    number = re.match(r"[0-9][\w.]*", rest)
    if number is not None:
        return error(
            "E0107",
            f"`{number[0]}` is neither a number nor a size",
            failure.here(0, len(number[0])),
            helps=("numbers are written 64, 0.5, 5e-4, 40% or 35K; sizes 3x3, 7x7/2 or 224x224x3",),
        )
    return error("E0107", f"`{rest[0]}` means nothing here", failure.here(0, 1))


# ------------------------------------------------------------------ words and ends


def _structure_word(failure: Failure) -> Diagnostic | None:
    """A structure word where a name or a layer belongs, or without what it follows."""
    if failure.kind == "ELSE":
        return error(
            "E0107",
            "this `else` has no `if`",
            failure.span,
            label="expected `if` before it",
            helps=("a value of two is written `3x3 if deep else 1x1`",),
        )
    opens = STATEMENTS | {"IF"}
    if failure.previous() not in opens or failure.statement() != len(failure.tokens) - 1:
        return None
    if failure.kind not in ("COLON", "ARROW", "DASH", "COMMA", "STAR", "QMARK", "FAT", "VBAR"):
        return None
    token = failure.tokens[-1]
    return error(
        "E0111",
        f"`{token.value}` is a word of the language itself and names nothing",
        failure.span_of(token),
        label="a name belongs here",
        helps=(f"choose another name, such as `{token.value}1`",),
    )


def _missing_arrow(failure: Failure) -> Diagnostic | None:
    """Two elements of a chain with nothing between them."""
    if failure.kind not in ELEMENTS or not failure.expected & {"ARROW", "DASH"}:
        return None
    if "PLUS" in failure.expected:
        return None
    last = failure.tokens[-1]
    return error(
        "E0110",
        f"nothing joins `{failure.text}` to what stands before it",
        failure.span,
        label="expected `->`",
        helps=(f"write `{_short(failure, last.value)} -> {failure.text}`",),
    )


def _short(failure: Failure, last: str) -> str:
    shown = failure.between(failure.element(), len(failure.tokens))
    return shown if len(shown) <= 40 and "\n" not in shown else f"..{last}"


def _ends_early(failure: Failure) -> Diagnostic | None:
    """The file or a body ends in the middle of a statement."""
    if failure.kind not in ("$END", "_NL", "SEMICOLON"):
        return None
    what = "file" if failure.kind == "$END" else "line"
    last = failure.tokens[-1] if failure.tokens else None
    after = f" after `{last.value}`" if last is not None and last.type != "_NL" else ""
    return error(
        "E0107",
        f"the {what} ends in the middle of a statement",
        failure.span,
        label=f"expected {expectation(failure.expected)}{after}",
    )


def _unexpected(failure: Failure) -> Diagnostic:
    """Everything else: what stands there and what was expected."""
    said = expectation(failure.expected)
    shown = failure.text if len(failure.text) <= 40 else f"{failure.text[:37]}..."
    related: tuple[Label, ...] = ()
    stack = failure.open_brackets()
    if stack:
        opener = failure.tokens[stack[-1]]
        if opener.type != "LBRACE" and {"RPAR", "RSQB"} & failure.expected:
            related = (Label(failure.span_of(opener), "opened here"),)
    return error(
        "E0107",
        f"`{shown}` does not belong here",
        failure.span,
        label=f"expected {said}" if said else "",
        related=related,
    )


RULES: tuple[Callable[[Failure], Diagnostic | None], ...] = (
    _closing,
    _unclosed,
    *HABITS,
    _character,
    _structure_word,
    _missing_arrow,
    _ends_early,
)
"""In the order in which they are tried."""
