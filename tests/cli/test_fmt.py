from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.runner import run, run_json

UGLY = "input [28x28x1]\nconv   6   5x5-relu   # first\nfc 10\n"


@pytest.fixture
def ugly(tmp_path: Path) -> Path:
    path = tmp_path / "ugly.cnn"
    path.write_text(UGLY)
    return path


def test_writes_once_and_then_never_again(ugly: Path) -> None:
    result = run("fmt", str(ugly))
    assert (result.code, result.out) == (0, "")
    assert f"wrote {ugly}" in result.err
    neat = ugly.read_text()
    assert neat != UGLY
    assert "# first" in neat
    assert run("fmt", str(ugly)).err == ""
    assert ugly.read_text() == neat


def test_check_writes_nothing(ugly: Path) -> None:
    result = run("fmt", "--check", str(ugly))
    assert (result.code, ugly.read_text()) == (1, UGLY)
    assert "would change" in result.err
    run("fmt", str(ugly))
    assert run("fmt", "--check", str(ugly)).code == 0


def test_stdout(ugly: Path) -> None:
    shown = run("fmt", "--stdout", str(ugly)).out
    assert ugly.read_text() == UGLY
    run("fmt", str(ugly))
    assert ugly.read_text() == shown


def test_json(ugly: Path) -> None:
    (entry,) = run_json("fmt", "--stdout", str(ugly))["files"]
    assert (entry["changed"], ugly.read_text()) == (True, UGLY)
    assert entry["text"] == run("fmt", "--stdout", str(ugly)).out


def test_one_wrong_file_leaves_all_untouched(ugly: Path) -> None:
    wrong = ugly.with_name("wrong.cnn")
    wrong.write_text("conv (\n")
    assert run("fmt", str(ugly), str(wrong)).code == 1
    assert ugly.read_text() == UGLY
    assert run("fmt", str(ugly.parent / "none.cnn")).code == 1
