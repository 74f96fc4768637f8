from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnndsl.data import transforms
from cnndsl.data.order import draws, unit

SIZES = st.integers(1, 40)


def noise(*shape: int) -> transforms.Images:
    return (
        unit(draws(int(np.prod(shape)), seed=0, stream="noise")).astype(np.float32).reshape(shape)
    )


@given(height=SIZES, width=SIZES, new_height=SIZES, new_width=SIZES)
def test_resize_is_what_pillow_computes(
    height: int, width: int, new_height: int, new_width: int
) -> None:
    from PIL import Image

    images = noise(2, 1, height, width)
    ours = transforms.resize(images, new_height, new_width)
    bilinear = Image.Resampling.BILINEAR
    for image, found in zip(images, ours, strict=True):
        theirs = Image.fromarray(image[0]).resize((new_width, new_height), bilinear)
        # Values in [0, 1], sums of a few dozen float32 terms: some units in the last place.
        np.testing.assert_allclose(found[0], np.asarray(theirs), rtol=0, atol=1e-6)


@given(height=SIZES, width=SIZES, value=st.floats(-2, 2, width=32))
def test_resize_keeps_a_constant_image(height: int, width: int, value: float) -> None:
    images = np.full((1, 2, 6, 7), value, np.float32)
    np.testing.assert_allclose(transforms.resize(images, height, width), value, atol=1e-6)


def test_resize_by_two_blends_quarter_by_quarter() -> None:
    row = np.array([[[[0.0, 1.0]]]], np.float32)
    assert transforms.resize(row, 1, 4).ravel().tolist() == [0.0, 0.25, 0.75, 1.0]
    assert transforms.resize(row, 1, 2) is row


def test_scaling_uses_the_range_of_the_data_set() -> None:
    pixels = np.array([0, 51, 255], np.uint8).reshape(1, 1, 1, 3)
    unit_images = transforms.to_unit(pixels, black=0, white=255)
    assert unit_images.dtype == np.float32
    np.testing.assert_allclose(unit_images.ravel(), [0.0, 0.2, 1.0], rtol=1e-6)
    centred = transforms.to_unit(np.array([[[[-1.0, 0.0, 1.0]]]], np.float32), black=-1, white=1)
    assert centred.ravel().tolist() == [0.0, 0.5, 1.0]


def test_channels() -> None:
    grey = noise(2, 1, 3, 3)
    colour = transforms.to_channels(grey, 3)
    assert colour.shape == (2, 3, 3, 3)
    assert np.array_equal(colour[:, 2], grey[:, 0])
    np.testing.assert_allclose(transforms.to_channels(colour, 1), grey, rtol=1e-6)
    red = np.zeros((1, 3, 1, 1), np.float32)
    red[0, 0] = 1.0
    assert transforms.to_channels(red, 1).item() == pytest.approx(0.299)
    with pytest.raises(ValueError, match="4 channels cannot become 3"):
        transforms.to_channels(noise(1, 4, 1, 1), 3)


def test_pad_puts_the_odd_pixel_below_and_right() -> None:
    ones = np.ones((1, 1, 2, 2), np.float32)
    assert transforms.pad_to(ones, 3, 5)[0, 0].tolist() == [
        [0, 1, 1, 0, 0],
        [0, 1, 1, 0, 0],
        [0, 0, 0, 0, 0],
    ]
    with pytest.raises(ValueError, match="2x2 is larger than 1x5"):
        transforms.pad_to(ones, 1, 5)


@given(height=st.integers(1, 9), width=st.integers(1, 9), more=st.integers(0, 5))
def test_the_middle_of_a_padded_image_is_the_image(height: int, width: int, more: int) -> None:
    images = noise(1, 2, height, width)
    padded = transforms.pad_to(images, height + more, width + 2 * more)
    assert np.array_equal(transforms.crop_middle(padded, height, width), images)


def test_normalize_works_channel_by_channel() -> None:
    images = np.ones((1, 2, 1, 1), np.float32)
    found = transforms.normalize(images, mean=(0.5, 0.25), std=(0.5, 0.25))
    assert found.ravel().tolist() == [1.0, 3.0]
    assert transforms.normalize(images, mean=(), std=()).ravel().tolist() == [1.0, 1.0]
