"""Arrays that come to a device and go from it without copies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from cnndsl.backends.cuda.layout import from_device, in_memory, is_turned, strides_of
from cnndsl.ir.types import Shape, TensorType
from cnndsl.ops.rules import Array
from cnndsl.runtime.foreign import (
    CUDA,
    CUDA_MANAGED,
    Device,
    ForeignArray,
    ForeignError,
    name_of,
)

if TYPE_CHECKING:
    from typing_extensions import CapsuleType


class Lender(Protocol):
    """The part of a driver that other libraries' arrays are dealt with by."""

    @property
    def device(self) -> Device:
        """Say, by DLPack's numbers, whose memory this is."""

    @property
    def stream(self) -> int | None:
        """Give the CUDA stream that commands are queued on; nothing on a device without streams."""

    def follow(self, stream: int) -> None:
        """Let what is queued from now on wait for what is queued on `stream`."""

    def lead(self, stream: int) -> None:
        """Let what is queued on `stream` from now on wait for what is queued here."""

    def read(self, address: int, array: Array) -> None:
        """Wait for what is queued and copy to a contiguous array of the host."""

    def view(self, address: int, kind: TensorType, owner: object) -> object:
        """Give memory as an array of the library that has such, NumPy's or CuPy's, in its order."""


def check_streams(stream: object) -> int | None:
    """Give a consumer's stream as the array API writes it; nothing for -1, "do not wait".

    None stands for the legacy default stream, 1. Raises `ForeignError` for 0, which is ambiguous,
    and for what is no number.
    """
    if stream is None:
        return 1
    if not isinstance(stream, int) or isinstance(stream, bool) or stream < -1 or stream == 0:
        raise ForeignError(f"a stream is a handle, 1, 2 or -1; given {stream!r}")
    return None if stream == -1 else stream


@dataclass(frozen=True, slots=True, eq=False)
class DeviceArray:
    """A result in the memory of a device; read by DLPack or `__cuda_array_interface__`.

    It is a view: the next run of the program that made it overwrites it. Who reads it by one of
    the protocols has the work of its stream ordered behind the run, and must in turn be done, or
    hand its stream to the next run, before the program runs again.
    """

    address: int
    """First byte."""
    type: TensorType
    """What lies there; of four axes the second comes last."""
    lender: Lender
    """Of the device that it lies on."""
    owner: object
    """Keeps the memory."""

    @property
    def shape(self) -> Shape:
        """Lengths of the axes."""
        return self.type.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the elements."""
        return self.type.dtype.numpy

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> Array:
        """Wait for it and give a copy on the host; `copy=False` raises `ValueError`."""
        if copy is False:
            raise ValueError("an array of a device has no memory on the host to give uncopied")
        array = np.empty(in_memory(self.shape), self.dtype)
        if array.size:
            self.lender.read(self.address, array)
        array = from_device(array)
        return array if dtype is None else array.astype(dtype, copy=False)

    @property
    def __cuda_array_interface__(self) -> dict[str, object]:
        """Give the CUDA Array Interface, version 3; the stream is the one the result comes by."""
        if self.lender.device[0] not in (CUDA, CUDA_MANAGED):
            raise AttributeError("this array lies on the host; it is lent by DLPack")
        return {
            "shape": self.shape,
            "typestr": self.dtype.str,
            "data": (self.address if self.type.nbytes else 0, False),
            "strides": strides_in_bytes(self.type),
            "version": 3,
            "stream": self.lender.stream,
        }

    def __dlpack_device__(self) -> Device:
        """Say where it lies."""
        return self.lender.device

    def __dlpack__(self, *, stream: object = None, **words: Any) -> CapsuleType:
        """Give a capsule; work on the consumer's `stream` comes after the run."""
        view: Any = self.lender.view(self.address, self.type, self.owner)
        if self.lender.stream is not None:
            waiting = check_streams(stream)
            if waiting is not None:
                self.lender.lead(waiting)
            stream = -1
        capsule: CapsuleType = view.__dlpack__(stream=stream, **words)
        return capsule


def strides_in_bytes(kind: TensorType) -> tuple[int, ...] | None:
    """Give the strides of an array of the device; nothing where it lies row-major."""
    if not is_turned(kind.shape):
        return None
    return tuple(kind.dtype.nbytes * step for step in strides_of(kind.shape))


class HostMemory:
    """Memory of the host that is no NumPy array yet, with what keeps it."""

    def __init__(self, address: int, kind: TensorType, owner: object) -> None:
        """Stand for an array of `kind` at an address."""
        self.owner = owner
        self.__array_interface__ = {
            "shape": kind.shape,
            "typestr": kind.dtype.numpy.str,
            "data": (address, False),
            "strides": strides_in_bytes(kind),
            "version": 3,
        }


def host_view(address: int, kind: TensorType, owner: object) -> Array:
    """Give memory of the host as an array that keeps `owner`; an empty one has no memory."""
    if not kind.nbytes:
        return np.empty(kind.shape, kind.dtype.numpy)
    return np.asarray(HostMemory(address, kind, owner))


def check_device(found: Device | None, device: Device) -> None:
    """Raise `ForeignError` for an array of another device than `device`."""
    if found is None or found == device or (found[0] == CUDA_MANAGED and device[0] == CUDA):
        return
    raise ForeignError(f"lies on {name_of(found)}; this program runs on {name_of(device)}")


def check_order(found: ForeignArray) -> None:
    """Raise `ForeignError` for an array whose elements do not lie in the order of their indices."""
    if not found.contiguous:
        raise ForeignError("does not lie in the order of its indices; make it contiguous")
