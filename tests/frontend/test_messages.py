"""What is said about every mistake, exactly: `errors/CODE-slug.cnn` and the `.txt` beside it."""

from __future__ import annotations

from pathlib import Path

import pytest

from cnndsl.frontend.check import examine
from cnndsl.frontend.parse import parse_file
from cnndsl.support.codes import CODES

FOLDER = Path(__file__).parent / "errors"

FILES = [p for p in sorted(FOLDER.glob("*.cnn")) if not p.name.startswith("E01")]

ELSEWHERE = {
    "E0604": "test_limits_of_programs.py",
    "E0605": "test_imports.py",
    "N0004": "N0001.cnn",
    "N0005": "N0001.cnn",
}
"""Codes whose example stands somewhere else, and where."""


def said(path: Path) -> str:
    text = path.read_text("utf-8")
    given = [line.removeprefix("# given: ") for line in text.splitlines() if "# given: " in line]
    params = dict(pair.split("=") for line in given for pair in line.split())
    program = parse_file(path, name=path.name)
    return str(examine(program, params=params, base_dir=FOLDER))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_message_is_the_one_beside_the_program(path: Path) -> None:
    assert said(path) + "\n" == path.with_suffix(".txt").read_text("utf-8")


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_message_has_the_code_of_its_file(path: Path) -> None:
    assert f"[{path.stem[:5]}]" in path.with_suffix(".txt").read_text("utf-8")


def test_every_code_of_the_elaborator_has_an_example() -> None:
    mine = {code for code in CODES if code[:3] in ("E02", "E03", "E04", "E05", "N00", "W02")}
    mine |= {"E0601", "E0602", "E0603", "E0604", "E0605", "E0606", "E0607", "E0608", "E0617",
             "E0619"}  # fmt: skip
    shown = {path.stem[:5] for path in FILES}
    assert mine - shown - set(ELSEWHERE) == set()
    assert shown & set(ELSEWHERE) == set()


def test_every_message_lies_beside_a_program() -> None:
    texts = {p.stem for p in FOLDER.glob("*.txt") if not p.name.startswith("E01")}
    assert texts == {p.stem for p in FILES}
