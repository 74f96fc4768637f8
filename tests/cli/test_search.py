from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest

from cnndsl.cli.schemas import SCHEMAS
from tests.cli.runner import run
from tests.search.searches import TEXT


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A quick search, as words of the shell."""
    monkeypatch.chdir(tmp_path)
    Path("tiny.cnn").write_text(TEXT)
    return ["search", "tiny.cnn", "--limit", "60", "--batch", "16", "--epochs", "1"]


def test_table(tiny: list[str]) -> None:
    result = run(*tiny, "--budget", "3")
    assert result.code == 0
    assert result.lines[0].split() == [
        "variant", "accuracy", "epochs", "parameters", "multiply-adds", "settings",
    ]  # fmt: skip
    assert len([line for line in result.lines if "relu.1=" in line]) == 4
    assert "the best is variant" in result.out
    assert "test accuracy" in result.out
    assert Path("runs/tiny-search-1/plot.svg").read_text().startswith("<svg ")
    assert "3 variants; the search is in runs/tiny-search-1" in result.err


def test_the_best_can_be_trained_on(tiny: list[str]) -> None:
    run(*tiny, "--budget", "2")
    best = json.loads(Path("runs/tiny-search-1/trials.jsonl").read_text().splitlines()[0])
    folder = f"runs/tiny-search-1/trials/{best['number']:04}"
    assert run("eval", folder, "--json").code == 0
    assert run("train", "--resume", folder, "--epochs", "2").code == 0


def test_json_lines_and_resume(tiny: list[str]) -> None:
    halving = ("--budget", "3", "--strategy", "halving", "--epochs", "4")
    result = run(*tiny, *halving, "--json")
    events = [json.loads(line) for line in result.lines]
    for event in events:
        jsonschema.validate(event, SCHEMAS["search"])
    assert [e["event"] for e in events] == ["start", *["trial"] * 6, "done"]
    ranking = events[-1]["ranking"]
    assert ranking[0]["test"] is not None
    path = Path("runs/tiny-search-1/trials.jsonl")
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:2]))
    again = run("search", "--resume", "runs/tiny-search-1", "--json")
    assert again.code == 0
    for one, two in zip(json.loads(again.lines[-1])["ranking"], ranking, strict=True):
        assert {**one, "seconds": 0} == {**two, "seconds": 0}


def test_the_lectures_line_finds_a_convnet_by_itself(tmp_path: Path) -> None:
    result = run(
        "search", "slide", "--budget", "2", "--epochs", "1", "--limit", "40",
        "--max-params", "60000", "-p", "K=0", "-p", "M=1", "--runs", str(tmp_path),
    )  # fmt: skip
    assert result.code == 0
    assert "POOL.1=yes" in result.out


def test_complaints(tiny: list[str], tmp_path: Path) -> None:
    assert run("search").code == 2
    assert run(*tiny, "--resume", "runs").code == 2
    assert run("search", "--resume", str(tmp_path)).code == 1
    assert run("search", "--resume", str(tmp_path), "--epochs", "3").code == 2
    result = run(*tiny, "--max-params", "5")
    assert (result.code, "E0925" in result.err) == (1, True)
    assert run(*tiny, "-p", "d=3").code == 1
    assert not Path("runs").exists()
