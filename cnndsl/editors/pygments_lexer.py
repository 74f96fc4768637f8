"""A Pygments lexer for `.cnn` files: `pygmentize -l cnn lenet.cnn`, Sphinx, MkDocs, Jupyter.

Pygments finds it by its entry point; nothing else imports it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from pygments.lexer import RegexLexer
from pygments.token import (
    Comment,
    Keyword,
    Name,
    Number,
    Operator,
    Punctuation,
    String,
    Whitespace,
    _TokenType,
)

from cnndsl.editors.token_table import Colour, token_table

TYPES: Mapping[Colour, _TokenType] = {
    Colour.COMMENT: Comment.Single,
    Colour.STRING: String.Double,
    Colour.REMARK: Comment.Special,
    Colour.SHORTHAND: Name.Function,
    Colour.SIZE: Number.Other,
    Colour.NUMBER: Number,
    Colour.KEYWORD: Keyword,
    Colour.TRUTH: Keyword.Constant,
    Colour.DIRECTIVE: Keyword.Declaration,
    Colour.LAYER: Name.Builtin,
    Colour.CLAUSE: Name.Attribute,
    Colour.NAME: Name,
    Colour.ASSERTION: Operator.Word,
    Colour.OPERATOR: Operator,
    Colour.PUNCTUATION: Punctuation,
}
"""What Pygments calls each colour."""


def _rules() -> list[tuple[str, _TokenType]]:
    table = [(token.pattern, TYPES[token.colour]) for token in token_table()]
    return [(r"\s+", Whitespace), *table]


class CnnLexer(RegexLexer):  # type: ignore[misc]
    """Lexer for convolutional networks written as text."""

    name = "CNN"
    aliases: ClassVar[list[str]] = ["cnn"]
    filenames: ClassVar[list[str]] = ["*.cnn"]
    mimetypes: ClassVar[list[str]] = ["text/x-cnn"]
    tokens: ClassVar[Mapping[str, Iterable[Any]]] = {"root": _rules()}
