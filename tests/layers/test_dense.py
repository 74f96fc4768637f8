"""Fully connected layers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from cnndsl.ir.types import DType
from cnndsl.layers.base import LAYERS, LayerError

if TYPE_CHECKING:
    from tests.layers.conftest import Bench


def test_vgg_fc6_by_hand(bench: Bench) -> None:
    spec = bench.spec("fc", {"neurons": 4096})
    size = (7, 7, 512)
    weight, bias = spec.kind.parameters(spec, [size])
    assert weight.shape == (4096, 25088)
    assert (weight.init.fan_in, weight.init.fan_out) == (25088, 4096)
    assert bias.shape == (4096,)
    assert spec.kind.output(spec, [size]) == (4096,)
    assert spec.kind.macs(spec, [size], (4096,)) == 102_760_448
    assert spec.kind.flops(spec, [size], (4096,)) == 2 * 102_760_448 + 4096
    assert spec.kind.formula(spec, [size]) == "7*7*512 = 25088"
    assert spec.kind.field(spec, [size]) == ((7, 7), (1, 1))


def test_of_a_vector(bench: Bench) -> None:
    spec = bench.spec("fc", {"neurons": 10, "nobias": True})
    assert [p.shape for p in spec.kind.parameters(spec, [(84,)])] == [(10, 84)]
    assert spec.kind.formula(spec, [(84,)]) == ""
    assert spec.kind.flops(spec, [(84,)], (10,)) == 2 * 840


def test_bare_and_with_a_hyphen(bench: Bench) -> None:
    assert bench.spec("fc", bare=True).count("neurons") == 512
    assert LAYERS["fc"].sized("", 4096) == {"neurons": 4096}
    with pytest.raises(LayerError):
        LAYERS["fc"].sized("3", 64)


def test_an_image_is_flattened_channel_by_channel(bench: Bench) -> None:
    made = bench.emit("fc", {"neurons": 8, "nobias": True}, (2, 2, 2), dtype=DType.F64)
    x = np.arange(24.0).reshape(3, 2, 2, 2)
    np.testing.assert_array_equal(made.run(x, weight=np.eye(8)), x.reshape(3, 8))


@pytest.mark.parametrize("neurons", [0, -3, 2**31])
def test_neurons_outside_the_range(bench: Bench, neurons: int) -> None:
    with pytest.raises(LayerError) as caught:
        bench.spec("fc", {"neurons": neurons})
    assert (caught.value.code, caught.value.at) == ("E0207", "neurons")
