from __future__ import annotations

import tomllib
from importlib import import_module
from pathlib import Path

from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.token import Error, Keyword, Name, Number, Operator

from cnndsl.editors.pygments_lexer import TYPES, CnnLexer
from cnndsl.editors.token_table import Colour
from tests.frontend.programs import EXAMPLES

ROOT = Path(__file__).parents[2]


def test_nothing_is_an_error_and_nothing_is_lost() -> None:
    for path in EXAMPLES:
        text = path.read_text("utf-8")
        tokens = list(CnnLexer(stripnl=False, ensurenl=False).get_tokens(text))
        assert "".join(value for _, value in tokens) == text
        assert not [value for kind, value in tokens if kind is Error]


def test_a_line() -> None:
    tokens = CnnLexer().get_tokens("param k = 3\nC1: conv k 5x5, relu => [28x28x6]\n")
    shown = {value: kind for kind, value in tokens if value.strip()}
    assert shown["param"] is Keyword
    assert shown["conv"] is shown["relu"] is Name.Builtin
    assert shown["5x5"] is shown["28x28x6"] is Number.Other
    assert shown["=>"] is Operator.Word
    assert shown["C1"] is Name


def test_every_colour_has_a_type() -> None:
    assert set(TYPES) == set(Colour)


def test_pygments_finds_it() -> None:
    config = tomllib.loads((ROOT / "pyproject.toml").read_text())
    module, _, name = config["project"]["entry-points"]["pygments.lexers"]["cnn"].partition(":")
    assert getattr(import_module(module), name) is CnnLexer


def test_html() -> None:
    html = highlight("conv 64 3x3", CnnLexer(), HtmlFormatter())
    assert '<span class="nb">conv</span>' in html
