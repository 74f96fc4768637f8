from __future__ import annotations

import json
import re

from cnndsl.editors.textmate import textmate_path, textmate_text
from cnndsl.editors.token_table import token_table


def test_file_is_what_the_table_gives() -> None:
    text = textmate_path().read_text("utf-8")
    assert text == textmate_text(), "run `python -m cnndsl.editors.textmate`"


def test_form() -> None:
    document = json.loads(textmate_text())
    assert document["scopeName"] == "source.cnn"
    assert document["fileTypes"] == ["cnn"]
    assert [p["match"] for p in document["patterns"]] == [t.pattern for t in token_table()]
    assert all(p["name"].endswith(".cnn") for p in document["patterns"])


def test_patterns_use_nothing_that_oniguruma_reads_otherwise() -> None:
    for token in token_table():
        re.compile(token.pattern)
        assert not re.search(r"\(\?P|\(\?[aLmsux]|\\Z|\\A|(?<!\\)\$", token.pattern)
