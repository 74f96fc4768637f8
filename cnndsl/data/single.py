"""Images that come one by one, prepared as those that a network was trained on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cnndsl.data import transforms
from cnndsl.data.base import DATASETS, Dataset, Split
from cnndsl.data.files import data_error
from cnndsl.data.image import BadImageError, read_image
from cnndsl.data.preparation import prepare
from cnndsl.data.spec import DataSpec


def prepare_images(
    images: NDArray[np.uint8], spec: DataSpec, input_shape: tuple[int, ...]
) -> NDArray[np.float32]:
    """Prepare uint8 images [N, H, W, C] (0 black, 255 white) as `spec` prepares its data set.

    Images of another size are first scaled to the size that the data set itself has (where it is
    known by name), then go through the same steps. Gives [N, C, H, W], or rows for a program that
    takes rows. Raises `DataError` for images that cannot become the input.
    """
    planes = np.ascontiguousarray(images.transpose(0, 3, 1, 2))
    unit: transforms.Stored = transforms.to_unit(planes, black=0.0, white=255.0)
    source = DATASETS.get(spec.name)
    if source is not None:
        height, width, channels = source.shape
        unit = transforms.to_channels(unit, channels)
        if unit.shape[2:] != (height, width):
            unit = transforms.resize(unit, height, width)
    split = Split(unit, np.zeros(len(unit), np.int64))
    shape = (unit.shape[2], unit.shape[3], unit.shape[1])
    dataset = Dataset(
        "the given images",
        ("?",),
        shape,
        {"test": lambda: split, "train": lambda: split},
        (0.0, 1.0),
    )
    plain = replace(spec, val=0.0, test=0.0, limit=None)
    prepared = prepare(dataset, plain, input_shape)
    assert prepared.test is not None, "the images are its test split"
    ready = np.asarray(prepared.test.images, np.float32)
    return ready.reshape(len(ready), -1) if prepared.test.flat else ready


def read_pictures(files: Sequence[Path], *, channels: int) -> list[NDArray[np.uint8]]:
    """Read picture files, each as [H, W, C] with 1 (grey) or 3 channels.

    Raises `DataError` E0810 that lists every file that cannot be read, with the reason.
    """
    pictures: list[NDArray[np.uint8]] = []
    bad: list[str] = []
    for file in files:
        try:
            planes = read_image(file, root=file.resolve().parent, size=None, channels=channels)
            pictures.append(np.ascontiguousarray(planes.transpose(1, 2, 0)))
        except BadImageError as why:
            bad.append(f"{file}: {why}")
    if bad:
        count = "a picture" if len(bad) == 1 else f"{len(bad)} pictures"
        raise data_error(
            "E0810",
            f"{count} cannot be read",
            notes=("\n".join(bad),),
            helps=("PNG, JPEG, BMP and WebP files are read",),
        )
    return pictures
