"""Activations against their formulas."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np
import pytest

from cnndsl.ir.types import DType
from cnndsl.layers.base import LAYERS, LayerError, SettingValue
from cnndsl.ops.rules import Array

if TYPE_CHECKING:
    from tests.layers.conftest import Bench

X = np.linspace(-8.0, 8.0, 24).reshape(3, 8)


def _softmax(x: Array) -> Array:
    share = np.exp(x)
    return np.asarray(share / share.sum(axis=1, keepdims=True))


@pytest.mark.parametrize(
    ("kind", "given", "formula"),
    [
        ("relu", {}, lambda x: np.where(x > 0, x, 0)),
        ("relu6", {}, lambda x: np.clip(x, 0, 6)),
        ("leaky", {}, lambda x: np.where(x > 0, x, 0.1 * x)),
        ("leaky", {"slope": 0.2}, lambda x: np.where(x > 0, x, 0.2 * x)),
        ("prelu", {}, lambda x: np.where(x > 0, x, 0.25 * x)),
        ("prelu", {"slope": 0.1}, lambda x: np.where(x > 0, x, 0.1 * x)),
        ("elu", {}, lambda x: np.where(x > 0, x, np.exp(x) - 1)),
        ("elu", {"alpha": 2.0}, lambda x: np.where(x > 0, x, 2 * (np.exp(x) - 1))),
        ("sigmoid", {}, lambda x: 1 / (1 + np.exp(-x))),
        ("tanh", {}, np.tanh),
        ("swish", {}, lambda x: x / (1 + np.exp(-x))),
        ("swish", {"beta": 2.0}, lambda x: x / (1 + np.exp(-2 * x))),
        ("softplus", {}, lambda x: np.log(1 + np.exp(x))),
        ("softmax", {}, _softmax),
        ("logsoftmax", {}, lambda x: np.log(_softmax(x))),
        ("maxout", {}, lambda x: x.reshape(3, 4, 2).max(axis=2)),
        ("maxout", {"pieces": 4}, lambda x: x.reshape(3, 2, 4).max(axis=2)),
    ],
)
def test_numbers(
    bench: Bench, kind: str, given: Mapping[str, SettingValue], formula: Callable[[Array], Array]
) -> None:
    made = bench.emit(kind, given, (8,), dtype=DType.F64)
    np.testing.assert_allclose(made.run(X), formula(X), rtol=1e-12, atol=1e-12)


def test_gelu_is_near_the_exact_one(bench: Bench) -> None:
    made = bench.emit("gelu", {}, (1,), dtype=DType.F64)
    # x * Phi(x) for x = -1, 0, 1 with the normal distribution's Phi(1) = 0.841345
    np.testing.assert_allclose(
        made.run(np.array([[-1.0], [0.0], [1.0]])).ravel(), [-0.158655, 0, 0.841345], atol=2e-4
    )


def test_softmax_competes_among_the_channels_of_each_place(bench: Bench) -> None:
    made = bench.emit("softmax", {}, (2, 3, 5), dtype=DType.F64)
    result = made.run(np.random.default_rng(0).normal(size=(3, 5, 2, 3)))
    np.testing.assert_allclose(result.sum(axis=1), np.ones((3, 2, 3)))


def test_a_prelu_learns_one_slope_a_channel_without_decay(bench: Bench) -> None:
    spec = bench.spec("prelu")
    (slope,) = spec.kind.parameters(spec, [(14, 14, 256)])
    assert slope.shape == (256,)
    assert slope.trainable
    assert not slope.decay
    made = bench.emit("prelu", {}, (1, 1, 2), dtype=DType.F64)
    result = made.run(-np.ones((3, 2, 1, 1)), slope=np.array([0.5, 2.0]))
    np.testing.assert_array_equal(result[0].ravel(), [-0.5, -2.0])


def test_softmax_10_brings_its_fc(bench: Bench) -> None:
    softmax = LAYERS["softmax"]
    assert softmax.brings({"classes": 10}) == (("fc", {"neurons": 10}),)
    assert softmax.brings({}) == ()
    assert bench.output("softmax", {"classes": 10}, (10,)) == (10,)


def test_channels_that_do_not_divide_into_pieces(bench: Bench) -> None:
    with pytest.raises(LayerError) as caught:
        bench.output("maxout", {"pieces": 3}, (5, 5, 10))
    assert (caught.value.code, caught.value.at) == ("E0308", "pieces")
    assert caught.value.message == "10 channels do not divide into pieces of 3"
    assert caught.value.label == "10/3 = 3.33"
    assert caught.value.helps == ("give the layer before it 12 channels",)
    assert bench.formula("maxout", {"pieces": 5}, (5, 5, 10)) == "10/5 = 2"


def test_activations_may_follow_a_layers_words_and_take_no_memory() -> None:
    activations = {name for name, kind in LAYERS.items() if kind.activation}
    assert activations == {
        "relu", "relu6", "leaky", "prelu", "elu", "sigmoid", "tanh", "swish", "gelu", "softplus",
        "softmax", "logsoftmax", "maxout",
    }  # fmt: skip
    assert {name for name in activations if LAYERS[name].counted} == {"maxout"}
