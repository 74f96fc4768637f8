"""Dropout: nothing at inference, a reproducible mask in training."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from cnndsl.layers.base import LAYERS, LayerError, SettingValue

if TYPE_CHECKING:
    from tests.layers.conftest import Bench

X = np.ones((3, 4000), dtype=np.float32)


def test_inference_gives_the_input_itself(bench: Bench) -> None:
    made = bench.emit("dropout", {"rate": 0.5}, (4000,))
    assert made.graph[made.value].op.name == "input"


def test_training_drops_the_rate_and_scales_the_rest(bench: Bench) -> None:
    made = bench.emit("dropout", {"rate": 0.4}, (4000,), training=True)
    result = made.run(X)
    assert set(np.unique(result)) == {np.float32(0), np.float32(1 / 0.6)}
    # 12,000 draws: five standard deviations are 0.022
    assert abs(np.mean(result == 0) - 0.4) < 0.022


def test_each_step_draws_anew_and_the_same_step_the_same(bench: Bench) -> None:
    made = bench.emit("dropout", {}, (4000,), training=True)
    first, again, next_one = made.run(X, step=0), made.run(X, step=0), made.run(X, step=1)
    np.testing.assert_array_equal(first, again)
    assert np.mean(first != next_one) > 0.4


@pytest.mark.parametrize(
    ("given", "rate"),
    [({}, 0.5), ({"rate": 0.25}, 0.25), ({"keep": 0.75}, 0.25), ({"keep": 1.0}, 0.0)],
)
def test_rate_and_keep_say_the_same(
    bench: Bench, given: dict[str, SettingValue], rate: float
) -> None:
    assert bench.spec("dropout", given).number("rate") == rate


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"rate": 1.0}, "E0207"),
        ({"rate": -0.1}, "E0207"),
        ({"keep": 0.0}, "E0207"),
        ({"keep": 1.5}, "E0207"),
        ({"rate": 0.5, "keep": 0.5}, "E0206"),
    ],
)
def test_rates_that_make_no_sense(bench: Bench, given: dict[str, SettingValue], code: str) -> None:
    with pytest.raises(LayerError) as caught:
        bench.spec("dropout", given)
    assert caught.value.code == code


def test_it_is_the_only_kind_that_draws() -> None:
    assert [name for name, kind in LAYERS.items() if kind.draws] == ["dropout"]
