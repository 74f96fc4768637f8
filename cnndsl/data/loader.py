"""Batches: in an order that is a pure function of seed and epoch, from any step on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cnndsl.data.augment import augment, random_words
from cnndsl.data.files import data_error
from cnndsl.data.order import permutation
from cnndsl.data.preparation import PreparedSplit
from cnndsl.data.transforms import Stored

Last = Literal["drop", "pad"]
"""What becomes of a last, smaller batch: left out, or filled up with repeated images."""


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Some images with their labels; always as many as a batch holds."""

    images: Stored
    """[B, C, H, W], or [B, C x H x W] for a program that takes rows; bytes where a split has."""
    labels: NDArray[np.int64]
    """[B]."""
    index: NDArray[np.int64]
    """[B]: where each image stands in its split."""
    valid: int
    """Rows that count; those after are filling and repeat the batch's first images."""
    step: int
    """Number of the batch in its epoch, from 0."""


def steps_per_epoch(count: int, size: int, *, last: Last = "drop") -> int:
    """Give the number of batches of `size` that `count` images make.

    >>> steps_per_epoch(10, 4, last="drop"), steps_per_epoch(10, 4, last="pad")
    (2, 3)
    """
    return count // size if last == "drop" else -(-count // size)


def batches(
    data: PreparedSplit,
    size: int,
    *,
    seed: int = 0,
    epoch: int = 0,
    shuffle: bool = False,
    last: Last = "drop",
    start: int = 0,
) -> Iterator[Batch]:
    """Give the batches of one epoch from step `start` on.

    The order, and what augmentation does to each image, depend on (seed, epoch) alone: starting
    at a later step gives the same batches that a full epoch gives from there. Raises `DataError`
    E0819 where "drop" would leave nothing, and `ValueError` for a size or start that is none.
    """
    if size < 1 or start < 0:
        raise ValueError(f"a batch holds 1 image or more and starts at 0 or later: {size}, {start}")
    if last == "drop" and size > len(data):
        raise data_error(
            "E0819",
            f"a batch of {size:,} is larger than the data, {len(data):,} images",
            notes=("training leaves out a last batch that is not full: none is left",),
            helps=(f"make the batch at most {len(data):,}",),
        )
    return _batches(data, size, seed, epoch, shuffle, last, start)


def _batches(
    data: PreparedSplit, size: int, seed: int, epoch: int, shuffle: bool, last: Last, start: int
) -> Iterator[Batch]:
    count = len(data)
    order = np.arange(count)
    if shuffle:
        order = permutation(count, seed=seed, stream="order", epoch=epoch)
    words = None
    if data.augment:
        words = random_words(count, len(data.augment), seed=seed, epoch=epoch)
    for step in range(start, steps_per_epoch(count, size, last=last)):
        index = order[step * size : (step + 1) * size]
        valid = len(index)
        index = np.resize(index, size)
        images = data.images[index]
        if words is not None and data.black is not None:
            images = augment(
                images, data.augment, words[index], black=data.black, colours=data.colours
            )
        images = np.ascontiguousarray(images.reshape(size, -1) if data.flat else images)
        yield Batch(images, data.labels[index], index, valid, step)
