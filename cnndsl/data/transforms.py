"""What is done to images before training: channels, scale, size, normalisation.

Every function takes images [N, C, H, W] and gives new ones. The arithmetic is elementwise NumPy
in float32, without matrix products, so that the bits do not depend on the number of threads.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Images = NDArray[np.float32]
"""[N, C, H, W], float32."""
Stored = NDArray[np.float32 | np.uint8]
"""[N, C, H, W], ready numbers or bytes that are scaled later."""

LUMA = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in grey (ITU-R BT.601)."""


def to_unit(images: Stored, *, black: float, white: float) -> Images:
    """Scale linearly so that `black` becomes 0 and `white` 1.

    >>> to_unit(np.array([[[[0, 8, 16]]]], np.uint8), black=0, white=16).tolist()
    [[[[0.0, 0.5, 1.0]]]]
    """
    scaled = images.astype(np.float32)
    if black:
        scaled -= np.float32(black)
    scaled /= np.float32(white - black)
    return scaled


def to_channels(images: Stored, channels: int) -> Stored:
    """Bring to `channels`: grey is repeated, colour becomes grey by `LUMA`.

    Raises `ValueError` for any other change.
    """
    have = images.shape[1]
    if have == channels:
        return images
    if have == 1:
        return np.repeat(images, channels, axis=1)
    if have == 3 and channels == 1:
        red, green, blue = (images[:, i] * np.float32(LUMA[i]) for i in range(3))
        grey: Images = (red + green + blue)[:, np.newaxis]
        return grey
    raise ValueError(f"{have} channels cannot become {channels}")


def resize(images: Stored, height: int, width: int) -> Stored:
    """Scale to `height` x `width`, bilinear with half-pixel centres.

    Enlarging blends the two nearest pixels on each axis, the border repeated. Reducing widens
    the triangle to the scale, so that every source pixel counts (as Pillow's BILINEAR does).
    """
    return _resample(_resample(images, width, axis=3), height, axis=2)


def _resample(images: Stored, size: int, *, axis: int) -> Stored:
    have = images.shape[axis]
    if have == size:
        return images
    index, weight = _taps(have, size)
    shape = [1] * images.ndim
    shape[axis] = size
    out = np.zeros((*images.shape[:axis], size, *images.shape[axis + 1 :]), np.float32)
    for tap in range(index.shape[1]):
        out += np.take(images, index[:, tap], axis=axis) * weight[:, tap].reshape(shape)
    return out


def _taps(have: int, size: int) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    """Source pixels [size, taps] and their weights, the weights of a pixel adding up to 1."""
    scale = have / size
    reach = max(scale, 1.0)
    centre = (np.arange(size) + 0.5) * scale
    first = np.floor(centre - reach + 0.5).astype(np.intp)
    position = first[:, np.newaxis] + np.arange(math.ceil(2 * reach) + 1)
    distance = np.abs(position + 0.5 - centre[:, np.newaxis]) / reach
    weight = np.maximum(1.0 - distance, 0.0)
    weight[(position < 0) | (position >= have)] = 0.0
    weight /= weight.sum(axis=1, keepdims=True)
    return np.clip(position, 0, have - 1), weight.astype(np.float32)


def pad(images: Stored, *, top: int, bottom: int, left: int, right: int) -> Stored:
    """Put zeros (black) around the images."""
    return np.pad(images, ((0, 0), (0, 0), (top, bottom), (left, right)))


def pad_to(images: Stored, height: int, width: int) -> Stored:
    """Put zeros around until the size is reached; an odd pixel goes below and to the right.

    Raises `ValueError` for images that are larger.
    """
    rows, columns = height - images.shape[2], width - images.shape[3]
    if rows < 0 or columns < 0:
        raise ValueError(f"{images.shape[2]}x{images.shape[3]} is larger than {height}x{width}")
    top, left = rows // 2, columns // 2
    return pad(images, top=top, bottom=rows - top, left=left, right=columns - left)


def crop_middle(images: Stored, height: int, width: int) -> Stored:
    """Cut out the middle; an odd pixel is cut below and to the right."""
    top, left = (images.shape[2] - height) // 2, (images.shape[3] - width) // 2
    return images[:, :, top : top + height, left : left + width]


def normalize(images: Stored, *, mean: Sequence[float], std: Sequence[float]) -> Stored:
    """Give (images - mean) / std, one value a channel or one for all; empty means 0 and 1."""
    out = images
    if mean:
        out = out - np.asarray(mean, np.float32)[:, np.newaxis, np.newaxis]
    if std:
        out = out / np.asarray(std, np.float32)[:, np.newaxis, np.newaxis]
    return out
