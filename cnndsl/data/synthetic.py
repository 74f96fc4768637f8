"""Small made-up data for tests and benchmarks: the same arguments give the same bytes."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from cnndsl.data.base import Dataset, DatasetSource, Places, Split
from cnndsl.data.order import below, draws

_COUNTS = {"train": 256, "test": 64}
_SHAPE = (16, 16, 1)
_CLASSES = 10


def synthetic(
    *,
    shape: tuple[int, int, int] = _SHAPE,
    classes: int = _CLASSES,
    train: int = _COUNTS["train"],
    test: int = _COUNTS["test"],
    noise: int = 64,
    seed: int = 0,
) -> Dataset:
    """Make images that a network can learn: each class is a fixed random pattern, plus noise.

    Pixels are unsigned bytes: the pattern of the class (0 or 128) plus a whole number below
    `noise` (at most 128). Image i is of class i modulo `classes`, so every class is there.
    """
    names = tuple(f"class {number}" for number in range(classes))
    loaders: dict[str, Callable[[], Split]] = {
        split: partial(_make, split, count, shape, classes, noise, seed)
        for split, count in (("train", train), ("test", test))
        if count
    }
    return Dataset("synthetic", names, shape, loaders)


def _make(
    split: str, count: int, shape: tuple[int, int, int], classes: int, noise: int, seed: int
) -> Split:
    height, width, channels = shape
    size = height * width * channels
    bits = draws(classes * size, seed=seed, stream="synthetic patterns") >> np.uint64(63)
    patterns = (bits.astype(np.uint8) * np.uint8(128)).reshape(classes, channels, height, width)
    words = draws(count * size, seed=seed, stream=f"synthetic {split}")
    grain = below(words, noise).astype(np.uint8).reshape(count, channels, height, width)
    labels = np.arange(count, dtype=np.int64) % classes
    return Split(patterns[labels] + grain, labels)


def _open(places: Places) -> Dataset:
    del places  # nothing is read
    return synthetic()


SOURCE = DatasetSource(
    title="Made-up patterns with noise, for tests and benchmarks",
    classes=tuple(f"class {number}" for number in range(_CLASSES)),
    shape=_SHAPE,
    counts=_COUNTS,
    licence="none needed: computed, not collected",
    open=_open,
)
"""What is known about the data set by its name."""
