"""The TextMate grammar: Visual Studio Code, Sublime Text, TextMate, GitHub.

`python -m cnndsl.editors.textmate` writes `grammars/cnn.tmLanguage.json` anew, after a change of
the grammar or of the layers' words.
"""

from __future__ import annotations

import json
from pathlib import Path

from cnndsl.editors.token_table import token_table
from cnndsl.support.resources import resource_dir


def textmate_path() -> Path:
    """Give the path of the file."""
    return resource_dir("grammars") / "cnn.tmLanguage.json"


def textmate_text() -> str:
    """Give the grammar as JSON text."""
    document = {
        "name": "CNN",
        "scopeName": "source.cnn",
        "fileTypes": ["cnn"],
        "patterns": [
            {"match": token.pattern, "name": token.colour.value} for token in token_table()
        ],
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def write() -> None:
    """Write the file."""
    textmate_path().write_text(textmate_text(), encoding="utf-8")


if __name__ == "__main__":
    write()
