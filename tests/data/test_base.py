from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cnndsl.data import DATASETS, Dataset, Places, Split, open_dataset
from cnndsl.support.diagnostics import DataError
from cnndsl.support.settings import Settings


def test_an_unknown_name_gets_the_nearest_and_the_list() -> None:
    with pytest.raises(DataError) as caught:
        open_dataset("mnits")
    assert str(caught.value) == (
        "error[E0802]: no data set is called mnits; did you mean mnist?\n"
        "help: known by name: digits, mnist, fashion_mnist, cifar10, synthetic\n"
        "help: for your own images, name a folder with one subfolder a class"
    )


@pytest.mark.parametrize("name", ["digits", "synthetic"])
def test_the_register_tells_the_truth(name: str) -> None:
    source = DATASETS[name]
    data = open_dataset(name)
    assert (data.classes, data.shape) == (source.classes, source.shape)
    for split, count in source.counts.items():
        found = data.split(split)
        assert found is not None
        assert len(found) == count
        assert found.images.shape[1:] == (data.shape[2], data.shape[0], data.shape[1])
        assert found.labels.max() == len(data.classes) - 1


def test_places_come_in_order_and_once(tmp_path: Path) -> None:
    a, b = tmp_path / "a", tmp_path / "b"
    places = Places.of(data_dir=a, cache_dir=b, settings=Settings(data_dir=a))
    assert places.roots == (a, b)
    assert places.folders("x") == [a / "x", a, b / "x", b]


def test_the_environment_names_a_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CNNDSL_DATA", str(tmp_path))
    assert Places.of(cache_dir=tmp_path / "c").roots == (tmp_path, tmp_path / "c")


def test_a_set_without_training_images_says_so() -> None:
    empty = Dataset("nothing", ("a", "b"), (1, 1, 1), {})
    assert empty.test is None
    with pytest.raises(DataError, match="E0801"):
        _ = empty.train


def test_take_keeps_images_with_their_labels() -> None:
    split = Split(np.arange(4, dtype=np.uint8).reshape(4, 1, 1, 1), np.arange(4))
    part = split.take(np.array([3, 1]))
    assert part.images.ravel().tolist() == part.labels.tolist() == [3, 1]
