"""Augmentation of training images, each a pure function of seed, epoch and index.

An image's random words are read off a table by its index in the training split, so neither the
batch it falls into nor the step at which a run resumed makes a difference.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from cnndsl.data.order import below, draws, unit
from cnndsl.data.spec import Augment, Crop, Flip, Jitter, Shift
from cnndsl.data.transforms import Stored

WORDS = 6
"""Random words that one step has for each image."""

Words = NDArray[np.uint64]


def random_words(count: int, steps: int, *, seed: int, epoch: int) -> Words:
    """Give the random words [count, steps, WORDS] of an epoch; row i belongs to image i."""
    words = draws(count * steps * WORDS, seed=seed, stream="augment", epoch=epoch)
    return words.reshape(count, steps, WORDS)


def augment(
    images: Stored,
    steps: Sequence[Augment],
    words: Words,
    *,
    black: Stored,
    colours: NDArray[np.float32] | None = None,
) -> Stored:
    """Apply `steps` to images [N, C, H, W] with random words [N, len(steps), WORDS].

    `black` [C] is what black became by normalisation; `colours` [C, 3] are the principal axes
    of the colours, scaled by their variances, in the units of the images (for `Jitter`).
    """
    for position, step in enumerate(steps):
        drawn = words[:, position]
        match step:
            case Flip():
                images = flip(images, drawn)
            case Shift(pixels=pixels):
                size = (images.shape[2], images.shape[3])
                images = window(images, drawn, size=size, pad=pixels, black=black)
            case Crop(size=size, pad=pad):
                images = window(images, drawn, size=size, pad=pad, black=black)
            case Jitter(deviation=deviation):
                if colours is None:
                    raise ValueError("colour jitter needs the principal axes of the colours")
                images = jitter(images, drawn, deviation=deviation, colours=colours)
    return images


def flip(images: Stored, words: Words) -> Stored:
    """Mirror those images whose first word is odd."""
    mirrored = (words[:, 0] & np.uint64(1)).astype(bool)
    return np.where(mirrored[:, np.newaxis, np.newaxis, np.newaxis], images[..., ::-1], images)


def window(
    images: Stored,
    words: Words,
    *,
    size: tuple[int, int],
    pad: int,
    black: Stored,
) -> Stored:
    """Put `pad` black pixels around each image and cut a window of `size` out anywhere."""
    count, channels, height, width = images.shape
    wide = np.empty((count, channels, height + 2 * pad, width + 2 * pad), images.dtype)
    wide[:] = black[:, np.newaxis, np.newaxis]
    wide[:, :, pad : pad + height, pad : pad + width] = images
    top = below(words[:, 0], wide.shape[2] - size[0] + 1)
    left = below(words[:, 1], wide.shape[3] - size[1] + 1)
    rows = top[:, np.newaxis] + np.arange(size[0])
    columns = left[:, np.newaxis] + np.arange(size[1])
    image = np.arange(count)[:, np.newaxis, np.newaxis, np.newaxis]
    channel = np.arange(channels)[np.newaxis, :, np.newaxis, np.newaxis]
    row = rows[:, np.newaxis, :, np.newaxis]
    cut: Stored = wide[image, channel, row, columns[:, np.newaxis, np.newaxis, :]]
    return cut


def jitter(
    images: Stored, words: Words, *, deviation: float, colours: NDArray[np.float32]
) -> Stored:
    """Add to every pixel of an image the sum over the axes of axis x variance x alpha.

    alpha is normal with mean 0 and the given deviation, drawn once an image and axis (Krizhevsky
    et al. 2012, section 4.1), by Box and Muller from two words each.
    """
    radius = np.sqrt(-2.0 * np.log(unit(words[:, 0:3])))
    alpha = (deviation * radius * np.cos(2.0 * np.pi * unit(words[:, 3:6]))).astype(np.float32)
    shift = (alpha[:, np.newaxis, :] * colours[np.newaxis]).sum(axis=2)
    shifted: Stored = images + shift[:, :, np.newaxis, np.newaxis]
    return shifted


def colour_axes(images: Stored) -> NDArray[np.float32]:
    """Give the principal axes of the colours of images [N, 3, H, W], each times its variance.

    The result is [3, 3], one column an axis; its largest entry is positive, so that the
    same images give the same axes.
    """
    mean = images.mean(axis=(0, 2, 3), dtype=np.float64)
    products = np.empty((3, 3))
    for first in range(3):
        for second in range(3):
            both = images[:, first] * images[:, second]
            products[first, second] = both.mean(dtype=np.float64)
    variances, axes = np.linalg.eigh(products - np.outer(mean, mean))
    largest = axes[np.abs(axes).argmax(axis=0), np.arange(3)]
    scaled = axes * np.sign(largest) * np.maximum(variances, 0.0)
    return np.asarray(scaled, np.float32)
