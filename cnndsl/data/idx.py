"""The IDX format of the MNIST files, over `numpy.frombuffer`.

Big-endian: two zero bytes, the element type (0x08, unsigned byte), the number of dimensions, one
unsigned 32-bit size a dimension, then the elements in row-major order. Format: the description on
the MNIST page, yann.lecun.com/exdb/mnist.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cnndsl.data.files import MAX_BYTES, DataFile, data_error, looks_like
from cnndsl.support.diagnostics import DataError

_TYPES = {9: "int8", 11: "int16", 12: "int32", 13: "float32", 14: "float64"}
_KINDS = {1: "labels", 3: "images"}
_AGAIN = ("get the file again, in its original form",)


def read_idx(path: Path, *, dims: int, max_bytes: int = MAX_BYTES) -> NDArray[np.uint8]:
    """Read an IDX file of unsigned bytes with `dims` dimensions (1: labels, 3: images).

    Plain or gzip. Reads at most what the header declares and one byte more; raises `DataError`
    with the file, the byte and what was expected there (E0803 to E0806, E0809).
    """
    with DataFile(path) as file:
        shape = _read_header(file, dims)
        shown = " x ".join(str(size) for size in shape)
        declared = f"the header declares {shown} unsigned bytes from byte {file.offset}"
        if 0 in shape:
            message = f"{path} declares no data: byte {4 + 4 * shape.index(0)} gives size 0"
            raise data_error("E0803", message, notes=(declared,), helps=_AGAIN)
        total = math.prod(shape)
        if total > max_bytes:
            notes = (declared, f"at most {max_bytes:,} bytes are read from one file")
            message = f"{path} declares {total:,} bytes"
            raise data_error("E0809", message, notes=notes, helps=_AGAIN)
        data = file.exactly(total, what=f"the data of {shown} unsigned bytes")
        file.finish(declared=declared)
    return np.frombuffer(data, np.uint8).reshape(shape)


def _read_header(file: DataFile, dims: int) -> tuple[int, ...]:
    head = file.some(4)
    if len(head) < 4:
        raise data_error(
            "E0804",
            f"{file.path} ends at byte {len(head)} of its header",
            notes=(f"an IDX file of {_kind(dims)} begins with {4 + 4 * dims} bytes of header",),
            helps=("get the file again: it is empty or was cut off",),
        )
    if head != bytes((0, 0, 8, dims)):
        raise _wrong_magic(file.path, head + file.some(60), dims)
    sizes = file.exactly(4 * dims, what=f"the header with {dims} sizes")
    return tuple(int(size) for size in np.frombuffer(sizes, ">u4"))


def _wrong_magic(path: Path, head: bytes, dims: int) -> DataError:
    """Say which byte of the magic number is wrong, and what the file seems to be."""
    wanted = f"expected 00 00 08 {dims:02x}, the magic number of IDX {_kind(dims)}"
    helps = _AGAIN
    if head[:2] != b"\x00\x00":
        message = f"{path} is {looks_like(head) or 'not an IDX file'}"
    elif head[2] != 8:
        held = _TYPES.get(head[2], f"type 0x{head[2]:02x}")
        message = f"{path} holds elements of {held}, not unsigned bytes"
    else:
        message = f"{path} holds {_kind(head[3])}, not {_kind(dims)}"
        if head[3] in _KINDS:
            helps = ("perhaps two files were swapped: look at their names",)
    notes = (f"found {head[:4].hex(' ')} at byte 0; {wanted}",)
    return data_error("E0803", message, notes=notes, helps=helps)


def _kind(dims: int) -> str:
    return _KINDS.get(dims, f"data of {dims} dimensions")
