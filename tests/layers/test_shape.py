"""Flatten, reshape, pad, crop, identity."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from cnndsl.layers.base import Hwc, LayerError, SettingValue

if TYPE_CHECKING:
    from tests.layers.conftest import Bench

X = np.arange(3 * 4 * 3 * 2, dtype=np.float32).reshape(3, 2, 4, 3)
"""A batch of three images 4x3 of two channels."""


def test_flatten_goes_channel_by_channel(bench: Bench) -> None:
    assert bench.output("flatten", {}, (7, 7, 64)) == (3136,)
    assert bench.output("flatten", {}, (10,)) == (10,)
    assert bench.formula("flatten", {}, (7, 7, 64)) == "7*7*64 = 3136"
    np.testing.assert_array_equal(bench.emit("flatten", {}, (4, 3, 2)).run(X), X.reshape(3, 24))


@pytest.mark.parametrize(
    ("size", "arriving", "expected"),
    [
        ((7, 7, 30), (1470,), (7, 7, 30)),
        ((7, 7, -1), (1470,), (7, 7, 30)),
        ((19, 19), (361,), (19, 19, 1)),
        ((19, 19), (19, 19, 1), (19, 19, 1)),
        ((-1,), (4, 3, 2), (24,)),
    ],
)
def test_reshape(
    bench: Bench, size: tuple[int, ...], arriving: Hwc, expected: tuple[int, ...]
) -> None:
    assert bench.output("reshape", {"size": size}, arriving) == expected


def test_reshape_undoes_flatten(bench: Bench) -> None:
    made = bench.emit("reshape", {"size": (4, 3, 2)}, (24,))
    np.testing.assert_array_equal(made.run(X.reshape(3, 24)), X)


@pytest.mark.parametrize(
    ("size", "message", "label"),
    [
        ((7, 7, 29), "[7x7x29] does not hold the 1,470 numbers of [1470]", "7*7*29 = 1,421"),
        ((7, -1, 11), "[7x?x11] does not hold the 1,470 numbers of [1470]",
         "no number for `?` makes it fit"),
        ((-1, -1, 3), "[?x?x3] does not hold the 1,470 numbers of [1470]",
         "only one side may be `?`"),
        ((0, 7, 7), "[0x7x7] does not hold the 1,470 numbers of [1470]", "0*7*7 = 0"),
    ],
)  # fmt: skip
def test_a_reshape_that_does_not_fit(
    bench: Bench, size: tuple[int, ...], message: str, label: str
) -> None:
    with pytest.raises(LayerError) as caught:
        bench.output("reshape", {"size": size}, (1470,))
    assert (caught.value.code, caught.value.at) == ("E0309", "size")
    assert caught.value.message == message
    assert caught.value.label == label


@pytest.mark.parametrize(
    ("given", "widths", "mode"),
    [
        ({"amount": 2}, ((2, 2), (2, 2)), "constant"),
        ({"amount": (1, 2), "reflect": True}, ((1, 1), (2, 2)), "reflect"),
        ({"amount": (0, 1, 2, 0), "edge": True}, ((0, 1), (2, 0)), "edge"),
        ({"amount": (0, 1, 2, 0), "zero": True}, ((0, 1), (2, 0)), "constant"),
    ],
)
def test_pad(
    bench: Bench, given: dict[str, SettingValue], widths: tuple[tuple[int, int], ...], mode: str
) -> None:
    expected = np.pad(X, ((0, 0), (0, 0), *widths), mode)  # type: ignore[call-overload]
    np.testing.assert_array_equal(bench.emit("pad", given, (4, 3, 2)).run(X), expected)
    (top, bottom), _ = widths
    assert bench.formula("pad", given, (4, 3, 2)) == f"4 + {top} + {bottom} = {4 + top + bottom}"


def test_a_reflection_needs_enough_pixels(bench: Bench) -> None:
    assert bench.output("pad", {"amount": 2, "reflect": True}, (4, 3, 2)) == (8, 7, 2)
    with pytest.raises(LayerError) as caught:
        bench.output("pad", {"amount": 3, "reflect": True}, (4, 3, 2))
    assert (caught.value.code, caught.value.at) == ("E0311", "amount")
    assert caught.value.label == "at most 2 on each side"


def test_two_borders_are_refused(bench: Bench) -> None:
    with pytest.raises(LayerError) as caught:
        bench.spec("pad", {"amount": 1, "reflect": True, "edge": True})
    assert caught.value.code == "E0206"


def test_crop(bench: Bench) -> None:
    made = bench.emit("crop", {"amount": (1, 0, 0, 2)}, (4, 3, 2))
    np.testing.assert_array_equal(made.run(X), X[:, :, 1:, :1])
    assert bench.formula("crop", {"amount": 1}, (4, 3, 2)) == "4 - 1 - 1 = 2"
    for amount, label in ((2, "4 - 2 - 2 = 0"), ((0, 0, 2, 1), "3 - 2 - 1 = 0")):
        with pytest.raises(LayerError) as caught:
            bench.output("crop", {"amount": amount}, (4, 3, 2))
        assert (caught.value.code, caught.value.label) == ("E0305", label)


def test_pad_and_crop_say_how_much(bench: Bench) -> None:
    for kind in ("pad", "crop", "reshape"):
        with pytest.raises(LayerError) as caught:
            bench.spec(kind)
        assert caught.value.code == "E0205"


def test_identity_is_the_input(bench: Bench) -> None:
    made = bench.emit("id", {}, (4, 3, 2))
    assert made.graph[made.value].op.name == "input"
    assert made.size == (4, 3, 2)


def test_shuffle_deals_the_channels_out(bench: Bench) -> None:
    x = np.arange(3 * 6 * 2, dtype=np.float32).reshape(3, 6, 2, 1)
    made = bench.emit("shuffle", {"groups": 3}, (2, 1, 6))
    assert made.size == (2, 1, 6)
    np.testing.assert_array_equal(made.run(x), x[:, [0, 2, 4, 1, 3, 5]])
    undone = bench.emit("shuffle", {"groups": 2}, (2, 1, 6))
    np.testing.assert_array_equal(undone.run(made.run(x)), x)
    np.testing.assert_array_equal(bench.emit("shuffle", {"groups": 1}, (2, 1, 6)).run(x), x)


def test_shuffle_of_a_vector(bench: Bench) -> None:
    x = np.arange(3 * 4, dtype=np.float32).reshape(3, 4)
    np.testing.assert_array_equal(
        bench.emit("shuffle", {"groups": 2}, (4,)).run(x), x[:, [0, 2, 1, 3]]
    )
    assert bench.formula("shuffle", {"groups": 3}, (28, 28, 240)) == "240 = 3 groups of 80"


def test_a_shuffle_whose_groups_do_not_divide(bench: Bench) -> None:
    with pytest.raises(LayerError) as caught:
        bench.output("shuffle", {"groups": 4}, (2, 1, 6))
    assert (caught.value.code, caught.value.label) == ("E0308", "6/4 = 1.50")
