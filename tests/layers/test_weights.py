"""What programs say about the start of weights, and what is chosen where they do not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cnndsl.layers.base import LayerError, SettingValue
from cnndsl.layers.network import Network
from cnndsl.layers.weights import choose_inits
from cnndsl.ops.structural import Init

if TYPE_CHECKING:
    from tests.layers.conftest import Bench


@pytest.mark.parametrize(
    ("given", "init"),
    [
        ({}, Init("he_normal", 1.0, 8, 4)),
        ({"init": "he"}, Init("he_normal", 1.0, 8, 4)),
        ({"init": "xavier"}, Init("glorot_uniform", 1.0, 8, 4)),
        ({"init": "lecun"}, Init("lecun_normal", 1.0, 8, 4)),
        ({"init": "glorot_normal"}, Init("glorot_normal", 1.0, 8, 4)),
        ({"init": "normal"}, Init("normal", 0.01, 8, 4)),
        ({"init": "normal", "std": 0.1}, Init("normal", 0.1, 8, 4)),
        ({"init": "zeros"}, Init("zeros", 1.0, 8, 4)),
    ],
)
def test_what_the_program_says(bench: Bench, given: dict[str, SettingValue], init: Init) -> None:
    spec = bench.spec("fc", {"neurons": 4, **given})
    assert spec.kind.parameters(spec, [(8,)])[0].init == init


def test_biases_begin_at_zero_or_where_the_program_says(bench: Bench) -> None:
    for given, value in (({}, 0.0), ({"bias_init": 1.0}, 1.0)):
        spec = bench.spec("fc", {"neurons": 4, **given})
        assert spec.kind.parameters(spec, [(8,)])[1].init == Init("constant", value)


def test_an_unknown_start_is_refused(bench: Bench) -> None:
    with pytest.raises(LayerError) as caught:
        bench.spec("fc", {"neurons": 4, "init": "random"})
    assert (caught.value.code, caught.value.at) == ("E0207", "init")


def schemes(network: Network) -> dict[str, str]:
    return {
        layer.name: layer.parameters[0].init.scheme for layer in network.layers if layer.parameters
    }


def test_the_activation_behind_a_layer_decides(bench: Bench) -> None:
    conv: dict[str, SettingValue] = {"filters": 4, "window": (3, 3), "same": True}
    network = bench.chain(
        (8, 8, 1),
        ("conv", conv), ("bn", {}), ("relu", {}),
        ("conv", conv), ("maxpool", {}), ("sigmoid", {}),
        ("conv", {**conv, "init": "he_uniform"}), ("tanh", {}),
        ("conv", conv), ("conv", conv), ("flatten", {}),
        ("fc", {"neurons": 9}), ("dropout", {}), ("tanh", {}),
        ("fc", {"neurons": 10}), ("softmax", {}),
        ("fc", {"neurons": 10}),
    )  # fmt: skip
    assert schemes(choose_inits(network)) == {
        "conv1": "he_normal",
        "bn1": "constant",
        "conv2": "glorot_uniform",
        "conv3": "he_uniform",
        "conv4": "he_normal",
        "conv5": "he_normal",
        "fc1": "glorot_uniform",
        "fc2": "glorot_uniform",
        "fc3": "he_normal",
    }
    biases = [p.init for layer in choose_inits(network).layers for p in layer.parameters if p.bias]
    assert {init.scheme for init in biases} == {"constant"}
