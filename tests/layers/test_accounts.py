from __future__ import annotations

import pytest

from cnndsl.frontend.elaborate import elaborate
from cnndsl.frontend.parse import parse
from cnndsl.layers.accounts import accounts

TEXT = """input [16x16x3]
conv 6 5x5, relu
maxpool 2x2
conv 8 3x3 groups 2 nobias
bn
prelu
add conv2
fc 10
"""


def said(name: str) -> dict[str, str]:
    network = elaborate(parse(TEXT.replace("add conv2\n", ""), "t.cnn")).network
    return {account.title: account.text for account in accounts(network, name)}


def test_convolution() -> None:
    assert said("conv1") == {
        "reads": "input, [16x16x3]",
        "size": "[12x12x6]  16 - 5 + 1 = 12",
        "parameters": "(5*5*3)*6 + 6 = 456 (weight + bias)",
        "multiply-adds": "(12*12*6)*(5*5*3) = 64,800",
        "gives": "12*12*6 = 864 numbers, 3,456 bytes",
        "sees": "5x5 of the input, every 1x1  1 + (5 - 1)*1 = 5",
    }


def test_groups_see_their_own_channels() -> None:
    account = said("conv2")
    assert account["parameters"] == "(3*3*3)*8 = 216 (weight)"
    assert account["multiply-adds"] == "(4*4*8)*(3*3*3) = 3,456"
    assert account["sees"] == "10x10 of the input, every 2x2  6 + (3 - 1)*2 = 10"


def test_running_statistics_are_told_apart() -> None:
    assert said("bn1")["parameters"] == ("8 + 8 = 16 (scale + shift), and 16 running statistics")
    assert said("prelu1")["parameters"] == "8 (slope)"


def test_fully_connected_and_pooling() -> None:
    assert said("fc1")["parameters"] == "4*4*8*10 + 10 = 1,290 (weight + bias)"
    assert said("fc1")["multiply-adds"] == "4*4*8*10 = 1,280"
    assert said("maxpool1")["parameters"] == "0"
    assert "multiply-adds" not in said("maxpool1")
    assert said("relu1")["sees"] == "5x5 of the input, every 1x1"


def test_unknown_layer() -> None:
    with pytest.raises(KeyError):
        said("conv9")
