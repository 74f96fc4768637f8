"""Run folders: numbered, claimed once, described."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from cnndsl.support.diagnostics import DiagnosticError
from cnndsl.train.runs import RunFolder


def test_folders_are_numbered_and_filled(tmp_path: Path) -> None:
    first = RunFolder.claim(tmp_path / "runs", "lenet")
    second = RunFolder.claim(tmp_path / "runs", "lenet")
    other = RunFolder.claim(tmp_path / "runs", "mlp")
    assert [f.path.name for f in (first, second, other)] == ["lenet-1", "lenet-2", "mlp-1"]
    first.describe("input [2x2x1]\n", {"epochs": 3})
    first.write_metrics([{"epoch": 1, "loss": 0.5}])
    first.say("hello")
    assert sorted(p.name for p in first.path.iterdir()) == [
        "env.json",
        "last",
        "log.txt",
        "metrics.jsonl",
        "program.cnn",
        "resolved.json",
    ]
    assert json.loads(first.resolved.read_text()) == {"epochs": 3}
    assert first.read_metrics() == [{"epoch": 1, "loss": 0.5}]
    assert first.program.read_text() == "input [2x2x1]\n"


def test_a_gap_is_not_filled(tmp_path: Path) -> None:
    (tmp_path / "lenet-7").mkdir()
    assert RunFolder.claim(tmp_path, "lenet").path.name == "lenet-8"


def test_folders_are_distinct_when_many_ask_at_once(tmp_path: Path) -> None:
    with ThreadPoolExecutor(16) as pool:
        names = list(pool.map(lambda _: RunFolder.claim(tmp_path, "x").path.name, range(64)))
    assert len(set(names)) == 64


def test_only_the_folder_of_a_run_is_opened(tmp_path: Path) -> None:
    RunFolder.claim(tmp_path, "lenet").describe("", {})
    assert RunFolder.open(tmp_path / "lenet-1").path == tmp_path / "lenet-1"
    with pytest.raises(DiagnosticError) as refused:
        RunFolder.open(tmp_path / "lenet-2")
    assert "holds lenet-1" in str(refused.value)
