"""The line `counting: ..`: by which conventions claims are held."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from cnndsl.frontend import ast
from cnndsl.frontend.figures import KIBI, PLAIN, Counting
from cnndsl.frontend.here import text_of
from cnndsl.support.diagnostics import DiagnosticError, error
from cnndsl.support.source import Span

WAYS = ("with biases", "without biases", "with pools", "without pools",
        "with input", "without input", "kilo 1000", "kilo 1024",
        "every digit", "rounded zeros")  # fmt: skip
"""Everything that the line can say."""


def read_counting(items: Sequence[ast.Word], span: Span) -> Counting:
    """Read the words behind `counting:`; raises `DiagnosticError` E0207."""
    found = PLAIN
    words = [text_of(item) for item in items if not isinstance(item, ast.Remark)]
    for at in range(0, len(words), 2):
        match [word.casefold() for word in words[at : at + 2]]:
            case ["with" | "without" as which, "biases"]:
                found = replace(found, biases=which == "with")
            case ["with" | "without" as which, "pools"]:
                found = replace(found, pools=which == "with")
            case ["with" | "without" as which, "input"]:
                found = replace(found, input=which == "with")
            case ["kilo", "1000" | "1024" as kilo]:
                found = replace(found, kilo=KIBI if kilo == "1024" else 1000)
            case ["every", "digit"]:
                found = replace(found, digits=True)
            case ["rounded", "zeros"]:
                found = replace(found, digits=False)
            case _:
                raise DiagnosticError(
                    error(
                        "E0207",
                        f"`{' '.join(words[at : at + 2])}` is no way of counting",
                        items[at].span if at < len(items) else span,
                        notes=(f"ways of counting: {', '.join(WAYS)}",),
                    )
                )
    return found
