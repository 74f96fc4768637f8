"""From a program's name to trained weights, as a newcomer does it, in processes of their own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cnndsl.train.checkpoint import load_state
from tests.session.runs import finish
from tests.zoo.networks import LIGHT, ZOO


def run_json(*arguments: str, cwd: Path) -> list[dict[str, Any]]:
    out, err = finish("run", *arguments, "--json", cwd=cwd)
    assert "Traceback" not in err
    return [json.loads(line) for line in out.splitlines()]


def test_the_slide_runs_as_it_stands_and_says_what_it_assumed(tmp_path: Path) -> None:
    _, err = finish("run", "slide.cnn", "--epochs", "1", "--limit", "64", cwd=tmp_path)
    for assumed in (
        "no input is declared: using the data's [8x8x1]",
        "`softmax` brings an `fc 10`",
        "N, M and K are free here: using N = 2, M = 3, K = 1",
        "the program does not say how to train: digits, crossentropy, sgd(lr=0.05, momentum=0.9)",
    ):
        assert assumed in err
    assert (tmp_path / "runs" / "slide-1" / "best.safetensors").is_file()


def test_a_run_holds_the_program_and_what_was_decided(tmp_path: Path) -> None:
    records = run_json("mlp", "--epochs", "1", "--limit", "64", "--seed", "5", cwd=tmp_path)
    folder = tmp_path / records[-1]["run"]
    assert folder == tmp_path / "runs" / "mlp-1"
    text = ZOO["mlp"].read_text(encoding="utf-8")
    assert (folder / "program.cnn").read_text(encoding="utf-8") == text
    resolved = json.loads((folder / "resolved.json").read_text())
    assert resolved["training"]["optimizer"]["name"] == "adam"
    assert resolved["training"]["batch"] == 32
    assert resolved["training"]["seed"] == 5
    assert resolved["training"]["epochs"] == 1
    _, metadata = load_state(folder / "best.safetensors")
    assert metadata["program"] == text
    assert json.loads((folder / "metrics.jsonl").read_text())["epoch"] == 1


def test_the_same_command_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        finish("run", "lenet", "--epochs", "1", "--limit", "96", cwd=tmp_path / name)
    for file in ("best.safetensors", "program.cnn", "env.json"):
        first, second = (
            (tmp_path / name / "runs" / "lenet-1" / file).read_bytes() for name in ("one", "two")
        )
        assert first == second, file


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_lenet_reads_the_built_in_digits(seed: int, tmp_path: Path) -> None:
    *_, done = run_json("lenet.cnn", "--seed", str(seed), cwd=tmp_path)
    assert done["event"] == "done"
    assert done["test"]["accuracy"] >= 0.97


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(set(LIGHT) - {"lenet", "lenet28"}))
def test_light_programs_of_the_zoo_learn_the_digits(name: str, tmp_path: Path) -> None:
    """All but `lenet28`: its sigmoids learn from MNIST's 60,000 images (94.7 % after its ten
    epochs), and stay on their first plateau with the 1,437 that come along.
    """
    *_, done = run_json(name, "--data", "digits", "--epochs", "3", cwd=tmp_path)
    assert done["test"]["accuracy"] >= 0.85
