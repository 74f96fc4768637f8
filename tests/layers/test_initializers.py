"""How parameters begin: spread, independence of each other, and of what else is there."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st

from cnndsl.ir.builder import Builder
from cnndsl.ir.graph import Graph
from cnndsl.ir.types import DType, TensorType
from cnndsl.layers.initializers import INITIALIZERS, counters, initial_state, initial_value
from cnndsl.ops.structural import Init, ParameterAttrs, parameter

if TYPE_CHECKING:
    from tests.layers.conftest import Bench

SHAPE = (80, 50, 3, 3)
FAN_IN, FAN_OUT = 450, 720
DRAWS = math.prod(SHAPE)


@pytest.mark.parametrize(
    ("scheme", "value", "variance"),
    [
        ("normal", 0.01, 1e-4),
        ("uniform", 0.3, 0.03),
        ("he_normal", 1.0, 2 / FAN_IN),
        ("he_uniform", 1.0, 2 / FAN_IN),
        ("glorot_normal", 1.0, 2 / (FAN_IN + FAN_OUT)),
        ("glorot_uniform", 1.0, 2 / (FAN_IN + FAN_OUT)),
        ("lecun_normal", 1.0, 1 / FAN_IN),
        ("lecun_uniform", 2.0, 4 / FAN_IN),
    ],
)
def test_random_schemes_have_mean_zero_and_their_variance(
    scheme: str, value: float, variance: float
) -> None:
    drawn = initial_value("w", Init(scheme, value, FAN_IN, FAN_OUT), SHAPE, seed=3)
    assert drawn.shape == SHAPE
    assert drawn.dtype == np.float64
    std = math.sqrt(variance)
    # within five standard errors of mean and variance
    assert abs(drawn.mean()) < 5 * std / math.sqrt(DRAWS)
    assert abs(drawn.var() / variance - 1) < 5 * math.sqrt(2 / DRAWS)
    if scheme.endswith("uniform"):
        assert np.abs(drawn).max() <= std * math.sqrt(3)


@pytest.mark.parametrize(("scheme", "number"), [("constant", 0.25), ("zeros", 0), ("ones", 1)])
def test_constant_schemes(scheme: str, number: float) -> None:
    drawn = initial_value("b", Init(scheme, 0.25), (2, 3), seed=0)
    np.testing.assert_array_equal(drawn, np.full((2, 3), number))


def test_a_table_stands_in_the_last_axes() -> None:
    drawn = initial_value("w", Init("table", table=(0.0, 1.0, 2.0, 3.0)), (3, 2, 2, 2), seed=0)
    for filter_ in drawn.reshape(6, 2, 2):
        np.testing.assert_array_equal(filter_, [[0.0, 1.0], [2.0, 3.0]])


def test_only_the_forget_gate_begins_open() -> None:
    drawn = initial_value("b", Init("forget_gate", 1.0), (8,), seed=0)
    assert drawn.tolist() == [0, 0, 1, 1, 0, 0, 0, 0]


def test_every_scheme_is_tested_or_constant() -> None:
    assert set(INITIALIZERS) == {
        "constant", "zeros", "ones", "normal", "uniform", "he_normal", "he_uniform",
        "glorot_normal", "glorot_uniform", "lecun_normal", "lecun_uniform", "table",
        "forget_gate",
    }  # fmt: skip


def _graph(*names: str, dtype: DType = DType.F32) -> Graph:
    graph = Graph("g")
    for name in names:
        attrs = ParameterAttrs(TensorType(dtype, (4, 5)), Init("he_normal", 1.0, 5, 4))
        Builder(graph).emit(parameter, attrs=attrs, name=name)
    return graph


def test_another_layer_does_not_change_where_one_starts() -> None:
    alone = initial_state(_graph("conv1.weight"), seed=1)
    among = initial_state(_graph("conv0.weight", "conv1.weight", "fc.weight"), seed=1)
    np.testing.assert_array_equal(alone["conv1.weight"], among["conv1.weight"])


def test_names_and_seeds_make_different_numbers() -> None:
    state = initial_state(_graph("a", "b"), seed=1)
    other = initial_state(_graph("a"), seed=2)
    assert np.abs(np.corrcoef(state["a"].ravel(), state["b"].ravel())[0, 1]) < 0.9
    assert (state["a"] != state["b"]).all()
    assert (state["a"] != other["a"]).all()


def test_the_precision_of_the_parameter_is_kept() -> None:
    single = initial_state(_graph("w"), seed=0)["w"]
    double = initial_state(_graph("w", dtype=DType.F64), seed=0)["w"]
    assert single.dtype == np.float32
    np.testing.assert_array_equal(single, double.astype(np.float32))


@for_all(st.integers(-(2**70), 2**70), st.text(max_size=20))
def test_any_seed_and_name_has_its_counters(seed: int, name: str) -> None:
    key, stream = counters(seed, name)
    assert 0 <= key < 2**64
    assert 0 <= stream < 2**31
    assert counters(seed, name) == (key, stream)


def test_a_layers_state(bench: Bench) -> None:
    state = initial_state(bench.emit("bn", {}, (2, 2, 3), training=True).graph, seed=0)
    assert {name: array.tolist() for name, array in state.items()} == {
        "layer.scale": [1, 1, 1],
        "layer.shift": [0, 0, 0],
        "layer.mean": [0, 0, 0],
        "layer.variance": [1, 1, 1],
    }
