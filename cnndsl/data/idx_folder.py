"""Data sets made of four IDX files: MNIST and everything that took over its form."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cnndsl.data.base import Dataset, Places, Split, not_found
from cnndsl.data.files import data_error
from cnndsl.data.idx import read_idx

_PREFIXES = {"train": "train", "test": "t10k"}

# SHA-256 of the label bytes without their header. The files of these data sets bear the same
# names, so a wrong folder would otherwise train without a word.
_KNOWN_LABELS = {
    "1feba77c54802fa5339a11837ea4b2866434b83314ec45192930f1df69120c13": "mnist",
    "ddeff807876a9661a1110d45c266c86239a3a1b7d37da0c3716a7a683c852ff5": "mnist",
    "657fbd221bfc9f4198cc14b5619cc33ec57c58dd0e47af4d99d6650759e869a7": "fashion_mnist",
    "3d0e6c6ea990b53b6f8f500a41cac93881d981b315f84578b7d915342ade01e9": "fashion_mnist",
}


@dataclass(frozen=True, slots=True)
class IdxFolder:
    """What a folder of four IDX files should hold."""

    name: str
    """The data set's name."""
    folders: tuple[str, ...]
    """Names that its folder goes by."""
    classes: tuple[str, ...]
    """Name of class 0, 1, ..."""
    shape: tuple[int, int, int]
    """Height, width and channels."""

    def open(self, places: Places) -> Dataset:
        """Open the first folder of `places` with the four files; E0801 if there is none."""
        looked = places.folders(*self.folders)
        for folder in looked:
            if find_idx(folder, "train", "labels") is not None:
                return self.at(folder)
        raise not_found(
            self.name,
            files="train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte and "
            "t10k-labels-idx1-ubyte, with or without .gz,",
            looked=looked,
            target=places.roots[-1] / self.name,
        )

    def at(self, folder: Path) -> Dataset:
        """Open the files in `folder`; they are read when a split is first asked for."""
        loaders: dict[str, Callable[[], Split]] = {
            split: partial(self._read, folder, split) for split in _PREFIXES
        }
        return Dataset(self.name, self.classes, self.shape, loaders)

    def _read(self, folder: Path, split: str) -> Split:
        paths = [_required(folder, split, kind) for kind in ("images", "labels")]
        labels = read_labels(paths[1], classes=len(self.classes))
        owner = _KNOWN_LABELS.get(hashlib.sha256(labels.astype(np.uint8).tobytes()).hexdigest())
        if owner is not None and owner != self.name:
            raise data_error(
                "E0808",
                f"{folder} holds {owner}, not {self.name}",
                notes=(f"the labels in {paths[1].name} are those of {owner}",),
                helps=(f"put the files of {self.name} into a folder of that name",),
            )
        images = read_idx(paths[0], dims=3)
        if images.shape[1:] != self.shape[:2]:
            height, width = images.shape[1:]
            raise data_error(
                "E0808",
                f"{paths[0]} has images of {height}x{width}",
                notes=(f"the images of {self.name} are {self.shape[0]}x{self.shape[1]}",),
            )
        check_counts(paths[0], len(images), paths[1], len(labels))
        return Split(images[:, np.newaxis], labels)


def open_idx_folder(folder: str | Path, *, name: str | None = None) -> Dataset:
    """Open a folder of four IDX files under the names of the MNIST files; E0801 if one is missing.

    The image size is that of the training images, the classes are 0 up to the largest label.
    """
    folder = Path(folder)
    labels = read_labels(_required(folder, "train", "labels"), classes=256)
    images = read_idx(_required(folder, "train", "images"), dims=3)
    classes = tuple(str(number) for number in range(int(labels.max()) + 1))
    height, width = images.shape[1:]
    return IdxFolder(name or folder.name, (), classes, (height, width, 1)).at(folder)


def find_idx(folder: Path, split: str, kind: str) -> Path | None:
    """Find the file with the "images" or "labels" of a split, plain or .gz."""
    dims = 3 if kind == "images" else 1
    prefix = _PREFIXES[split]
    for joint in ("-", "."):
        for suffix in ("", ".gz"):
            path = folder / f"{prefix}-{kind}{joint}idx{dims}-ubyte{suffix}"
            if path.exists():
                return path
    return None


def read_labels(path: Path, *, classes: int) -> NDArray[np.int64]:
    """Read an IDX file of labels; E0807 names the first one that is not below `classes`."""
    labels = read_idx(path, dims=1)
    wrong = np.flatnonzero(labels >= classes)
    if wrong.size:
        first = int(wrong[0])
        raise data_error(
            "E0807",
            f"{path} has label {labels[first]} at byte {8 + first:,} (image {first:,})",
            notes=(
                f"the classes are 0 to {classes - 1}; "
                f"{wrong.size:,} of {labels.size:,} are outside",
            ),
            helps=("get the file again, or correct the labels",),
        )
    return labels.astype(np.int64)


def check_counts(images: Path, image_count: int, labels: Path, label_count: int) -> None:
    """Raise E0808 unless there is one label an image."""
    if image_count != label_count:
        raise data_error(
            "E0808",
            f"{images} has {image_count:,} images, {labels.name} has {label_count:,} labels",
            notes=("byte 4 of each file gives its count; they should be equal",),
            helps=("the two files come from different sets: get both again",),
        )


def _required(folder: Path, split: str, kind: str) -> Path:
    path = find_idx(folder, split, kind)
    if path is None:
        dims = 3 if kind == "images" else 1
        raise data_error(
            "E0801",
            f"{folder} has no {_PREFIXES[split]}-{kind}-idx{dims}-ubyte",
            helps=("put it there, plain or with .gz: the four IDX files belong together",),
        )
    return path
