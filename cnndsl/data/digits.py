"""The built-in data set: 1,797 handwritten digits of 8x8 pixels with values 0 to 16.

It comes with the package, so that a first run needs no download. The files under `builtin/` are
the test part of "Optical Recognition of Handwritten Digits" (E. Alpaydin, C. Kaynak, UCI Machine
Learning Repository, CC BY 4.0), the 1,797 images that scikit-learn's `load_digits` gives, values
and order unchanged, written as unsigned bytes in IDX form and packed with gzip.

The split is fixed and keeps the share of every class: order the images by class, keeping their
order inside a class; every fifth one, beginning with the first, is a test image. That makes 1,437
training and 360 test images. No random number is involved.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from cnndsl.data.base import Dataset, DatasetSource, Places, Split
from cnndsl.data.idx import read_idx
from cnndsl.data.idx_folder import check_counts, read_labels

_CLASSES = tuple("0123456789")
_SHAPE = (8, 8, 1)
_FILES = Path(__file__).resolve().parent / "builtin"


def _everything() -> Split:
    images = _FILES / "digits-images-idx3-ubyte.gz"
    labels = _FILES / "digits-labels-idx1-ubyte.gz"
    pixels, numbers = read_idx(images, dims=3), read_labels(labels, classes=len(_CLASSES))
    check_counts(images, len(pixels), labels, len(numbers))
    return Split(pixels[:, np.newaxis], numbers)


def _read(split: str) -> Split:
    everything = _everything()
    by_class = np.argsort(everything.labels, kind="stable")
    chosen = np.zeros(len(everything), dtype=bool)
    chosen[by_class[::5]] = True
    return everything.take(np.flatnonzero(chosen if split == "test" else ~chosen))


def open_digits(places: Places | None = None) -> Dataset:
    """Open the built-in digits; `places` are not looked into, since the files come along."""
    del places
    loaders: dict[str, Callable[[], Split]] = {
        split: partial(_read, split) for split in ("train", "test")
    }
    return Dataset("digits", _CLASSES, _SHAPE, loaders, pixel_range=(0.0, 16.0))


SOURCE = DatasetSource(
    title="Optical Recognition of Handwritten Digits (UCI), built in",
    classes=_CLASSES,
    shape=_SHAPE,
    counts={"train": 1_437, "test": 360},
    licence="CC BY 4.0, E. Alpaydin and C. Kaynak",
    open=open_digits,
)
"""What is known about the data set by its name."""
