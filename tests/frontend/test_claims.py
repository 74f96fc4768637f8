"""Claims of lines and assertions about layers and nets, by named conventions."""

from __future__ import annotations

import pytest

from cnndsl.frontend.check import examine
from cnndsl.frontend.counting import WAYS

NET = "input [28x28x1]\nC1: conv 6 5x5 pad 2, sigmoid\nS2: avgpool 2x2\nF3: fc 10\n"
BLOCKS = """
block pair(c) { conv c 1x1 - conv c 3x3 half }
net trunk { input [8x8x4]; P: pair(8); gap }
input [8x8x4]
Q: pair(16)
repeat i in 0..1 { r[i]: conv 4 1x1 }
"""


def errors(text: str) -> list[str]:
    return [f"{d.code} {d.message} {d.label}" for d in examine(text).diagnostics]


@pytest.mark.parametrize(
    "test",
    [
        "C1.params == 156 and C1.weights == 150 and C1.biases == 6",
        "C1.macs == 28*28*150 and C1.size == 28x28x6 and C1.memory == 4_704",
        "C1.field == 5 and S2.field == 6 and S2.step == 2",
        "F3.size == 1x1x10 and F3.h == 1 and F3.c == 10",
        "params ~= 11.9K and bytes == memory * 4",
        "layers == 4 and weight_layers == 2 and statistics == 0",
        "input.memory == 784",
        "S2.params == 0 and flops > 2 * macs",
    ],
)
def test_what_may_be_asked(test: str) -> None:
    assert errors(f"{NET}assert {test}") == []


@pytest.mark.parametrize(
    "test",
    [
        "Q.weights == 64 + 9*256",
        "Q.weight_layers == 2",
        "Q.size == 8x8x16",
        "trunk.P.params == (4*8 + 8) + (9*64 + 8)",
        "trunk.params == trunk.P.params",
        "trunk.layers == 3",
    ],
)
def test_lines_of_several_layers_and_nets(test: str) -> None:
    assert errors(f"{BLOCKS}assert {test}") == []


def test_what_may_not_be_asked() -> None:
    (found,) = errors(f"{NET}assert C1.speed == 3")
    assert found.startswith("E0505 a layer has no `speed`")
    (found,) = errors(f"{BLOCKS}assert trunk.X.params == 3")
    assert found.startswith("E0210 `trunk` has no layer called `X`")
    (found,) = errors(f"{NET}assert params ~= macs")
    assert found.startswith("E0505")
    (found,) = errors(f"{NET}assert D9.params == 3")
    assert found.startswith("E0208")


def test_conventions_change_what_a_claim_means() -> None:
    line = "input [28x28x1]\nCONV1: 6 5x5 filters, pad 2  params: 156"
    assert errors(line) != []
    assert errors(f"counting: with biases\n{line}") == []
    pool = "input [56x56x64]\nP: maxpool 2x2  ops: 200704"
    assert errors(pool) != []
    assert errors(f"counting: with pools\n{pool}") == []
    memory = f"{NET}assert memory == 4_704 + 1_176 + 10"
    assert errors(memory) != []
    assert errors(f"counting: without input\n{memory}") == []


def test_every_convention_can_be_said_and_no_other() -> None:
    for way in WAYS:
        assert errors(f"counting: {way}\n{NET}") == []
    assert errors(f"counting: {', '.join(WAYS)}\n{NET}") == []
    (found,) = errors(f"counting: with care\n{NET}")
    assert found.startswith("E0207 `with care` is no way of counting")


def test_depth_and_bytes_of_a_line() -> None:
    line = "input [8x8x4]\nL: conv 8 1x1 - conv 8 3x3 half  depth: {}  memory: {}"
    assert errors(line.format(2, "2KiB")) == []
    assert [e[:5] for e in errors(line.format(3, "512"))] == ["E0504"]
    assert [e[:5] for e in errors(line.format(2, "3KiB"))] == ["E0504"]
    (found,) = errors("input [8x8x4]\nL: conv 8 1x1  speed: 3")
    assert "a line claims memory, params, ops or depth, not `speed`" in found


def test_the_message_has_the_figure_in_its_unit() -> None:
    text = str(examine(f"{NET}assert bytes ~= 93MB"))
    assert "bytes = 26,696" in text
    text = str(examine(f"{NET}assert memory ~= 24K"))
    assert "memory is 6,674 = 6.7K" in text
    assert "kept: input 784, C1 4,704, S2 1,176, F3 10" in text
