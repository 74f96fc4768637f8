from __future__ import annotations

import pytest

from cnndsl.draw.gather import scene_of
from cnndsl.draw.scene import Box, Cluster
from tests.draw.networks import DRAWN, RESIDUAL, network, program


def test_what_refines_a_layer_stands_in_its_box() -> None:
    scene = scene_of(network("input [8x8x1]\nC1: conv 2 3x3, relu, dropout 0.5\nfc 3, softmax\n"))
    assert [[strip.words for strip in box.strips] for box in scene.boxes] == [
        ["input"],
        ["conv 2 3x3", "relu", "dropout 0.5"],
        ["fc 3", "softmax"],
    ]
    assert [box.title for box in scene.boxes] == ["input", "C1", "fc1"]
    assert scene.boxes[1].params == 20
    assert scene.boxes[1].macs == 36 * 18
    assert scene.boxes[1].labelled


def test_what_others_read_keeps_its_box() -> None:
    scene = scene_of(network("input [8x8x3]\nconv 3 3x3 half as c - relu - add c\n"))
    heads = [box.strips[0].words for box in scene.boxes]
    assert heads == ["input", "conv 3 3x3 half", "relu", "add"]


def test_blocks_open_down_to_the_depth() -> None:
    built = network(RESIDUAL)
    closed = scene_of(built, depth=0)
    assert [box.kind for box in closed.boxes] == ["input", "conv", "block", "maxpool", "fc"]
    assert closed.boxes[2].copies == 3
    assert closed.boxes[2].strips[0].words == "unit(6)"
    assert closed.boxes[2].params == 3 * 2 * (6 * 6 * 9 + 6 + 12)
    (opened,) = [item for item in scene_of(built).items if isinstance(item, Cluster)]
    assert opened.title == "unit(6)"
    assert opened.copies == 3
    assert [box.kind for box in opened.children if isinstance(box, Box)] == ["conv", "conv", "add"]
    assert opened.inputs == ("relu1",)
    assert len(opened.exits) == 1


def test_outputs_with_names_are_boxes() -> None:
    text = "input [8x8x1]\nconv 2 3x3 as a - conv 3 3x3 as b\noutput a, b\n"
    scene = scene_of(network(text))
    assert [box.key for box in scene.boxes][-2:] == ["output a", "output b"]
    assert [box.inputs for box in scene.boxes][-2:] == [("conv1",), ("conv2",)]


@pytest.mark.parametrize("name", DRAWN)
@pytest.mark.parametrize("depth", [None, 0, 1])
@pytest.mark.parametrize("repeats", [True, False])
def test_every_layer_is_in_one_box_and_every_value_is_made_before_it_is_read(
    name: str, depth: int | None, repeats: bool
) -> None:
    built = program(name)
    scene = scene_of(built, depth=depth, repeats=repeats)
    members = [member for box in scene.boxes for member in box.members]
    assert sorted(members) == sorted(
        [*(s.name for s in built.inputs), *(layer.name for layer in built.layers)]
    )
    made: set[str] = set()
    for box in scene.boxes:
        assert made.issuperset(box.inputs)
        made.update(outlet.value for outlet in box.outlets)
    assert repeats or all(box.copies == 1 for box in scene.boxes)
