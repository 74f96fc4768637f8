from __future__ import annotations

import hashlib
import re
from pathlib import Path

import numpy as np

import cnndsl.data.digits as digits
from cnndsl.data import open_dataset
from cnndsl.data.files import DataFile

BUILTIN = Path(digits.__file__).parent / "builtin"


def test_needs_no_files_and_no_environment(tmp_path: Path) -> None:
    data = open_dataset("digits", cache_dir=tmp_path)
    assert (len(data.train), data.shape, data.pixel_range) == (1437, (8, 8, 1), (0.0, 16.0))
    assert data.test is not None
    assert len(data.test) == 360
    assert data.train.images.shape == (1437, 1, 8, 8)
    assert data.train.images.max() == 16


def test_split_keeps_the_share_of_every_class_and_shares_no_image() -> None:
    data = digits.open_digits()
    assert data.test is not None
    counts = [np.bincount(part.labels, minlength=10) for part in (data.train, data.test)]
    assert (counts[0] + counts[1]).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    assert np.abs(counts[1] / (counts[0] + counts[1]) - 0.2).max() < 0.01
    # 1,797 images in all: each one is in one part, since no image was dropped or repeated.
    rows = np.concatenate([data.train.images, data.test.images]).reshape(-1, 64)
    everything = digits._everything().images.reshape(-1, 64)
    assert sorted(map(bytes, rows)) == sorted(map(bytes, everything))


def test_files_are_those_that_the_attribution_names() -> None:
    text = (BUILTIN / "ATTRIBUTION.md").read_text()
    for kind, dims in (("images", 3), ("labels", 1)):
        with DataFile(BUILTIN / f"digits-{kind}-idx{dims}-ubyte.gz") as file:
            found = hashlib.sha256(file.some(1 << 20)).hexdigest()
        stated = re.search(rf"\| {kind} \| ([0-9a-f]{{64}}) \|", text)
        assert stated is not None
        assert stated[1] == found
    assert "CC BY 4.0" in text
