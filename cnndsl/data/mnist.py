"""MNIST: 70,000 handwritten digits of 28x28 (LeCun, Cortes, Burges)."""

from __future__ import annotations

from cnndsl.data.base import DatasetSource
from cnndsl.data.idx_folder import IdxFolder

_FOLDER = IdxFolder(
    name="mnist",
    folders=("mnist", "MNIST/raw", "MNIST"),
    classes=tuple("0123456789"),
    shape=(28, 28, 1),
)

SOURCE = DatasetSource(
    title="MNIST database of handwritten digits",
    classes=_FOLDER.classes,
    shape=_FOLDER.shape,
    counts={"train": 60_000, "test": 10_000},
    licence="CC BY-SA 3.0, Yann LeCun and Corinna Cortes",
    open=_FOLDER.open,
)
"""What is known about the data set by its name."""
