from __future__ import annotations

import pytest

from cnndsl.frontend.elaborate import elaborate
from cnndsl.frontend.parse import parse
from cnndsl.layers.stretch import NoSuchSizeError, stretch

TEXT = """input [16x16x1]
conv 2 3x3 half as a - relu
maxpool 2x2
(conv 3 3x3 half | conv 5 1x1 - relu) - concat
maxpool 2x2
fc 4
"""
NETWORK = elaborate(parse(TEXT, "t.cnn")).network


def names(start: int | None, end: int | None) -> list[str]:
    return [report.name for report in stretch(NETWORK, start=start, end=end).reports]


def test_parts() -> None:
    assert names(16, 8) == ["conv1", "relu1", "maxpool1"]
    assert names(8, 4) == ["conv2", "conv3", "relu2", "concat1", "maxpool2"]
    assert names(4, None) == ["fc1"]
    assert len(names(None, None)) == len(NETWORK.layers)


def test_counts() -> None:
    part = stretch(NETWORK, start=16, end=8)
    assert (part.params, part.weights, part.macs) == (20, 18, 16 * 16 * 18)
    assert part.macs_with_pools == 16 * 16 * 18 + 8 * 8 * 2 * 4
    assert part.activations == 16 * 16 * 2 + 8 * 8 * 2


def test_sizes_that_are_not_there() -> None:
    with pytest.raises(NoSuchSizeError) as missing:
        names(16, 5)
    assert missing.value.sides == (16, 8, 4)
    with pytest.raises(NoSuchSizeError):
        names(4, 16)
