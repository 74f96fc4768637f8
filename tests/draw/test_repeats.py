from __future__ import annotations

from cnndsl.draw.gather import scene_of
from cnndsl.draw.scene import Box, Cluster, Item, Outlet
from tests.draw.networks import network, program


def shape(items: tuple[Item, ...]) -> list[object]:
    return [
        f"{item.strips[0].words} x{item.copies}"
        if isinstance(item, Box)
        else [item.title, item.copies, shape(item.children)]
        for item in items
    ]


def test_layers_alike_are_one() -> None:
    scene = scene_of(network("input [8x8x1]\n(conv 4 3x3 half - relu)*5\n"))
    assert shape(scene.items) == ["input x1", "conv 4 3x3 half x5"]
    assert scene.boxes[1].title == "conv1..5"
    assert scene.boxes[1].outlets[0].size == "8x8x4"


def test_the_first_of_a_run_may_read_another_depth() -> None:
    scene = scene_of(network("input [9x9x1]\n(conv 4 3x3 half - conv 6 3x3 half)*3\n"))
    assert shape(scene.items) == [
        "input x1",
        ["", 3, ["conv 4 3x3 half x1", "conv 6 3x3 half x1"]],
    ]


def test_runs_within_runs() -> None:
    text = "input [9x9x1]\n((conv 4 3x3 half - relu)*2 - conv 4 1x1 - tanh)*3\n"
    assert shape(scene_of(network(text)).items) == [
        "input x1",
        ["", 3, ["conv 4 3x3 half x2", "conv 4 1x1 x1"]],
    ]


def test_other_heights_are_no_copies() -> None:
    scene = scene_of(network("input [16x16x1]\n(conv 4 3x3 half - maxpool 2x2)*3\n"))
    assert all(isinstance(item, Box) and item.copies == 1 for item in scene.items)


def test_channels_may_grow() -> None:
    scene = scene_of(program("densenet"))
    grown = [item for item in scene.items if isinstance(item, Cluster) and item.title == "grow"]
    assert [cluster.copies for cluster in grown] == [6, 12, 24, 16]
    last = grown[0].children[-1]
    assert isinstance(last, Box)
    assert last.outlets[0].size == "56x56x96..256"
    assert last.names == ("concat1", "concat2", "concat3", "concat4", "concat5", "concat6")


def test_a_value_that_is_read_elsewhere_ends_the_run() -> None:
    text = "input [8x8x4]\nrepeat i in 1..4 { conv 4 3x3 half as a[i] }\nadd a[2]\n"
    assert shape(scene_of(network(text)).items)[1:] == [
        "conv 4 3x3 half x2",
        "conv 4 3x3 half x2",
        "add x1",
    ]


def test_labelled_layers_collapse_from_three_on() -> None:
    two = network("input [8x8x4]\nA1: conv 4 3x3 half\nA2: conv 4 3x3 half\n")
    assert shape(scene_of(two).items)[1:] == ["conv 4 3x3 half x1", "conv 4 3x3 half x1"]
    many = scene_of(network("input [8x8x4]\nA2..12: conv 4 3x3 half\n"))
    assert shape(many.items)[1:] == ["conv 4 3x3 half x11"]
    assert many.boxes[1].title == "A2..12"


def test_sizes_in_short() -> None:
    assert Outlet("x", ((4, 4, 2), (2, 2, 2))).size == "2..4x2..4x2"
    assert Outlet("x", ((4, 4, 2), (32,))).size == "4x4x2 .. 32"


def test_many_single_layers_are_one_even_where_layers_in_a_row_are_to_be_seen() -> None:
    def shown(count: int) -> list[object]:
        made = network(f"input [9x9x1]\nconv 4 3x3 half\n(conv 4 3x3 half)*{count} - gap\n")
        return shape(scene_of(made, singles=False).items)[1:-1]

    assert shown(3) == ["conv 4 3x3 half x1"] * 4
    assert shown(4) == ["conv 4 3x3 half x5"]
    assert shown(10) == ["conv 4 3x3 half x11"]
