"""Arrays of other libraries: where they lie, read by DLPack or by `__cuda_array_interface__`.

Both are protocols of the arrays themselves, so nothing of those libraries is imported. Nothing is
copied: whoever reads an array holds `ForeignArray.owner` for as long as it needs the memory.
DLPack: https://dmlc.github.io/dlpack/latest/; the other: CUDA Array Interface, version 3.
"""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from cnndsl.ops.rules import Array

CPU, CUDA, CUDA_HOST, CUDA_MANAGED = 1, 2, 3, 13
"""Kinds of devices, by DLPack's numbers."""
ON_HOST = (CPU, CUDA_HOST)
"""Kinds whose memory the processor reads like its own."""
CUDA_INTERFACE = "__cuda_array_interface__"

Device = tuple[int, int]
"""Kind and number, by DLPack: (2, 0) is the first GPU."""


class ForeignError(ValueError):
    """An array that cannot be read; its words go on after the name of the array."""


@dataclass(frozen=True, slots=True)
class ForeignArray:
    """Memory that another library owns."""

    address: int
    """First byte."""
    shape: tuple[int, ...]
    """Lengths of the axes."""
    dtype: str
    """Name of the elements' type: "float32", "bfloat16"."""
    contiguous: bool
    """Whether the elements lie in the order of their indices, without gaps."""
    device: Device | None
    """Where it lies; nothing where the interface does not say it."""
    stream: int | None
    """The CUDA stream whose work must come before a reader's; nothing where all is in order."""
    owner: object
    """Keeps the memory."""


class _Device(ctypes.Structure):
    _fields_ = (("kind", ctypes.c_int32), ("number", ctypes.c_int32))


class _Elements(ctypes.Structure):
    _fields_ = (("code", ctypes.c_uint8), ("bits", ctypes.c_uint8), ("lanes", ctypes.c_uint16))


class _Tensor(ctypes.Structure):
    _fields_ = (
        ("data", ctypes.c_void_p),
        ("device", _Device),
        ("rank", ctypes.c_int32),
        ("elements", _Elements),
        ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("strides", ctypes.POINTER(ctypes.c_int64)),
        ("offset", ctypes.c_uint64),
    )


class _Versioned(ctypes.Structure):
    _fields_ = (
        ("major", ctypes.c_uint32),
        ("minor", ctypes.c_uint32),
        ("context", ctypes.c_void_p),
        ("deleter", ctypes.c_void_p),
        ("flags", ctypes.c_uint64),
        ("tensor", _Tensor),
    )


_CODES = {0: "int", 1: "uint", 2: "float", 4: "bfloat", 5: "complex", 6: "bool"}
_MAJOR = 1
_PLAIN, _NEW = b"dltensor", b"dltensor_versioned"


def device_of(given: object) -> Device | None:
    """Say where an array lies; nothing for what is no array of the two protocols.

    An array with `__cuda_array_interface__` alone is taken to lie on the first GPU.
    """
    ask = getattr(given, "__dlpack_device__", None)
    if ask is not None:
        kind, number = ask()
        return int(kind), int(number)
    return (CUDA, 0) if _interface(given) is not None else None


def host_array(given: object) -> Array:
    """Give an array on the host as NumPy's, without a copy where there is one already.

    Raises `ForeignError` for what lies on a device or cannot be read, `ValueError` for rows of
    different lengths.
    """
    if isinstance(given, np.ndarray):
        return given
    device = device_of(given)
    if device is not None and device[0] not in ON_HOST:
        raise ForeignError(f"lies on {name_of(device)}; here arrays of the host are taken")
    try:
        if device is not None and not hasattr(given, "__array__"):
            lent: Any = given
            return np.asarray(np.from_dlpack(lent))
        return np.asarray(given)
    except (TypeError, RuntimeError, BufferError) as error:
        raise ForeignError(f"cannot be read: {str(error).splitlines()[0]}") from None


def name_of(device: Device) -> str:
    """Name a device.

    >>> name_of((2, 1)), name_of((1, 0)), name_of((10, 0))
    ('cuda:1', 'the host', 'device 0 of kind 10')
    """
    kind, number = device
    if kind in (CUDA, CUDA_MANAGED):
        return f"cuda:{number}"
    return "the host" if kind in ON_HOST else f"device {number} of kind {kind}"


def read_dlpack(given: object, stream: int | None = None) -> ForeignArray:
    """Ask an array for its memory; its producer lets `stream` wait for what it has queued.

    The capsule is kept, not consumed: when it goes, its producer takes the memory back. Raises
    `ForeignError` when the producer refuses, or speaks a later version.
    """
    capsule = _capsule(given, {} if stream is None else {"stream": stream})
    api = ctypes.pythonapi
    api.PyCapsule_IsValid.argtypes = [ctypes.py_object, ctypes.c_char_p]
    api.PyCapsule_GetPointer.argtypes = [ctypes.py_object, ctypes.c_char_p]
    api.PyCapsule_GetPointer.restype = ctypes.c_void_p
    if api.PyCapsule_IsValid(capsule, _NEW):
        place = api.PyCapsule_GetPointer(capsule, _NEW)
        assert place is not None, "a valid capsule has a pointer"
        managed = _Versioned.from_address(place)
        if managed.major != _MAJOR:
            raise ForeignError(f"is given by DLPack {managed.major}.{managed.minor}, not 1.x")
        return _read(managed.tensor, (given, capsule))
    if api.PyCapsule_IsValid(capsule, _PLAIN):
        place = api.PyCapsule_GetPointer(capsule, _PLAIN)
        assert place is not None, "a valid capsule has a pointer"
        return _read(_Tensor.from_address(place), (given, capsule))
    raise ForeignError("gives no DLPack tensor")


def _capsule(given: Any, words: Mapping[str, object]) -> object:
    """Call `__dlpack__` as of version 1, else as before it."""
    try:
        try:
            return given.__dlpack__(max_version=(_MAJOR, 0), **words)
        except TypeError:
            return given.__dlpack__(**words)
    except (TypeError, RuntimeError, BufferError, ValueError) as error:
        raise ForeignError(f"cannot be lent: {str(error).splitlines()[0]}") from None


def _read(tensor: Any, owner: object) -> ForeignArray:
    shape = tuple(int(tensor.shape[axis]) for axis in range(tensor.rank))
    elements = tensor.elements
    known = elements.code in _CODES and elements.lanes == 1
    word = _CODES[elements.code] if known else f"type {elements.code} x {elements.lanes} of "
    kept = "bool" if (word, elements.bits) == ("bool", 8) else f"{word}{elements.bits}"
    strides = None
    if tensor.strides:
        strides = tuple(int(tensor.strides[axis]) for axis in range(tensor.rank))
    return ForeignArray(
        address=(tensor.data or 0) + tensor.offset,
        shape=shape,
        dtype=kept,
        contiguous=strides is None or is_contiguous(shape, strides),
        device=(tensor.device.kind, tensor.device.number),
        stream=None,
        owner=owner,
    )


def _interface(given: object) -> Mapping[str, Any] | None:
    """Give the interface of an array; some raise when they are asked and have none."""
    try:
        found = getattr(given, CUDA_INTERFACE, None)
    except (RuntimeError, TypeError, ValueError):
        return None
    return found if isinstance(found, Mapping) else None


def read_cuda_interface(given: object) -> ForeignArray:
    """Read `__cuda_array_interface__`; raises `ForeignError` for what it may not hold."""
    found = _interface(given)
    if found is None:
        raise ForeignError("is no array of a GPU")
    if found.get("mask") is not None:
        raise ForeignError("has a mask")
    stream = found.get("stream")
    if stream == 0:
        raise ForeignError("names the stream 0, which the interface forbids")
    elements = np.dtype(found["typestr"])
    shape = tuple(int(n) for n in found["shape"])
    strides = found.get("strides")
    if strides is not None:
        strides = tuple(int(step) // elements.itemsize for step in strides)
    return ForeignArray(
        address=int(found["data"][0] or 0),
        shape=shape,
        dtype=elements.name,
        contiguous=strides is None or is_contiguous(shape, strides),
        device=None,
        stream=None if stream is None else int(stream),
        owner=given,
    )


def is_contiguous(shape: tuple[int, ...], strides: tuple[int, ...]) -> bool:
    """Tell whether elements lie in the order of their indices; strides in elements.

    >>> is_contiguous((2, 3), (3, 1)), is_contiguous((2, 3), (1, 2)), is_contiguous((1, 3), (9, 1))
    (True, False, True)
    """
    if 0 in shape:
        return True
    step = 1
    for length, stride in zip(reversed(shape), reversed(strides), strict=True):
        if length != 1 and stride != step:
            return False
        step *= length
    return True
