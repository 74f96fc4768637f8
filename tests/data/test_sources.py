from __future__ import annotations

import os
import struct
from pathlib import Path

import numpy as np
import pytest

from cnndsl.data import DataSpec, Places, open_data
from cnndsl.data.sources import find_folder
from cnndsl.support.diagnostics import DataError
from cnndsl.support.settings import Settings

NOWHERE = Settings()


@pytest.mark.parametrize("source", ["named", "idx", "cifar"])
def test_a_name_that_is_known_means_that_data_set(source: str) -> None:
    data = open_data(DataSpec("digits", source=source, limit=5), (8, 8, 1), settings=NOWHERE)
    assert data.name == "digits"
    assert len(data.train) == 5


def test_an_unknown_name_is_an_error_with_a_suggestion() -> None:
    with pytest.raises(DataError, match="did you mean digits"):
        open_data(DataSpec("digit"), (8, 8, 1), settings=NOWHERE)


def write_idx(folder: Path) -> None:
    folder.mkdir(parents=True)
    for prefix in ("train", "t10k"):
        for kind, shape in (("images-idx3", (4, 5, 5)), ("labels-idx1", (4,))):
            head = struct.pack(f">4B{len(shape)}I", 0, 0, 8, len(shape), *shape)
            body = np.arange(np.prod(shape)).astype(np.uint8).tobytes()
            (folder / f"{prefix}-{kind}-ubyte").write_bytes(head + body)


def test_a_folder_of_ones_own_beside_the_program_or_among_the_data(tmp_path: Path) -> None:
    write_idx(tmp_path / "program" / "mine")
    write_idx(tmp_path / "data" / "yours")
    for name in ("mine", "yours"):
        data = open_data(
            DataSpec(name, source="idx"),
            (5, 5, 1),
            base_dir=tmp_path / "program",
            data_dir=tmp_path / "data",
            settings=NOWHERE,
        )
        assert data.classes == ("0", "1", "2", "3")
        assert data.train.images.shape == (4, 1, 5, 5)


def test_a_folder_of_cifar_batches(tmp_path: Path) -> None:
    for name in [*(f"data_batch_{number}.bin" for number in range(1, 6)), "test_batch.bin"]:
        (tmp_path / "small").mkdir(exist_ok=True)
        (tmp_path / "small" / name).write_bytes(bytes(3073))
    spec = DataSpec("small", source="cifar")
    data = open_data(spec, (32, 32, 3), base_dir=tmp_path, settings=NOWHERE)
    assert len(data.train) == 5


@pytest.mark.parametrize(
    "name",
    ["/etc", "../up", "a/../../b", "C:/data", "C:data", "a\\b", "https://x.org/a", "", "a\0b"],
)
def test_paths_that_could_lead_elsewhere_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match="E0813"):
        find_folder(name, base=tmp_path, places=Places((tmp_path,)))


@pytest.mark.skipif(os.name == "nt", reason="links need rights on Windows")
def test_a_link_is_followed_from_the_users_data_but_not_from_the_program(tmp_path: Path) -> None:
    (tmp_path / "big" / "images").mkdir(parents=True)
    (tmp_path / "program").mkdir()
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "images").symlink_to(tmp_path / "big" / "images")
    places = Places((tmp_path / "data",))
    found = find_folder("images", base=tmp_path / "program", places=places)
    assert found == tmp_path / "data" / "images"
    (tmp_path / "program" / "images").symlink_to(tmp_path / "big" / "images")
    with pytest.raises(DataError, match=r"E0813.*is a link that leads out"):
        find_folder("images", base=tmp_path / "program", places=places)


def test_a_missing_folder_lists_where_it_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        find_folder("cats", base=tmp_path / "p", places=Places((tmp_path / "d",)))
    assert str(caught.value).replace(str(tmp_path), "") == (
        "error[E0801]: the data folder cats is not here\n"
        "  = looked for\n"
        "    /p/cats\n"
        "    /d/cats\n"
        "help: name the folder that holds it with --data-dir or CNNDSL_DATA"
    )
