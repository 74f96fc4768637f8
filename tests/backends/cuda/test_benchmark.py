"""`benchmarks/gpu.py` on the emulated device: cases in processes of their own, results at once."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

from cnndsl.backends.cuda.backend import CudaBackend
from cnndsl.ops.rules import cost_of
from cnndsl.plan.memory import make_plan
from tests.backends.cuda.emulation import driver, needs_emulator
from tests.backends.cuda.test_networks import training_graph

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
    assert (
        right["ways of libraries, fp32"]["right"] > right["ways of libraries, fp32"]["steps"] > 10
    )
    assert right["ways of libraries, fp32"]["refused"] == 0
    assert right["machine"]["copy_gb_per_second"] > 0
    timed = [result for result in found["fast"] if "images_per_second" in result]
    names = {result["framework"] for result in timed}
    assert names >= {"cnndsl fp32", "cnndsl fp32 tuned on stand-ins"}
    cases = {result["case"].rpartition(", ")[2] for result in found["fast"]}
    assert cases >= {"torch eager", "torch compile", "jax"}
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


def test_the_roofline_is_of_operations_or_of_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(SCRIPT.parent))
    worker = importlib.import_module("gpu_worker")
    plan = make_plan(training_graph("lenet", batch=4), alignment=256)
    costs = [cost_of(step.node, [slot.type for slot in step.operands]) for step in plan.steps]
    flops = sum(cost.flops for cost in costs)
    moved = sum(cost.bytes_read + cost.bytes_written for cost in costs)
    assert worker.roofline_seconds(plan, 1e9, 1e30) == pytest.approx(flops / 1e9)
    assert worker.roofline_seconds(plan, 1e30, 1e9) == pytest.approx(moved / 1e9)
    both = worker.roofline_seconds(plan, 1e9, 1e9)
    assert max(flops, moved) / 1e9 < both < (flops + moved) / 1e9
    peaks = {"bf16": 1e12}
    monkeypatch.setattr(worker, "PEAKS", {"emulated": peaks})
    machine = driver()
    executable = CudaBackend(lambda: machine).compile(plan)
    monkeypatch.setattr(worker, "bandwidth", lambda driver, nbytes: 1e9)
    told = worker.share(executable, "bf16", 2.0)
    least = worker.roofline_seconds(plan, 1e12, 1e9)
    assert told == {"roofline_share": least / 2.0, "copy_tb_per_second": 1e-3}
    monkeypatch.setattr(worker, "PEAKS", {"H200": peaks})
    assert worker.share(executable, "bf16", 2.0) == {}


def test_ratios_name_each_framework(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(SCRIPT.parent))
    script = importlib.import_module("gpu")
    rows = [
        {"workload": "net", "framework": name, "images_per_second": rate}
        for name, rate in (("cnndsl bf16", 300.0), ("PyTorch", 150.0), ("JAX", 200.0))
    ]
    lines = script.ratios([*rows, {"case": "other", "skipped": "not installed"}])
    assert [line.split() for line in lines] == [
        ["net", "1.50", "x", "the", "best", "other"],
        ["2.00", "x", "PyTorch"],
        ["1.50", "x", "JAX"],
    ]
