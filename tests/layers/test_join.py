"""Add, multiply, concat: sizes, numbers, and what is said when streams do not fit."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from cnndsl.layers.base import Hwc, LayerError

if TYPE_CHECKING:
    from tests.layers.conftest import Bench


def images(*sizes: Hwc) -> list[np.ndarray[tuple[int, ...], np.dtype[np.float32]]]:
    rng = np.random.default_rng(2)
    return [
        rng.normal(size=(3, s[-1], *s[:-1])).astype(np.float32) for s in sizes
    ]  # fmt: skip


def test_add_sums_all_streams(bench: Bench) -> None:
    size = (4, 3, 2)
    a, b, c = images(size, size, size)
    made = bench.emit("add", {}, size, size, size)
    np.testing.assert_allclose(made.run(a, b, c), a + b + c, rtol=1e-5, atol=1e-6)
    assert made.value.node == "layer"
    assert made.graph[made.value].op.name == "add"


def test_multiply_scales_channels(bench: Bench) -> None:
    image, gates = (4, 3, 2), (2,)
    x, g = images(image, gates)
    expected = x * g[:, :, None, None]
    np.testing.assert_allclose(bench.emit("multiply", {}, image, gates).run(x, g), expected)
    np.testing.assert_allclose(bench.emit("multiply", {}, gates, image).run(g, x), expected)
    assert bench.output("multiply", {}, gates, image) == image


@pytest.mark.parametrize(
    ("sizes", "message", "helps"),
    [
        (
            [(56, 56, 256), (56, 56, 64)],
            "`add` was given [56x56x256] and [56x56x64]",
            ("project the shortcut: `conv 256 1x1` makes [56x56x256]",),
        ),
        (
            [(28, 28, 128), (56, 56, 64)],
            "`add` was given [28x28x128] and [56x56x64]",
            ("project the shortcut: `conv 128 1x1 stride 2 same` makes [28x28x128]",),
        ),
        ([(28, 28, 8), (25, 25, 8)], "`add` was given [28x28x8] and [25x25x8]", ()),
        ([(8,), (8, 8, 8)], "`add` was given [8] and [8x8x8]", ()),
        ([(8,), (9,), (8,)], "`add` was given [8], [9] and [8]", ()),
    ],
)
def test_streams_of_different_shapes(
    bench: Bench, sizes: list[Hwc], message: str, helps: tuple[str, ...]
) -> None:
    with pytest.raises(LayerError) as caught:
        bench.output("add", {}, *sizes)
    assert caught.value.code == "E0303"
    assert caught.value.message == message
    assert caught.value.label == "these must have one shape"
    assert list(caught.value.also) == [str(i) for i in range(len(sizes))]
    assert caught.value.helps == helps


def test_a_projection_that_is_proposed_fits(bench: Bench) -> None:
    projected = bench.output(
        "conv", {"filters": 128, "window": (1, 1), "stride": (2, 2), "same": True}, (56, 56, 64)
    )
    assert bench.output("add", {}, (28, 28, 128), projected) == (28, 28, 128)


def test_concat_adds_depths_up(bench: Bench) -> None:
    sizes = [(28, 28, 64), (28, 28, 128), (28, 28, 32), (28, 28, 32)]
    assert bench.output("concat", {}, *sizes) == (28, 28, 256)
    assert bench.formula("concat", {}, *sizes) == "64 + 128 + 32 + 32 = 256"
    assert bench.output("concat", {}, (3,), (4,)) == (7,)
    a, b = images((2, 2, 3), (2, 2, 1))
    made = bench.emit("concat", {}, (2, 2, 3), (2, 2, 1))
    np.testing.assert_array_equal(made.run(a, b), np.concatenate([a, b], axis=1))


def test_concat_of_different_heights(bench: Bench) -> None:
    with pytest.raises(LayerError) as caught:
        bench.output("concat", {}, (24, 24, 64), (25, 25, 64))
    assert caught.value.code == "E0304"
    assert caught.value.message == "`concat` was given 24x24 and 25x25"
    assert caught.value.label == "heights and widths must agree"
    assert caught.value.also == {"0": "[24x24x64]", "1": "[25x25x64]"}
    assert caught.value.helps == ("crop the larger side: `concat .. crop`",)


def test_concat_of_an_image_and_a_vector(bench: Bench) -> None:
    with pytest.raises(LayerError) as caught:
        bench.output("concat", {"crop": True}, (24, 24, 64), (10,))
    assert caught.value.code == "E0304"
    assert caught.value.label == "images and vectors do not go together"


def test_crop_cuts_evenly_with_the_odd_pixel_below_and_right(bench: Bench) -> None:
    small, large = (2, 3, 1), (5, 5, 2)
    a, b = images(small, large)
    made = bench.emit("concat", {"crop": True}, small, large)
    expected = np.concatenate([a, b[:, :, 1:3, 1:4]], axis=1)
    np.testing.assert_array_equal(made.run(a, b), expected)
