from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache

import lark
import pytest

from cnndsl.editors.token_table import Colour, token_table
from cnndsl.frontend import tables
from cnndsl.frontend.failure import STRUCTURE_WORDS
from cnndsl.layers.base import LAYERS
from tests.frontend.programs import EXAMPLES

SIGNS = frozenset(
    [
        "BRACKET",
        "SIGN",
        "PLUS",
        "SLASH",
        "PERCENT",
        "STAR",
        "DASH",
        "X",
        "CMP",
        "TO",
        "ARROW",
        "FAT",
    ]
)


def ours(text: str) -> Iterator[tuple[int, str, Colour]]:
    """Give (start, text, colour) of every token."""
    patterns = [(re.compile(token.pattern), token.colour) for token in token_table()]
    at = 0
    while at < len(text):
        if text[at].isspace() or text[at] in "\ufeff":
            at += 1
            continue
        for pattern, colour in patterns:
            found = pattern.match(text, at)
            if found and found.end() > at:
                yield at, found.group(), colour
                at = found.end()
                break
        else:
            raise AssertionError(f"nothing matches {text[at : at + 20]!r}")


@cache
def parser() -> lark.Lark:
    return tables.build()


def theirs(text: str) -> Iterator[lark.Token]:
    """Give the parser's own tokens, in order."""
    tree = parser().parse(text)
    for token in tree.scan_values(lambda value: isinstance(value, lark.Token)):
        assert isinstance(token, lark.Token)
        if token.strip("; \t\r\n") and token.type != "_NL":
            yield token


def fits(token: lark.Token, colour: Colour) -> bool:
    match token.type:
        case "STRING" | "REMARK" | "NUMBER":
            return colour.name == token.type
        case "THOUSANDS":
            return colour is Colour.NUMBER
        case "SIZED":
            return colour is Colour.SHORTHAND
        case "DIMS":
            return colour is Colour.SIZE
        case "NAME":
            words = (Colour.NAME, Colour.LAYER, Colour.CLAUSE, Colour.DIRECTIVE)
            return colour in words or token.casefold() in STRUCTURE_WORDS
    if token.value in STRUCTURE_WORDS:
        return colour in (Colour.KEYWORD, Colour.TRUTH)
    return colour in (Colour.OPERATOR, Colour.PUNCTUATION, Colour.ASSERTION)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_agrees_with_the_parser(path: object) -> None:
    text = path.read_text("utf-8")  # type: ignore[attr-defined]
    found = {start: (word, colour) for start, word, colour in ours(text)}
    checked = 0
    for token in theirs(text):
        assert token.start_pos is not None
        word, colour = found.get(token.start_pos, ("", Colour.COMMENT))
        if colour is Colour.LAYER and " " in word:
            assert word.startswith(token.value)  # `MAX POOL1` is one word to a reader
        elif token.start_pos in found:
            assert (word, fits(token, colour)) == (token.value, True), (token, colour)
        else:
            assert token.type in ("NAME", "REMARK")  # the second word of such a name
            continue
        checked += 1
    assert checked > 5


def test_comments_are_what_the_parser_leaves_out() -> None:
    text = "conv 4 3x3 # half\n// all of this\nfc 2"
    comments = [word for _, word, colour in ours(text) if colour is Colour.COMMENT]
    assert comments == ["# half", "// all of this"]


def test_every_layer_and_clause_has_its_colour() -> None:
    for kind in LAYERS.values():
        if kind.name == "id":
            continue
        for name in (kind.name, *kind.names):
            for spelled in (name, name.upper(), f"{name}1_2"):
                ((_, word, colour),) = ours(spelled)
                assert (word, colour) == (spelled, Colour.LAYER)
        for clause in kind.clauses:
            *_, (_, _, colour) = ours(f"fc {clause.name}")
            assert colour in (Colour.CLAUSE, Colour.LAYER), clause.name


def test_words_within_words_are_names() -> None:
    assert [colour for _, _, colour in ours("convolve padding_of reluctant importer")] == [
        Colour.NAME
    ] * 4


def test_a_hyphen_in_an_expression_is_a_minus() -> None:
    for text in ("skip[i-1]", "f(n-1)", "(relu)*(n-1)"):
        assert Colour.SHORTHAND not in {colour for _, _, colour in ours(text)}
    for text in ("[CONV3-64]", "(FC-10 | id)", "conv3-64"):
        assert Colour.SHORTHAND in {colour for _, _, colour in ours(text)}
