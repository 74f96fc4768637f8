"""One image file to an array: regular files below a root only, formats and sizes bounded."""

from __future__ import annotations

import warnings
from io import BufferedReader
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cnndsl.data.files import open_regular
from cnndsl.support.diagnostics import CnnDslError, DataError

if TYPE_CHECKING:
    from PIL import Image

MAX_PIXELS = 50_000_000
"""Most pixels of one image."""

MAX_FILE_BYTES = 1 << 26
"""Most bytes of one image file (64 MiB)."""

FORMATS = ("PNG", "JPEG", "BMP", "WEBP")
"""The formats that are decoded, told by content; every other decoder stays shut."""


class BadImageError(CnnDslError):
    """An image file that cannot be read; the message says why, without the path."""


def image_size(path: Path, *, root: Path) -> tuple[int, int]:
    """Give height and width that `read_image` gives, after any turning by EXIF data."""
    height, width = read_image(path, root=root, size=None, channels=1).shape[1:]
    return height, width


def read_image(
    path: Path, *, root: Path, size: tuple[int, int] | None, channels: int
) -> NDArray[np.uint8]:
    """Decode an image to [channels, H, W], turned as its EXIF data says, scaled to `size`.

    Transparent parts become black. Raises `BadImageError` for whatever is wrong with the file.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        with _open(path, root) as file, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(file, formats=FORMATS) as image:
                return _decode(image, size, channels)
    except BadImageError:
        raise
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        raise BadImageError(f"more than {MAX_PIXELS:,} pixels") from None
    except UnidentifiedImageError:
        raise BadImageError("not a PNG, JPEG, BMP or WebP image") from None
    except Exception as problem:
        # A decoder that is fed hostile bytes may fail in any way; the file is bad, not the run.
        reason = str(problem).partition("\n")[0] or type(problem).__name__
        raise BadImageError(f"broken: {reason}") from problem


def _open(path: Path, root: Path) -> BufferedReader:
    try:
        real = path.resolve(strict=True)
    except (OSError, RuntimeError) as problem:
        # Up to Python 3.12 a link to itself is a RuntimeError, afterwards an OSError.
        raise BadImageError("leads nowhere") from problem
    if not real.is_relative_to(root.resolve()):
        raise BadImageError("a link that leads out of the folder")
    try:
        file = open_regular(real)
    except DataError as problem:
        reason = problem.diagnostics[0].message.removeprefix(f"{real} ")
        raise BadImageError(reason) from problem
    length = file.seek(0, 2)
    file.seek(0)
    if length == 0 or length > MAX_FILE_BYTES:
        file.close()
        raise BadImageError(
            f"{length:,} bytes, more than {MAX_FILE_BYTES:,}" if length else "empty, 0 bytes"
        )
    return file


def _decode(image: Image.Image, size: tuple[int, int] | None, channels: int) -> NDArray[np.uint8]:
    from PIL import Image, ImageOps

    pixels = image.width * image.height
    if pixels > MAX_PIXELS:
        raise BadImageError(f"{pixels:,} pixels, more than {MAX_PIXELS:,}")
    frames = getattr(image, "n_frames", 1)
    # A JPEG may carry a preview as a second picture; that is no animation.
    if frames > 1 and image.format in ("PNG", "WEBP"):
        raise BadImageError(f"an animation of {frames} frames")
    turned = ImageOps.exif_transpose(image)
    plain = _opaque(turned).convert("L" if channels == 1 else "RGB")
    if size is not None and plain.size != (size[1], size[0]):
        plain = plain.resize((size[1], size[0]), Image.Resampling.BILINEAR)
    array = np.asarray(plain, np.uint8)
    return array[np.newaxis] if channels == 1 else np.moveaxis(array, 2, 0)


def _opaque(image: Image.Image) -> Image.Image:
    """Put an image with transparency on black, and bring 16-bit grey to 8 bits."""
    from PIL import Image

    if image.mode.startswith("I"):
        return Image.fromarray((np.asarray(image, np.int64) >> 8).clip(0, 255).astype(np.uint8))
    if image.has_transparency_data:
        over = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", over.size, (0, 0, 0, 255)), over)
    return image
