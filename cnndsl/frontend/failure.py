"""What is known where the parser could not go on, and words for what it could have taken."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cnndsl.frontend.tree_values import Token
from cnndsl.support.source import SourceFile, Span

OPENERS = {"LPAR": ")", "LSQB": "]", "LBRACE": "}"}
"""Terminals that open a bracket, with the text that closes it."""

CLOSERS = {"RPAR": "LPAR", "RSQB": "LSQB", "RBRACE": "LBRACE"}
"""Terminals that close a bracket, with the terminal that opens it."""

# fmt: off
STRUCTURE_WORDS = frozenset((
    "import", "as", "param", "in", "let", "block", "net", "repeat", "by", "if", "else", "assert",
    "minimize", "where", "and", "or", "not", "true", "false",
))
# fmt: on
"""The words that the grammar itself knows."""

STATEMENTS = frozenset({"IMPORT", "PARAM", "LET", "BLOCK", "NET", "REPEAT", "ASSERT"})
"""Terminals that begin a statement and stand nowhere else."""

ELEMENTS = frozenset({"NAME", "SIZED", "LPAR", "LSQB", "REMARK"})
"""Terminals that begin an element of a chain."""

VALUES = frozenset({"NUMBER", "DIMS", "STRING"})
"""Terminals of plain values."""

TERMINALS = {
    "NAME": "a name",
    "SIZED": "a word such as conv3-64",
    "NUMBER": "a number",
    "DIMS": "a size such as 3x3",
    "STRING": 'a string in "double quotes"',
    "LPAR": "`(`",
    "RPAR": "`)`",
    "LSQB": "`[`",
    "RSQB": "`]`",
    "LBRACE": "`{`",
    "RBRACE": "`}`",
    "COMMA": "`,`",
    "COLON": "`:`",
    "EQUAL": "`=`",
    "VBAR": "`|`",
    "DOT": "`.`",
    "QMARK": "`?`",
    "CIRCUMFLEX": "`^`",
    "ARROW": "`->`",
    "DASH": "`-`",
    "FAT": "`=>`",
    "STAR": "`*`",
    "SLASH": "`/`",
    "PLUS": "`+`",
    "PERCENT": "`%`",
    "TO": "`..`",
    "X": "`x`",
    "CMP": "a comparison",
    "_NL": "the end of the line",
    "SEMICOLON": "the end of the line",
    "$END": "the end of the file",
    "THOUSANDS": "a number such as 1,728",
} | {word.upper(): f"`{word}`" for word in STRUCTURE_WORDS}
"""Terminals in the reader's words."""


@dataclass(frozen=True, slots=True)
class Failure:
    """The place where the parser could not go on."""

    source: SourceFile
    """The text as the user wrote it."""
    tokens: Sequence[Token]
    """Everything that the parser has taken, line ends inside brackets left out."""
    kind: str
    """Terminal of the refused token; `$END` at the end; empty where no terminal matches."""
    text: str
    """The refused text."""
    span: Span
    """Where it stands."""
    position: int
    """Where it begins in the text."""
    expected: frozenset[str]
    """Terminals that would have been taken."""

    def previous(self, back: int = 1) -> str:
        """Give the terminal of the token `back` places before; empty before the first."""
        return self.tokens[-back].type if len(self.tokens) >= back else ""

    def open_brackets(self) -> list[int]:
        """Give the indices of the tokens whose brackets are open here, outermost first."""
        stack: list[int] = []
        for index, token in enumerate(self.tokens):
            if token.type in OPENERS:
                stack.append(index)
            elif token.type in CLOSERS and stack:
                stack.pop()
        return stack

    def statement(self) -> int:
        """Give the index of the first token of the statement; `len(tokens)` if it has none."""
        return self._back_to(frozenset({"_NL", "SEMICOLON"}))

    def element(self) -> int:
        """Give the index of the first token of the chain's element."""
        ends = {"_NL", "SEMICOLON", "ARROW", "DASH", "COMMA", "COLON", "VBAR", "FAT", "EQUAL"}
        return self._back_to(frozenset(ends))

    def _back_to(self, ends: frozenset[str]) -> int:
        depth = 0
        for index in range(len(self.tokens) - 1, -1, -1):
            kind = self.tokens[index].type
            if kind in CLOSERS:
                depth += 1
            elif kind in OPENERS:
                if depth == 0 and ("COMMA" in ends or kind == "LBRACE"):
                    return index + 1
                depth = max(0, depth - 1)
            elif depth == 0 and kind in ends:
                return index + 1
        return 0

    def between(self, start: int, stop: int) -> str:
        """Give the text from token `start` to before token `stop`."""
        if start >= stop:
            return ""
        return self.source.text[self.tokens[start].start_pos or 0 : self.tokens[stop - 1].end_pos]

    def span_of(self, token: Token) -> Span:
        """Give the span of a token."""
        return Span(self.source.name, token.line, token.column, token.end_line, token.end_column)

    def rest_of_line(self) -> str:
        """Give the text from the refused text to the end of its line."""
        end = self.source.text.find("\n", self.position)
        return self.source.text[self.position : None if end < 0 else end]

    def here(self, start: int, length: int) -> Span:
        """Give the span of `length` characters, `start` characters after the refused text."""
        column = self.span.column + start
        return Span(self.source.name, self.span.line, column, self.span.line, column + length)


def expectation(expected: frozenset[str]) -> str:
    """Say in words what would have been taken.

    >>> expectation(frozenset({"NAME", "SIZED", "LPAR", "LSQB"}))
    'a layer, a block, `(` or `[`'
    """
    rest = set(expected) - {"REMARK", "THOUSANDS"}
    said: list[str] = []
    if rest >= STATEMENTS:
        said.append("a statement")
        rest -= STATEMENTS | ELEMENTS | {"IF", "MINIMIZE"}
    if rest >= VALUES | {"NAME"}:
        said.append("a word or a value" if "SIZED" in rest else "a value")
        rest -= VALUES | ELEMENTS | {"NOT", "TRUE", "FALSE"}
        if "a value" in said:
            rest -= {"DASH"}
    elif rest >= {"NAME", "SIZED", "LPAR"}:
        said += ["a layer", "a block", "`(`", "`[`"]
        rest -= ELEMENTS
    if rest >= {"ARROW", "DASH"}:
        said.append("`->`")
        rest -= {"ARROW", "DASH", "STAR", "QMARK", "FAT", "AS", "IF", "WHERE"}
    if rest & {"_NL", "$END"}:
        said.append("the end of the line")
        rest -= {"_NL", "SEMICOLON", "$END", "RBRACE"}
    if rest >= {"PLUS", "DASH", "SLASH"}:
        said.append("an operator")
        rest -= {"PLUS", "DASH", "SLASH", "STAR", "PERCENT", "CIRCUMFLEX", "DOT", "CMP", "TO"}
        rest -= {"AND", "OR", "IN", "BY", "IF"}
    order = list(TERMINALS)
    said += [TERMINALS[kind] for kind in sorted(rest, key=order.index) if kind in TERMINALS]
    said = list(dict.fromkeys(said))[:6]
    if len(said) < 2:
        return "".join(said)
    return f"{', '.join(said[:-1])} or {said[-1]}"
