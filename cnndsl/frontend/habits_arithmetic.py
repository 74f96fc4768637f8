"""Arithmetic among words, which only parentheses and names take."""

from __future__ import annotations

import re

from cnndsl.frontend.failure import VALUES, Failure
from cnndsl.frontend.tree_values import Token
from cnndsl.support.diagnostics import Diagnostic, error

NUMBERS_IN_A_ROW = re.compile(r"[\w.%]+(?:[ \t]*[-+*/%^][ \t]*[\w.%]+)*")


def arithmetic_in_words(failure: Failure) -> Diagnostic | None:
    """`conv 2*n 3x3`, `conv n+1 3x3`."""
    tokens = failure.tokens
    if failure.kind in ("PLUS", "SLASH", "PERCENT", "CIRCUMFLEX"):
        first = failure.element()
        if not failure.expected & {"ARROW", "DASH"} or first >= len(tokens):
            return None
        if "SLASH" in failure.expected:
            return None
    elif failure.kind in VALUES | {"NAME"} and failure.previous(2) == "STAR":
        first = failure.element()
    else:
        return None
    if tokens[first].type == "NUMBER":
        return _arithmetic_of_numbers(failure, tokens[first])
    helps: tuple[str, ...] = (f"write it in parentheses: `{_call_form(failure, tokens[first])}`",)
    if failure.kind == "PLUS":
        helps += ("to add two streams write `(a | b) -> add`",)
    return error(
        "E0107",
        "words take no arithmetic; the call form does",
        failure.span,
        label="unexpected here",
        helps=helps,
    )


def _arithmetic_of_numbers(failure: Failure, first: Token) -> Diagnostic:
    """`split: 60/20/20`, `epochs: 2*10`."""
    start = first.start_pos or 0
    found = NUMBERS_IN_A_ROW.match(failure.source.text, start)
    assert found is not None
    said = found[0]
    before = failure.position - start
    shares = [part.strip() for part in said.split("/")]
    if len(shares) > 1 and "".join(shares).isdigit():
        text = ", ".join(f"{share}%" for share in shares)
        helps: tuple[str, ...] = (f"shares are written `{text}`",)
    else:
        helps = (f"give it a name first: `let n = {said}`",)
    return error(
        "E0107",
        f"`{said}` is arithmetic, and a line of words has none",
        failure.here(-before, len(said)),
        label="numbers stand here one by one",
        helps=helps,
    )


def _call_form(failure: Failure, first: Token) -> str:
    """The element that begins at `first` in call form; a pattern of it if it is not plain."""
    text = failure.source.text
    start = first.start_pos or 0
    end = text.find("\n", start)
    words = re.split(r"->|[,|#]| - ", text[start : None if end < 0 else end])[0].split()
    if len(words) < 2 or not all(re.search(r"\w", word) for word in words):
        return f"{words[0]}(2*n, ..)"
    return f"{words[0]}({', '.join(words[1:])})"
