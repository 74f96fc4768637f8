"""Pooling: sizes, defaults, padding, numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st

from cnndsl.ir.types import DType
from cnndsl.layers.base import LAYERS, Hwc, LayerError, SettingValue

if TYPE_CHECKING:
    from tests.layers.conftest import Bench


@pytest.mark.parametrize("kind", ["maxpool", "avgpool"])
@pytest.mark.parametrize(
    ("given", "size", "expected"),
    [
        ({}, (28, 28, 6), (14, 14, 6)),
        ({"window": (3, 3)}, (27, 27, 6), (9, 9, 6)),
        ({"window": (3, 3), "stride": (2, 2)}, (55, 55, 96), (27, 27, 96)),
        ({"window": (3, 3), "stride": (2, 2), "ceil": True}, (112, 112, 64), (56, 56, 64)),
        ({"window": (3, 3), "stride": (2, 2), "half": True, "floor": True}, (112, 112, 64),
         (56, 56, 64)),
        ({"window": (3, 3), "stride": (1, 1), "same": True}, (28, 28, 192), (28, 28, 192)),
        ({"stride": (1, 1)}, (5, 4, 1), (4, 3, 1)),
    ],
)  # fmt: skip
def test_sizes(
    bench: Bench, kind: str, given: Mapping[str, SettingValue], size: Hwc, expected: Hwc
) -> None:
    assert bench.output(kind, given, size) == expected
    spec = bench.spec(kind, given)
    assert spec.kind.parameters(spec, [size]) == ()
    assert spec.kind.macs(spec, [size], expected) == 0
    window = spec.size("window")
    area = window[0] * window[1]
    assert spec.kind.flops(spec, [size], expected) == area * np.prod(expected)


def test_pool_2_is_two_by_two() -> None:
    assert LAYERS["maxpool"].sized("", 2) == {"window": (2, 2)}
    with pytest.raises(LayerError) as caught:
        LAYERS["maxpool"].sized("3", 64)
    assert caught.value.code == "E0204"


def test_an_odd_image_is_told_of_floor_and_ceil(bench: Bench) -> None:
    with pytest.raises(LayerError) as caught:
        bench.output("maxpool", {}, (25, 25, 64))
    assert caught.value.code == "E0301"
    assert caught.value.message == "a 2x2 window at stride 2 does not fit a 25x25 image"
    assert caught.value.label == "(25 - 2)/2 + 1 = 12.5 is not an integer"
    assert caught.value.helps[-1] == (
        "`floor` leaves out the last row and column and gives 12; `ceil` pads them and gives 13"
    )


def test_padding_that_a_window_would_see_alone_is_refused(bench: Bench) -> None:
    with pytest.raises(LayerError) as caught:
        bench.output("maxpool", {"window": (2, 2), "pad": 2}, (8, 8, 1))
    assert (caught.value.code, caught.value.at) == ("E0310", "pad")
    assert caught.value.message == "a window of 2 would see nothing but the padding of 2"


@for_all(
    st.sampled_from(["maxpool", "avgpool"]),
    st.tuples(st.integers(1, 9), st.integers(1, 9), st.just(1)),
    st.tuples(st.integers(1, 4), st.integers(1, 4)),
    st.tuples(st.integers(1, 4), st.integers(1, 4)),
    st.sampled_from([{"same": True}, {"same_lower": True}, {"floor": True}, {"ceil": True},
                     {"pad": 1, "floor": True}, {"pad": (0, 1, 2, 0), "ceil": True}]),
)  # fmt: skip
def test_a_pool_that_has_a_size_makes_a_graph_of_it(
    bench: Bench, kind: str, size: Hwc, window: tuple[int, int], stride: tuple[int, int],
    border: Mapping[str, SettingValue],
) -> None:  # fmt: skip
    given = {"window": window, "stride": stride, **border}
    expected = bench.output_or_code(kind, given, size)
    if isinstance(expected, str):
        assert expected in ("E0301", "E0305", "E0310")
        return
    made = bench.emit(kind, given, size)
    assert made.graph.type_of(made.value).shape == (3, 1, *expected[:2])


def test_the_mean_is_of_real_numbers_unless_padding_counts(bench: Bench) -> None:
    x = np.ones((3, 1, 3, 3))
    given: dict[str, SettingValue] = {"window": (2, 2), "stride": (2, 2), "ceil": True}
    plain = bench.emit("avgpool", given, (3, 3, 1), dtype=DType.F64).run(x)
    np.testing.assert_array_equal(plain[0, 0], [[1, 1], [1, 1]])
    counting = bench.emit("avgpool", {**given, "count_padding": True}, (3, 3, 1), dtype=DType.F64)
    np.testing.assert_array_equal(counting.run(x)[0, 0], [[1, 0.5], [0.5, 0.25]])


def test_padding_never_wins_a_maximum(bench: Bench) -> None:
    made = bench.emit("maxpool", {"window": (3, 3), "stride": (1, 1), "same": True}, (2, 2, 1))
    np.testing.assert_array_equal(made.run(-np.ones((3, 1, 2, 2))), -np.ones((3, 1, 2, 2)))


@pytest.mark.parametrize("kind", ["gap", "gmp"])
def test_global_pools_leave_a_number_a_channel_and_see_everything(bench: Bench, kind: str) -> None:
    spec = bench.spec(kind)
    size = (7, 5, 2048)
    assert spec.kind.output(spec, [size]) == (2048,)
    assert spec.kind.formula(spec, [size]) == "7x5 -> 1"
    assert spec.kind.field(spec, [size]) == ((7, 5), (1, 1))
    assert spec.kind.flops(spec, [size], (2048,)) == 7 * 5 * 2048


def test_global_pools_compute_mean_and_maximum(bench: Bench) -> None:
    x = np.arange(24.0).reshape(3, 2, 2, 2)
    mean = bench.emit("gap", {}, (2, 2, 2)).run(x)
    largest = bench.emit("gmp", {}, (2, 2, 2)).run(x)
    np.testing.assert_array_equal(mean, x.reshape(3, 2, 4).mean(axis=2))
    np.testing.assert_array_equal(largest, x.reshape(3, 2, 4).max(axis=2))
