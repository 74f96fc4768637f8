"""`benchmarks/gpu.py` on the emulated device: cases in processes of their own, results at once."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.backends.cuda.emulation import needs_emulator

pytestmark = [needs_emulator, pytest.mark.slow]

SCRIPT = Path(__file__).resolve().parents[3] / "benchmarks" / "gpu.py"


def run(folder: Path, *words: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, str(SCRIPT), *words, "--out", str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout


def test_a_dry_run_of_all_stages(tmp_path: Path) -> None:
    code, shown = run(tmp_path, "right", "fast", "why", "--dry")
    assert code == 0, shown
    found = {path.stem: json.loads(path.read_text())["results"] for path in tmp_path.glob("*.json")}
    assert {*found} == {"right", "fast", "why"}
    right = {result["case"]: result for result in found["right"]}
    assert right["every op"]["worst_share_of_tolerance"] <= 1
    assert right["lenet beside the CPU"]["difference"] < 2e-5
    assert right["lenet replayed and queued"]["compared"] == 3
    timed = [result for result in found["fast"] if "images_per_second" in result]
    assert {result["framework"] for result in timed} >= {"cnndsl fp32"}
    assert any("conv2d" in row for row in found["why"][0]["rows"])


def test_a_case_that_fails_costs_no_other(tmp_path: Path) -> None:
    code, shown = run(tmp_path, "right", "--device", "cpu", "--only", "machine", "replayed")
    assert code == 1
    results = json.loads((tmp_path / "right.json").read_text())["results"]
    assert len(results) == 5
    assert all("cpu is no GPU" in result["failed"] for result in results), shown
    code, _ = run(tmp_path, "right", "--dry", "--seconds", "1")
    assert code == 1
    results = json.loads((tmp_path / "right.json").read_text())["results"]
    assert {result["failed"] for result in results} == {"no time was left"}
