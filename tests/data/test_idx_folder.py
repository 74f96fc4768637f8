from __future__ import annotations

import gzip
import hashlib
import struct
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import cnndsl.data.idx_folder as idx_folder
from cnndsl.data import open_dataset
from cnndsl.data.idx_folder import open_idx_folder
from cnndsl.support.diagnostics import DataError
from cnndsl.support.settings import Settings

NOWHERE = Settings()


def idx(array: NDArray[np.uint8]) -> bytes:
    return struct.pack(f">4B{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.tobytes()


def write_set(folder: Path, *, train: int = 10, test: int = 4, side: int = 28) -> None:
    """Write four IDX files in the form of MNIST; image i is filled with i, its label is i % 10."""
    folder.mkdir(parents=True, exist_ok=True)
    for prefix, count in (("train", train), ("t10k", test)):
        number = np.arange(count, dtype=np.uint8)
        images = np.broadcast_to(number[:, None, None], (count, side, side))
        (folder / f"{prefix}-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx(images)))
        (folder / f"{prefix}-labels-idx1-ubyte").write_bytes(idx(number % 10))


@pytest.mark.parametrize(
    ("name", "below"),
    [
        ("mnist", "mnist"),
        ("mnist", "MNIST/raw"),
        ("mnist", "."),
        ("fashion_mnist", "fashion-mnist"),
        ("fashion_mnist", "fashion_mnist"),
        ("fashion_mnist", "FashionMNIST/raw"),
    ],
)
def test_is_found_under_its_usual_folders(tmp_path: Path, name: str, below: str) -> None:
    write_set(tmp_path / below)
    data = open_dataset(name, data_dir=tmp_path, cache_dir=tmp_path / "c", settings=NOWHERE)
    assert data.shape == (28, 28, 1)
    assert len(data.classes) == 10
    assert data.val is None
    assert data.test is not None
    assert data.train.images.shape == (10, 1, 28, 28)
    assert data.test.images.shape == (4, 1, 28, 28)
    assert data.test.images[3].max() == data.test.labels[3] == 3


def test_the_given_folder_goes_before_the_configured_one(tmp_path: Path) -> None:
    write_set(tmp_path / "a", train=3)
    write_set(tmp_path / "b" / "mnist", train=4)
    configured = Settings(data_dir=tmp_path / "b")
    given = open_dataset("mnist", data_dir=tmp_path / "a", settings=configured)
    assert len(given.train) == 3
    assert len(open_dataset("mnist", cache_dir=tmp_path / "a", settings=configured).train) == 4


def test_splits_are_read_late_and_once(tmp_path: Path) -> None:
    write_set(tmp_path / "mnist")
    data = open_dataset("mnist", data_dir=tmp_path, settings=NOWHERE)
    train = data.train
    for path in (tmp_path / "mnist").iterdir():
        path.unlink()
    assert data.train is train
    with pytest.raises(DataError, match=r"E0801.*has no t10k-images-idx3-ubyte"):
        _ = data.test


def test_missing_files_say_where_to_put_them(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        open_dataset(
            "fashion_mnist", data_dir=tmp_path / "d", cache_dir=tmp_path / "c", settings=NOWHERE
        )
    assert str(caught.value).replace(str(tmp_path), "") == (
        "error[E0801]: the files of the data set fashion_mnist are not here\n"
        "  = looked for train-images-idx3-ubyte, train-labels-idx1-ubyte, "
        "t10k-images-idx3-ubyte and t10k-labels-idx1-ubyte, with or without .gz, in\n"
        "    /d/fashion_mnist\n    /d/fashion-mnist\n    /d/FashionMNIST/raw\n    /d/FashionMNIST\n"
        "    /d\n"
        "    /c/fashion_mnist\n    /c/fashion-mnist\n    /c/FashionMNIST/raw\n    /c/FashionMNIST\n"
        "    /c\n"
        "help: `cnndsl data get fashion_mnist` downloads them to /c/fashion_mnist\n"
        "help: or put the files here: /c/fashion_mnist\n"
        "help: or name the folder that has them, with --data-dir or CNNDSL_DATA"
    )


def test_another_set_under_the_same_names_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_set(tmp_path)
    labels = (np.arange(10, dtype=np.uint8) % 10).tobytes()
    known = {hashlib.sha256(labels).hexdigest(): "mnist"}
    monkeypatch.setattr(idx_folder, "_KNOWN_LABELS", known)
    assert len(open_dataset("mnist", data_dir=tmp_path, settings=NOWHERE).train) == 10
    with pytest.raises(DataError) as caught:
        _ = open_dataset("fashion_mnist", data_dir=tmp_path, settings=NOWHERE).train
    assert str(caught.value).replace(str(tmp_path), "FOLDER") == (
        "error[E0808]: FOLDER holds mnist, not fashion_mnist\n"
        "  = the labels in train-labels-idx1-ubyte are those of mnist\n"
        "help: put the files of fashion_mnist into a folder of that name"
    )


def test_counts_that_differ(tmp_path: Path) -> None:
    write_set(tmp_path)
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(idx(np.zeros(9, np.uint8)))
    with pytest.raises(DataError) as caught:
        _ = open_dataset("mnist", data_dir=tmp_path, settings=NOWHERE).train
    assert str(caught.value).replace(str(tmp_path), "FOLDER") == (
        "error[E0808]: FOLDER/train-images-idx3-ubyte.gz has 10 images, "
        "train-labels-idx1-ubyte has 9 labels\n"
        "  = byte 4 of each file gives its count; they should be equal\n"
        "help: the two files come from different sets: get both again"
    )


def test_a_label_outside_the_classes(tmp_path: Path) -> None:
    write_set(tmp_path)
    labels = np.array([0, 1, 2, 10, 4, 255, 6, 7, 8, 9], np.uint8)
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(idx(labels))
    with pytest.raises(DataError) as caught:
        _ = open_dataset("mnist", data_dir=tmp_path, settings=NOWHERE).train
    assert str(caught.value).replace(str(tmp_path), "FOLDER") == (
        "error[E0807]: FOLDER/train-labels-idx1-ubyte has label 10 at byte 11 (image 3)\n"
        "  = the classes are 0 to 9; 2 of 10 are outside\n"
        "help: get the file again, or correct the labels"
    )


def test_images_of_another_size(tmp_path: Path) -> None:
    write_set(tmp_path, side=27)
    with pytest.raises(DataError) as caught:
        _ = open_dataset("mnist", data_dir=tmp_path, settings=NOWHERE).train
    assert str(caught.value).replace(str(tmp_path), "FOLDER") == (
        "error[E0808]: FOLDER/train-images-idx3-ubyte.gz has images of 27x27\n"
        "  = the images of mnist are 28x28"
    )


def test_any_folder_of_that_form_can_be_opened(tmp_path: Path) -> None:
    write_set(tmp_path / "mine", train=4, side=5)
    data = open_idx_folder(tmp_path / "mine")
    assert data.name == "mine"
    assert data.classes == ("0", "1", "2", "3")
    assert data.shape == (5, 5, 1)
    assert data.train.images.shape == (4, 1, 5, 5)
