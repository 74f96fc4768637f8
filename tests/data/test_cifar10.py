from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from cnndsl.data import cifar10, open_dataset
from cnndsl.data.cifar10 import BATCHES, RECORD, open_archive, read_batch
from cnndsl.support.diagnostics import DataError
from cnndsl.support.settings import Settings

NOWHERE = Settings()
NAMES = [name for names in BATCHES.values() for name in names]


def records(count: int, *, first: int = 0) -> bytes:
    """Records in the form of CIFAR-10: image i red i, green i + 1, blue i + 2, label i % 10."""
    return b"".join(
        bytes([i % 10]) + b"".join(bytes([i + c]) * 1024 for c in range(3))
        for i in range(first, first + count)
    )


def write_set(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(NAMES):
        (folder / name).write_bytes(records(2, first=2 * number))


def write_archive(path: Path, members: Mapping[str, bytes]) -> str:
    with tarfile.open(path, "w:gz") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("below", ["cifar10", "cifar-10-batches-bin", "."])
def test_reads_the_six_files_in_order(tmp_path: Path, below: str) -> None:
    write_set(tmp_path / below)
    data = open_dataset("cifar10", data_dir=tmp_path, settings=NOWHERE)
    assert data.shape == (32, 32, 3)
    assert data.classes[3] == "cat"
    assert data.train.images.shape == (10, 3, 32, 32)
    assert data.train.labels.tolist() == list(range(10))
    assert data.train.images[:, :, 5, 7].tolist() == [[i, i + 1, i + 2] for i in range(10)]
    assert data.test is not None
    assert data.test.labels.tolist() == [0, 1]


def test_reads_the_archive_without_unpacking(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cifar10").mkdir()
    members = {name: records(2, first=2 * number) for number, name in enumerate(NAMES)}
    path = tmp_path / "cifar10" / cifar10.ARCHIVE
    data = open_archive(path, sha256=write_archive(path, {"readme.html": b"<html>", **members}))
    assert data.train.labels.tolist() == list(range(10))
    assert data.test is not None
    assert data.test.images[1, :, 0, 0].tolist() == [11, 12, 13]
    # By name it is found too, and refused, since it is not the published one.
    with pytest.raises(DataError, match="E0817"):
        _ = open_dataset("cifar10", data_dir=tmp_path, settings=NOWHERE).train
    assert sorted(p.name for p in (tmp_path / "cifar10").iterdir()) == [cifar10.ARCHIVE]


def test_an_archive_is_checked_before_it_is_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "a.tar.gz"
    path.write_bytes(b"not a tar archive")
    found = hashlib.sha256(b"not a tar archive").hexdigest()
    with pytest.raises(DataError) as caught:
        _ = open_archive(path).train
    assert str(caught.value).replace(str(path), "FILE") == (
        "error[E0817]: FILE is not the published archive\n"
        f"  = SHA-256 {found}\n"
        f"    expected {cifar10.ARCHIVE_SHA256}\n"
        "help: remove it, and `cnndsl data get cifar10` gets it again\n"
        "help: or unpack it yourself and name the folder with --data-dir"
    )
    with pytest.raises(DataError, match=r"E0806.*cannot be unpacked"):
        _ = open_archive(path, sha256=found).train


def test_an_archive_that_lacks_a_file(tmp_path: Path) -> None:
    path = tmp_path / "a.tar.gz"
    digest = write_archive(path, {name: records(1) for name in NAMES[1:]})
    with pytest.raises(DataError, match=r"E0801.*does not hold data_batch_1.bin"):
        _ = open_archive(path, sha256=digest).train


CORRUPTIONS: dict[str, tuple[bytes, str]] = {
    "an empty file": (
        b"",
        "error[E0804]: FILE ends inside record 0, at byte 0\n"
        "  = 0 bytes = 0 records of 3,073 + 0\n"
        "help: get the file again: it was cut off, or is not CIFAR-10's binary version",
    ),
    "cut off": (
        records(3)[:-1],
        "error[E0804]: FILE ends inside record 2, at byte 9,218\n"
        "  = 9,218 bytes = 2 records of 3,073 + 3,072\n"
        "help: get the file again: it was cut off, or is not CIFAR-10's binary version",
    ),
    "one byte too many": (
        records(1) + b"\0",
        "error[E0804]: FILE ends inside record 1, at byte 3,074\n"
        "  = 3,074 bytes = 1 records of 3,073 + 1\n"
        "help: get the file again: it was cut off, or is not CIFAR-10's binary version",
    ),
    "a label outside the classes": (
        records(1) + b"\x0a" + records(2)[RECORD + 1 :] + records(1),
        "error[E0807]: FILE has label 10 at byte 3,073 (record 1)\n"
        "  = the classes are 0 to 9; 1 of 3 are outside\n"
        "help: the file is not CIFAR-10's binary version, or its records are shifted",
    ),
    "the pickled version": (
        b"\x80\x02}q\x01(U\x0bbatch_labelq\x02" + bytes(2 * RECORD),
        "error[E0803]: FILE is a Python pickle\n"
        "  = expected the binary version of CIFAR-10: records of 3,073 bytes\n"
        "help: unpack cifar-10-binary.tar.gz, not the Python or Matlab version",
    ),
    "a web page": (
        b"<!DOCTYPE HTML PUBLIC>404",
        "error[E0803]: FILE is a web page, perhaps the error page of a download\n"
        "  = expected the binary version of CIFAR-10: records of 3,073 bytes\n"
        "help: unpack cifar-10-binary.tar.gz, not the Python or Matlab version",
    ),
    "a bomb": (
        gzip.compress(bytes(cifar10.MAX_BATCH_BYTES + 2), 1, mtime=0),
        "error[E0809]: FILE holds more than 67,108,864 bytes\n"
        "  = a published batch file has 10,000 records = 30,730,000 bytes",
    ),
}


@pytest.mark.parametrize("case", CORRUPTIONS)
def test_names_file_byte_and_expectation(tmp_path: Path, case: str) -> None:
    content, expected = CORRUPTIONS[case]
    path = tmp_path / "data_batch_1.bin"
    path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        read_batch(path)
    assert str(caught.value).replace(str(path), "FILE") == expected


def test_missing_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"E0801.*data set cifar10 are not here"):
        open_dataset("cifar10", data_dir=tmp_path, cache_dir=tmp_path, settings=NOWHERE)
    write_set(tmp_path)
    (tmp_path / "data_batch_4.bin").unlink()
    with pytest.raises(DataError, match=r"E0801.*data_batch_4.bin does not exist"):
        _ = open_dataset("cifar10", data_dir=tmp_path, settings=NOWHERE).train


def test_a_batch_may_be_packed(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(gzip.compress(records(2)))
    assert np.array_equal(read_batch(path).labels, [0, 1])
