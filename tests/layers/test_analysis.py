"""The figures of published networks, by layer and in total."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from cnndsl.layers.analysis import Analysis, analyse, table_rows
from cnndsl.layers.base import SettingValue
from cnndsl.layers.network import Input, Layer, Network

if TYPE_CHECKING:
    from tests.layers.conftest import Bench, Step


def conv(filters: int, window: int, **given: SettingValue) -> Step:
    return "conv", {"filters": filters, "window": (window, window), **given}


def pool(window: int, stride: int) -> Step:
    return "maxpool", {"window": (window, window), "stride": (stride, stride)}


def fc(neurons: int) -> Step:
    return "fc", {"neurons": neurons}


RELU: Step = ("relu", {})
LENET: list[Step] = [
    conv(6, 5), ("sigmoid", {}), ("avgpool", {}), conv(16, 5), ("sigmoid", {}), ("avgpool", {}),
    fc(120), ("sigmoid", {}), fc(84), ("sigmoid", {}), fc(10), ("softmax", {}),
]  # fmt: skip
KERAS: list[Step] = [
    conv(32, 3, same=True), RELU, pool(2, 2), conv(64, 3, same=True), RELU, pool(2, 2),
    conv(64, 3, same=True), RELU, ("flatten", {}), fc(64), RELU, fc(10), ("softmax", {}),
]  # fmt: skip
ALEXNET: list[Step] = [
    conv(96, 11, stride=(4, 4)), pool(3, 2), ("lrn", {}), conv(256, 5, pad=2), pool(3, 2),
    ("lrn", {}), conv(384, 3, pad=1), conv(384, 3, pad=1), conv(256, 3, pad=1), pool(3, 2),
    fc(4096), fc(4096), fc(1000),
]  # fmt: skip
VGG_D: list[Step] = [
    step
    for filters, count in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))
    for step in [*[conv(filters, 3, half=True), RELU] * count, pool(2, 2)]
] + [fc(4096), RELU, fc(4096), RELU, fc(1000), ("softmax", {})]


@pytest.fixture(scope="module")
def lenet(bench: Bench) -> Analysis:
    return analyse(bench.chain((32, 32, 1), *LENET))


@pytest.fixture(scope="module")
def alexnet(bench: Bench) -> Analysis:
    return analyse(bench.chain((227, 227, 3), *ALEXNET))


def test_lenet(lenet: Analysis) -> None:
    assert lenet.params == lenet.trainable == 61_706
    assert lenet.weights == 61_706 - (6 + 16 + 120 + 84 + 10)
    assert lenet.macs == 416_520
    fields = [r.receptive_field for r in lenet.layers if r.kind in ("conv", "avgpool", "fc")]
    assert fields[:5] == [(5, 5), (6, 6), (14, 14), (16, 16), (32, 32)]
    assert lenet["avgpool2"].stride == (4, 4)
    assert lenet.parameter_bytes == 4 * 61_706


def test_keras_classifier(bench: Bench) -> None:
    found = analyse(bench.chain((28, 28, 1), *KERAS))
    assert found.params == 257_162
    assert [r.macs for r in found.layers if r.macs] == [225_792, 3_612_672, 1_806_336, 200_704, 640]
    assert found.macs == 5_846_144
    assert found["conv3"].receptive_field == (18, 18)


def test_alexnet(alexnet: Analysis) -> None:
    assert alexnet.params == 62_378_344
    assert alexnet.activations == 1_049_571
    assert alexnet.activation_bytes == 4 * 1_049_571
    assert alexnet.training_bytes == 8 * 1_049_571
    assert [alexnet[f"conv{i}"].params for i in range(1, 6)] == [
        34_944, 614_656, 885_120, 1_327_488, 884_992,
    ]  # fmt: skip
    convs = sum(alexnet[f"conv{i}"].macs for i in range(1, 6))
    dense = sum(alexnet[f"fc{i}"].macs for i in range(1, 4))
    assert convs + dense == alexnet.macs == 1_135_256_096
    names = ("conv1", "maxpool1", "conv2", "maxpool2", "conv3", "conv4", "conv5", "maxpool3")
    assert [alexnet[name].receptive_field[0] for name in names] == [
        11, 19, 51, 67, 99, 131, 163, 195,
    ]  # fmt: skip
    assert alexnet["conv1"].formula == "(227 - 11)/4 + 1 = 55"


def test_vgg_d(bench: Bench) -> None:
    found = analyse(bench.chain((224, 224, 3), *VGG_D))
    assert found.params == 138_357_544
    assert found.macs == 15_470_264_320
    assert found.activations == 15_237_608
    assert found["maxpool5"].receptive_field == (212, 212)
    assert found["maxpool5"].stride == (32, 32)
    assert not found["relu1"].counted


def test_effective_padding_grows_with_the_stride(bench: Bench) -> None:
    """p + P*j: a border of 2 behind a stride of 4 reaches 8 pixels farther."""
    steps: list[Step] = [
        ("conv", {"filters": 4, "window": (8, 8), "stride": (4, 4), "pad": 2}),
        ("conv", {"filters": 4, "window": (5, 3), "pad": (2, 1)}),
        ("maxpool", {"window": (3, 3), "stride": (2, 2), "pad": 1, "floor": True}),
        ("crop", {"amount": 1}),
        ("gap", {}),
    ]
    found = analyse(bench.chain((64, 64, 3), *steps))
    paddings = [report.padding for report in found.layers]
    assert paddings == [(0, 0), (2, 2), (10, 6), (14, 10), (6, 2), (6, 2)]


def test_alphago_sees_more_than_the_board(bench: Bench) -> None:
    steps = [conv(192, 5, pad=2), *[conv(192, 3, pad=1)] * 11, conv(1, 1, untied=True)]
    found = analyse(bench.chain((19, 19, 48), *steps))
    assert found.params == 3_882_793
    assert found.macs == 1_400_726_208
    assert found["conv13"].receptive_field == (27, 27)


def test_statistics_are_kept_apart_from_parameters(bench: Bench) -> None:
    found = analyse(bench.chain((8, 8, 3), conv(16, 3, nobias=True), ("bn", {}), RELU))
    assert (found.params, found.statistics) == (16 * 27 + 32, 32)
    assert found.weights == 16 * 27 + 16
    assert found["bn1"].statistics == 32
    assert found.parameter_bytes == 4 * (16 * 27 + 64)


def branches(bench: Bench) -> Network:
    """Make a block with a 1x1 and a 5x5 branch, joined."""
    size = (8, 8, 4)
    layers: list[Layer] = []
    for name, (kind, given), inputs in (
        ("small", conv(4, 1), ("input",)),
        ("large", conv(4, 5, half=True), ("input",)),
        ("sum", ("add", {}), ("small", "large")),
        ("down", conv(4, 2, stride=(2, 2)), ("sum",)),
        ("last", conv(4, 3, half=True), ("down",)),
    ):
        sizes = tuple(next((x.output for x in layers if x.name == i), size) for i in inputs)
        layers.append(bench.layer(name, bench.spec(kind, given), inputs, sizes))
    return Network("branches", (Input("input", size),), tuple(layers), {"output": "last"})


def test_the_receptive_field_of_branches_is_the_largest(bench: Bench) -> None:
    found = analyse(branches(bench))
    fields = {r.name: (r.receptive_field[0], r.stride[0]) for r in found.layers}
    assert fields == {
        "input": (1, 1), "small": (1, 1), "large": (5, 1), "sum": (5, 1), "down": (6, 2),
        "last": (10, 2),
    }  # fmt: skip


def test_shared_parameters_count_once_and_frozen_ones_are_not_trainable(bench: Bench) -> None:
    network = bench.chain((8, 8, 4), conv(4, 3, same=True), conv(4, 3, same=True))
    each = 4 * 4 * 9 + 4
    assert analyse(network).params == 2 * each
    shared = analyse(bench.sharing(network, "conv2", "conv1"))
    assert shared.params == each
    assert (shared["conv2"].params, shared["conv2"].shares) == (0, "conv1")
    assert shared["conv2"].macs == shared["conv1"].macs
    first, second = network.layers
    frozen = replace(network, layers=(replace(first, trainable=False), second))
    assert analyse(frozen).trainable == each
    assert analyse(frozen).params == 2 * each


def test_an_unknown_layer_has_no_report(lenet: Analysis) -> None:
    with pytest.raises(KeyError):
        lenet["conv9"]


def test_the_lectures_table(bench: Bench) -> None:
    rows = table_rows(bench.chain((224, 224, 3), *VGG_D))
    shown = [(r.size, r.words, r.memory, r.params) for r in rows if r.name in (
        "input", "conv1", "conv3", "maxpool5", "fc1", "fc3", "relu1")]  # fmt: skip
    assert shown == [
        ("[224x224x3]", "input [224x224x3]", "224*224*3 = 150,528", "0"),
        ("[224x224x64]", "conv 64 3x3 half", "224*224*64 = 3,211,264", "(3*3*3)*64 = 1,728"),
        ("[224x224x64]", "relu", "0", "0"),
        ("[112x112x128]", "conv 128 3x3 half", "112*112*128 = 1,605,632",
         "(3*3*64)*128 = 73,728"),
        ("[7x7x512]", "maxpool 2x2", "7*7*512 = 25,088", "0"),
        ("[4096]", "fc 4096", "4,096", "7*7*512*4096 = 102,760,448"),
        ("[1000]", "fc 1000", "1,000", "4096*1000 = 4,096,000"),
    ]  # fmt: skip
