"""run, train, eval and predict as a shell sees them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest

from cnndsl.cli.ending import Exit
from cnndsl.cli.schemas import SCHEMAS
from cnndsl.data import open_dataset
from tests.cli.runner import run

QUICK = ("--epochs", "2", "--limit", "120", "--batch", "20", "--lr", "0.1")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run of LeNet on a few digits."""
    root = tmp_path_factory.mktemp("trained")
    result = run("run", "lenet", *QUICK, "--runs", str(root))
    assert result.code == Exit.DONE, result.err
    assert result.out == ""
    return root / "lenet-1"


def picture(path: Path, index: int) -> int:
    """Write a test digit as PNG; gives its class."""
    from PIL import Image

    test = open_dataset("digits").test
    assert test is not None
    pixels = (test.images[index, 0].astype(np.float32) / 16 * 255).astype(np.uint8)
    Image.fromarray(pixels).save(path)
    return int(test.labels[index])


def lines_of(text: str, command: str) -> list[Any]:
    records = [json.loads(line) for line in text.splitlines()]
    for record in records:
        jsonschema.validate(record, SCHEMAS[command])
    return records


def test_json_lines_of_a_run(tmp_path: Path) -> None:
    result = run("run", "lenet", *QUICK, "--runs", str(tmp_path), "--json")
    assert result.code == Exit.DONE
    records = lines_of(result.out, "run")
    assert [r["event"] for r in records] == ["start", "epoch", "epoch", "done"]
    assert records[-1]["run"] == str(tmp_path / "lenet-1")
    assert 0 <= records[-1]["test"]["accuracy"] <= 1
    metrics = (tmp_path / "lenet-1" / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["epoch"] for line in metrics] == [1, 2]


def test_a_log_has_one_line_an_epoch_and_no_escapes(folder: Path) -> None:
    log = (folder / "log.txt").read_text()
    assert "\x1b" not in log
    assert "\r" not in log
    epochs = [line for line in log.splitlines() if line.startswith("epoch ")]
    assert len(epochs) == 2
    assert all(len(line) <= 80 for line in epochs)
    assert "test accuracy" in log


def test_the_folder_of_a_run(folder: Path) -> None:
    names = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}
    assert names == {
        "program.cnn",
        "resolved.json",
        "env.json",
        "metrics.jsonl",
        "log.txt",
        "best.safetensors",
        "last/state.safetensors",
    }
    resolved = json.loads((folder / "resolved.json").read_text())
    assert resolved["training"]["optimizer"] == {
        "name": "sgd", "lr": 0.1, "decay": 0.0, "momentum": 0.9, "nesterov": False,
    }  # fmt: skip
    assert resolved["training"]["batch"] == 20


def test_eval_of_a_run_and_of_its_weights_agree(folder: Path) -> None:
    first = run("eval", str(folder), "--json").json
    second = run("eval", str(folder / "best.safetensors"), "--json").json
    jsonschema.validate(first, SCHEMAS["eval"])
    assert first["images"] == 120  # the run's --limit holds
    assert second["images"] == 360
    assert np.sum(second["confusion"]) == 360
    shown = run("eval", str(folder), "--confusion").out
    assert "true \\ given as" in shown
    assert max(len(line) for line in shown.splitlines()) <= 80


def test_predict_names_classes(folder: Path, tmp_path: Path) -> None:
    picture(tmp_path / "digit.png", 3)
    plain = run("predict", str(folder), str(tmp_path / "digit.png"))
    assert plain.code == Exit.DONE
    assert plain.out.startswith(f"{tmp_path / 'digit.png'}: ")
    spelled = run("predict", f"model={folder}", f"source={tmp_path / 'digit.png'}", "--json")
    document = spelled.json
    jsonschema.validate(document, SCHEMAS["predict"])
    scores = [s["score"] for s in document["images"][0]["scores"]]
    assert scores == sorted(scores, reverse=True)
    assert document["images"][0]["class"] == document["images"][0]["scores"][0]["class"]


def test_device_and_precision_stand_over_those_of_the_run(folder: Path, tmp_path: Path) -> None:
    picture(tmp_path / "digit.png", 3)
    words = ("--device", "reference", "--precision", "exact")
    assert run("predict", str(folder), str(tmp_path / "digit.png"), *words).code == Exit.DONE
    assert run("eval", str(folder / "best.safetensors"), *words).code == Exit.DONE
    wrong = run("eval", str(folder), "--device", "referense")
    assert (wrong.code, "E0912" in wrong.err) == (Exit.PROGRAM, True)


def test_a_run_remembers_its_precision(tmp_path: Path) -> None:
    words = ("--epochs", "1", "--limit", "60", "--runs", str(tmp_path), "--precision", "exact")
    assert run("train", "lenet", *words).code == Exit.DONE
    (folder,) = tmp_path.iterdir()
    resolved = json.loads((folder / "resolved.json").read_text())
    assert resolved["choices"]["precision"] == "exact"
    again = run("train", "--resume", str(folder), "--precision", "fast")
    assert (again.code, "--precision cannot be changed" in again.err) == (Exit.USAGE, True)


def test_predict_agrees_with_the_test_images(folder: Path, tmp_path: Path) -> None:
    import cnndsl

    model = cnndsl.Model.from_weights(folder / "best.safetensors")
    session = model.session()
    assert session.data.test is not None
    picture(tmp_path / "digit.png", 5)
    from cnndsl.data.single import read_pictures

    (pixels,) = read_pictures([tmp_path / "digit.png"], channels=1)
    prepared = session.data.test.images[5:6].transpose(0, 2, 3, 1)
    # The picture holds 256 levels, the data 17: they differ by rounding to a level.
    np.testing.assert_allclose(model.predict(pixels), model.predict(prepared)[0], atol=2e-2)


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("run", "nothing.cnn"), Exit.PROGRAM),
        (("run", "lenet", "--data", "mnist", "--data-dir", "/nonexistent"), Exit.DATA),
        (("run", "lenet", "--device", "abacus"), Exit.PROGRAM),
        (("run", "lenet", "--epochs", "0"), Exit.USAGE),
        (("run", "lenet", "-p", "act"), Exit.USAGE),
        (("run", "lenet", "-p", "act=rleu"), Exit.PROGRAM),
        (("train",), Exit.USAGE),
        (("train", "lenet", "--resume", "x"), Exit.USAGE),
        (("train", "--resume", "no/such/run"), Exit.PROGRAM),
        (("eval", "no/such/run"), Exit.REFUSED),
        (("predict", "no/such/run"), Exit.USAGE),
        (("predict", "no/such/run", "x.png"), Exit.REFUSED),
    ],
)
def test_mistakes_end_with_their_code(
    words: tuple[str, ...], code: Exit, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("CNNDSL_DATA", str(tmp_path))
    result = run(*words)
    assert result.code == code, result.err
    assert "Traceback" not in result.err
    assert result.out == ""


def test_a_rate_that_overflows_ends_with_the_layer(tmp_path: Path) -> None:
    result = run("run", "lenet", *QUICK[:-1], "1e30", "-p", "act=relu", "--runs", str(tmp_path))
    assert result.code == Exit.DIVERGED
    assert "the loss became" in result.err
    assert "the first value that is not finite" in result.err


def test_resuming_a_finished_run_trains_further_epochs(folder: Path, tmp_path: Path) -> None:
    import shutil

    copy = tmp_path / "again"
    shutil.copytree(folder, copy)
    result = run("train", "--resume", str(copy), "--epochs", "3", "--json")
    records = lines_of(result.out, "train")
    assert [r["event"] for r in records] == ["start", "epoch", "done"]
    assert records[1]["epoch"] == 3
    refused = run("train", "--resume", str(copy), "--batch", "7")
    assert refused.code == Exit.USAGE
    assert "--batch cannot be changed" in refused.err


def test_training_can_begin_with_weights(folder: Path, tmp_path: Path) -> None:
    weights = str(folder / "best.safetensors")
    result = run(
        "train", "lenet", *QUICK[:-1], "0", "--weights", weights, "--runs", str(tmp_path), "--json"
    )
    epochs = [r for r in lines_of(result.out, "train") if r["event"] == "epoch"]
    before = run("eval", str(folder), "--split", "val", "--json").json
    assert epochs[0]["val_loss"] == pytest.approx(before["loss"], rel=1e-6)
    misfit = run("train", "mlp", "--weights", weights, "--runs", str(tmp_path))
    assert misfit.code == Exit.REFUSED
    assert "H1.weight: missing" in misfit.err
    assert not list(tmp_path.glob("mlp-*"))
