from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.cli.runner import run, run_json


def test_list(golden: Callable[[str], None]) -> None:
    golden(run("zoo", "list", "le*").out)


def test_zoo_alone_lists() -> None:
    assert run("zoo").out == run("zoo", "list").out
    assert run_json("zoo") == run_json("zoo", "list")


def test_patterns() -> None:
    names = [row["name"] for row in run_json("zoo", "list", "L?N*T*")["programs"]]
    assert names == ["lenet", "lenet28"]
    assert run_json("zoo", "list", "lenet.cnn")["programs"][0]["params"] == 61_706
    empty = run("zoo", "list", "unheard*")
    assert (empty.code, empty.out) == (0, "")
    assert "no program of the zoo matches 'unheard*'" in empty.err


def test_table(golden: Callable[[str], None]) -> None:
    rows = run("zoo", "list", "le*", "--table").out
    golden(rows)
    whole = run("zoo", "--table").out
    assert set(rows.splitlines()) < set(whole.splitlines())
    assert run("zoo", "list", "--table").out == whole


def test_show_and_path() -> None:
    path = run("zoo", "path", "lenet").out.strip()
    text = run("zoo", "show", "lenet.cnn").out
    assert text == Path(path).read_text()
    assert run_json("zoo", "show", "lenet")["text"] == text
    assert run_json("zoo", "path", "lenet")["path"] == path


def test_unknown_name() -> None:
    result = run("zoo", "show", "lent")
    assert result.code == 1
    assert "did you mean lenet?" in result.err


def test_options_in_the_wrong_place() -> None:
    assert run("zoo", "--table", "show", "lenet").code == 2
    assert run("zoo", "--json", "path", "lenet").code == 2
