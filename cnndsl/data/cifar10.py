"""CIFAR-10: 60,000 colour images of 32x32 (A. Krizhevsky, 2009), from its binary version.

A batch file is a row of records of 3,073 bytes: the label, then 32x32 red, green and blue values,
row-major (description on www.cs.toronto.edu/~kriz/cifar.html). The Python version of the data
set is a pickle, which can run code on loading; it is not read.
"""

from __future__ import annotations

import hashlib
import tarfile
import zlib
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from cnndsl.data.base import Dataset, DatasetSource, Places, Split, not_found
from cnndsl.data.files import CHUNK, DataFile, data_error, looks_like, open_regular

RECORD = 1 + 3 * 32 * 32
"""Bytes of one image with its label."""

MAX_BATCH_BYTES = 1 << 26
"""Most bytes of one batch file (64 MiB; a published one has 30,730,000)."""

BATCHES = {
    "train": tuple(f"data_batch_{number}.bin" for number in range(1, 6)),
    "test": ("test_batch.bin",),
}
"""The files of each split."""

ARCHIVE = "cifar-10-binary.tar.gz"
"""Name of the published archive."""

ARCHIVE_SHA256 = "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd"
"""SHA-256 of the published archive."""

CLASSES = (
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
)
"""Names of the classes, in the order of the labels."""


def read_batch(path: Path) -> Split:
    """Read one batch file, plain or gzip, of any number of records.

    Raises `DataError`: E0803 for something else, E0804 for a size that is no multiple of 3,073,
    E0807 for a label above 9, E0809 for a file above 64 MiB.
    """
    with DataFile(path) as file:
        data = file.some(MAX_BATCH_BYTES + 1)
    if len(data) > MAX_BATCH_BYTES:
        raise data_error(
            "E0809",
            f"{path} holds more than {MAX_BATCH_BYTES:,} bytes",
            notes=(f"a published batch file has 10,000 records = {10_000 * RECORD:,} bytes",),
        )
    kind = looks_like(data[:64])
    if kind is not None:
        raise data_error(
            "E0803",
            f"{path} is {kind}",
            notes=("expected the binary version of CIFAR-10: records of 3,073 bytes",),
            helps=(f"unpack {ARCHIVE}, not the Python or Matlab version",),
        )
    return parse_records(data, name=str(path))


def parse_records(data: bytes, *, name: str) -> Split:
    """Cut the content of a batch file into labels [N] and images [N, 3, 32, 32]."""
    count, rest = divmod(len(data), RECORD)
    if rest or not count:
        raise data_error(
            "E0804",
            f"{name} ends inside record {count:,}, at byte {len(data):,}",
            notes=(f"{len(data):,} bytes = {count:,} records of {RECORD:,} + {rest:,}",),
            helps=("get the file again: it was cut off, or is not CIFAR-10's binary version",),
        )
    table = np.frombuffer(data, np.uint8).reshape(count, RECORD)
    wrong = np.flatnonzero(table[:, 0] >= len(CLASSES))
    if wrong.size:
        first = int(wrong[0])
        raise data_error(
            "E0807",
            f"{name} has label {table[first, 0]} at byte {first * RECORD:,} (record {first:,})",
            notes=(f"the classes are 0 to 9; {wrong.size:,} of {count:,} are outside",),
            helps=("the file is not CIFAR-10's binary version, or its records are shifted",),
        )
    return Split(table[:, 1:].reshape(count, 3, 32, 32), table[:, 0].astype(np.int64))


def read_archive(path: Path, names: Sequence[str], *, sha256: str = ARCHIVE_SHA256) -> Split:
    """Read the batch files `names` out of the published archive.

    The archive's hash is checked before it is unpacked (E0817), so that what is unpacked is
    what its authors packed and no member can be larger than it should be.
    """
    with open_regular(path) as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != sha256:
            raise data_error(
                "E0817",
                f"{path} is not the published archive",
                notes=(f"SHA-256 {found}\nexpected {sha256}",),
                helps=(
                    "remove it, and `cnndsl data get cifar10` gets it again",
                    "or unpack it yourself and name the folder with --data-dir",
                ),
            )
        file.seek(0)
        try:
            contents = _members(file, names)
        except (tarfile.TarError, OSError, EOFError, zlib.error) as problem:
            raise data_error("E0806", f"{path} cannot be unpacked: {problem}") from problem
    missing = [name for name in names if name not in contents]
    if missing:
        raise data_error("E0801", f"{path} does not hold {', '.join(missing)}")
    return _joined([parse_records(contents[n], name=f"{path}:{n}") for n in names])


def _members(file: BinaryIO, names: Sequence[str]) -> dict[str, bytes]:
    contents: dict[str, bytes] = {}
    with tarfile.open(fileobj=file, mode="r|gz", bufsize=CHUNK) as archive:
        for member in archive:
            base = member.name.rpartition("/")[2]
            body = archive.extractfile(member) if base in names and member.isreg() else None
            if body is not None:
                contents[base] = body.read(MAX_BATCH_BYTES)
    return contents


def open_cifar_folder(folder: str | Path, *, name: str = "cifar10") -> Dataset:
    """Open a folder that holds the six batch files; they are read when first asked for."""
    loaders: dict[str, Callable[[], Split]] = {
        split: partial(_read_files, Path(folder), names) for split, names in BATCHES.items()
    }
    return Dataset(name, CLASSES, (32, 32, 3), loaders)


def open_archive(path: str | Path, *, sha256: str = ARCHIVE_SHA256) -> Dataset:
    """Open the published archive without unpacking it to disk."""
    loaders: dict[str, Callable[[], Split]] = {
        split: partial(read_archive, Path(path), names, sha256=sha256)
        for split, names in BATCHES.items()
    }
    return Dataset("cifar10", CLASSES, (32, 32, 3), loaders)


def _open(places: Places) -> Dataset:
    looked = places.folders("cifar10", "cifar-10-batches-bin", "cifar10/cifar-10-batches-bin")
    for folder in looked:
        if (folder / BATCHES["test"][0]).exists():
            return open_cifar_folder(folder)
        if (folder / ARCHIVE).exists():
            return open_archive(folder / ARCHIVE)
    raise not_found(
        "cifar10",
        files=f"{ARCHIVE}, or data_batch_1.bin to data_batch_5.bin and test_batch.bin,",
        looked=looked,
        target=places.roots[-1] / "cifar10",
    )


def _read_files(folder: Path, names: Sequence[str]) -> Split:
    return _joined([read_batch(folder / name) for name in names])


def _joined(parts: Sequence[Split]) -> Split:
    images: NDArray[np.uint8] = np.concatenate([part.images for part in parts]).astype(
        np.uint8, copy=False
    )
    return Split(images, np.concatenate([part.labels for part in parts]))


SOURCE = DatasetSource(
    title="CIFAR-10",
    classes=CLASSES,
    shape=(32, 32, 3),
    counts={"train": 50_000, "test": 10_000},
    licence="no licence stated; name A. Krizhevsky, Learning Multiple Layers of Features, 2009",
    open=_open,
)
"""What is known about the data set by its name."""
