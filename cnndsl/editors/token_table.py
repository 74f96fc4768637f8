"""The tokens of the language as editors colour them: one table for every editor.

Patterns of numbers, sizes, strings and signs are those of the grammar itself, read from its file;
words are those of the layers and of the parser. Nothing is written down twice.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from functools import cache

from cnndsl.frontend.failure import STRUCTURE_WORDS
from cnndsl.frontend.heads import PSEUDO, STATEMENTS
from cnndsl.layers.base import LAYERS
from cnndsl.support.resources import resource_dir

TERMINAL = re.compile(r"^(?P<name>[A-Z_]+)(?:\.\d+)?:\s+/(?P<pattern>.*)/(?P<flags>i?)$", re.M)
"""A terminal of the grammar that is a regular expression."""

SECTIONS = frozenset({"train", "data", "until", "update"})
"""Words of sections and cuts, which the parser knows by their place."""
DIRECTIVES = tuple(sorted(PSEUDO | STATEMENTS | SECTIONS))
"""Words that begin a line or a section and name no layer."""


class Colour(Enum):
    """What a token is to a reader; the values are TextMate's scopes."""

    COMMENT = "comment.line.number-sign.cnn"
    STRING = "string.quoted.double.cnn"
    REMARK = "comment.block.documentation.cnn"
    SHORTHAND = "support.function.shorthand.cnn"
    SIZE = "constant.numeric.size.cnn"
    NUMBER = "constant.numeric.cnn"
    KEYWORD = "keyword.control.cnn"
    TRUTH = "constant.language.cnn"
    DIRECTIVE = "keyword.other.directive.cnn"
    LAYER = "support.function.layer.cnn"
    CLAUSE = "variable.parameter.clause.cnn"
    NAME = "variable.other.cnn"
    ASSERTION = "keyword.operator.assertion.cnn"
    OPERATOR = "keyword.operator.cnn"
    PUNCTUATION = "punctuation.cnn"


@dataclass(frozen=True, slots=True)
class Token:
    """A kind of token."""

    terminal: str
    """Its name in the grammar; that of all words is NAME."""
    pattern: str
    """A regular expression that Python and Oniguruma, TextMate's engine, both read."""
    colour: Colour
    """What it is to a reader."""


@cache
def token_table() -> tuple[Token, ...]:
    """Give the kinds of tokens; the first that matches at a place is the one that is there."""
    of = _terminals()
    words = _words()
    return (
        Token("COMMENT", of["COMMENT"], Colour.COMMENT),
        Token("STRING", of["STRING"], Colour.STRING),
        # A parenthesis of plain words is a remark only behind a word, a value or a shape.
        Token("REMARK", rf'(?<=[\w\]"] ){of["REMARK"]}', Colour.REMARK),
        Token("THOUSANDS", of["THOUSANDS"], Colour.NUMBER),
        # Where an expression begins, `skip[i-1]`, `*(n-1)`, a hyphen is a minus.
        Token("SIZED", rf"(?<![\w*][\[(]){of['SIZED']}", Colour.SHORTHAND),
        Token("DIMS", of["DIMS"], Colour.SIZE),
        Token("NUMBER", of["NUMBER"], Colour.NUMBER),
        # Between two sides of a size it is a sign: [H x W x 3].
        Token("X", rf"(?<=[\w?)] ){of['X']}(?= [\w?(])", Colour.OPERATOR),
        Token("NAME", _any(["true", "false"]), Colour.TRUTH),
        Token("NAME", _any(sorted(STRUCTURE_WORDS - {"true", "false"})), Colour.KEYWORD),
        Token("NAME", f"(?i:{_any(DIRECTIVES)})", Colour.DIRECTIVE),
        Token("NAME", _any(words["layers"], labels=True), Colour.LAYER),
        Token("NAME", _any(words["clauses"]), Colour.CLAUSE),
        Token("NAME", of["NAME"], Colour.NAME),
        Token("FAT", of["FAT"], Colour.ASSERTION),
        Token("ARROW", of["ARROW"], Colour.OPERATOR),
        Token("TO", of["TO"], Colour.OPERATOR),
        Token("CMP", of["CMP"], Colour.OPERATOR),
        Token("DASH", of["DASH"], Colour.OPERATOR),
        Token("STAR", of["STAR"], Colour.OPERATOR),
        Token("SIGN", r"[+/%^?|=×]", Colour.OPERATOR),
        Token("BRACKET", r"[][(){},;:.]", Colour.PUNCTUATION),
    )


def _terminals() -> dict[str, str]:
    """Read the regular expressions of the grammar's terminals."""
    text = (resource_dir("grammars") / "cnn.lark").read_text("utf-8")
    return {
        found["name"]: f"(?i:{found['pattern']})" if found["flags"] else found["pattern"]
        for found in TERMINAL.finditer(text)
    }


def _words() -> dict[str, list[str]]:
    """Give the words of layers and of their clauses, longest first."""
    layers = {name for kind in LAYERS.values() for name in (kind.name, *kind.names)}
    clauses = {
        name
        for kind in LAYERS.values()
        for clause in kind.clauses
        for name in (clause.name, *clause.names)
    }
    layers -= set(DIRECTIVES)
    spelled = {word for name in clauses for word in name.split()} - STRUCTURE_WORDS
    return {
        "layers": sorted(layers, key=lambda name: (-len(name), name)),
        "clauses": sorted(spelled - layers - set(DIRECTIVES), key=lambda name: (-len(name), name)),
    }


def _any(words: list[str] | tuple[str, ...], *, labels: bool = False) -> str:
    """Match any of some words, whole; layers in any case, and with the number of a label."""
    spelled = "|".join(re.escape(word).replace(r"\ ", " ") for word in words)
    behind = r"(?![A-Za-z0-9_])"
    if not labels:
        return rf"(?:{spelled}){behind}"
    return rf"(?i:(?:{spelled})[0-9]*(?:_[0-9]+)*){behind}"
