from __future__ import annotations

import pytest

from cnndsl.backends.cuda.device import GpuBackend
from cnndsl.cli.ops import incomplete, matrix
from cnndsl.ir.op import OPS
from tests.cli.runner import run, run_json


def test_the_reference_serves_everything() -> None:
    rows = matrix()
    assert {row["name"] for row in rows} == set(OPS)
    assert [row["name"] for row in rows if incomplete(row)] == []
    assert "\n0 ops, 0 complete" in run("ops", "--missing").out


def test_text_and_json_agree() -> None:
    document = run_json("ops")
    lines = run("ops").lines
    for row, line in zip(document["ops"], lines[1:], strict=False):
        name, gradient, reference, *_ = line.split()
        assert name == row["name"]
        assert (gradient == "yes") == row["gradient"]
        assert (reference == "yes") == row["backends"]["reference"]
    assert f"{len(document['ops'])} ops" in "\n".join(lines[-3:])


def test_what_kernels_have_run_on_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    assert run_json("ops")["seen_on"] == {"cuda": "emulated"}
    shown = run("ops").lines
    assert shown[0].endswith("reference  cpu  cuda (emulated)")
    assert shown[-1] == "cuda: its kernels have only been emulated yet."
    monkeypatch.setattr(GpuBackend, "seen_on", None)
    assert run("ops").lines[0].endswith("reference  cpu  cuda")
    assert run_json("ops")["seen_on"] == {}


def test_a_lacking_gradient_is_lacking() -> None:
    row = {"gradient": False, "constant": False, "backends": {"reference": True}}
    assert incomplete(row)
    assert not incomplete({**row, "constant": True})
    assert incomplete({**row, "gradient": True, "backends": {"reference": False}})
