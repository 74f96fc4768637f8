"""After a syntax error: find the statement it stands in, so that the rest can be parsed.

The statement is blanked, not removed: every other character keeps its place, so that spans of
later errors are right in the text that the user wrote.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from cnndsl.frontend.tree_values import Token

PIECES = re.compile(r'"[^"\n]*"|(?:#|//)[^\n]*|[()\[\]{};]|\r?\n')
CONTINUES = re.compile(r"[ \t\f]*(?:->|→|\||=>|⇒|,|-[^0-9]|[+*]|(?:else|where|as|and|or)\b)")


def statement_start(tokens: Sequence[Token], position: int) -> int:
    """Give the position in the text where the statement that holds `position` begins.

    `tokens` are those that the parser has taken, line ends inside brackets left out.
    """
    depth = 0
    start = position
    for token in reversed(tokens):
        if token_start(token) >= position:
            continue
        if token.type == "RBRACE":
            depth += 1
        elif token.type == "LBRACE":
            if depth == 0:
                return start
            depth -= 1
        elif token.type in ("_NL", "SEMICOLON") and depth == 0:
            return start
        if token.type not in ("_NL", "SEMICOLON"):
            start = token_start(token)
    return start


def token_start(token: Token) -> int:
    """Give the position of a token's first character in the text."""
    return token.start_pos or 0


def statement_end(text: str, start: int, position: int) -> int:
    """Give the position where the statement that begins at `start` ends, not before `position`."""
    open_brackets: list[str] = []
    for match in PIECES.finditer(text, start):
        piece = match[0]
        if piece in "([{":
            open_brackets.append(piece)
        elif piece in ")]":
            while open_brackets and open_brackets[-1] in "([":
                if open_brackets.pop() == {")": "(", "]": "["}[piece]:
                    break
        elif piece == "}":
            while open_brackets and open_brackets[-1] != "{":
                open_brackets.pop()
            if not open_brackets:
                return max(match.start(), position)
            open_brackets.pop()
        elif match.start() < position or open_brackets:
            continue
        elif piece == ";" or (
            piece in ("\n", "\r\n") and CONTINUES.match(text, match.end()) is None
        ):
            return match.start()
    return len(text)


def blank(text: str, start: int, end: int) -> str:
    """Replace everything from `start` to `end` but line ends by spaces."""
    return text[:start] + re.sub(r"[^\r\n]", " ", text[start:end]) + text[end:]
