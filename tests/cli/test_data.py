from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from cnndsl.data import DATASETS, download
from tests.cli.runner import run, run_json


@pytest.fixture(autouse=True)
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep what this machine has downloaded out of sight."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("CNNDSL_DATA", raising=False)


def test_list(golden: Callable[[str], None]) -> None:
    golden(run("data", "list").out)


def test_json() -> None:
    rows = {row["name"]: row for row in run_json("data", "list")["datasets"]}
    assert list(rows) == list(DATASETS)
    assert rows["digits"]["here"] is True
    assert rows["digits"]["shape"] == [8, 8, 1]
    assert rows["mnist"]["here"] is False
    assert rows["mnist"]["counts"] == {"train": 60_000, "test": 10_000}


def test_get_tells_where_the_files_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def fetch(name: str, *, folder: Path | None) -> tuple[Path, ...]:
        asked.append((name, folder))
        return (tmp_path / "one.gz", tmp_path / "two.gz")

    monkeypatch.setattr(download, "fetch", fetch)
    result = run("data", "get", "mnist", "--to", str(tmp_path))
    assert (result.code, result.lines) == (0, [str(tmp_path / "one.gz"), str(tmp_path / "two.gz")])
    assert asked == [("mnist", tmp_path)]
    assert run_json("data", "get", "mnist")["files"] == result.lines


def test_get_of_what_cannot_be_had() -> None:
    for name in ("digits", "imagenet"):
        result = run("data", "get", name)
        assert (result.code, result.out) == (3, "")
        assert "can be downloaded: mnist" in result.err
    assert run_json("data", "get", "imagenet", fails=True)["exit"] == 3
