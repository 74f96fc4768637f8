"""Convolutions: sizes, defaults, parameters, counts, complaints, numbers."""

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


@pytest.mark.parametrize(
    ("given", "size", "expected"),
    [
        ({"filters": 96, "window": (11, 11), "stride": (4, 4)}, (227, 227, 3), (55, 55, 96)),
        ({"filters": 256, "window": (5, 5), "pad": 2}, (27, 27, 96), (27, 27, 256)),
        ({"filters": 6, "window": (5, 5)}, (32, 32, 1), (28, 28, 6)),
        ({"filters": 64, "window": (7, 7), "stride": (2, 2), "half": True, "floor": True},
         (224, 224, 3), (112, 112, 64)),
        ({"filters": 64, "window": (7, 7), "stride": (2, 2), "same": True}, (224, 224, 3),
         (112, 112, 64)),
        ({"filters": 8, "window": (1, 7), "pad": (0, 3)}, (17, 17, 4), (17, 17, 8)),
        ({"filters": 8, "window": (3, 3), "stride": (3, 2)}, (9, 9, 4), (3, 4, 8)),
        ({"filters": 8, "window": (3, 3), "dilation": (2, 2)}, (9, 9, 4), (5, 5, 8)),
        ({"filters": 8, "window": (2, 2), "pad": (0, 1, 0, 1)}, (9, 8, 4), (9, 8, 8)),
    ],
)  # fmt: skip
def test_sizes_of_published_networks(
    bench: Bench, given: Mapping[str, SettingValue], size: Hwc, expected: Hwc
) -> None:
    assert bench.output("conv", given, size) == expected


def test_a_bare_conv_keeps_the_size_and_doubles_its_filters_at_every_pool(bench: Bench) -> None:
    filters = [bench.spec("conv", bare=True, pools=n).count("filters") for n in range(6)]
    assert filters == [64, 128, 256, 512, 512, 512]
    spec = bench.spec("conv", bare=True)
    assert spec.kind.output(spec, [(13, 9, 3)]) == (13, 9, 64)
    assert spec.size("window") == (3, 3)


def test_conv3_64_keeps_the_size_and_a_written_window_does_not(bench: Bench) -> None:
    short = LAYERS["conv"].sized("3", 64)
    assert short == {"window": (3, 3), "filters": 64}
    spec = bench.spec("conv", short, bare=True)
    assert spec.kind.output(spec, [(10, 10, 3)]) == (10, 10, 64)
    assert bench.output("conv", {"filters": 64, "window": (3, 3)}, (10, 10, 3)) == (8, 8, 64)
    assert bench.output("conv", {"filters": 64}, (10, 10, 3)) == (10, 10, 64)
    assert LAYERS["conv"].sized("", 32) == {"filters": 32}


def test_a_window_without_filters_is_refused(bench: Bench) -> None:
    with pytest.raises(LayerError) as caught:
        bench.spec("conv", {"window": (3, 3)})
    assert caught.value.code == "E0205"


def test_two_things_about_the_border_are_refused(bench: Bench) -> None:
    with pytest.raises(LayerError) as caught:
        bench.spec("conv", {"filters": 1, "window": (3, 3), "half": True, "pad": 1})
    assert caught.value.code == "E0206"


def test_weights_and_biases_by_hand(bench: Bench) -> None:
    spec = bench.spec("conv", {"filters": 96, "window": (11, 11), "stride": (4, 4)})
    weight, bias = spec.kind.parameters(spec, [(227, 227, 3)])
    assert weight.shape == (96, 3, 11, 11)
    assert (weight.init.fan_in, weight.init.fan_out) == (363, 96 * 121)
    assert weight.decay
    assert bias.shape == (96,)
    assert bias.bias
    output = spec.kind.output(spec, [(227, 227, 3)])
    assert spec.kind.macs(spec, [(227, 227, 3)], output) == 105_415_200
    assert spec.kind.flops(spec, [(227, 227, 3)], output) == 2 * 105_415_200 + 55 * 55 * 96
    assert spec.kind.field(spec, [(227, 227, 3)]) == ((11, 11), (4, 4))


def test_groups_divide_weights_and_operations(bench: Bench) -> None:
    spec = bench.spec("conv", {"filters": 256, "window": (5, 5), "pad": 2, "groups": 2})
    size = (27, 27, 96)
    shapes = [p.shape for p in spec.kind.parameters(spec, [size])]
    assert shapes == [(256, 48, 5, 5), (256,)]
    assert spec.kind.macs(spec, [size], (27, 27, 256)) == 447_897_600 // 2


def test_a_bias_for_each_position_as_in_alphago(bench: Bench) -> None:
    spec = bench.spec("conv", {"filters": 1, "window": (1, 1), "untied": True})
    shapes = [p.shape for p in spec.kind.parameters(spec, [(19, 19, 192)])]
    assert shapes == [(1, 192, 1, 1), (1, 19, 19)]


def test_depthwise_has_a_filter_for_each_channel(bench: Bench) -> None:
    spec = bench.spec("depthwise", {"window": (3, 3), "same": True, "nobias": True})
    size = (112, 112, 64)
    assert [p.shape for p in spec.kind.parameters(spec, [size])] == [(64, 1, 3, 3)]
    assert spec.kind.macs(spec, [size], size) == 112 * 112 * 64 * 9
    double = bench.spec("depthwise", {"window": (3, 3), "multiplier": 2})
    assert double.kind.output(double, [(5, 5, 4)]) == (3, 3, 8)


@pytest.mark.parametrize(
    ("filters", "channels", "groups", "message", "helps"),
    [
        (6, 4, 3, "4 channels do not divide into 3 groups", ("`groups 2` fits",)),
        (9, 6, 2, "9 filters do not divide into 2 groups", ("`groups 3` fits",)),
        (5, 3, 4, "3 channels do not divide into 4 groups", ("leave `groups` out",)),
    ],
)
def test_groups_that_do_not_divide(
    bench: Bench, filters: int, channels: int, groups: int, message: str, helps: tuple[str, ...]
) -> None:
    with pytest.raises(LayerError) as caught:
        bench.output("conv", {"filters": filters, "groups": groups}, (8, 8, channels))
    assert (caught.value.code, caught.value.at) == ("E0308", "groups")
    assert caught.value.message == message
    assert caught.value.helps == helps


def test_a_vector_is_no_image(bench: Bench) -> None:
    for kind in ("conv", "depthwise", "maxpool", "avgpool", "gap", "gmp", "lrn"):
        given = {"filters": 3} if kind == "conv" else {}
        with pytest.raises(LayerError) as caught:
            bench.output(kind, given, (120,))
        assert caught.value.code == "E0307"
        assert caught.value.message == f"`{kind}` looks at images, and was given [120]"


@for_all(
    st.tuples(st.integers(1, 9), st.integers(1, 9), st.integers(1, 3)),
    st.tuples(st.integers(1, 4), st.integers(1, 4)),
    st.tuples(st.integers(1, 3), st.integers(1, 3)),
    st.sampled_from([{"same": True}, {"same_lower": True}, {"floor": True}, {"ceil": True},
                     {"pad": 1, "floor": True}, {"pad": (0, 1, 2, 0), "ceil": True}, {}]),
)  # fmt: skip
def test_a_conv_that_has_a_size_makes_a_graph_of_it(
    bench: Bench, size: Hwc, window: tuple[int, int], stride: tuple[int, int],
    border: Mapping[str, SettingValue],
) -> None:  # fmt: skip
    given = {"filters": 2, "window": window, "stride": stride, **border}
    expected = bench.output_or_code("conv", given, size)
    if isinstance(expected, str):
        assert expected in ("E0301", "E0305")
        return
    made = bench.emit("conv", given, size)
    assert made.graph.type_of(made.value).shape == (3, 2, *expected[:2])


def test_a_conv_computes_a_cross_correlation_and_adds_the_bias(bench: Bench) -> None:
    made = bench.emit("conv", {"filters": 1, "window": (2, 2)}, (3, 3, 1), dtype=DType.F64)
    x = np.tile(np.arange(9.0).reshape(1, 1, 3, 3), (3, 1, 1, 1))
    weight = np.array([[0.0, 1.0], [2.0, 3.0]]).reshape(1, 1, 2, 2)
    result = made.run(x, weight=weight, bias=np.array([0.5]))
    np.testing.assert_array_equal(result[0, 0], [[19.5, 25.5], [37.5, 43.5]])


def test_the_odd_pixel_of_same_lies_below_and_right_that_of_same_lower_above_and_left(
    bench: Bench,
) -> None:
    x = np.ones((3, 1, 3, 3))
    weight = np.ones((1, 1, 2, 2))
    upper, lower = (
        bench.emit(
            "conv", {"filters": 1, "window": (2, 2), word: True}, (3, 3, 1), dtype=DType.F64
        ).run(x, weight=weight, bias=np.zeros(1))[0, 0]
        for word in ("same", "same_lower")
    )
    np.testing.assert_array_equal(upper, [[4, 4, 2], [4, 4, 2], [2, 2, 1]])
    np.testing.assert_array_equal(lower, upper[::-1, ::-1])


def test_a_written_filter_runs_and_is_not_trained(bench: Bench) -> None:
    given: dict[str, SettingValue] = {"filters": 1, "weights": "[[0, 1], [2, 3]]"}
    made = bench.emit("conv", given, (3, 3, 1), dtype=DType.F64)
    image = np.broadcast_to(np.arange(9.0).reshape(1, 1, 3, 3), (3, 1, 3, 3))
    expected = np.broadcast_to(np.array([[19.0, 25.0], [37.0, 43.0]]), (3, 1, 2, 2))
    np.testing.assert_array_equal(made.run(image), expected)
    spec = bench.spec("conv", given)
    (weight,) = spec.kind.parameters(spec, [(3, 3, 1)])
    assert not weight.trainable


def test_a_written_filter_has_its_own_window(bench: Bench) -> None:
    spec = bench.spec("conv", {"filters": 1, "weights": "[[1, -1]]", "window": (3, 3)})
    with pytest.raises(LayerError, match="the written filter is 1x2 and the window 3x3"):
        spec.kind.output(spec, [(5, 5, 1)])


def test_filters_reach_through_the_whole_input(bench: Bench) -> None:
    given: dict[str, SettingValue] = {"filters": 6, "window": (5, 5), "filter_depth": 3}
    assert bench.output("conv", given, (32, 32, 3)) == (28, 28, 6)
    with pytest.raises(LayerError, match="a 5x5x3 filter does not reach through an input 4 deep"):
        bench.output("conv", given, (32, 32, 4))


@pytest.mark.parametrize(("side", "pads"), [(7, 2), (33, 2), (227, 2)])
def test_whatever_fits(bench: Bench, side: int, pads: int) -> None:
    given: dict[str, SettingValue] = {"filters": 1, "window": (5, 5), "stride": (2, 2)}
    fitted = bench.output("conv", {**given, "fit": True}, (side, side, 1))
    assert fitted == bench.output("conv", {**given, "pad": pads}, (side, side, 1))


def test_nothing_symmetric_fits_an_even_side(bench: Bench) -> None:
    given: dict[str, SettingValue] = {"filters": 1, "window": (5, 5), "stride": (2, 2), "fit": True}
    with pytest.raises(LayerError) as caught:
        bench.output("conv", given, (32, 32, 1))
    assert caught.value.label == "32 - 5 + 2P is never a multiple of 2"
    assert caught.value.helps[0] == "`half floor` pads 2 and gives 16"
