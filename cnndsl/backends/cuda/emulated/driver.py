"""The emulated driver: a device made of one thread of the host, strict where a GPU is silent."""

from __future__ import annotations

import contextlib
import ctypes
import tempfile
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Literal

from cnndsl.backends.cuda.driver import Command, Fill, Invoke, Move, Run, Stretch
from cnndsl.backends.cuda.emulated import memory
from cnndsl.backends.cuda.emulated.compile import compile_emulator, compile_module
from cnndsl.backends.cuda.kernel import MOST_SHARED_BYTES, Access, Launch
from cnndsl.backends.cuda.lending import check_device, check_order, host_view
from cnndsl.ir.types import TensorType
from cnndsl.ops.rules import Array
from cnndsl.runtime.foreign import CPU, Device, ForeignArray, device_of, read_dlpack
from cnndsl.support.diagnostics import BackendError

Order = Literal["forward", "reverse", "random"]
ORDERS: tuple[Order, ...] = ("forward", "reverse", "random")
"""In which the threads of a block, and the blocks of a grid, are run."""
NAN_BYTE = 0xFF
"""Four or eight of them are NaN."""
_WORDS = 512
# One machine, with one set of fibers, for all drivers of the process.
_MACHINE = threading.Lock()


class EmulatedDriver:
    """Runs kernels on this machine's processor, a block at a time, and watches them.

    Blocks whose threads do not meet at a barrier, and accesses outside the memory of the device,
    raise `BackendError`. With `guarded` each launch works on copies of its arguments that end at a
    guard page each, results filled with NaN before, so that a kernel that reads or writes one byte
    too far, or leaves one out, is found.
    """

    def __init__(
        self,
        *,
        folder: Path | None = None,
        order: Order = "forward",
        seed: int = 1,
        guarded: bool = False,
        ucontext: bool = False,
    ) -> None:
        """Keep compiled libraries in `folder`, or in one of its own that ends with the driver."""
        self._room = None if folder is not None else tempfile.TemporaryDirectory()
        self._folder = Path(self._room.name) if self._room is not None else folder or Path()
        self.order: Order = order
        """How the next launches are run."""
        self.seed = seed
        """Where "random" begins."""
        self.guarded = guarded
        """Whether launches work on guarded copies."""
        emulator = compile_emulator(self._folder, ucontext=ucontext)
        self._emulator = emulator
        self._machine = ctypes.CDLL(str(emulator))
        self._functions: dict[str, int] = {}
        self._libraries: list[ctypes.CDLL] = []
        self._memory: dict[int, memory.Guarded] = {}
        self._shared = memory.allocate(MOST_SHARED_BYTES)
        self.launched = 0
        """How many launches were run."""

    @property
    def name(self) -> str:
        """Say what it is."""
        return "emulated"

    @property
    def identity(self) -> str:
        """Say that measurements are of the emulation."""
        return "emulated"

    @property
    def cache_bytes(self) -> int:
        """Nothing is worth to be measured so finely here."""
        return 0

    def here(self) -> contextlib.AbstractContextManager[object]:
        """There is one such device."""
        return contextlib.nullcontext()

    @property
    def device(self) -> Device:
        """Say that its memory is the host's, which other libraries read as such."""
        return CPU, 0

    @property
    def stream(self) -> int | None:
        """There is none: everything is done when it was asked for."""
        return None

    def follow(self, stream: int) -> None:
        """Streams of other libraries are none of the host's."""
        raise BackendError(f"the emulated device has no streams to wait for, as {stream}")

    def lead(self, stream: int) -> None:
        """Streams of other libraries are none of the host's."""
        self.follow(stream)

    def borrow(self, given: object) -> ForeignArray:
        """Read an array of the host where it lies."""
        check_device(device_of(given), self.device)
        found = read_dlpack(given)
        check_order(found)
        return found

    def view(self, address: int, kind: TensorType, owner: object) -> Array:
        """Give memory as an array of NumPy."""
        return host_view(address, kind, owner)

    def mark(self) -> EmulatedMark:
        """Nothing waits here."""
        return EmulatedMark()

    def close(self) -> None:
        """Give all memory back; the driver can do nothing after it."""
        for address in list(self._memory):
            self.release(address)
        if self._shared.nbytes:
            memory.release(self._shared)
            self._shared = memory.Guarded(0, 0, 0, 0)
        if self._room is not None:
            self._room.cleanup()

    def __del__(self) -> None:
        with contextlib.suppress(Exception):
            self.close()

    def load(self, launches: Sequence[Launch]) -> None:
        """Compile the functions that are not there yet, all in one call of the compiler."""
        unknown = {e.name: e for e in launches if e.name not in self._functions}
        if not unknown:
            return
        path = compile_module(list(unknown.values()), self._folder, self._emulator)
        library = ctypes.CDLL(str(path))
        self._libraries.append(library)
        for name in unknown:
            address = ctypes.cast(getattr(library, f"{name}_call"), ctypes.c_void_p).value
            assert address is not None, "a function that was found has an address"
            self._functions[name] = address

    def allocate(self, nbytes: int) -> int:
        """Give zeroed memory that ends at a guard page."""
        found = memory.allocate(-(-nbytes // 256) * 256)
        self._memory[found.address] = found
        return found.address

    def release(self, address: int) -> None:
        """Give memory back."""
        found = self._memory.pop(address, None)
        if found is not None:
            memory.release(found)

    def free_bytes(self) -> int | None:
        """Nobody knows; the host lends what it has."""
        return None

    def write(self, address: int, array: Array) -> None:
        """Copy from the host."""
        assert array.flags.c_contiguous, "arrays are copied as they lie"
        ctypes.memmove(address, array.ctypes.data, array.nbytes)

    def read(self, address: int, array: Array) -> None:
        """Copy to the host."""
        assert array.flags.c_contiguous, "arrays are copied as they lie"
        ctypes.memmove(array.ctypes.data, address, array.nbytes)

    def do(self, commands: Sequence[Command]) -> None:
        """Do commands at once."""
        for command in commands:
            match command:
                case Fill(address, nbytes, byte):
                    ctypes.memset(address, byte, nbytes)
                case Move(source, target, nbytes):
                    ctypes.memmove(target, source, nbytes)
                case Run():
                    self._run(command)
                case Invoke():
                    self._invoke(command)

    def time(self, command_groups: Sequence[Sequence[Command]]) -> list[float]:
        """Do groups of commands with a clock on each."""
        times = []
        for group in command_groups:
            begin = perf_counter()
            self.do(group)
            times.append(perf_counter() - begin)
        return times

    def record(self, commands: Sequence[Command]) -> EmulatedRecording:
        """Keep commands; what they need must be there already, as on a GPU."""
        for command in commands:
            if isinstance(command, Run) and command.launch.name not in self._functions:
                raise BackendError(f"{command.launch.name} is recorded, and was never loaded")
        return EmulatedRecording(self, tuple(commands))

    def _run(self, run: Run) -> None:
        self.launched += 1
        if not self.guarded:
            self._start(run.launch, run.arguments)
            return
        with _copies(run.arguments) as copies:
            self._start(run.launch, copies)

    def _invoke(self, invoke: Invoke) -> None:
        """Let a library that computes on the host do its call."""
        given = invoke.arguments
        with _copies(given) if self.guarded else contextlib.nullcontext(given) as used:
            invoke.call.enqueue([a.address for a in used], None)

    def _start(self, launch: Launch, arguments: Sequence[Stretch]) -> None:
        """Run the grid of a launch; raises `BackendError` for what it does wrong."""
        sizes = (ctypes.c_uint * 6)(*launch.grid, *launch.block)
        given = (ctypes.c_void_p * max(1, len(arguments)))(*(a.address for a in arguments))
        words = ctypes.create_string_buffer(_WORDS)
        fault = ctypes.c_void_p()
        shared = self._shared.address + self._shared.nbytes - launch.shared_bytes
        with _MACHINE:
            self.seed = self.seed * 6364136223846793005 + 1442695040888963407 & (1 << 64) - 1
            result = self._machine.emulated_launch(
                ctypes.c_void_p(self._functions[launch.name]),
                given,
                sizes,
                ctypes.c_void_p(shared),
                ctypes.c_size_t(launch.shared_bytes),
                ORDERS.index(self.order),
                ctypes.c_uint64(self.seed),
                words,
                ctypes.c_size_t(_WORDS),
                ctypes.byref(fault),
            )
        if result == 1:
            raise BackendError(f"{launch.name}: {words.value.decode()}")
        if result:
            where = self._describe(fault.value or 0, shared, launch, arguments)
            what = "an access outside its memory" if result == 2 else "a misaligned access"
            raise BackendError(f"{launch.name}: {what}, {where}")

    def _describe(
        self, place: int, shared: int, launch: Launch, arguments: Sequence[Stretch]
    ) -> str:
        """Say where an access at fault went, and who made it."""
        block, thread = ctypes.c_uint(), ctypes.c_uint()
        self._machine.emulated_where(ctypes.byref(block), ctypes.byref(thread))
        who = f"by thread {thread.value} of block {block.value}"
        if self._shared.holds(place):
            return f"byte {place - shared} of {launch.shared_bytes} of shared memory, {who}"
        near = [(abs(place - a.address), i) for i, a in enumerate(arguments)]
        if not near:
            return f"at {place:#x}, {who}"
        index = min(near)[1]
        distance = place - arguments[index].address
        return f"byte {distance} of {arguments[index].nbytes} of argument {index}, {who}"


@dataclass(frozen=True, slots=True)
class EmulatedMark:
    """A place in a queue that is always empty."""

    done: bool = True
    """Whether all before it is done."""


@dataclass(frozen=True, slots=True)
class EmulatedRecording:
    """Commands with their addresses."""

    driver: EmulatedDriver
    """Where they run."""
    commands: tuple[Command, ...]
    """In order."""

    def replay(self) -> None:
        """Do them again."""
        self.driver.do(self.commands)


@contextlib.contextmanager
def _copies(arguments: Sequence[Stretch]) -> Iterator[list[Stretch]]:
    """Lay each argument before a guard page of its own; bring back what was written."""
    rooms: dict[int, memory.Guarded] = {}
    try:
        # Two arguments at one address are one memory: an operand that its result overwrites.
        for address in dict.fromkeys(a.address for a in arguments):
            same = [a for a in arguments if a.address == address]
            rooms[address] = room = memory.allocate(max(a.nbytes for a in same))
            read = [a.nbytes for a in same if a.access is not Access.WRITE]
            ctypes.memset(room.address, NAN_BYTE, room.nbytes)
            ctypes.memmove(room.address, address, max(read, default=0))
        yield [Stretch(rooms[a.address].address, a.nbytes, a.access) for a in arguments]
        for argument in arguments:
            if argument.access is not Access.READ:
                room = rooms[argument.address]
                ctypes.memmove(argument.address, room.address, argument.nbytes)
    finally:
        for room in rooms.values():
            memory.release(room)
