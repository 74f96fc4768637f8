from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from cnndsl.passes.pipelines import INFER
from tests.cli.runner import run, run_json

NORMED = "input [8x8x3]\nconv 4 3x3 half nobias -> bn -> relu\nflatten\nfc 10 softmax\n"


@pytest.fixture
def normed(tmp_path: Path) -> str:
    """A program with a batch norm that can be folded."""
    path = tmp_path / "normed.cnn"
    path.write_text(NORMED)
    return str(path)


def test_fusing(golden: Callable[[str], None]) -> None:
    result = run("why", "lenet", "--pass", "fuse-epilogue")
    assert (result.code, result.err) == (0, "")
    assert max(map(len, result.lines)) <= 80
    golden(result.out)


def test_folding_saves_a_pass_over_the_image(normed: str) -> None:
    (ran,) = run_json("why", normed, "--pass", "fold-batch-norm", "--batch", "2")["runs"]
    (change,) = ran["changes"]
    assert "batch_norm" in {node["op"] for node in change["before"]}
    assert "batch_norm" not in {node["op"] for node in change["after"]}
    assert ran["saved"] == change["saved"]


@pytest.mark.parametrize("name", sorted({each.name for each in INFER}))
def test_every_pass_can_be_asked_about(name: str, normed: str) -> None:
    runs = sum(each.name == name for each in INFER)
    assert [ran["run"] for ran in run_json("why", normed, "--pass", name)["runs"]] == list(
        range(1, runs + 1)
    )
    assert run("why", normed, "--pass", name).out.count(f"{name}") >= runs


def test_one_run_of_several() -> None:
    document = run_json("why", "mlp", "--pass", "fuse-epilogue#2")
    assert (document["pass"], [ran["run"] for ran in document["runs"]]) == ("fuse-epilogue", [2])
    assert run("why", "mlp", "--pass", "fuse-epilogue#2").out == (
        "fuse-epilogue, run 2: nothing to change\n"
    )


def test_passes_of_training() -> None:
    assert run("why", "mlp", "--pass", "fuse-elementwise", "--train", "--batch", "2").code == 0
    result = run("why", "mlp", "--pass", "fold-batch-norm", "--train")
    assert result.code == 2
    assert "runs in inference only" in result.err


def test_unknown_pass() -> None:
    result = run("why", "mlp", "--pass", "cannonicalize")
    assert (result.code, "did you mean canonicalize?" in result.err) == (2, True)
    assert run("why", "mlp", "--pass", "lower").code == 2
    assert run("why", "mlp").code == 2
