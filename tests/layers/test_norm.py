"""Normalisation: parameters, running statistics, numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from cnndsl.ir.graph import NodeId
from cnndsl.ir.types import DType
from cnndsl.layers.base import LayerError, SettingValue

if TYPE_CHECKING:
    from tests.layers.conftest import Bench

MEAN, VARIANCE = NodeId("layer.mean"), NodeId("layer.variance")


def test_scale_and_shift_are_trained_and_statistics_are_not(bench: Bench) -> None:
    spec = bench.spec("bn")
    parameters = spec.kind.parameters(spec, [(56, 56, 64)])
    assert [(p.name, p.shape, p.trainable) for p in parameters] == [
        ("scale", (64,), True),
        ("shift", (64,), True),
        ("mean", (64,), False),
        ("variance", (64,), False),
    ]
    assert not any(p.decay and not p.bias for p in parameters)
    assert [p.init.value for p in parameters] == [1.0, 0.0, 0.0, 1.0]


@pytest.mark.parametrize("shape", [(3, 2, 4, 5), (3, 2)])
def test_training_normalises_the_batch_and_keeps_running_statistics(
    bench: Bench, shape: tuple[int, ...]
) -> None:
    x = np.random.default_rng(1).normal(2.0, 3.0, shape)
    size = (*shape[2:], shape[1])
    made = bench.emit("bn", {"momentum": 0.75, "eps": 1e-3}, size, training=True, dtype=DType.F64)
    new = made.graph.updates
    assert set(new) == {MEAN, VARIANCE}
    old = {"mean": np.array([1.0, -1.0]), "variance": np.array([2.0, 3.0])}
    found = made.run_all(made.value, new[MEAN], new[VARIANCE], inputs=[x], state=old)
    axes = tuple(a for a in range(x.ndim) if a != 1)
    broadcast = (1, 2, *(1,) * (x.ndim - 2))
    mean, biased = x.mean(axis=axes), x.var(axis=axes)
    expected = (x - mean.reshape(broadcast)) / np.sqrt(biased.reshape(broadcast) + 1e-3)
    np.testing.assert_allclose(found[made.value], expected, rtol=1e-10)
    np.testing.assert_allclose(found[new[MEAN]], 0.75 * old["mean"] + 0.25 * mean)
    unbiased = x.var(axis=axes, ddof=1)
    np.testing.assert_allclose(found[new[VARIANCE]], 0.75 * old["variance"] + 0.25 * unbiased)


def test_inference_uses_the_running_statistics_and_updates_nothing(bench: Bench) -> None:
    made = bench.emit("bn", {"eps": 1e-9}, (2,), dtype=DType.F64)
    assert made.graph.updates == {}
    result = made.run(
        np.array([[1.0, 2.0]] * 3),
        scale=np.array([2.0, 1.0]),
        shift=np.array([0.0, 5.0]),
        mean=np.array([0.0, 2.0]),
        variance=np.array([4.0, 9.0]),
    )
    np.testing.assert_allclose(result[0], [1.0, 5.0])


def test_a_frozen_one_uses_its_running_statistics_in_training_too(bench: Bench) -> None:
    made = bench.emit("bn", {}, (2,), training=True, trainable=False)
    assert made.graph.updates == {}
    assert made.graph[made.value].op.name == "batch_norm"


@pytest.mark.parametrize("given", [{"momentum": 1.0}, {"momentum": -0.1}, {"eps": 0.0}])
def test_settings_outside_their_range(bench: Bench, given: dict[str, SettingValue]) -> None:
    with pytest.raises(LayerError) as caught:
        bench.spec("bn", given)
    assert caught.value.code == "E0207"


def test_lrn_divides_by_neighbouring_channels(bench: Bench) -> None:
    given: dict[str, SettingValue] = {"size": 3, "alpha": 0.5, "beta": 2.0, "k": 1.0}
    made = bench.emit("lrn", given, (1, 1, 4), dtype=DType.F64)
    x = np.array([1.0, 2.0, 3.0, 4.0])
    sums = np.array([1 + 4, 1 + 4 + 9, 4 + 9 + 16, 9 + 16])
    result = made.run(np.tile(x.reshape(1, 4, 1, 1), (3, 1, 1, 1)))
    np.testing.assert_allclose(result[0].ravel(), x / (1 + 0.5 * sums) ** 2)


def test_lrn_has_alexnets_constants_and_an_odd_number_of_channels(bench: Bench) -> None:
    spec = bench.spec("lrn")
    assert dict(spec.settings) == {"size": 5, "alpha": 1e-4, "beta": 0.75, "k": 2.0}
    assert spec.kind.parameters(spec, [(27, 27, 96)]) == ()
    with pytest.raises(LayerError) as caught:
        bench.output("lrn", {"size": 4}, (27, 27, 96))
    assert caught.value.code == "E0207"
    assert caught.value.helps == ("`size 3` or `size 5`",)
