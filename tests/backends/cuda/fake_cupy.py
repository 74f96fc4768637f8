"""A stand-in for CuPy that keeps a record of what it is asked: no GPU, no kernel runs."""

from __future__ import annotations

import ctypes
import sys
import types
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest


class FakeError(RuntimeError):
    pass


@dataclass
class World:
    """What this machine is taken to have, and what was done on it."""

    driver: int = 13000
    runtime: int = 13020
    devices: int = 1
    free: int = 1 << 30
    capability: tuple[int, int] = (9, 0)
    calls: list[tuple[Any, ...]] = field(default_factory=list)
    blocks: dict[int, Any] = field(default_factory=dict)
    capturing: bool = False
    nvrtc: bool = True
    fragmented: bool = False
    """Whether no allocation succeeds, however much is free."""
    busy: bool = False
    """Whether events stay undone."""
    gpu_of: int = 0
    """The GPU that every address is on."""


def _runtime(world: World) -> types.SimpleNamespace:
    def copy(target: int, source: int, nbytes: int, kind: int, stream: int) -> None:
        world.calls.append(("copy", kind, nbytes, stream))
        if not world.capturing:
            ctypes.memmove(target, source, nbytes)

    def fill(address: int, byte: int, nbytes: int, stream: int) -> None:
        world.calls.append(("fill", byte, nbytes, stream))
        if not world.capturing:
            ctypes.memset(address, byte, nbytes)

    def count() -> int:
        if not world.devices:
            raise FakeError("cudaErrorNoDevice")
        return world.devices

    major, minor = world.capability
    return types.SimpleNamespace(
        CUDARuntimeError=FakeError,
        driverGetVersion=lambda: world.driver,
        runtimeGetVersion=lambda: world.runtime,
        getDeviceCount=count,
        getDeviceProperties=lambda n: {
            "name": b"Fake GPU",
            "major": major,
            "minor": minor,
            "multiProcessorCount": 132,
            "l2CacheSize": 60 << 20,
        },
        memGetInfo=lambda: (world.free, world.free),
        memcpyAsync=copy,
        memsetAsync=fill,
        memcpyHostToDevice=1,
        memcpyDeviceToHost=2,
        memcpyDeviceToDevice=3,
        pointerGetAttributes=lambda address: types.SimpleNamespace(device=world.gpu_of),
    )


class Scope:
    """A device or stream that can be entered."""

    def __init__(self, world: World, what: str, ptr: int = 77) -> None:
        self.world, self.what, self.ptr = world, what, ptr

    def wait_event(self, event: Event) -> None:
        self.world.calls.append(("after", self.ptr, event.stream))

    def __enter__(self) -> Scope:
        return self

    def __exit__(self, *args: object) -> None:
        pass

    def synchronize(self) -> None:
        assert not self.world.capturing, "waiting is not allowed while capturing"
        self.world.calls.append(("wait",))

    def begin_capture(self) -> None:
        self.world.capturing = True
        self.world.calls.append(("capture",))

    def end_capture(self) -> types.SimpleNamespace:
        self.world.capturing = False
        launch = lambda stream: self.world.calls.append(("graph", stream.ptr))  # noqa: E731
        return types.SimpleNamespace(launch=launch)


class Memory:
    """A block of host memory."""

    def __init__(self, world: World, nbytes: int) -> None:
        if nbytes > world.free or world.fragmented:
            raise FakeError("cudaErrorMemoryAllocation: out of memory")
        self._buffer = np.empty(nbytes + 256, np.uint8)
        self.ptr = self._buffer.ctypes.data + -self._buffer.ctypes.data % 256
        world.calls.append(("allocate", nbytes))


class Event:
    def __init__(self, *, disable_timing: bool = False) -> None:
        self.at, self.timed, self.stream = 0, not disable_timing, 0

    def record(self, stream: Scope) -> None:
        if self.timed:
            stream.world.calls.append(("event",))
        self.at, self.stream, self.world = len(stream.world.calls), stream.ptr, stream.world

    @property
    def done(self) -> bool:
        return not self.world.busy


class Ndarray:
    """CuPy's array over memory that is not its own."""

    def __init__(
        self,
        shape: tuple[int, ...],
        dtype: Any,
        place: types.SimpleNamespace,
        strides: tuple[int, ...] | None,
    ) -> None:
        self.shape, self.dtype, self.place, self.strides = shape, dtype, place, strides

    def __dlpack__(self, *, stream: int | None = None, **words: object) -> tuple[object, ...]:
        return "capsule", self.place.mem.address, stream


def install(monkeypatch: pytest.MonkeyPatch, world: World) -> None:
    """Put a stand-in in CuPy's place."""

    def function(name: str) -> Any:
        def call(grid: Any, block: Any, arguments: Any, *, shared_mem: int) -> None:
            assert all(isinstance(a, np.uint64) for a in arguments)
            world.calls.append(("launch", name, grid, block, shared_mem, len(arguments)))

        return call

    def module(*, path: str) -> types.SimpleNamespace:
        world.calls.append(("load", path))
        return types.SimpleNamespace(get_function=function)

    def streams(*, non_blocking: bool) -> Scope:
        assert non_blocking
        return Scope(world, "stream")

    def from_external(given: Any) -> Scope:
        version, handle = given.__cuda_stream__()
        assert version == 0
        return Scope(world, "external", handle)

    streams.from_external = from_external  # type: ignore[attr-defined]

    def version() -> tuple[int, int]:
        if not world.nvrtc:
            raise RuntimeError("libnvrtc.so.13 not found")
        return 13, 0

    nvrtc = types.ModuleType("cupy.cuda.nvrtc")
    nvrtc.__dict__.update(
        NVRTCError=FakeError,
        getVersion=version,
        createProgram=lambda text, *rest: {"text": text},
        compileProgram=lambda program, options: world.calls.append(("compile", options[0])),
        getCUBIN=lambda program: b"cubin",
        getProgramLog=lambda program: "",
        destroyProgram=lambda program: None,
    )
    cuda = types.ModuleType("cupy.cuda")
    cuda.__dict__.update(
        runtime=_runtime(world),
        nvrtc=nvrtc,
        Device=lambda number: Scope(world, f"device {number}"),
        Stream=streams,
        UnownedMemory=lambda address, size, owner, device: types.SimpleNamespace(
            address=address, size=size, owner=owner, device=device
        ),
        MemoryPointer=lambda mem, offset: types.SimpleNamespace(mem=mem, offset=offset),
        Memory=lambda nbytes: Memory(world, nbytes),
        Event=Event,
        get_elapsed_time=lambda a, b: float(b.at - a.at),
    )
    cupy = types.ModuleType("cupy")
    cupy.__dict__.update(
        cuda=cuda, ndarray=Ndarray, RawModule=module, __spec__=types.SimpleNamespace()
    )
    for name, found in (("cupy", cupy), ("cupy.cuda", cuda), ("cupy.cuda.nvrtc", nvrtc)):
        monkeypatch.setitem(sys.modules, name, found)
