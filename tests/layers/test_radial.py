"""Radial outputs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cnndsl.ir.types import DType
from cnndsl.layers.base import find_layer

if TYPE_CHECKING:
    from tests.layers.conftest import Bench


def test_is_the_squared_distance_to_each_point(bench: Bench) -> None:
    made = bench.emit("rbf", {"neurons": 2}, (3,), dtype=DType.F64)
    x = np.array([[1.0, 2.0, 3.0], [0.0, 0.0, 0.0], [-1.0, 0.5, 2.0]])
    points = np.array([[1.0, 2.0, 3.0], [0.0, 1.0, -1.0]])
    expected = ((x[:, None, :] - points[None]) ** 2).sum(axis=2)
    np.testing.assert_allclose(made.run(x, weight=points), expected, atol=1e-12)


def test_has_no_bias_and_counts_every_number_once(bench: Bench) -> None:
    spec = bench.spec("rbf", {"neurons": 10})
    assert [p.shape for p in spec.kind.parameters(spec, [(84,)])] == [(10, 84)]
    assert spec.kind.macs(spec, [(84,)], (10,)) == 840
    assert spec.kind.field(spec, [(5, 4, 2)]) == ((5, 4), (1, 1))


def test_is_called_as_the_figure_calls_it() -> None:
    found = find_layer(["Gauss"])
    assert found is not None
    assert found[0].name == "rbf"
