"""The parser's tables: built from the grammar, or read from the file built beforehand.

Building them takes a few hundred milliseconds, reading them some fifteen. The file holds plain
JSON and is used only when it was made from this very grammar by this very version of Lark; in
every other case the tables are built. After a change of the grammar,
`python -m cnndsl.frontend.tables` writes the file anew.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import lark
from lark.grammar import Rule
from lark.lexer import TerminalDef

from cnndsl.support.resources import resource_dir

Tables = dict[str, Any]
"""Lark's own serialisation with the fingerprint it was made under."""


UNBOUNDED = 2**32 - 1
"""Characters that a terminal without an end may have; Pythons differ about it."""

SHIFT = 0
"""How Lark writes that a state shifts; a reduction is 1."""


def grammar_path() -> Path:
    """Give the path of the grammar."""
    return resource_dir("grammars") / "cnn.lark"


def tables_path() -> Path:
    """Give the path of the tables built beforehand."""
    return resource_dir("grammars") / "cnn.tables.json"


def build(transformer: object | None = None, *, strict: bool = False) -> lark.Lark:
    """Build the parser from the grammar; reductions call the methods of `transformer`.

    `strict` refuses shift/reduce conflicts and terminals that collide; it needs interegular.
    """
    options: Any = {"transformer": transformer, "strict": strict}
    return lark.Lark(
        grammar_path().read_text("utf-8"),
        parser="lalr",
        lexer="contextual",
        maybe_placeholders=True,
        keep_all_tokens=True,
        propagate_positions=False,
        **options,
    )


def fingerprint() -> str:
    """Name what tables depend on: the text of the grammar and the version of Lark."""
    digest = hashlib.sha256(grammar_path().read_bytes()).hexdigest()
    return f"lark {lark.__version__}, grammar {digest}"


def read() -> Tables | None:
    """Read the tables built beforehand; nothing if there are none for this grammar and Lark."""
    try:
        with tables_path().open(encoding="utf-8") as file:
            tables: Tables = json.load(file)
    except (OSError, ValueError):
        return None
    return tables if tables.get("fingerprint") == fingerprint() else None


def load(transformer: object) -> lark.Lark:
    """Give the parser, from the tables if they fit and from the grammar if not."""
    tables = read()
    if tables is None:
        return build(transformer)
    memo = {int(key): value for key, value in tables["memo"].items()}
    table = tables["data"]["parser"]["parser"]
    table["tokens"] = {int(key): name for key, name in table["tokens"].items()}
    table["states"] = {
        int(state): {int(token): action for token, action in actions.items()}
        for state, actions in table["states"].items()
    }
    parser: lark.Lark = lark.Lark._load_from_dict(  # type: ignore[no-untyped-call]
        tables["data"], memo, transformer=transformer
    )
    return parser


def numbered(table: Tables) -> Tables:
    """Number tokens by name, and states as they are reached from the first: Lark's order is chance.

    A state shifts to others, `[0, state]`, or reduces by a rule, `[1, {"@": rule}]`.
    """
    names, states = table["tokens"], table["states"]
    tokens = {name: number for number, name in enumerate(sorted(names.values()))}
    reached = dict(sorted(table["start_states"].items()))
    queue = list(reached.values())
    places = {state: place for place, state in enumerate(queue)}
    renamed = {}
    for state in queue:
        row = sorted((tokens[names[token]], action) for token, action in states[state].items())
        for _, (kind, target) in row:
            if kind == SHIFT and target not in places:
                places[target] = len(queue)
                queue.append(target)
        renamed[places[state]] = {
            token: (kind, places[target] if kind == SHIFT else target)
            for token, (kind, target) in row
        }
    return {
        "tokens": {number: name for name, number in tokens.items()},
        "states": renamed,
        "start_states": {start: places[state] for start, state in table["start_states"].items()},
        "end_states": {start: places[state] for start, state in table["end_states"].items()},
    }


def write() -> None:
    """Build the tables and write their file."""
    data, memo = build().memo_serialize([TerminalDef, Rule])
    data["parser"]["parser"] = numbered(data["parser"]["parser"])
    for entry in memo.values():
        pattern = entry.get("pattern", {})
        if "_width" in pattern:
            least, most = pattern["_width"]
            pattern["_width"] = [least, min(most, UNBOUNDED)]
    tables = {"fingerprint": fingerprint(), "data": data, "memo": memo}
    text = json.dumps(tables, separators=(",", ":"), sort_keys=True)
    tables_path().write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    write()
