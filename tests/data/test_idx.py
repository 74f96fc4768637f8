from __future__ import annotations

import struct
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnndsl.data.idx import read_idx
from cnndsl.support.diagnostics import DataError


def idx(array: np.ndarray[tuple[int, ...], np.dtype[np.uint8]], *, kind: int = 8) -> bytes:
    """Write an array as IDX, with the given element type byte."""
    head = struct.pack(f">4B{array.ndim}I", 0, 0, kind, array.ndim, *array.shape)
    return head + array.tobytes()


IMAGES = idx(np.arange(60, dtype=np.uint8).reshape(5, 3, 4))
LABELS = idx(np.arange(5, dtype=np.uint8))


def packed(content: bytes) -> bytes:
    """Wrap in gzip by hand, one stored block: the same bytes under any version of zlib."""
    size = struct.pack("<HH", len(content), len(content) ^ 0xFFFF)
    check = struct.pack("<II", zlib.crc32(content), len(content))
    return b"\x1f\x8b\x08" + bytes(6) + b"\xff\x01" + size + content + check


def flipped(content: bytes, at: int) -> bytes:
    return content[:at] + bytes([content[at] ^ 0xFF]) + content[at + 1 :]


def declaring(*sizes: int) -> bytes:
    return struct.pack(f">4B{len(sizes)}I", 0, 0, 8, len(sizes), *sizes)


@pytest.mark.parametrize("pack", [bytes, packed])
def test_reads_what_was_written(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    # Plain and gzip are told apart by content, so the name does not matter.
    path = tmp_path / "any-name"
    path.write_bytes(pack(IMAGES))
    images = read_idx(path, dims=3)
    assert images.shape == (5, 3, 4)
    assert images.dtype == np.uint8
    assert images.ravel().tolist() == list(range(60))


CORRUPTIONS: dict[str, tuple[bytes, int, str]] = {
    "an empty file": (
        b"",
        1,
        "error[E0804]: FILE ends at byte 0 of its header\n"
        "  = an IDX file of labels begins with 8 bytes of header\n"
        "help: get the file again: it is empty or was cut off",
    ),
    "a header of one byte": (
        LABELS[:1],
        1,
        "error[E0804]: FILE ends at byte 1 of its header\n"
        "  = an IDX file of labels begins with 8 bytes of header\n"
        "help: get the file again: it is empty or was cut off",
    ),
    "a header cut in its sizes": (
        IMAGES[:10],
        3,
        "error[E0804]: FILE ends at byte 10 of 16\n"
        "  = the header with 3 sizes goes up to byte 16\n"
        "help: get the file again: it was cut off",
    ),
    "labels where images belong": (
        LABELS,
        3,
        "error[E0803]: FILE holds labels, not images\n"
        "  = found 00 00 08 01 at byte 0; expected 00 00 08 03, the magic number of IDX images\n"
        "help: perhaps two files were swapped: look at their names",
    ),
    "images where labels belong": (
        IMAGES,
        1,
        "error[E0803]: FILE holds images, not labels\n"
        "  = found 00 00 08 03 at byte 0; expected 00 00 08 01, the magic number of IDX labels\n"
        "help: perhaps two files were swapped: look at their names",
    ),
    "four dimensions": (
        idx(np.zeros((1, 1, 1, 1), np.uint8)),
        3,
        "error[E0803]: FILE holds data of 4 dimensions, not images\n"
        "  = found 00 00 08 04 at byte 0; expected 00 00 08 03, the magic number of IDX images\n"
        "help: get the file again, in its original form",
    ),
    "elements of float32": (
        idx(np.zeros((2, 2, 2), np.uint8), kind=13),
        3,
        "error[E0803]: FILE holds elements of float32, not unsigned bytes\n"
        "  = found 00 00 0d 03 at byte 0; expected 00 00 08 03, the magic number of IDX images\n"
        "help: get the file again, in its original form",
    ),
    "elements of an unknown type": (
        idx(np.zeros((2, 2, 2), np.uint8), kind=7),
        3,
        "error[E0803]: FILE holds elements of type 0x07, not unsigned bytes\n"
        "  = found 00 00 07 03 at byte 0; expected 00 00 08 03, the magic number of IDX images\n"
        "help: get the file again, in its original form",
    ),
    "little-endian order": (
        LABELS[3::-1] + LABELS[4:],
        1,
        "error[E0803]: FILE is not an IDX file\n"
        "  = found 01 08 00 00 at byte 0; expected 00 00 08 01, the magic number of IDX labels\n"
        "help: get the file again, in its original form",
    ),
    "a web page": (
        b"<!DOCTYPE html><title>403 Forbidden</title>",
        3,
        "error[E0803]: FILE is a web page, perhaps the error page of a download\n"
        "  = found 3c 21 44 4f at byte 0; expected 00 00 08 03, the magic number of IDX images\n"
        "help: get the file again, in its original form",
    ),
    "a zip archive": (
        b"PK\x03\x04" + bytes(40),
        3,
        "error[E0803]: FILE is a zip archive\n"
        "  = found 50 4b 03 04 at byte 0; expected 00 00 08 03, the magic number of IDX images\n"
        "help: get the file again, in its original form",
    ),
    "a Git LFS pointer": (
        b"version https://git-lfs.github.com/spec/v1\n",
        3,
        "error[E0803]: FILE is a Git LFS pointer\n"
        "  = found 76 65 72 73 at byte 0; expected 00 00 08 03, the magic number of IDX images\n"
        "help: get the file again, in its original form",
    ),
    "a size of zero": (
        declaring(5, 0, 4),
        3,
        "error[E0803]: FILE declares no data: byte 8 gives size 0\n"
        "  = the header declares 5 x 0 x 4 unsigned bytes from byte 16\n"
        "help: get the file again, in its original form",
    ),
    "a size above the limit": (
        declaring(2**32 - 1, 28, 28),
        3,
        "error[E0809]: FILE declares 3,367,254,359,280 bytes\n"
        "  = the header declares 4294967295 x 28 x 28 unsigned bytes from byte 16\n"
        "  = at most 2,147,483,648 bytes are read from one file\n"
        "help: get the file again, in its original form",
    ),
    "data cut off": (
        IMAGES[:-1],
        3,
        "error[E0804]: FILE ends at byte 75 of 76\n"
        "  = the data of 5 x 3 x 4 unsigned bytes goes up to byte 76\n"
        "help: get the file again: it was cut off",
    ),
    "no data at all": (
        declaring(5),
        1,
        "error[E0804]: FILE ends at byte 8 of 13\n"
        "  = the data of 5 unsigned bytes goes up to byte 13\n"
        "help: get the file again: it was cut off",
    ),
    "one byte too many": (
        IMAGES + b"\0",
        3,
        "error[E0805]: FILE goes on after byte 76, where it should end\n"
        "  = the header declares 5 x 3 x 4 unsigned bytes from byte 16\n"
        "help: get the file again: it is longer than its header declares",
    ),
    "one size too small": (
        declaring(4, 3, 4) + bytes(60),
        3,
        "error[E0805]: FILE goes on after byte 64, where it should end\n"
        "  = the header declares 4 x 3 x 4 unsigned bytes from byte 16\n"
        "help: get the file again: it is longer than its header declares",
    ),
    "gzip: nothing inside": (
        packed(b""),
        3,
        "error[E0804]: FILE ends at byte 0 of its header\n"
        "  = an IDX file of images begins with 16 bytes of header\n"
        "help: get the file again: it is empty or was cut off",
    ),
    "gzip: cut in the data": (
        packed(IMAGES)[:40],
        3,
        "error[E0804]: FILE stops in the middle of its gzip stream\n"
        "  = after 25 unpacked bytes the file's 40 end\n"
        "help: get the file again: it was cut off",
    ),
    "gzip: cut in the checksum": (
        packed(IMAGES)[:-6],
        3,
        "error[E0804]: FILE stops in the middle of its gzip stream\n"
        "  = after 76 unpacked bytes the file's 93 end\n"
        "help: get the file again: it was cut off",
    ),
    "gzip: header alone": (
        packed(IMAGES)[:10],
        3,
        "error[E0804]: FILE stops in the middle of its gzip stream\n"
        "  = after 0 unpacked bytes the file's 10 end\n"
        "help: get the file again: it was cut off",
    ),
    "gzip: wrong checksum": (
        flipped(packed(IMAGES), len(IMAGES) + 15),
        3,
        "error[E0806]: FILE is damaged: the checksum at its end does not match its content\n"
        "  = the damage may be anywhere in the file\n"
        "help: get the file again",
    ),
    "gzip: wrong length": (
        flipped(packed(IMAGES), len(IMAGES) + 19),
        3,
        "error[E0806]: FILE is damaged: the checksum at its end does not match its content\n"
        "  = the damage may be anywhere in the file\n"
        "help: get the file again",
    ),
    "gzip: damaged block": (
        flipped(packed(IMAGES), 10),
        3,
        "error[E0806]: FILE is damaged: invalid block type\n"
        "  = it shows after unpacked byte 0\n"
        "help: get the file again",
    ),
    "gzip: wrong method": (
        flipped(packed(IMAGES), 2),
        3,
        "error[E0806]: FILE is damaged: unknown compression method\n"
        "  = it shows after unpacked byte 0\n"
        "help: get the file again",
    ),
    "gzip: bytes after the stream": (
        packed(IMAGES) + b"rest",
        3,
        "error[E0805]: FILE goes on after its gzip stream\n"
        "  = the stream ends after 76 unpacked bytes\n"
        "  = the header declares 5 x 3 x 4 unsigned bytes from byte 16\n"
        "help: unpack the file and keep the part that belongs to the data set",
    ),
    "gzip: data cut off before packing": (
        packed(IMAGES[:-5]),
        3,
        "error[E0804]: FILE ends at byte 71 of 76\n"
        "  = the data of 5 x 3 x 4 unsigned bytes goes up to byte 76\n"
        "help: get the file again: it was cut off",
    ),
    "gzip: one byte too many inside": (
        packed(IMAGES + b"\0"),
        3,
        "error[E0805]: FILE goes on after byte 76, where it should end\n"
        "  = the header declares 5 x 3 x 4 unsigned bytes from byte 16\n"
        "help: get the file again: it is longer than its header declares",
    ),
    "gzip: far more declared than can be": (
        packed(declaring(60_000, 28, 28)),
        3,
        "error[E0804]: FILE is too short for the 47,040,016 bytes it declares\n"
        "  = 39 bytes of gzip unpack to at most 40,248\n"
        "help: get the file again: it was cut off",
    ),
    "gzip: twice": (
        packed(packed(IMAGES)),
        3,
        "error[E0803]: FILE is a gzip file inside a gzip file\n"
        "  = found 1f 8b 08 00 at byte 0; expected 00 00 08 03, the magic number of IDX images\n"
        "help: get the file again, in its original form",
    ),
}


@pytest.mark.parametrize("case", CORRUPTIONS)
def test_names_file_byte_and_expectation(tmp_path: Path, case: str) -> None:
    content, dims, expected = CORRUPTIONS[case]
    path = tmp_path / "x"
    path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        read_idx(path, dims=dims)
    assert str(caught.value).replace(str(path), "FILE") == expected


def test_a_bomb_costs_no_more_than_it_declares(tmp_path: Path) -> None:
    # 256 MB of zeros behind a header for 12 bytes: one byte more than declared is unpacked.
    engine = zlib.compressobj(wbits=31)
    stream = engine.compress(declaring(1, 3, 4))
    for _ in range(256):
        stream += engine.compress(bytes(1 << 20))
    path = tmp_path / "x"
    path.write_bytes(stream + engine.flush())
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match="goes on after byte 28"):
            read_idx(path, dims=3)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 1 << 20


def test_refuses_more_than_the_limit(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(IMAGES)
    with pytest.raises(DataError, match="E0809"):
        read_idx(path, dims=3, max_bytes=59)
    assert read_idx(path, dims=3, max_bytes=60).size == 60


@given(data=st.data())
def test_any_change_of_bytes_gives_data_or_a_data_error(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    content = bytearray(data.draw(st.sampled_from([IMAGES, packed(IMAGES)])))
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(content)))
    path = tmp_path_factory.mktemp("idx") / "x"
    path.write_bytes(bytes(content[:cut]))
    assert outcome(path) in {"data", "E0803", "E0804", "E0805", "E0806", "E0809"}


def outcome(path: Path) -> str:
    try:
        read_idx(path, dims=3)
    except DataError as problem:
        return problem.diagnostics[0].code
    return "data"
