"""The record of what a program says about its data: where from, and what is done to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cnndsl.data.files import data_error
from cnndsl.support.diagnostics import DataError

SOURCES = ("named", "idx", "cifar", "folder")
"""Kinds of source: a data set known by name, four IDX files, CIFAR-10 batches, image folders."""


@dataclass(frozen=True, slots=True)
class Flip:
    """Mirror left and right, every second image on average."""


@dataclass(frozen=True, slots=True)
class Shift:
    """Move by a whole number of pixels, black where nothing is left."""

    pixels: int
    """Most pixels in each direction, up, down, left and right."""

    def __post_init__(self) -> None:
        _check(self.pixels >= 1, f"shift {self.pixels}", "a shift is 1 pixel or more")


@dataclass(frozen=True, slots=True)
class Crop:
    """Cut a window out, anywhere in training, in the middle for evaluation."""

    size: tuple[int, int]
    """Height and width of the window."""
    pad: int = 0
    """Black pixels put around the image first, in training."""

    def __post_init__(self) -> None:
        height, width = self.size
        _check(min(self.size) >= 1, f"crop {height}x{width}", "a window is 1x1 or larger")
        _check(self.pad >= 0, f"crop with pad {self.pad}", "padding is 0 or more")


@dataclass(frozen=True, slots=True)
class Jitter:
    """Shift the colours along their principal axes (Krizhevsky et al. 2012, section 4.1)."""

    deviation: float = 0.1
    """Standard deviation of the factor on each axis."""

    def __post_init__(self) -> None:
        _check(self.deviation > 0, f"jitter {self.deviation}", "a deviation is above 0")


Augment = Flip | Shift | Crop | Jitter
"""One step of augmentation."""


@dataclass(frozen=True, slots=True)
class DataSpec:
    """Which data a program trains on, and how it is prepared; E0815 for values that make no sense.

    The steps run in this order: channels, scaling to [0, 1], resize, pad, normalise; augmentation
    afterwards, anew in each epoch.
    """

    name: str
    """A data set known by name, or a folder below the data folders."""
    source: str = "named"
    """One of `SOURCES`."""
    resize: tuple[int, int] | None = None
    """Height and width to scale to, bilinear."""
    pad: tuple[int, int] | int | None = None
    """Height and width to reach with black pixels, or the pixels to put on each side."""
    mean: tuple[float, ...] = ()
    """What is taken off, for all channels or for each, where black is 0 and white is 1."""
    std: tuple[float, ...] = ()
    """What is divided by afterwards."""
    val: float = 0.0
    """Share of the training images set apart for validation."""
    test: float | None = None
    """Share of the images set apart for testing, where the data set has no test images."""
    limit: int | None = None
    """Most images of each split, chosen evenly at random."""
    augment: tuple[Augment, ...] = ()
    """Steps applied to training images, in this order."""
    seed: int = 0
    """Decides which images `val`, `test` and `limit` choose."""
    skip_bad: bool = False
    """Whether images that cannot be read are left out, with a note, and not an error."""

    def __post_init__(self) -> None:
        _check(
            self.source in SOURCES,
            f"data source {self.source}",
            f"a source is one of {', '.join(SOURCES)}",
        )
        if self.resize is not None:
            height, width = self.resize
            shown = f"resize {height}x{width}"
            _check(min(self.resize) >= 1, shown, "an image is 1x1 or larger")
        if isinstance(self.pad, int):
            _check(self.pad >= 0, f"pad {self.pad}", "padding is 0 or more")
        for share in (self.val, self.test if self.test is not None else 0.0):
            _check(0.0 <= share < 1.0, f"a share of {share:g}", "a share is from 0 to below 1")
        _check(self.limit is None or self.limit >= 1, f"limit {self.limit}", "a limit is 1 or more")
        _check(
            all(value > 0 for value in self.std),
            f"normalize with std {_listed(self.std)}",
            "a standard deviation is above 0",
        )
        _check(
            sum(isinstance(step, Crop) for step in self.augment) <= 1,
            "two crops",
            "images are cropped once",
        )

    @property
    def crop(self) -> Crop | None:
        """The crop among the steps of augmentation, if there is one."""
        return next((step for step in self.augment if isinstance(step, Crop)), None)


def setting_error(written: str, rule: str, *, helps: Sequence[str] = ()) -> DataError:
    """Make the error for a setting `written` against the `rule`."""
    return data_error("E0815", f"{written} cannot be", notes=(rule,), helps=helps)


def _check(holds: bool, written: str, rule: str) -> None:
    if not holds:
        raise setting_error(written, rule)


def _listed(values: Sequence[float]) -> str:
    return " ".join(f"{value:g}" for value in values)
