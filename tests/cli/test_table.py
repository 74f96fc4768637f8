from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from cnndsl.cli.table import table_lines, text
from cnndsl.frontend.elaborate import elaborate
from cnndsl.frontend.find import zoo_programs
from cnndsl.frontend.parse import parse, parse_file
from cnndsl.layers.analysis import analyse
from cnndsl.layers.network import Network
from tests.cli.runner import run, run_json

PROGRAMS = Path(__file__).parents[1] / "frontend" / "programs"
BUILDABLE = (
    "alexnet", "alphago", "densenet", "googlenet", "keras_mnist", "lenet5", "mobilenet", "nin",
    "pattern", "resnet", "slide", "slide_alexnet", "slide_alphago", "slide_lenet", "slide_vgg",
    "transfer", "vgg", "zfnet",
)  # fmt: skip
PATHS = [*zoo_programs().values(), *(PROGRAMS / f"{name}.cnn" for name in BUILDABLE)]


def accounts(network: Network) -> list[tuple[object, ...]]:
    """What a table must keep of every layer."""
    return [
        (r.kind, r.output, r.params, r.trainable, r.weights, r.macs, r.receptive_field)
        for r in analyse(network).layers
    ]


@pytest.mark.parametrize("path", PATHS, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_a_table_is_a_program_with_the_same_layers(path: Path) -> None:
    network = elaborate(parse_file(path), base_dir=path.parent).network
    written = "\n".join(text(network, table_lines(network)))
    again = elaborate(parse(written, path.name))
    assert accounts(again.network) == accounts(network)
    assert again.notes == ()


def test_the_vgg_slide_comes_back_as_it_was() -> None:
    path = PROGRAMS / "slide_vgg.cnn"
    written = run("table", str(path)).out.replace("[4096]", "[1x1x4096]")
    for line, slide in zip(written.splitlines()[:-3], path.read_text().splitlines(), strict=False):
        assert line.split() == slide.replace("(not counting biases)", "").split()


@pytest.mark.parametrize("name", ["lenet", "keras_mnist", "slide"])
def test_tables(name: str, golden: Callable[[str], None]) -> None:
    golden(run("table", name).out)


def test_branches_frozen_layers_and_outputs(tmp_path: Path, golden: Callable[[str], None]) -> None:
    path = tmp_path / "branches.cnn"
    path.write_text(
        "input [8x8x3]\nnet t { conv 4 3x3 half, relu }\nt\n"
        "x: (conv 4 1x1 | id) -> add, relu\nfc 5 as y\nfrom x -> gap as z\noutput y, z\nfreeze t\n"
    )
    result = run("table", str(path))
    assert result.code == 0, result.err
    golden(result.out)
    again = elaborate(parse(result.out)).network
    assert list(again.outputs.values()) == ["fc1", "gap1"]
    assert analyse(again).trainable == analyse(again).params - (3 * 9 * 4 + 4)


def test_everything_a_layer_can_say_is_said_again(
    tmp_path: Path, golden: Callable[[str], None]
) -> None:
    path = tmp_path / "odd.cnn"
    path.write_text(
        "input [16x16x4]\n"
        "conv(8, 3x5, pad=[0, 1, 2, 2], nobias=true) - leaky 0.2\n"
        "conv 8 3x3 dilation 2 groups 4 pad 1x2, swish\n"
        "conv 8 3x3 stride 2 same lower init normal std 0.02, prelu\n"
        "avgpool 3x3 stride 2 half floor - lrn - elu - maxout 2\n"
        "fc 12 bias_init 0.1 - reshape [2x2x3] - maxpool(2x2, stride=1, pad=[0, 1, 1, 0])\n"
        "dropout 0.3 - conv 2 1x1 untied - reshape [8]\n"
    )
    written = run("table", str(path))
    golden(written.out)
    again = run_json("summary", "-", stdin=written.out.encode())
    before = run_json("summary", str(path))
    for one, other in zip(again["layers"], before["layers"], strict=True):
        # Names and lines differ by nature, since a table labels every line.
        alike = {key for key in one if key not in ("name", "inputs", "line")}
        assert {key: one[key] for key in alike} == {key: other[key] for key in alike}


def test_weights_used_twice_cannot_be_said(tmp_path: Path) -> None:
    path = tmp_path / "twice.cnn"
    path.write_text("input [8x8x3]\nnet t { fc 5 }\n(t | t) -> concat -> fc 2\n")
    result = run("table", str(path))
    assert (result.code, result.out) == (1, "")
    assert "error[E0922]" in result.err


def test_json() -> None:
    document = run_json("table", "lenet")
    assert document["rows"][1] == {
        "name": "C1",
        "words": "conv 6 5x5, tanh",
        "size": [28, 28, 6],
        "memory": "28*28*6=4.7K",
        "params": "(5*5*1)*6 = 150",
    }
    assert document["text"] == run("table", "lenet").out
