"""The driver of a real device: CuPy for memory, streams, launches and graphs.

CuPy is imported when a device is asked for, never before. Kernels are compiled by `nvrtc.py`, kept
on disk as cubins, and loaded by path. Nothing here was run on a GPU yet; what stands in for it in
the tests is a recorder with CuPy's interface.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from cnndsl.backends.cuda.driver import Command, Fill, Invoke, Mark, Move, Recording, Run
from cnndsl.backends.cuda.folders import prepare
from cnndsl.backends.cuda.kernel import Launch
from cnndsl.backends.cuda.lending import check_device, check_order, strides_in_bytes
from cnndsl.backends.cuda.nvrtc import compile_module, cubin_key, module_text, version
from cnndsl.ir.types import TensorType
from cnndsl.ops.rules import Array
from cnndsl.runtime.foreign import (
    CUDA,
    Device,
    ForeignArray,
    device_of,
    read_cuda_interface,
    read_dlpack,
)
from cnndsl.support.diagnostics import BackendError

OLDEST = 80
"""The least compute capability, times ten: that of Ampere."""


class CupyDriver:
    """One GPU, one stream on it that is not the default stream."""

    def __init__(self, number: int = 0, *, folder: Path | None = None) -> None:
        """Take GPU `number`; cubins are kept in `folder`, else for as long as the driver lives."""
        import cupy

        self._cupy: Any = cupy
        self._runtime: Any = cupy.cuda.runtime
        self.number = number
        """Which GPU."""
        self._room = None if folder is not None else tempfile.TemporaryDirectory()
        self._folder = Path(self._room.name) if self._room is not None else folder or Path()
        with self._device():
            self._stream = cupy.cuda.Stream(non_blocking=True)
            properties = self._runtime.getDeviceProperties(number)
        self._name = str(properties["name"].decode())
        self.arch = f"{properties['major']}{properties['minor']}"
        """Compute capability without the dot: "90"."""
        if int(self.arch) < OLDEST:
            raise BackendError(
                f"{self._name} has compute capability {properties['major']}.{properties['minor']}; "
                f"the backend cuda needs {OLDEST // 10}.{OLDEST % 10} (Ampere) or later"
            )
        self._properties: Any = properties
        self._functions: dict[str, Any] = {}
        self._memory: dict[int, Any] = {}

    @property
    def name(self) -> str:
        """Give the name of the GPU."""
        return self._name

    def _device(self) -> Any:
        return self._cupy.cuda.Device(self.number)

    @property
    def identity(self) -> str:
        """Name the GPU, its parts, the driver, and the versions of CUDA."""
        parts = self._properties["multiProcessorCount"]
        versions = (self._runtime.driverGetVersion(), self._runtime.runtimeGetVersion())
        made = ".".join(map(str, version()))
        return (
            f"{self._name}, sm_{self.arch}, {parts} multiprocessors, CUDA driver {versions[0]}, "
            f"runtime {versions[1]}, NVRTC {made}"
        )

    @property
    def cache_bytes(self) -> int:
        """Give the size of the second cache."""
        return int(self._properties["l2CacheSize"])

    def here(self) -> AbstractContextManager[object]:
        """Make this GPU the present one of CUDA."""
        device: AbstractContextManager[object] = self._device()
        return device

    @property
    def device(self) -> Device:
        """Give DLPack's numbers for this GPU."""
        return CUDA, self.number

    @property
    def stream(self) -> int | None:
        """Give the handle of the stream."""
        return int(self._stream.ptr)

    def follow(self, stream: int) -> None:
        """Put an event on a stream of somebody else, and wait for it on this one."""
        with self._device():
            self._stream.wait_event(self._event(self._external(stream)))

    def lead(self, stream: int) -> None:
        """Put an event on this stream, and let a stream of somebody else wait for it."""
        with self._device():
            self._external(stream).wait_event(self._event(self._stream))

    def mark(self) -> Mark:
        """Put an event on the stream; it has `done`."""
        with self._device():
            made: Mark = self._event(self._stream)
            return made

    def _external(self, stream: int) -> Any:
        return self._cupy.cuda.Stream.from_external(Handle(stream))

    def _event(self, stream: Any) -> Any:
        event = self._cupy.cuda.Event(disable_timing=True)
        event.record(stream)
        return event

    def borrow(self, given: object) -> ForeignArray:
        """Read an array by DLPack, whose producer orders the streams, else by its interface."""
        if hasattr(given, "__dlpack__"):
            check_device(device_of(given), self.device)
            found = read_dlpack(given, self.stream)
        else:
            found = read_cuda_interface(given)
            if found.address:
                with self._device():
                    lies = int(self._runtime.pointerGetAttributes(found.address).device)
                found = replace(found, device=(CUDA, lies))
            check_device(found.device, self.device)
            if found.stream is not None:
                self.follow(found.stream)
        check_order(found)
        return found

    def view(self, address: int, kind: TensorType, owner: object) -> object:
        """Give memory as an array of CuPy that keeps `owner`."""
        with self._device():
            memory = self._cupy.cuda.UnownedMemory(address, kind.nbytes, owner, self.number)
            place = self._cupy.cuda.MemoryPointer(memory, 0)
            steps = strides_in_bytes(kind)
            array: object = self._cupy.ndarray(kind.shape, kind.dtype.numpy, place, strides=steps)
            return array

    def load(self, launches: Sequence[Launch]) -> None:
        """Compile what is neither loaded nor on disk; load by path."""
        with self._device():
            for launch in launches:
                if launch.name not in self._functions:
                    module = self._cupy.RawModule(path=str(self._cubin(launch)))
                    self._functions[launch.name] = module.get_function(launch.name)

    def _cubin(self, launch: Launch) -> Path:
        """Give the file of a function's machine code, made if it is not there."""
        path = self._folder / f"{cubin_key(launch, self.arch)}.cubin"
        prepare(self._folder)
        if path.exists():
            return path
        made = compile_module(module_text([launch]), self.arch)
        with tempfile.TemporaryDirectory(dir=self._folder) as room:
            new = Path(room) / path.name
            new.write_bytes(made.image)
            new.replace(path)
        return path

    def allocate(self, nbytes: int) -> int:
        """Take memory from the device itself, past CuPy's pool: it is taken once a program."""
        with self._device():
            try:
                memory = self._cupy.cuda.Memory(max(nbytes, 1))
            except self._runtime.CUDARuntimeError as error:
                raise BackendError(
                    f"{self._name} cannot give {nbytes / 2**20:,.0f} MiB: {error}"
                ) from None
            self._runtime.memsetAsync(memory.ptr, 0, max(nbytes, 1), self._stream.ptr)
        self._memory[int(memory.ptr)] = memory
        return int(memory.ptr)

    def release(self, address: int) -> None:
        """Give memory back, when what was queued is done."""
        if address in self._memory:
            self._stream.synchronize()
            del self._memory[address]

    def free_bytes(self) -> int | None:
        """Ask the device."""
        with self._device():
            free, _ = self._runtime.memGetInfo()
        return int(free)

    def write(self, address: int, array: Array) -> None:
        """Copy from the host in the order of the stream."""
        assert array.flags.c_contiguous, "arrays are copied as they lie"
        with self._device():
            self._runtime.memcpyAsync(
                address,
                array.ctypes.data,
                array.nbytes,
                self._runtime.memcpyHostToDevice,
                self._stream.ptr,
            )

    def read(self, address: int, array: Array) -> None:
        """Copy to the host and wait for it."""
        assert array.flags.c_contiguous, "arrays are copied as they lie"
        with self._device():
            self._runtime.memcpyAsync(
                array.ctypes.data,
                address,
                array.nbytes,
                self._runtime.memcpyDeviceToHost,
                self._stream.ptr,
            )
            self._stream.synchronize()

    def do(self, commands: Sequence[Command]) -> None:
        """Queue commands on the stream."""
        with self._device(), self._stream:
            for command in commands:
                self._queue(command)

    def _queue(self, command: Command) -> None:
        stream = self._stream
        match command:
            case Fill(address, nbytes, byte):
                if nbytes:
                    self._runtime.memsetAsync(address, byte, nbytes, stream.ptr)
            case Move(source, target, nbytes):
                if nbytes:
                    kind = self._runtime.memcpyDeviceToDevice
                    self._runtime.memcpyAsync(target, source, nbytes, kind, stream.ptr)
            case Invoke(call, arguments):
                call.enqueue([argument.address for argument in arguments], int(stream.ptr))
            case Run(launch, arguments):
                self._functions[launch.name](
                    launch.grid,
                    launch.block,
                    tuple(np.uint64(argument.address) for argument in arguments),
                    shared_mem=launch.shared_bytes,
                )

    def time(self, command_groups: Sequence[Sequence[Command]]) -> list[float]:
        """Put an event before each group and after the last."""
        with self._device(), self._stream:
            events = [self._cupy.cuda.Event() for _ in range(len(command_groups) + 1)]
            for event, group in zip(events, command_groups, strict=False):
                event.record(self._stream)
                for command in group:
                    self._queue(command)
            events[-1].record(self._stream)
            self._stream.synchronize()
            elapsed = self._cupy.cuda.get_elapsed_time
            return [1e-3 * float(elapsed(before, after)) for before, after in pairwise(events)]

    def record(self, commands: Sequence[Command]) -> Recording:
        """Capture the stream into a CUDA graph; nothing runs until it is replayed."""
        with self._device(), self._stream:
            self._stream.begin_capture()
            try:
                for command in commands:
                    self._queue(command)
            finally:
                graph = self._stream.end_capture()
        return CupyRecording(self, graph)


@dataclass(frozen=True, slots=True)
class Handle:
    """A stream of another library, as CuPy takes it."""

    stream: int
    """The handle; 1 is the legacy default stream, 2 the default stream of a thread."""

    def __cuda_stream__(self) -> tuple[int, int]:
        """Give the version of the protocol, and the handle."""
        return 0, self.stream


@dataclass(frozen=True, slots=True)
class CupyRecording:
    """A CUDA graph with the addresses that it was captured with."""

    driver: CupyDriver
    """Where it runs; keeps functions and memory alive."""
    graph: Any
    """The graph."""

    def replay(self) -> None:
        """Launch it on the stream."""
        with self.driver._device():
            self.graph.launch(self.driver._stream)
