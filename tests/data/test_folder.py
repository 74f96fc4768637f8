from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import cnndsl.data.folder as folder
from cnndsl.data import DataSpec, FolderOptions, open_data, open_folder
from cnndsl.data.image import read_image
from cnndsl.support.diagnostics import DataError
from cnndsl.support.settings import Settings


def write_image(
    path: Path, *, size: tuple[int, int] = (4, 6), colour: tuple[int, int, int] = (10, 20, 30)
) -> None:
    from PIL import Image

    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (size[1], size[0]), colour).save(path)


def write_classes(root: Path, *, count: int = 2) -> Path:
    """Write classes cat and dog of `count` images each, 4x6, red 10 and 110 and upwards."""
    for label, name in enumerate(("cat", "dog")):
        for number in range(count):
            colour = (10 + 100 * label + number, 0, 200)
            write_image(root / name / f"{number}.png", colour=colour)
    return root


def test_classes_are_the_subfolders_by_name(tmp_path: Path) -> None:
    data = open_folder(write_classes(tmp_path))
    assert data.classes == ("cat", "dog")
    assert data.shape == (4, 6, 3)
    assert data.train.labels.tolist() == [0, 0, 1, 1]
    assert data.train.images[:, :, 0, 0].tolist() == [
        [10, 0, 200],
        [11, 0, 200],
        [110, 0, 200],
        [111, 0, 200],
    ]
    assert data.test is None


def test_subfolders_for_the_splits(tmp_path: Path) -> None:
    write_classes(tmp_path / "train")
    write_classes(tmp_path / "test", count=1)
    write_image(tmp_path / "validation" / "dog" / "x.jpg")
    data = open_folder(tmp_path)
    assert data.val is not None
    assert data.test is not None
    assert [len(part) for part in (data.train, data.val, data.test)] == [4, 1, 2]
    assert data.val.labels.tolist() == [1]


def test_a_class_may_be_called_train(tmp_path: Path) -> None:
    write_image(tmp_path / "train" / "a.png")
    write_image(tmp_path / "car" / "b.png")
    assert open_folder(tmp_path).classes == ("car", "train")


def test_images_come_from_deeper_folders_and_other_files_are_passed_over(tmp_path: Path) -> None:
    write_classes(tmp_path)
    write_image(tmp_path / "cat" / "more" / "z.PNG")
    write_image(tmp_path / "cat" / ".hidden" / "z.png")
    (tmp_path / "dog" / "notes.txt").write_text("a note")
    (tmp_path / "dog" / ".DS_Store").write_bytes(b"x")
    data = open_folder(tmp_path)
    assert data.train.labels.tolist() == [0, 0, 0, 1, 1]
    assert data.train.notes == (f"1 files in {tmp_path} are not named as PNG, JPEG, BMP or WebP",)


def test_sizes_must_agree_unless_one_is_given(tmp_path: Path) -> None:
    write_classes(tmp_path)
    write_image(tmp_path / "dog" / "large.png", size=(40, 60), colour=(1, 2, 3))
    with pytest.raises(DataError) as caught:
        _ = open_folder(tmp_path).train
    assert str(caught.value).replace(str(tmp_path), "ROOT") == (
        "error[E0812]: ROOT/dog/large.png is 40x60, but ROOT/cat/0.png is 4x6\n"
        "  = height x width; the images of a batch lie in one array, so all have one size\n"
        "help: say `resize: 4x6` (or another size) in the data section"
    )
    scaled = open_folder(tmp_path, options=FolderOptions(size=(8, 8), channels=1))
    assert scaled.shape == (8, 8, 1)
    assert scaled.train.images.shape == (5, 1, 8, 8)


def test_limit_chooses_before_reading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_classes(tmp_path, count=10)
    read: list[Path] = []

    def counting(
        path: Path, *, root: Path, size: tuple[int, int] | None, channels: int
    ) -> NDArray[np.uint8]:
        read.append(path)
        return read_image(path, root=root, size=size, channels=channels)

    monkeypatch.setattr(folder, "read_image", counting)
    data = open_folder(tmp_path, options=FolderOptions(limit=5, size=(4, 6)))
    assert len(data.train) == len(read) == 5


def test_more_than_fits_is_refused_before_reading(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_classes(tmp_path)
    monkeypatch.setattr(folder, "MAX_BYTES", 4 * 4 * 6 * 3 - 1)
    with pytest.raises(DataError) as caught:
        _ = open_folder(tmp_path).train
    assert str(caught.value).replace(str(tmp_path), "ROOT") == (
        "error[E0809]: the images in ROOT take 288 bytes\n"
        "  = 4 images of 4x6x3; at most 287 bytes\n"
        "help: limit the number of images, or resize them to a smaller size"
    )


# --- hostile images: each lies at cat/bad.png, and its reason is listed


def _png(width: int, height: int, *, chunks: bytes = b"") -> bytes:
    """A PNG with a header for width x height and no pixels."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + body))
        return struct.pack(">I", len(body)) + kind + body + check

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return (
        b"\x89PNG\r\n\x1a\n"
        + header
        + chunks
        + chunk(b"IDAT", zlib.compress(b""))
        + chunk(b"IEND", b"")
    )


def _animation(path: Path, *, format: str) -> None:
    from PIL import Image

    frames = [Image.new("RGB", (6, 4), (index * 90, 0, 0)) for index in range(3)]
    frames[0].save(path, format, save_all=True, append_images=frames[1:], duration=20)


def _outside(path: Path) -> None:
    write_image(path.parents[2] / "outside.png")
    path.symlink_to(path.parents[2] / "outside.png")


def _broken_jpeg(path: Path) -> None:
    write_image(path.with_suffix(".jpg"), size=(40, 40))
    content = path.with_suffix(".jpg").read_bytes()
    path.with_suffix(".jpg").unlink()
    path.write_bytes(content[: len(content) // 2])


def _gif(path: Path) -> None:
    from PIL import Image

    Image.new("P", (6, 4)).save(path, "GIF")


def _huge_file(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate((1 << 26) + 1)  # sparse


HOSTILE: dict[str, tuple[Callable[[Path], object], str]] = {
    "empty": (lambda p: p.write_bytes(b""), "empty, 0 bytes"),
    "text under an image's name": (
        lambda p: p.write_text("not an image"),
        "not a PNG, JPEG, BMP or WebP image",
    ),
    "a format that is not decoded": (_gif, "not a PNG, JPEG, BMP or WebP image"),
    "a vector drawing": (
        lambda p: p.write_text("<svg xmlns='http://www.w3.org/2000/svg'/>"),
        "not a PNG, JPEG, BMP or WebP image",
    ),
    "cut off": (_broken_jpeg, "broken: "),
    "no pixels": (lambda p: p.write_bytes(_png(6, 4)), "broken: "),
    "more pixels than are decoded": (
        lambda p: p.write_bytes(_png(10_000, 8_000)),
        "80,000,000 pixels, more than 50,000,000",
    ),
    "a bomb": (lambda p: p.write_bytes(_png(30_000, 30_000)), "more than 50,000,000 pixels"),
    "a bomb above 32 bits": (
        lambda p: p.write_bytes(_png(2**31 - 1, 2**31 - 1)),
        "more than 50,000,000 pixels",
    ),
    "no width": (lambda p: p.write_bytes(_png(0, 4)), "not a PNG, JPEG, BMP or WebP image"),
    "an animated PNG": (lambda p: _animation(p, format="PNG"), "an animation of 3 frames"),
    "an animated WebP": (lambda p: _animation(p, format="WEBP"), "an animation of 3 frames"),
    "a file too large": (_huge_file, "67,108,865 bytes, more than 67,108,864"),
    "a link out of the folder": (_outside, "a link that leads out of the folder"),
    "a link to nothing": (lambda p: p.symlink_to("gone.png"), "leads nowhere"),
    "a link to itself": (lambda p: p.symlink_to(p.name), "leads nowhere"),
    "a link to the memory of the process": (
        lambda p: p.symlink_to("/proc/self/mem"),
        "a link that leads out of the folder",
    ),
    "a pipe": (lambda p: os.mkfifo(p), "is not a regular file"),
    "a damaged checksum": (
        lambda p: p.write_bytes(_png(6, 4).replace(b"IHDR\0", b"IHDR\1", 1)),
        "not a PNG, JPEG, BMP or WebP image",
    ),
}


@pytest.mark.skipif(os.name == "nt", reason="links and pipes are those of POSIX")
@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_image_is_listed_and_may_be_left_out(tmp_path: Path, case: str) -> None:
    make, reason = HOSTILE[case]
    root = write_classes(tmp_path / "root")
    make(root / "cat" / "bad.png")
    with pytest.raises(DataError) as caught:
        _ = open_folder(root).train
    text = str(caught.value).replace(str(root), "ROOT")
    assert text.startswith(
        f"error[E0810]: 1 of 5 images in ROOT cannot be read\n  = cat/bad.png: {reason}"
    )
    assert text.endswith("\nhelp: mend or remove them; --skip-bad leaves them out")
    assert len(text.split("\n")) == 3
    data = open_folder(root, options=FolderOptions(skip_bad=True))
    assert data.train.labels.tolist() == [0, 0, 1, 1]
    assert data.train.images[3, 0, 0, 0] == 111
    assert data.train.notes == (f"1 of 5 images in {root} could not be read",)


def test_many_bad_images_are_counted_and_some_listed(tmp_path: Path) -> None:
    write_classes(tmp_path)
    for number in range(13):
        (tmp_path / "cat" / f"x{number:02}.png").write_bytes(b"")
    with pytest.raises(DataError) as caught:
        _ = open_folder(tmp_path).train
    lines = str(caught.value).split("\n")
    assert lines[0].startswith("error[E0810]: 13 of 17 images")
    assert lines[1] == "  = cat/x00.png: empty, 0 bytes"
    assert lines[11:] == [
        "    and 3 more",
        "help: mend or remove them; --skip-bad leaves them out",
    ]


def test_nothing_but_bad_images_cannot_be_skipped(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "x.png").write_bytes(b"")
    options = FolderOptions(size=(4, 4), skip_bad=True)
    with pytest.raises(DataError, match=r"E0810.*2 of 2 images"):
        _ = open_folder(tmp_path, options=options).train
    with pytest.raises(DataError, match=r"E0810.*2 of 2 images"):
        open_folder(tmp_path, options=FolderOptions(skip_bad=True))


def test_folders_without_classes(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"E0801.*is not a folder"):
        open_folder(tmp_path / "absent")
    with pytest.raises(DataError, match=r"(?s)E0811.*found no subfolder"):
        open_folder(tmp_path)
    write_image(tmp_path / "cat" / "a.png")
    with pytest.raises(DataError, match=r"(?s)E0811.*found the one subfolder cat"):
        open_folder(tmp_path)
    (tmp_path / "dog").mkdir()
    with pytest.raises(DataError, match=r"E0811.*dog has no images"):
        open_folder(tmp_path)


def test_a_test_class_that_training_lacks(tmp_path: Path) -> None:
    write_classes(tmp_path / "train")
    write_image(tmp_path / "test" / "bird" / "a.png")
    with pytest.raises(DataError, match=r"E0811.*do not have: bird"):
        open_folder(tmp_path)


@pytest.mark.skipif(os.name == "nt", reason="links need rights on Windows")
def test_a_class_folder_that_is_a_link_out(tmp_path: Path) -> None:
    write_classes(tmp_path / "root")
    write_image(tmp_path / "elsewhere" / "a.png")
    (tmp_path / "root" / "emu").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(DataError, match=r"E0813.*emu is a link that leads out"):
        open_folder(tmp_path / "root")


def test_a_program_with_a_crop_reads_images_of_any_size(tmp_path: Path) -> None:
    from cnndsl.data import Crop, Flip

    write_classes(tmp_path / "pets", count=5)
    write_image(tmp_path / "pets" / "dog" / "large.png", size=(40, 50))
    spec = DataSpec("pets", source="folder", augment=(Crop((7, 7)), Flip()))
    data = open_data(spec, (7, 7, 3), base_dir=tmp_path, settings=Settings())
    assert data.classes == ("cat", "dog")
    assert data.notes[0] == "the images of pets were read at 8x8"
    assert data.train.images.shape == (9, 3, 8, 8)
    assert data.test is not None
    assert data.test.images.shape == (2, 3, 7, 7)
    assert np.isfinite(data.train.images).all()
