from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import cnndsl
from tests.cli.runner import run, run_json

PROGRAM = """input [8x8x1]
C1: conv 2 3x3 half, relu
P1: maxpool 2x2
fc 3, softmax
"""


@pytest.fixture
def trained(tmp_path: Path) -> tuple[str, str, str]:
    """A program, weights and a picture of a bar."""
    from PIL import Image

    program = tmp_path / "tiny.cnn"
    program.write_text(PROGRAM)
    model = cnndsl.load(program)
    model.initialize(seed=1)
    model.save(tmp_path / "tiny.safetensors")
    pixels = np.zeros((8, 8), np.uint8)
    pixels[1:7, 3:5] = 255
    Image.fromarray(pixels).save(tmp_path / "bar.png")
    return str(program), str(tmp_path / "tiny.safetensors"), str(tmp_path / "bar.png")


def test_layer(golden: Callable[[str], None]) -> None:
    result = run("explain", "lenet", "--layer", "C3", "--at", "0,4,3")
    assert (result.code, result.err) == (0, "")
    golden(result.out)


@pytest.mark.parametrize(("layer", "at"), [("C1", "0,3,1"), ("P1", "1,2,0"), ("fc1", "2"),
                                           ("relu1", "3,3,0"), ("softmax1", "0")])  # fmt: skip
def test_number(
    trained: tuple[str, str, str], golden: Callable[[str], None], layer: str, at: str
) -> None:
    program, weights, image = trained
    asked = ("explain", program, "--layer", layer, "--at", at)
    result = run(*asked, "--weights", weights, "--image", image)
    assert (result.code, result.err) == (0, "")
    golden(result.out)
    document = run_json(*asked, "--weights", weights, "--image", image)
    assert document["value"] == pytest.approx(document["reference"], rel=1e-5, abs=1e-5)
    assert max(map(len, result.lines)) <= 80


def test_ink_on_paper(trained: tuple[str, str, str]) -> None:
    program, weights, image = trained
    asked = ("explain", program, "--layer", "C1", "--at", "3,3,1", "--weights", weights)
    plain = run_json(*asked, "--image", image)
    swapped = run_json(*asked, "--image", image, "--invert")
    numbers = np.array(plain["planes"][0]["numbers"])
    assert np.allclose(numbers + np.array(swapped["planes"][0]["numbers"]), 1)


def test_json_of_a_layer() -> None:
    document = run_json("explain", "lenet", "--layer", "c3", "--at", "0,0,15")
    assert document["layer"] == "C3"
    assert document["window"] == [[0, 4], [0, 4]]
    assert document["accounts"]["parameters"] == "(5*5*6)*16 + 16 = 2,416 (weight + bias)"
    assert document["value"] is None


def test_codes() -> None:
    assert run_json("explain", "e0301")["title"] == "a window that does not fit"
    assert "E0301" in run("explain", "E0301").out
    result = run("explain", "E0399")
    assert result.code == 2
    assert "there is no code 'E0399'. Did you mean E0309" in result.err


def test_complaints(trained: tuple[str, str, str]) -> None:
    program, weights, image = trained
    cases = {
        ("explain", program): (2, "C1"),
        ("explain", program, "--layer", "C7"): (1, "C1"),
        ("explain", program, "--layer", "C1", "--at", "8,0,0"): (1, "7,7,1"),
        ("explain", program, "--layer", "C1", "--at", "4"): (2, "row,column,channel"),
        ("explain", program, "--layer", "fc1", "--at", "x"): (2, "number"),
        ("explain", program, "--layer", "C1", "--image", image): (2, "--weights"),
        ("explain", program, "--layer", "C1", "--image", image, "--weights", weights): (2, "--at"),
        ("explain", "E0301", "--layer", "C1"): (2, "code"),
        ("explain", "no-such-program", "--layer", "C1"): (1, "no-such-program"),
    }
    for line, (code, words) in cases.items():
        result = run(*line)
        assert (result.code, words in result.err) == (code, True), (line, result.err)
