"""Fashion-MNIST: 70,000 articles of clothing in the form of MNIST (arXiv:1708.07747)."""

from __future__ import annotations

from cnndsl.data.base import DatasetSource
from cnndsl.data.idx_folder import IdxFolder

_FOLDER = IdxFolder(
    name="fashion_mnist",
    folders=("fashion_mnist", "fashion-mnist", "FashionMNIST/raw", "FashionMNIST"),
    classes=(
        "T-shirt/top",
        "Trouser",
        "Pullover",
        "Dress",
        "Coat",
        "Sandal",
        "Shirt",
        "Sneaker",
        "Bag",
        "Ankle boot",
    ),
    shape=(28, 28, 1),
)

SOURCE = DatasetSource(
    title="Fashion-MNIST",
    classes=_FOLDER.classes,
    shape=_FOLDER.shape,
    counts={"train": 60_000, "test": 10_000},
    licence="MIT, copyright 2017 Zalando SE",
    open=_FOLDER.open,
)
"""What is known about the data set by its name."""
