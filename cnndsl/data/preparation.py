"""From a data set and what the program says to arrays that training can use."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from cnndsl.data import transforms
from cnndsl.data.augment import colour_axes
from cnndsl.data.base import Dataset, Split
from cnndsl.data.files import data_error
from cnndsl.data.order import chosen
from cnndsl.data.spec import Augment, DataSpec, Jitter, setting_error
from cnndsl.data.transforms import Stored
from cnndsl.ops.pixels import Pixels
from cnndsl.support.diagnostics import DataError

MAX_ARRAY_BYTES = 1 << 34
"""Most bytes of the prepared images of one split (16 GiB)."""

_TEST_SHARE = 0.2
_CHUNK = 512


@dataclass(frozen=True, slots=True, eq=False)
class PreparedSplit:
    """One split, ready: scaled, sized and normalised; augmentation is left to the loader."""

    images: Stored
    """[N, C, H, W], float32 or bytes; larger than the program's input where a crop follows."""
    labels: NDArray[np.int64]
    """[N]."""
    augment: tuple[Augment, ...] = ()
    """What the loader does to each image in each epoch."""
    black: Stored | None = None
    """[C]: what black is in `images`; there wherever `augment` is not empty."""
    colours: NDArray[np.float32] | None = None
    """[C, 3]: axes for `Jitter`."""
    flat: bool = False
    """Whether the program takes rows of C x H x W values and not images."""

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True, slots=True, eq=False)
class PreparedData:
    """The splits of a data set in the form that a program takes."""

    name: str
    """The data set's name."""
    classes: tuple[str, ...]
    """Name of class 0, 1, ..."""
    input_shape: tuple[int, ...]
    """The program's input: (height, width, channels), or (values,)."""
    train: PreparedSplit
    """What is learnt from."""
    val: PreparedSplit | None = None
    """What choices are made by; nothing unless set apart."""
    test: PreparedSplit | None = None
    """What is measured at the end."""
    notes: tuple[str, ...] = ()
    """What was done that the program does not say, one sentence each."""
    pixels: Pixels | None = None
    """What bytes stand for, where images are kept as bytes; nothing: they are ready numbers."""


@dataclass(frozen=True, slots=True)
class _Geometry:
    """How an image reaches the program's size: channels, resize, pad, and a crop left open."""

    channels: int
    resize: tuple[int, int] | None
    pad: Callable[[Stored], Stored] | None
    size: tuple[int, int]
    """Height and width after resize and pad."""


def prepare(
    dataset: Dataset, spec: DataSpec, input_shape: tuple[int, ...], *, keep_bytes: bool = False
) -> PreparedData:
    """Make arrays for a program whose input is `input_shape`, (H, W, C) or (values,).

    Where sizes differ and the spec names neither resize nor pad, images that are at most a
    quarter smaller are padded, others resized; `notes` say so. With `keep_bytes` images that are
    bytes stay so if nothing but scaling and normalisation is computed with them, which `pixels`
    then says. Raises `DataError`: E0814 for data that cannot fit, E0815 for settings that make no
    sense, E0809 for too large an array.
    """
    notes: list[str] = []
    target = _target(dataset, input_shape)
    geometry = _geometry(dataset, spec, target, notes)
    mean, std = _statistics(spec, target[2])
    splits = _splits(dataset, spec, notes)
    black = transforms.normalize(np.zeros((1, target[2], 1, 1), np.float32), mean=mean, std=std)
    flat = len(input_shape) == 1
    pixels = None
    if keep_bytes and not flat and _stays_bytes(dataset, splits.values(), spec, geometry):
        pixels = Pixels(*dataset.pixel_range, mean, std)
        black = np.full((1, target[2], 1, 1), pixels.black, np.uint8)
    ready: dict[str, PreparedSplit] = {}
    for name, split in splits.items():
        notes.extend(split.notes)
        images = _unit_images(dataset, split, geometry, keep_bytes=pixels is not None)
        steps = spec.augment if name == "train" else ()
        colours = None
        if any(isinstance(step, Jitter) for step in steps):
            colours = _axes(images, std)
        if pixels is None:
            images = _normalized(images, mean=mean, std=std)
        if name != "train" and spec.crop is not None:
            images = np.ascontiguousarray(transforms.crop_middle(images, *target[:2]))
        ready[name] = PreparedSplit(images, split.labels, steps, black[0, :, 0, 0], colours, flat)
    return PreparedData(
        dataset.name,
        dataset.classes,
        tuple(input_shape),
        ready["train"],
        ready.get("val"),
        ready.get("test"),
        tuple(dict.fromkeys(notes)),
        pixels,
    )


def _stays_bytes(
    dataset: Dataset, splits: Iterable[Split], spec: DataSpec, geometry: _Geometry
) -> bool:
    """Tell whether what comes before normalisation only moves bytes, and puts black ones around."""
    black = dataset.pixel_range[0]
    return (
        all(split.images.dtype == np.uint8 for split in splits)
        and geometry.resize is None
        and dataset.shape[2] <= geometry.channels
        and black in range(256)
        and (geometry.pad is None or not black)
        and not any(isinstance(step, Jitter) for step in spec.augment)
    )


def _target(dataset: Dataset, input_shape: tuple[int, ...]) -> tuple[int, int, int]:
    """Height, width and channels that the images must have for the program's input."""
    if len(input_shape) == 3:
        return input_shape[0], input_shape[1], input_shape[2]
    height, width, channels = dataset.shape
    if len(input_shape) == 1:
        values = input_shape[0]
        if values == math.prod(dataset.shape):
            return dataset.shape
        side = math.isqrt(values // channels)
        if side * side * channels == values:
            return side, side, channels
    raise data_error(
        "E0814",
        f"the images of {dataset.name} cannot become the input [{_times(input_shape)}]",
        notes=(f"an image has {_times(dataset.shape)} = {height * width * channels} values",),
        helps=(f"make the input [{_times(dataset.shape)}]",),
    )


def _geometry(
    dataset: Dataset, spec: DataSpec, target: tuple[int, int, int], notes: list[str]
) -> _Geometry:
    height, width, channels = dataset.shape
    goal = target[:2]
    if channels != target[2]:
        if {channels, target[2]} != {1, 3}:
            raise _unfit(dataset, target, "only 1 and 3 channels become each other")
        change = "repeated for each colour" if channels == 1 else "turned into grey"
        notes.append(f"the images of {dataset.name} were {change}")
    if spec.crop is not None and spec.crop.size != goal:
        raise _unfit(dataset, target, f"the crop is {_times(spec.crop.size)}")
    size, pad = _padding(dataset, spec, spec.resize or (height, width))
    enough = spec.crop is not None and size[0] >= goal[0] and size[1] >= goal[1]
    if size == goal or enough:
        return _Geometry(target[2], spec.resize, pad, size)
    if spec.resize is not None or spec.pad is not None:
        raise _unfit(dataset, target, f"resize and pad make them {_times(size)}")
    missing = (goal[0] - height, goal[1] - width)
    if all(0 <= gap <= have / 4 for gap, have in zip(missing, (height, width), strict=True)):
        notes.append(
            f"the images of {dataset.name}, {height}x{width}, "
            f"were padded with black to {_times(goal)}"
        )
        return _Geometry(
            target[2], None, partial(transforms.pad_to, height=goal[0], width=goal[1]), goal
        )
    notes.append(f"the images of {dataset.name}, {height}x{width}, were resized to {_times(goal)}")
    return _Geometry(target[2], (goal[0], goal[1]), None, goal)


def _padding(
    dataset: Dataset, spec: DataSpec, size: tuple[int, int]
) -> tuple[tuple[int, int], Callable[[Stored], Stored] | None]:
    """Give the size after the spec's pad, and the pad itself."""
    if spec.pad is None:
        return size, None
    if isinstance(spec.pad, int):
        grown = (size[0] + 2 * spec.pad, size[1] + 2 * spec.pad)
    else:
        grown = spec.pad
        if grown[0] < size[0] or grown[1] < size[1]:
            raise setting_error(
                f"pad {_times(grown)}",
                f"the images of {dataset.name} are {_times(size)} already",
                helps=(f"resize: {_times(grown)} makes them smaller",),
            )
    return grown, partial(transforms.pad_to, height=grown[0], width=grown[1])


def _statistics(spec: DataSpec, channels: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Give mean and std with one value a channel, or none."""
    out = []
    for word, values in (("mean", spec.mean), ("std", spec.std)):
        if len(values) not in (0, 1, channels):
            raise setting_error(
                f"normalize with {len(values)} values for {word}",
                f"the input has {channels} channels: give 1 value or {channels}"
                if channels > 1
                else "the input has 1 channel: give 1 value",
            )
        out.append(tuple(values) * channels if len(values) == 1 else tuple(values))
    return out[0], out[1]


def _splits(dataset: Dataset, spec: DataSpec, notes: list[str]) -> dict[str, Split]:
    """Take the data set's splits, set test and validation images apart, and apply the limit."""
    train, val, test = dataset.train, dataset.val, dataset.test
    if test is None and spec.test != 0.0:
        share = _TEST_SHARE if spec.test is None else spec.test
        train, test = _apart(dataset, train, share, stream="test", seed=spec.seed)
        notes.append(f"{len(test):,} of {dataset.name}'s images were set apart for testing")
    if val is None and spec.val:
        train, val = _apart(dataset, train, spec.val, stream="val", seed=spec.seed)
        notes.append(f"{len(val):,} training images were set apart for validation")
    found = {"train": train, "val": val, "test": test}
    splits = {name: split for name, split in found.items() if split is not None}
    if spec.limit is not None:
        for name, split in splits.items():
            keep = chosen(len(split), spec.limit, seed=spec.seed, stream=f"limit {name}")
            splits[name] = split.take(keep)
    return splits


def _apart(
    dataset: Dataset, split: Split, share: float, *, stream: str, seed: int
) -> tuple[Split, Split]:
    """Set a share of the images apart, at least one, evenly at random; the order stays."""
    count = max(1, round(share * len(split)))
    if count >= len(split):
        raise data_error(
            "E0814", f"{dataset.name} has {len(split)} images: too few to set {count} apart"
        )
    mask = np.zeros(len(split), dtype=bool)
    mask[chosen(len(split), count, seed=seed, stream=stream)] = True
    return split.take(np.flatnonzero(~mask)), split.take(np.flatnonzero(mask))


def _unit_images(
    dataset: Dataset, split: Split, geometry: _Geometry, *, keep_bytes: bool
) -> Stored:
    """Bring the images of a split to channels and size, in small pieces; black 0 and white 1.

    With `keep_bytes` they stay what they are.
    """
    shape = (len(split), geometry.channels, *geometry.size)
    item = 1 if keep_bytes else 4
    size = item * math.prod(shape)
    if size > MAX_ARRAY_BYTES:
        raise data_error(
            "E0809",
            f"the images of {dataset.name} take {size:,} bytes",
            notes=(f"{_times(shape)} values of {item} bytes; at most {MAX_ARRAY_BYTES:,} bytes",),
            helps=("limit the number of images, or resize them",),
        )
    black, white = dataset.pixel_range
    out: Stored = np.empty(shape, np.uint8 if keep_bytes else np.float32)
    for first in range(0, len(split), _CHUNK):
        piece: Stored = split.images[first : first + _CHUNK]
        if not keep_bytes:
            piece = transforms.to_unit(piece, black=black, white=white)
        piece = transforms.to_channels(piece, geometry.channels)
        if geometry.resize is not None:
            piece = transforms.resize(piece, *geometry.resize)
        if geometry.pad is not None:
            piece = geometry.pad(piece)
        out[first : first + _CHUNK] = piece
    return out


def _normalized(images: Stored, *, mean: tuple[float, ...], std: tuple[float, ...]) -> Stored:
    """Normalise in place, piece by piece: `images` is ours, and a copy would double the memory."""
    for first in range(0, len(images), _CHUNK):
        piece = images[first : first + _CHUNK]
        piece[:] = transforms.normalize(piece, mean=mean, std=std)
    return images


def _axes(images: Stored, std: tuple[float, ...]) -> NDArray[np.float32]:
    if images.shape[1] != 3:
        raise setting_error(
            "jitter", f"it shifts red, green and blue; the input has {images.shape[1]} channel"
        )
    axes = colour_axes(images)
    return axes / np.asarray(std, np.float32)[:, np.newaxis] if std else axes


def _unfit(dataset: Dataset, target: tuple[int, ...], reason: str) -> DataError:
    return data_error(
        "E0814",
        f"the images of {dataset.name} do not fit the input [{_times(target)}]",
        notes=(f"the images are {_times(dataset.shape)}; {reason}",),
        helps=("change resize, pad or crop in the data section, or the program's input",),
    )


def _times(sizes: tuple[int, ...]) -> str:
    return "x".join(str(size) for size in sizes)
