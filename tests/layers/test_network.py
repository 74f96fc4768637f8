"""Networks: finding layers and sizes by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cnndsl.layers.analysis import analyse

if TYPE_CHECKING:
    from cnndsl.layers.base import SettingValue
    from tests.layers.conftest import Bench


def test_layers_and_inputs_are_found_by_name(bench: Bench) -> None:
    network = bench.chain((8, 8, 3), ("conv", {"filters": 4, "window": (3, 3)}), ("gap", {}))
    assert network["conv1"].output == (6, 6, 4)
    assert network["gap1"].kind == "gap"
    assert network.size_of("input") == (8, 8, 3)
    assert network.size_of("gap1") == (4,)
    with pytest.raises(KeyError):
        network["conv2"]


def test_the_first_to_use_arrays_owns_them_and_the_table_counts_them_once(bench: Bench) -> None:
    settings: dict[str, SettingValue] = {"filters": 3, "window": (1, 1)}
    network = bench.sharing(
        bench.chain((8, 8, 3), ("conv", settings), ("conv", settings)), "conv2", "conv1"
    )
    assert network.owners() == {"conv1"}
    assert (network["conv1"].params, network["conv1"].macs) == (12, 576)
    table = network._repr_html_()
    analysis = analyse(network)
    assert table.count(">12<") == 2
    assert f">{analysis.params}<" in table
    assert f">{analysis.macs:,}<" in table
