"""Data on its way into a run: where it is found, and what is said when it does not fit."""

from __future__ import annotations

import gzip
import json
import struct
from pathlib import Path

import numpy as np
import pytest

from cnndsl.cli.ending import Exit
from cnndsl.train.runs import RunFolder
from tests.cli.runner import Result, run
from tests.session.runs import left_in

PROGRAM = """
input [28x28x1]
conv 4 5x5/2 floor, relu - fc 10 - softmax
train {
  data:  mnist
  batch: 10
}
"""

COLOURS = """
input [6x6x3]
conv 4 3x3, relu - fc 3 - softmax
train {
  data:   colours
  batch:  4
  epochs: 8
}
data colours {
  source: folder "colours"
  split:  60%, 20%, 20%
}
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with two programs, and nothing known about data."""
    monkeypatch.delenv("CNNDSL_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = tmp_path / "here"
    folder.mkdir()
    (folder / "small.cnn").write_text(PROGRAM)
    (folder / "colours.cnn").write_text(COLOURS)
    monkeypatch.chdir(folder)
    return folder


def write_mnist(folder: Path, *, train: int = 50, test: int = 20) -> Path:
    """Write four IDX files in which a bright row says the class; the images are packed."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for prefix, count in (("train", train), ("t10k", test)):
        labels = (np.arange(count) % 10).astype(np.uint8)
        images = rng.integers(0, 60, (count, 28, 28)).astype(np.uint8)
        images[np.arange(count), 2 * labels + 4] = 250
        head = struct.pack(">4B3I", 0, 0, 8, 3, *images.shape)
        packed = gzip.compress(head + images.tobytes(), mtime=0)
        (folder / f"{prefix}-images-idx3-ubyte.gz").write_bytes(packed)
        head = struct.pack(">4BI", 0, 0, 8, 1, count)
        (folder / f"{prefix}-labels-idx1-ubyte").write_bytes(head + labels.tobytes())
    return folder


def write_colours(folder: Path, *, classes: tuple[str, ...] = ("blue", "green", "red")) -> Path:
    """Write pictures of nearly one colour, ten a class."""
    from PIL import Image

    rng = np.random.default_rng(1)
    for name in classes:
        (folder / name).mkdir(parents=True)
        plain = [40, 40, 40]
        plain[("red", "green", "blue").index(name)] = 200
        for number in range(10):
            pixels = np.array(plain) + rng.integers(0, 40, (6, 6, 3))
            Image.fromarray(pixels.astype(np.uint8)).save(folder / name / f"{number}.png")
    return folder


def trained(*arguments: str, epochs: int = 1) -> Result:
    result = run("run", *arguments, "--epochs", str(epochs), "--json")
    assert result.code == Exit.DONE, result.err + result.out
    return result


def test_idx_files_are_found_by_option_and_by_environment(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = write_mnist(here.parent / "data" / "mnist").parent
    trained("small.cnn", "--data-dir", str(root))
    trained("small.cnn", "--data-dir", str(root / "mnist"))
    monkeypatch.setenv("CNNDSL_DATA", str(root))
    trained("small.cnn")
    # The option comes first: here it has other images.
    write_mnist(here.parent / "other" / "mnist", train=60)
    other = trained("small.cnn", "--data-dir", str(here.parent / "other"))
    left = [left_in(RunFolder.open(here / "runs" / f"small-{n}")) for n in (1, 2, 3, 4)]
    assert left[0] == left[1] == left[2]
    assert left[0] != left[3]
    done = json.loads(other.lines[-1])
    assert done["event"] == "done"


def test_idx_files_teach(here: Path) -> None:
    data = write_mnist(here.parent / "data" / "mnist", train=200).parent
    result = trained("small.cnn", "--data-dir", str(data), epochs=4)
    assert json.loads(result.lines[-1])["test"]["accuracy"] == 1.0


def test_a_folder_of_images_teaches_and_names_its_classes(here: Path) -> None:
    write_colours(here / "colours")
    result = trained("colours.cnn", epochs=8)
    done = json.loads(result.lines[-1])
    assert done["test"]["accuracy"] == 1.0
    told = run("predict", done["run"], str(here / "colours" / "red" / "3.png"), "--json")
    (row,) = told.json["images"]
    assert row["class"] == "red"


def test_a_folder_given_on_the_command_line(here: Path) -> None:
    folder = write_colours(here.parent / "elsewhere")
    trained("colours.cnn", "--data", str(folder))
    # Relative paths mean the same when a run goes on from another folder.
    trained("colours.cnn", "--data", "../elsewhere")
    left = [left_in(RunFolder.open(here / "runs" / f"colours-{n}")) for n in (1, 2)]
    assert left[0] == left[1]


@pytest.mark.parametrize("option", ["--data", "--data-dir"])
def test_a_run_goes_on_from_another_folder(
    option: str, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_mnist(here / "data" / "mnist")
    write_colours(here / "pictures")
    if option == "--data":
        trained("colours.cnn", "--data", "pictures")
    else:
        trained("small.cnn", "--data-dir", "data")
    (folder,) = (here / "runs").iterdir()
    monkeypatch.chdir(here.parent)
    result = run("train", "--resume", str(folder), "--epochs", "2")
    assert result.code == Exit.DONE, result.err
    assert RunFolder.open(folder).read_metrics()[-1]["epoch"] == 2
    assert run("eval", str(folder)).code == Exit.DONE


def test_scores_that_do_not_fit_the_classes(here: Path) -> None:
    write_colours(here / "colours", classes=("blue", "red"))
    result = run("run", "colours.cnn")
    assert result.code == Exit.PROGRAM
    assert "error[E0820]: the data set colours has 2 classes, but colours ends in [3]" in result.err
    assert "help: end in `fc 2 - softmax`" in result.err
    assert not (here / "runs").exists()


def test_the_slide_takes_size_and_classes_from_its_data(here: Path) -> None:
    data = write_mnist(here / "data" / "mnist").parent
    chosen = ("-p", "N=1", "-p", "M=2", "-p", "K=0", "--data", "mnist", "--data-dir", str(data))
    result = run("run", "slide", *chosen, "--epochs", "1", "--batch", "9")
    assert result.code == Exit.DONE, result.err
    assert "using the data's [28x28x1]" in result.err
    assert "does not say how to train" in result.err


def test_missing_data_ends_with_3_and_says_where_it_was_looked_for(here: Path) -> None:
    result = run("run", "small.cnn", "--data-dir", "nowhere")
    assert result.code == Exit.DATA
    assert "error[E0801]: the files of the data set mnist are not here" in result.err
    assert "nowhere/mnist" in result.err
    assert "`cnndsl data get mnist`" in result.err
    assert not (here / "runs").exists()

    result = run("run", "colours.cnn", "--json")
    assert result.code == Exit.DATA
    assert [found["code"] for found in result.json["diagnostics"]] == ["E0801"]

    result = run("run", "small.cnn", "--data", "mnits")
    assert result.code == Exit.DATA
    assert "did you mean mnist?" in result.err


BROKEN: dict[str, tuple[str, bytes, str]] = {
    "cut off": ("train-labels-idx1-ubyte", b"\0\0\x08\x01\0\0\0\x32abc", "E0804"),
    "empty": ("train-labels-idx1-ubyte", b"", "E0804"),
    "a web page": ("t10k-labels-idx1-ubyte", b"<!DOCTYPE html><html></html>", "E0803"),
    "a label of 200": ("t10k-labels-idx1-ubyte", b"\0\0\x08\x01\0\0\0\x02\x01\xc8", "E0807"),
    "fewer labels": ("t10k-labels-idx1-ubyte", b"\0\0\x08\x01\0\0\0\x02\x01\x02", "E0808"),
    "half a gzip": ("train-images-idx3-ubyte.gz", b"\x1f\x8b\x08\0\0\0\0\0\0\xff\x01", "E0804"),
    "too long": ("t10k-labels-idx1-ubyte", b"\0\0\x08\x01\0\0\0\x01\x01\x02", "E0805"),
}


@pytest.mark.parametrize("how", BROKEN)
def test_broken_files_end_with_3_and_name_the_file(how: str, here: Path) -> None:
    name, content, code = BROKEN[how]
    folder = write_mnist(here / "data" / "mnist")
    (folder / name).write_bytes(content)
    result = run("run", "small.cnn", "--data-dir", "data")
    assert result.code == Exit.DATA
    assert f"error[{code}]" in result.err
    assert name in result.err
    assert not (here / "runs").exists()


def test_pictures_that_are_none_are_refused_or_left_out(here: Path) -> None:
    folder = write_colours(here / "colours")
    (folder / "red" / "3.png").write_bytes(b"not a picture")
    result = run("run", "colours.cnn", "--epochs", "1")
    assert result.code == Exit.DATA
    assert "error[E0810]" in result.err
    assert "3.png" in result.err
    result = run("run", "colours.cnn", "--epochs", "1", "--skip-bad")
    assert result.code == Exit.DONE, result.err
    assert "1 of 30 images" in result.err
    assert "could not be read" in result.err
