from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.runner import run, run_json

PROGRAMS = Path(__file__).parents[1] / "frontend" / "programs"
GOOGLENET, VGG = (str(PROGRAMS / f"{name}.cnn") for name in ("googlenet", "vgg"))
STEMS = ("compare", GOOGLENET, VGG, "--from", "224", "--to", "28")


def test_stems(golden: Callable[[str], None]) -> None:
    golden(run(*STEMS).out)


def test_stems_in_numbers() -> None:
    document = run_json(*STEMS)
    assert document["quantities"]["parameters"] == [124_416, 1_735_488]
    assert document["quantities"]["with pools"] == [480_836_608, 9_340_764_160]
    assert document["quantities"]["memory"][1] == 53_788_672
    assert document["layers"][0][-1] == "maxpool2"


def test_whole_networks() -> None:
    quantities = run_json("compare", VGG, VGG, "-a", "v=A", "-b", "v=E")["quantities"]
    assert quantities["parameters"] == [132_863_336, 143_667_240]


def test_the_layer_that_makes_the_first_size_is_left_out() -> None:
    document = run_json("compare", GOOGLENET, VGG, "--from", "112", "--to", "56")
    assert document["layers"][0] == ["relu1", "maxpool1"]
    assert document["layers"][1][0] == "conv3"
    assert document["layers"][1][-1] == "maxpool2"


def test_sizes_that_are_not_there() -> None:
    result = run("compare", GOOGLENET, VGG, "--from", "224", "--to", "30")
    assert result.code == 1
    assert "E0924" in result.err
    assert "224, 112, 56, 28, 14, 7" in result.err


@pytest.mark.parametrize(("form", "begins"), [("markdown", "|"), ("latex", r"\begin{tabular}")])
def test_documents(form: str, begins: str) -> None:
    assert run(*STEMS, "--format", form).out.startswith(begins)
