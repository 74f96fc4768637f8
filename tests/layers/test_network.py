"""Networks: finding layers and sizes by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.layers.conftest import Bench


def test_layers_and_inputs_are_found_by_name(bench: Bench) -> None:
    network = bench.chain((8, 8, 3), ("conv", {"filters": 4, "window": (3, 3)}), ("gap", {}))
    assert network["conv1"].output == (6, 6, 4)
    assert network["gap1"].kind == "gap"
    assert network.size_of("input") == (8, 8, 3)
    assert network.size_of("gap1") == (4,)
    with pytest.raises(KeyError):
        network["conv2"]
