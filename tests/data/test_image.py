from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cnndsl.data.image import image_size, read_image


@pytest.mark.parametrize("suffix", ["png", "bmp", "webp"])
def test_colours_come_as_they_were_written(tmp_path: Path, suffix: str) -> None:
    from PIL import Image

    pixels = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3) * 13
    path = tmp_path / f"x.{suffix}"
    Image.fromarray(pixels).save(path, lossless=True)
    found = read_image(path, root=tmp_path, size=None, channels=3)
    assert found.dtype == np.uint8
    assert np.array_equal(found, pixels.transpose(2, 0, 1))


def test_a_jpeg_under_another_name_is_read_by_content(tmp_path: Path) -> None:
    from PIL import Image

    Image.new("RGB", (8, 8), (200, 100, 50)).save(tmp_path / "x.png", "JPEG", quality=95)
    found = read_image(tmp_path / "x.png", root=tmp_path, size=None, channels=3)
    assert np.abs(found[:, 4, 4].astype(int) - [200, 100, 50]).max() <= 3


def test_an_image_is_turned_as_its_camera_says(tmp_path: Path) -> None:
    from PIL import Image

    image = Image.new("L", (3, 2))
    image.putpixel((0, 0), 255)
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees to the right
    image.save(tmp_path / "x.png", exif=exif)
    assert image_size(tmp_path / "x.png", root=tmp_path) == (3, 2)
    found = read_image(tmp_path / "x.png", root=tmp_path, size=None, channels=1)
    assert found[0].tolist() == [[0, 255], [0, 0], [0, 0]]


def test_transparent_parts_become_black(tmp_path: Path) -> None:
    from PIL import Image

    image = Image.new("RGBA", (2, 1), (255, 128, 64, 255))
    image.putpixel((1, 0), (255, 128, 64, 0))
    image.save(tmp_path / "x.png")
    found = read_image(tmp_path / "x.png", root=tmp_path, size=None, channels=3)
    assert found[:, 0].T.tolist() == [[255, 128, 64], [0, 0, 0]]


def test_sixteen_bits_become_eight(tmp_path: Path) -> None:
    from PIL import Image

    values = np.array([[0, 256, 65535]], np.uint16)
    Image.fromarray(values).save(tmp_path / "x.png")
    found = read_image(tmp_path / "x.png", root=tmp_path, size=None, channels=1)
    assert found[0].tolist() == [[0, 1, 255]]


def test_palettes_and_grey_become_colour(tmp_path: Path) -> None:
    from PIL import Image

    Image.new("L", (1, 1), 7).save(tmp_path / "grey.png")
    grey = read_image(tmp_path / "grey.png", root=tmp_path, size=None, channels=3)
    assert grey.ravel().tolist() == [7, 7, 7]
    Image.new("RGB", (1, 1), (9, 8, 7)).quantize(2).save(tmp_path / "palette.png")
    palette = read_image(tmp_path / "palette.png", root=tmp_path, size=None, channels=3)
    assert palette.ravel().tolist() == [9, 8, 7]


def test_size_is_height_by_width(tmp_path: Path) -> None:
    from PIL import Image

    Image.new("RGB", (30, 20), (5, 5, 5)).save(tmp_path / "x.png")
    found = read_image(tmp_path / "x.png", root=tmp_path, size=(4, 8), channels=3)
    assert found.shape == (3, 4, 8)
    assert (found == 5).all()
