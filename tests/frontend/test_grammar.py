"""The grammar itself: no conflicts, tables that belong to it, a method for every rule."""

from __future__ import annotations

import copy
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from lark import Tree

from cnndsl.frontend import tables
from cnndsl.frontend.failure import STRUCTURE_WORDS, TERMINALS
from cnndsl.frontend.format import format_program
from cnndsl.frontend.parse import machine, parse
from cnndsl.frontend.tree import TreeBuilder
from cnndsl.support.limits import DEFAULT_LIMITS
from cnndsl.support.resources import resource_dir
from tests.frontend.programs import EXAMPLES


def test_has_no_conflict_of_either_kind() -> None:
    parser = tables.build(strict=True)
    assert parser.options.parser == "lalr"
    assert parser.options.lexer == "contextual"


def test_knows_no_layer() -> None:
    text = tables.grammar_path().read_text("utf-8")
    literals = {t.pattern.value for t in tables.build().terminals if t.name.isalpha()}
    words = {literal for literal in literals if literal.isalpha() and len(literal) > 1}
    assert words == STRUCTURE_WORDS
    assert '"conv"' not in text


def test_every_rule_has_a_method() -> None:
    parser = tables.build()
    names = {str(rule.alias or rule.origin.name) for rule in parser.rules}
    names = {name for name in names if not name.startswith("_")}
    folded = {str(rule.origin.name) for rule in parser.rules if rule.options.expand1}
    assert not [name for name in names - folded if not hasattr(TreeBuilder, name)]


def test_no_lark_tree_is_left_in_a_program() -> None:
    for path in EXAMPLES:
        waiting: list[object] = list(parse(path.read_text("utf-8")).statements)
        while waiting:
            node = waiting.pop()
            assert not isinstance(node, Tree)
            if isinstance(node, tuple):
                waiting.extend(node)
            elif hasattr(node, "__dataclass_fields__"):
                waiting.extend(getattr(node, name) for name in node.__dataclass_fields__)


def test_every_terminal_has_words() -> None:
    skipped = {"REMARK", "COMMENT", "BLANK", "NEWLINE", "CONTINUE"}
    assert {t.name for t in tables.build().terminals} - skipped <= set(TERMINALS)


def test_shipped_tables_belong_to_this_grammar() -> None:
    read = json.loads(tables.tables_path().read_text("utf-8"))
    grammar = tables.fingerprint().partition(", ")[2]
    assert read["fingerprint"].partition(", ")[2] == grammar, (
        "the grammar has changed: run python -m cnndsl.frontend.tables"
    )


def test_tables_are_written_alike_every_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shipped = tables.tables_path().read_bytes()
    monkeypatch.setattr(tables, "tables_path", lambda: tmp_path / "cnn.tables.json")
    tables.write()
    written = json.loads(tables.tables_path().read_text("utf-8"))
    if written["fingerprint"] == json.loads(shipped)["fingerprint"]:
        assert tables.tables_path().read_bytes() == shipped
    table = written["data"]["parser"]["parser"]
    assert list(table["tokens"].values()) == sorted(table["tokens"].values(), key=str)
    assert table["start_states"] == {"start": 0}
    assert {int(state) for state in table["states"]} == set(range(len(table["states"])))


def test_tables_and_grammar_parse_alike() -> None:
    assert tables.read() is not None
    built = tables.build(TreeBuilder())
    loaded = tables.load(TreeBuilder())
    # line ends inside brackets are dropped by the loop around the parser, so none here
    texts = [text for path in EXAMPLES if "(" not in (text := path.read_text("utf-8"))]
    assert len(texts) >= 3
    for text in texts:
        assert built.parse(text) == loaded.parse(text)
    assert sorted(t.name for t in built.terminals) == sorted(t.name for t in loaded.terminals)
    assert len(built.rules) == len(loaded.rules)


def _broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    path = tmp_path / "cnn.tables.json"
    path.write_text(text, encoding="utf-8")
    monkeypatch.setattr(tables, "tables_path", lambda: path)


@pytest.mark.parametrize("text", ["", "{", "{}", '{"fingerprint": "lark 0, grammar 0"}', "\xff"])
def test_without_fitting_tables_the_grammar_is_used(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _broken(tmp_path, monkeypatch, text)
    assert tables.read() is None
    parsed = tables.load(TreeBuilder()).parse("conv 64 3x3 -> relu\n")
    assert parsed == parse("conv 64 3x3 -> relu").statements


def test_tables_are_written_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _broken(tmp_path, monkeypatch, "")
    tables.write()
    assert tables.read() is not None
    parsed = tables.load(TreeBuilder()).parse("a\n")
    assert parsed == parse("a").statements


def test_a_missing_file_of_tables_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "tables_path", lambda: tmp_path / "none.json")
    assert tables.read() is None


def test_the_parser_is_made_once_and_lazily() -> None:
    assert machine() is machine()
    code = "import cnndsl.frontend.parse as p; print(p.machine.cache_info().currsize)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "0"


def test_no_pickle_and_no_cache_anywhere() -> None:
    assert machine().parser.options.cache is False
    shipped = {path.suffix for path in resource_dir("grammars").iterdir()}
    assert shipped <= {".lark", ".json", ".md"}


def test_reading_does_not_change_the_tables() -> None:
    first = tables.read()
    tables.load(TreeBuilder())
    assert first == copy.deepcopy(tables.read())


README = (resource_dir("grammars") / "README.md").read_text("utf-8")


@pytest.mark.parametrize("text", re.findall(r"```cnn\n(.*?)```", README, re.DOTALL))
def test_the_description_shows_programs(text: str) -> None:
    program = parse(text)
    assert program.statements
    assert parse(format_program(program)) == program


def test_the_description_tells_the_limits() -> None:
    limits = (
        DEFAULT_LIMITS.tokens,
        DEFAULT_LIMITS.bracket_depth,
        DEFAULT_LIMITS.nesting,
        DEFAULT_LIMITS.digits,
        DEFAULT_LIMITS.name_chars,
        DEFAULT_LIMITS.string_chars,
    )
    paragraph = README.partition("## Limits")[2]
    assert all(f"{limit:,}" in paragraph for limit in limits)
