"""Arrays of other libraries, by the two protocols: read where they lie, or refused in words."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cnndsl.ops.rules import Array
from cnndsl.runtime.foreign import (
    CPU,
    CUDA,
    ForeignError,
    device_of,
    host_array,
    read_cuda_interface,
    read_dlpack,
)


class Exporter:
    """An array of DLPack alone, as another library's would be."""

    def __init__(self, array: Array, *, device: tuple[int, int] = (CPU, 0), old: bool = False):
        self.array, self.device, self.old = array, device, old
        self.asked: list[dict[str, object]] = []

    def __dlpack_device__(self) -> tuple[int, int]:
        return self.device

    def __dlpack__(self, **words: Any) -> object:
        self.asked.append(words)
        if self.old and "max_version" in words:
            raise TypeError("unexpected keyword max_version")
        return self.array.__dlpack__(**{k: v for k, v in words.items() if k != "stream"})


class OnGpu:
    def __init__(self, **changed: object) -> None:
        told = {
            "shape": (2, 3),
            "typestr": "<f4",
            "data": (4096, True),
            "version": 3,
            "strides": None,
            "stream": 2,
        }
        self.__cuda_array_interface__ = {**told, **changed}


@pytest.mark.parametrize("old", [False, True], ids=["versioned", "before version 1"])
@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "uint8", "bool", "float16"])
def test_dlpack_is_read_without_a_copy(dtype: str, *, old: bool) -> None:
    array = np.arange(6).reshape(2, 3).astype(dtype)
    exporter = Exporter(array, old=old)
    found = read_dlpack(exporter, 7)
    assert found.address == array.ctypes.data
    assert (found.shape, found.dtype, found.contiguous) == ((2, 3), dtype, True)
    assert found.device == (CPU, 0)
    assert all(words["stream"] == 7 for words in exporter.asked)
    assert len(exporter.asked) == 1 + old


def test_the_memory_lives_as_long_as_its_reader() -> None:
    array = np.full(1000, 3.5)
    found = read_dlpack(array)
    address = found.address
    del array
    import ctypes

    assert ctypes.c_double.from_address(address + 8 * 999).value == 3.5
    assert found.owner is not None


def test_strided_arrays_are_told_apart() -> None:
    array = np.zeros((4, 6), np.float32)
    assert read_dlpack(array[1:3]).contiguous
    assert read_dlpack(array[1:3]).address == array.ctypes.data + 24
    assert not read_dlpack(array[:, 1:]).contiguous
    assert not read_dlpack(array.T).contiguous
    assert read_dlpack(array[:, :0]).contiguous


def test_read_only_arrays_may_be_read() -> None:
    array = np.zeros(4, np.float32)
    array.flags.writeable = False
    assert read_dlpack(array).address == array.ctypes.data


def test_what_refuses_is_told() -> None:
    with pytest.raises(ForeignError, match=r"cannot be lent: .*byte order"):
        read_dlpack(np.zeros(3, ">f4"))

    class Wrong:
        def __dlpack__(self, **words: object) -> object:
            return 3

    with pytest.raises(ForeignError, match="gives no DLPack tensor"):
        read_dlpack(Wrong())


def test_the_cuda_interface_is_read() -> None:
    found = read_cuda_interface(OnGpu())
    assert (found.address, found.shape, found.dtype) == (4096, (2, 3), "float32")
    assert (found.contiguous, found.stream) == (True, 2)
    assert not read_cuda_interface(OnGpu(strides=(4, 8))).contiguous
    assert read_cuda_interface(OnGpu(strides=(12, 4), stream=None)).stream is None
    for changed, words in (
        ({"mask": OnGpu()}, "has a mask"),
        ({"stream": 0}, "the stream 0, which the interface forbids"),
    ):
        with pytest.raises(ForeignError, match=words):
            read_cuda_interface(OnGpu(**changed))
    with pytest.raises(ForeignError, match="is no array of a GPU"):
        read_cuda_interface(np.zeros(3))


def test_devices_are_told() -> None:
    assert device_of(np.zeros(3)) == (CPU, 0)
    assert device_of([1.0]) is None
    assert device_of(OnGpu()) == (CUDA, 0)
    assert device_of(Exporter(np.zeros(3), device=(CUDA, 3))) == (CUDA, 3)


def test_the_host_takes_what_lies_on_it() -> None:
    array = np.arange(3, dtype=np.float32)
    assert host_array(array) is array
    assert host_array([1, 2]).tolist() == [1, 2]
    shared = host_array(Exporter(array))
    assert np.shares_memory(shared, array)
    with pytest.raises(ForeignError, match="lies on cuda:1; here arrays of the host are taken"):
        host_array(Exporter(array, device=(CUDA, 1)))
    with pytest.raises(ForeignError, match="lies on cuda:0"):
        host_array(OnGpu())

    class Graded:
        def __array__(self, *given: object, **words: object) -> Array:
            raise RuntimeError("it requires a gradient\nat length")

    with pytest.raises(ForeignError, match=r"^cannot be read: it requires a gradient$"):
        host_array(Graded())
