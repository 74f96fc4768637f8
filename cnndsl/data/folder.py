"""Your own images: a folder with one subfolder a class, read with Pillow.

Either `ROOT/<class>/*.png`, or the same below `ROOT/train`, `ROOT/test` and `ROOT/val`. Formats
are PNG, JPEG, BMP and WebP, told by content. Links that lead out of the folder are not followed,
pipes are not opened, and an image of more than 50 million pixels is not decoded.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cnndsl.data.base import Dataset, Split
from cnndsl.data.files import MAX_BYTES, cause, data_error
from cnndsl.data.image import BadImageError, image_size, read_image
from cnndsl.data.order import chosen
from cnndsl.support.diagnostics import DataError

SUFFIXES = frozenset((".png", ".jpg", ".jpeg", ".bmp", ".webp"))
"""Names that are taken for images; other files are passed over, with a note."""

SPLIT_FOLDERS = {"train": ("train",), "val": ("val", "valid", "validation"), "test": ("test",)}
"""Names of the subfolders of the splits."""

_SHOWN = 10


@dataclass(frozen=True, slots=True)
class FolderOptions:
    """How the images of a folder are read."""

    size: tuple[int, int] | None = None
    """Height and width that each image is scaled to; without it all must be of one size."""
    channels: int = 3
    """3 for colour, 1 for grey."""
    limit: int | None = None
    """Most images of each split, chosen evenly at random before any is read."""
    skip_bad: bool = False
    """Whether images that cannot be read are left out, with a note."""
    seed: int = 0
    """Decides which images `limit` chooses."""


@dataclass(frozen=True, slots=True)
class _Listing:
    """The image files of one split, class by class in order of their names."""

    folder: Path
    files: tuple[tuple[Path, int], ...]
    passed_over: int


def open_folder(
    root: str | Path, *, options: FolderOptions | None = None, name: str | None = None
) -> Dataset:
    """Open a folder of images; they are decoded when a split is first asked for.

    Raises `DataError`: E0801 for no folder, E0811 for missing classes, E0812 for images of
    several sizes where `options.size` is not given, E0810 for images that cannot be read.
    """
    options = options or FolderOptions()
    root = Path(root)
    if not root.is_dir():
        raise data_error("E0801", f"{root} is not a folder of images")
    folders = _split_folders(root)
    classes = _class_names(folders["train"])
    listings = {
        split: _list_images(folder, classes, root=root) for split, folder in folders.items()
    }
    size = options.size or _first_size(listings["train"], root)
    loaders: dict[str, Callable[[], Split]] = {
        split: partial(_read, listing, split, root, size, options)
        for split, listing in listings.items()
    }
    shape = (*size, options.channels)
    return Dataset(name or root.name or "images", classes, shape, loaders)


def _split_folders(root: Path) -> dict[str, Path]:
    """Give the folder of each split; the root itself is "train" where there is no such folder."""
    if not (root / "train").is_dir() or not _subfolders(root / "train"):
        return {"train": root}
    found = {}
    for split, names in SPLIT_FOLDERS.items():
        folder = next((root / name for name in names if (root / name).is_dir()), None)
        if folder is not None:
            found[split] = folder
    return found


def _subfolders(folder: Path) -> list[str]:
    try:
        entries = sorted(entry.name for entry in os.scandir(folder) if entry.is_dir())
    except OSError as problem:
        raise data_error("E0806", f"{folder} cannot be listed: {cause(problem)}") from problem
    return [entry for entry in entries if not entry.startswith(".")]


def _class_names(folder: Path) -> tuple[str, ...]:
    classes = _subfolders(folder)
    if len(classes) < 2:
        found = f"found the one subfolder {classes[0]}" if classes else "found no subfolder"
        raise data_error(
            "E0811",
            f"{folder} does not have a subfolder for each class",
            notes=(f"{found}; two or more are needed",),
            helps=("put the images of each class into a subfolder with the name of the class",),
        )
    return tuple(classes)


def _list_images(folder: Path, classes: Sequence[str], *, root: Path) -> _Listing:
    unknown = [entry for entry in _subfolders(folder) if entry not in classes]
    if unknown:
        raise data_error(
            "E0811",
            f"{folder} has classes that the training images do not have: {', '.join(unknown)}",
            notes=(f"the training images have {', '.join(classes)}",),
        )
    files: list[tuple[Path, int]] = []
    passed_over = 0
    inside = root.resolve()
    for label, name in enumerate(classes):
        if not (folder / name).is_dir():
            continue  # a test folder need not have every class
        if not (folder / name).resolve().is_relative_to(inside):
            raise data_error(
                "E0813",
                f"{folder / name} is a link that leads out of {root}",
                helps=("put the images into the folder itself",),
            )
        images, others = _walk(folder / name)
        if not images:
            raise data_error(
                "E0811",
                f"the class folder {folder / name} has no images",
                notes=(f"images are files named {', '.join(sorted(SUFFIXES))}",),
                helps=("remove the folder, or put images into it",),
            )
        files.extend((path, label) for path in images)
        passed_over += others
    return _Listing(folder, tuple(files), passed_over)


def _walk(folder: Path) -> tuple[list[Path], int]:
    """List the images below `folder` by name, and count the other files; hidden ones aside."""
    images: list[Path] = []
    others = 0
    for place, folders, names in os.walk(folder, followlinks=False):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if name.startswith("."):
                continue
            if Path(name).suffix.lower() in SUFFIXES:
                images.append(Path(place, name))
            else:
                others += 1
    return images, others


def _first_size(listing: _Listing, root: Path) -> tuple[int, int]:
    """Height and width of the first image that can be read."""
    bad: list[tuple[Path, str]] = []
    for path, _ in listing.files:
        try:
            return image_size(path, root=root)
        except BadImageError as problem:
            bad.append((path, str(problem)))
    raise _bad_images(listing, bad, len(listing.files))


def _read(
    listing: _Listing, split: str, root: Path, size: tuple[int, int], options: FolderOptions
) -> Split:
    files = listing.files
    if options.limit is not None:
        keep = chosen(len(files), options.limit, seed=options.seed, stream=f"limit {split}")
        files = tuple(files[index] for index in keep)
    shape = (len(files), options.channels, *size)
    total = int(np.prod(shape, dtype=np.float64))
    if total > MAX_BYTES:
        raise data_error(
            "E0809",
            f"the images in {listing.folder} take {total:,} bytes",
            notes=(
                f"{shape[0]:,} images of {size[0]}x{size[1]}x{options.channels}; "
                f"at most {MAX_BYTES:,} bytes",
            ),
            helps=("limit the number of images, or resize them to a smaller size",),
        )
    images: NDArray[np.uint8] = np.empty(shape, np.uint8)
    labels: NDArray[np.int64] = np.empty(len(files), np.int64)
    bad: list[tuple[Path, str]] = []
    good = 0
    for path, label in files:
        try:
            image = read_image(path, root=root, size=options.size, channels=options.channels)
        except BadImageError as problem:
            bad.append((path, str(problem)))
            continue
        if image.shape != shape[1:]:
            raise _different_sizes(path, image.shape, files[0][0], size)
        images[good], labels[good] = image, label
        good += 1
    if bad and (not options.skip_bad or not good):
        raise _bad_images(listing, bad, len(files))
    return Split(images[:good], labels[:good], _notes(listing, len(bad), len(files)))


def _notes(listing: _Listing, bad: int, total: int) -> tuple[str, ...]:
    notes = []
    if bad:
        notes.append(f"{bad:,} of {total:,} images in {listing.folder} could not be read")
    if listing.passed_over:
        kinds = "PNG, JPEG, BMP or WebP"
        notes.append(f"{listing.passed_over:,} files in {listing.folder} are not named as {kinds}")
    return tuple(notes)


def _different_sizes(
    path: Path, shape: tuple[int, ...], first: Path, size: tuple[int, int]
) -> DataError:
    return data_error(
        "E0812",
        f"{path} is {shape[1]}x{shape[2]}, but {first} is {size[0]}x{size[1]}",
        notes=("height x width; the images of a batch lie in one array, so all have one size",),
        helps=(f"say `resize: {size[0]}x{size[1]}` (or another size) in the data section",),
    )


def _bad_images(listing: _Listing, bad: Sequence[tuple[Path, str]], total: int) -> DataError:
    lines = [f"{path.relative_to(listing.folder)}: {reason}" for path, reason in bad[:_SHOWN]]
    if len(bad) > _SHOWN:
        lines.append(f"and {len(bad) - _SHOWN:,} more")
    return data_error(
        "E0810",
        f"{len(bad):,} of {total:,} images in {listing.folder} cannot be read",
        notes=("\n".join(lines),),
        helps=("mend or remove them; --skip-bad leaves them out",),
    )
