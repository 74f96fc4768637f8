from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.runner import run, run_json

PROGRAMS = Path(__file__).parents[1] / "frontend" / "programs"


def test_lenet(golden: Callable[[str], None]) -> None:
    result = run("summary", "lenet")
    assert (result.code, result.err) == (0, "")
    golden(result.out)


def test_wide(golden: Callable[[str], None]) -> None:
    golden(run("summary", "lenet", "--wide").out)


def test_keras_classifier_equals_the_slide() -> None:
    document = run_json("summary", "keras_mnist")
    assert [layer["params"] for layer in document["layers"] if layer["params"]] == [
        320, 18_496, 36_928, 200_768, 650,
    ]  # fmt: skip
    assert document["totals"]["params"] == 257_162
    shown = run("summary", "keras_mnist").out
    for number in ("320", "18,496", "36,928", "200,768", "650", "257,162"):
        assert f" {number} " in shown.replace("\n", " ")


def test_json_of_lenet() -> None:
    document = run_json("summary", "lenet")
    assert document["inputs"] == {"input": [32, 32, 1]}
    assert document["outputs"] == {"output": [10]}
    assert document["totals"] == {
        "params": 61_706,
        "trainable": 61_706,
        "weights": 61_470,
        "statistics": 0,
        "macs": 416_520,
        "flops": document["totals"]["flops"],
        "activations": 9118,
        "activation_bytes": 4 * 9118,
        "training_bytes": 8 * 9118,
    }
    assert document["totals"]["activations"] == 1024 + 4704 + 1176 + 1600 + 400 + 120 + 84 + 10
    first = document["layers"][0]
    assert (first["name"], first["kind"], first["output"]) == ("C1", "conv", [28, 28, 6])
    assert (first["params"], first["weights"], first["macs"]) == (156, 150, 117_600)
    assert (first["activations"], first["receptive_field"], first["line"]) == (4704, [5, 5], 9)


@pytest.mark.parametrize(
    "name", ["googlenet", "resnet", "densenet", "mobilenet", "vgg", "transfer", "slide_alexnet"]
)
def test_tables_fit_eighty_columns_with_every_shape_whole(name: str) -> None:
    path = str(PROGRAMS / f"{name}.cnn")
    result = run("summary", path)
    assert result.code == 0
    assert max(map(len, result.lines)) <= 80
    for layer in run_json("summary", path)["layers"]:
        assert "x".join(map(str, layer["output"])) in result.out


def test_activations_stand_in_their_layers_row(tmp_path: Path) -> None:
    path = tmp_path / "two.cnn"
    path.write_text(
        "input [8x8x3]\n(conv 4 3x3 half -> relu | id) -> concat -> tanh\nA: relu\nfc 2\n"
    )
    rows = [line.split("  ")[0] for line in run("summary", str(path)).lines]
    assert rows[2:7] == ["input", "conv1", "concat1", "A", "fc1"]
    assert "concat of conv1 and input, tanh" in run("summary", str(path)).out


def test_a_value_that_others_read_keeps_its_row(tmp_path: Path) -> None:
    path = tmp_path / "skip.cnn"
    path.write_text("input [8x8x3]\nconv 3 3x3 half as c -> relu -> add c\n")
    rows = [line.split("  ")[0] for line in run("summary", str(path)).lines]
    assert rows[2:6] == ["input", "conv1", "relu1", "add1"]


def test_frozen_and_shared_weights_are_said(tmp_path: Path) -> None:
    path = tmp_path / "twice.cnn"
    path.write_text("input [8x8x3]\nnet t { fc 5 }\n(t | t) -> concat -> fc 2\nfreeze t\n")
    result = run("summary", str(path))
    assert result.code == 0, result.err
    assert "(frozen)" in result.out
    assert "(weights of " in result.out
    totals = run_json("summary", str(path))["totals"]
    assert (totals["params"], totals["trainable"]) == (192 * 5 + 5 + 22, 22)


def test_notes_go_to_stderr() -> None:
    result = run("summary", "slide")
    assert "note[" in result.err
    assert "note[" not in result.out


def test_errors() -> None:
    assert run("summary", "nothing-like-it").code == 1
    document = run_json("summary", "nothing-like-it", fails=True)
    assert (document["exit"], document["diagnostics"][0]["code"]) == (1, "E0619")


def test_sizes_of_another_data_set() -> None:
    assert run_json("summary", "slide", "--data", "cifar10")["inputs"] == {"input": [32, 32, 3]}
    assert run("summary", "slide", "--data", "cifer10").code == 3


@pytest.mark.parametrize("form", ["markdown", "latex"])
def test_documents(form: str, golden: Callable[[str], None]) -> None:
    golden(run("summary", "lenet", "--format", form).out)
