"""What a data set is, where its files are looked for, and the list of those known by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cnndsl.data.files import data_error
from cnndsl.support.diagnostics import DataError
from cnndsl.support.registry import Registry
from cnndsl.support.settings import Settings
from cnndsl.support.suggest import nearest


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """Images with their labels, as the files hold them."""

    images: NDArray[np.uint8 | np.float32]
    """[N, C, H, W]."""
    labels: NDArray[np.int64]
    """[N], from 0 up to the number of classes less one."""
    notes: tuple[str, ...] = ()
    """What was noticed while reading, such as images that were left out."""

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, index: NDArray[np.int64]) -> Split:
        """Give the images and labels at `index`, in that order."""
        return Split(self.images[index], self.labels[index], self.notes)


@dataclass(frozen=True, eq=False)
class Dataset:
    """A data set for classification; a split is read from its files when it is first asked for."""

    name: str
    """Its name, or the name of its folder."""
    classes: tuple[str, ...]
    """Name of class 0, 1, ..."""
    shape: tuple[int, int, int]
    """Height, width and channels of every image."""
    loaders: Mapping[str, Callable[[], Split]]
    """How to read "train", and "val" and "test" where the data set has them."""
    pixel_range: tuple[float, float] = (0.0, 255.0)
    """The stored values that mean black and white."""
    _read: dict[str, Split] = field(default_factory=dict, init=False, repr=False)

    @property
    def train(self) -> Split:
        """The training images."""
        split = self.split("train")
        if split is None:
            raise data_error("E0801", f"the data set {self.name} has no training images")
        return split

    @property
    def val(self) -> Split | None:
        """The validation images, if the data set sets some apart."""
        return self.split("val")

    @property
    def test(self) -> Split | None:
        """The test images, if the data set sets some apart."""
        return self.split("test")

    def split(self, name: str) -> Split | None:
        """Give "train", "val" or "test", read once; nothing if the data set has no such split."""
        if name not in self._read and name in self.loaders:
            self._read[name] = self.loaders[name]()
        return self._read.get(name)


@dataclass(frozen=True, slots=True)
class Places:
    """The folders in which data sets are looked for, in this order."""

    roots: tuple[Path, ...]
    """Folders that may hold the files, or a folder of them; the last one takes downloads."""

    @classmethod
    def of(
        cls,
        *,
        data_dir: str | Path | None = None,
        cache_dir: str | Path | None = None,
        settings: Settings | None = None,
    ) -> Places:
        """Give `data_dir`, then `settings.data_dir`, then `cache_dir` or the user's cache.

        Without `settings` the environment (CNNDSL_DATA) is read.
        """
        given = Path(data_dir).expanduser() if data_dir is not None else None
        configured = (settings or Settings.from_env()).data_dir
        cache = Path(cache_dir).expanduser() if cache_dir is not None else default_cache()
        found = [root for root in (given, configured, cache) if root is not None]
        return cls(tuple(dict.fromkeys(found)))

    def folders(self, *names: str) -> list[Path]:
        """List where a data set may lie: each root's subfolders `names`, then the root itself."""
        return [folder for root in self.roots for folder in (*(root / n for n in names), root)]


def default_cache() -> Path:
    """Give the user's folder for downloaded data, by the custom of the platform."""
    import platformdirs

    return platformdirs.user_cache_path("cnndsl") / "data"


@dataclass(frozen=True, slots=True)
class DatasetSource:
    """A data set that is known by name."""

    title: str
    """What it is called in print."""
    classes: tuple[str, ...]
    """Name of class 0, 1, ..."""
    shape: tuple[int, int, int]
    """Height, width and channels."""
    counts: Mapping[str, int]
    """Images of each split in the published form."""
    licence: str
    """The terms its authors published it under, and whom to name."""
    open: Callable[[Places], Dataset]
    """How to open it; `DataError` if its files are not in any of the places."""


DATASETS: Registry[DatasetSource] = Registry("data set")
"""The data sets known by name."""


def open_dataset(
    name: str,
    *,
    data_dir: str | Path | None = None,
    cache_dir: str | Path | None = None,
    settings: Settings | None = None,
) -> Dataset:
    """Open the data set `name`.

    Its files are looked for in `data_dir`, the folder that CNNDSL_DATA names (`settings`, read
    from the environment by default) and `cache_dir` (the user's cache by default). No network.
    Raises `DataError`: E0802 for an unknown name, E0801 for missing files, others for broken ones.
    """
    if name not in DATASETS:
        close = nearest(name, DATASETS)
        hint = f"; did you mean {close[0]}?" if close else ""
        raise data_error(
            "E0802",
            f"no data set is called {name}{hint}",
            helps=(
                f"known by name: {', '.join(DATASETS)}",
                "for your own images, name a folder with one subfolder a class",
            ),
        )
    places = Places.of(data_dir=data_dir, cache_dir=cache_dir, settings=settings)
    return DATASETS[name].open(places)


def not_found(name: str, *, files: str, looked: list[Path], target: Path) -> DataError:
    """Make the error for a data set whose files are in none of the folders `looked` into."""
    return data_error(
        "E0801",
        f"the files of the data set {name} are not here",
        notes=(f"looked for {files} in\n" + "\n".join(str(folder) for folder in looked),),
        helps=(
            f"`cnndsl data get {name}` downloads them to {target}",
            f"or put the files here: {target}",
            "or name the folder that has them, with --data-dir or CNNDSL_DATA",
        ),
    )
