"""`cnndsl import`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.acceptance.material import blocks
from tests.cli.runner import run, run_json


@pytest.fixture
def walk(tmp_path: Path) -> Path:
    path = tmp_path / "walk.txt"
    path.write_text(blocks()["N-35"].text, "utf-8")
    return path


def test_a_slide_is_checked(walk: Path) -> None:
    program = run("import", "slide", str(walk))
    assert (program.code, program.err) == (0, "")
    result = run("check", "-", stdin=program.out.encode())
    assert result.code == 1
    assert "memory = 15,237,608" in result.err
    assert "60,950,432 = 61.0MB (58.1 MiB)" in result.err


def test_a_slide_that_is_no_program_yet_says_how(walk: Path) -> None:
    result = run("check", str(walk))
    assert result.code == 1
    assert "`cnndsl import slide walk.txt` cleans it" in result.err


def test_repairs_and_json(walk: Path) -> None:
    result = run("import", "slide", str(walk), "--repairs")
    assert "a formula's typesetting" in result.err
    document = run_json("import", "slide", str(walk))
    assert len(document["programs"]) == 1
    assert document["repairs"][0]["what"] == "a formula's typesetting"


def test_pages(tmp_path: Path) -> None:
    path = tmp_path / "slides.txt"
    path.write_text(blocks()["N-22"].text, "utf-8")
    both = run("import", "slide", str(path))
    assert both.out.count("# ---- network") == 2
    one = run("import", "slide", str(path), "--page", "2")
    assert "params: (11*11*3)*96 = 35K" in one.out
    assert run("import", "slide", str(path), "--page", "3").code == 2


def test_options(tmp_path: Path) -> None:
    path = tmp_path / "slide.txt"
    path.write_text("6 5x5 filters\n6x28x28 output image!", "utf-8")
    result = run("import", "slide", str(path), "--input", "3x32x32", "--layout", "chw")
    assert result.out == "input [32x32x3]\n[28x28x6] conv 6 5x5\n"


def test_prose_alone_is_no_network(tmp_path: Path) -> None:
    path = tmp_path / "prose.txt"
    path.write_text("Convolutional networks are used for images.", "utf-8")
    result = run("import", "slide", str(path))
    assert result.code == 2
    assert "no network is found in it" in result.err


def test_keras_to_a_file(tmp_path: Path) -> None:
    listing, program = tmp_path / "model.py", tmp_path / "model.cnn"
    listing.write_text(blocks()["N-72"].text, "utf-8")
    result = run("import", "keras", str(listing), "-o", str(program))
    assert (result.code, result.out) == (0, "")
    assert "257,162 parameters" in run("check", str(program)).out
    assert run_json("import", "keras", str(listing))["programs"] == [program.read_text()]


def test_torch_from_stdin() -> None:
    text = b"net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(72, 10))"
    result = run("import", "torch", "-", stdin=text)
    assert result.out.splitlines() == ["conv 8 3x3", "relu", "flatten", "fc 10"]


def test_a_layer_that_is_not_there() -> None:
    result = run("import", "keras", "-", stdin=b"model.add(Conv3D(8, 3))")
    assert result.code == 1
    assert "`Conv3D` is a layer that the language does not have" in result.err


def test_what_is_not_there_or_no_text(tmp_path: Path) -> None:
    assert run("import", "slide", str(tmp_path / "none.txt")).code == 1
    (tmp_path / "noise.txt").write_bytes(bytes(range(256)))
    assert "E0612" in run("import", "keras", str(tmp_path / "noise.txt")).err


def test_a_darknet_file_becomes_a_program_that_checks(tmp_path: Path) -> None:
    path = tmp_path / "tiny.cfg"
    path.write_text(
        "[net]\nheight=32\nwidth=32\nchannels=3\n[convolutional]\nfilters=8\nsize=3\npad=1\n"
        "activation=leaky\n[avgpool]\n[connected]\noutput=10\nactivation=linear\n[softmax]\n"
    )
    refused = run("check", str(path))
    assert "`cnndsl import darknet tiny.cfg` writes the .cnn for it" in refused.err
    program = run("import", "darknet", str(path))
    assert (program.code, program.err) == (0, "")
    result = run("check", "-", stdin=program.out.encode())
    assert (result.code, result.err) == (0, "")
    assert run_json("import", "darknet", str(path))["programs"] == [program.out]
