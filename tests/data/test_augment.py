from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnndsl.data.augment import augment, colour_axes, random_words, window
from cnndsl.data.order import draws, unit
from cnndsl.data.spec import Augment, Crop, Flip, Jitter, Shift
from cnndsl.data.transforms import Stored

BLACK = np.array([-1.0, -2.0, -3.0], np.float32)


def noise(*shape: int) -> Stored:
    return (
        unit(draws(int(np.prod(shape)), seed=0, stream="noise")).astype(np.float32).reshape(shape)
    )


STEPS: tuple[Augment, ...] = (Flip(), Shift(2), Crop((5, 6), pad=1), Jitter(0.1))


def applied(images: Stored, rows: slice, *, epoch: int = 0) -> Stored:
    words = random_words(len(images), len(STEPS), seed=7, epoch=epoch)
    colours = colour_axes(images)
    return augment(images[rows], STEPS, words[rows], black=BLACK, colours=colours)


def test_an_image_does_not_depend_on_its_batch() -> None:
    images = noise(9, 3, 8, 8)
    whole = applied(images, slice(None))
    assert whole.shape == (9, 3, 5, 6)
    assert whole.dtype == np.float32
    for index in range(9):
        assert np.array_equal(applied(images, slice(index, index + 1))[0], whole[index])
    assert not np.array_equal(applied(images, slice(None), epoch=1), whole)


def test_flip_mirrors_about_half() -> None:
    images = noise(400, 1, 1, 3)
    words = random_words(400, 1, seed=0, epoch=0)
    flipped = augment(images, (Flip(),), words, black=BLACK[:1])
    mirrored = (flipped == images[..., ::-1]).all(axis=(1, 2, 3))
    assert ((flipped == images).all(axis=(1, 2, 3)) ^ mirrored).all()
    # Six standard deviations of 400 tosses.
    assert abs(int(mirrored.sum()) - 200) < 6 * 10


@given(pixels=st.integers(1, 3), seed=st.integers(0, 99))
def test_shift_moves_whole_pixels_and_fills_with_black(pixels: int, seed: int) -> None:
    images = noise(4, 3, 6, 6)
    words = random_words(4, 1, seed=seed, epoch=0)
    found = augment(images, (Shift(pixels),), words, black=BLACK)
    wide = np.empty((4, 3, 6 + 2 * pixels, 6 + 2 * pixels), np.float32)
    wide[:] = BLACK[:, None, None]
    wide[:, :, pixels:-pixels, pixels:-pixels] = images
    moves = range(2 * pixels + 1)
    for row in range(4):
        candidates = [wide[row, :, y : y + 6, x : x + 6] for y in moves for x in moves]
        assert sum(np.array_equal(found[row], candidate) for candidate in candidates) == 1


def test_every_place_of_the_window_comes_up() -> None:
    images = np.arange(9, dtype=np.float32).reshape(1, 1, 3, 3).repeat(300, axis=0)
    words = random_words(300, 1, seed=0, epoch=0)[:, 0]
    cut = window(images, words, size=(2, 2), pad=0, black=BLACK[:1])
    assert sorted(set(cut[:, 0, 0, 0].tolist())) == [0.0, 1.0, 3.0, 4.0]


def test_jitter_shifts_along_the_axes_by_variance() -> None:
    images = noise(500, 3, 2, 2)
    colours = colour_axes(images)
    words = random_words(500, 1, seed=0, epoch=0)
    shift = augment(images, (Jitter(0.5),), words, black=BLACK, colours=colours) - images
    # The same for every pixel of an image, and alpha is normal with the given deviation.
    np.testing.assert_allclose(shift, shift[:, :, :1, :1].repeat(2, 2).repeat(2, 3), atol=1e-6)
    alpha = np.linalg.solve(colours.astype(np.float64), shift[:, :, 0, 0].T)
    assert np.abs(alpha.mean(axis=1)).max() < 6 * 0.5 / np.sqrt(500)
    assert np.abs(alpha.std(axis=1) / 0.5 - 1).max() < 6 / np.sqrt(2 * 500)
    with pytest.raises(ValueError, match="principal axes"):
        augment(images, (Jitter(),), words, black=BLACK)


def test_colour_axes_are_those_of_the_covariance() -> None:
    images = noise(20, 3, 4, 4)
    images[:, 1] = images[:, 0] * 2
    axes = colour_axes(images).astype(np.float64)
    covariance = np.cov(images.transpose(1, 0, 2, 3).reshape(3, -1), bias=True)
    variances = np.linalg.eigvalsh(covariance)
    np.testing.assert_allclose(np.linalg.norm(axes, axis=0), variances, atol=1e-6)
    np.testing.assert_allclose(covariance @ axes, axes * variances, atol=1e-6)
