"""What a program needs of a machine: memory, functions, launches in order, recordings of them."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from cnndsl.backends.cuda.kernel import Access, Call, Dim3, Launch
from cnndsl.backends.cuda.lending import Lender
from cnndsl.ops.rules import Array
from cnndsl.runtime.foreign import ForeignArray


@dataclass(frozen=True, slots=True)
class Stretch:
    """Memory that a launch is given."""

    address: int
    """First byte."""
    nbytes: int
    """How many bytes may be touched."""
    access: Access
    """Which way."""


@dataclass(frozen=True, slots=True)
class Run:
    """A launch bound to memory."""

    launch: Launch
    """What is started; its function was loaded."""
    arguments: tuple[Stretch, ...]
    """In the order of the function's parameters."""


@dataclass(frozen=True, slots=True)
class Invoke:
    """A library's call bound to memory."""

    call: Call
    """What is queued."""
    arguments: tuple[Stretch, ...]
    """In the order of the call's."""


@dataclass(frozen=True, slots=True)
class Move:
    """A copy of bytes within the device."""

    source: int
    """Address of the first byte."""
    target: int
    """Where to; never overlaps the source."""
    nbytes: int
    """How many."""


@dataclass(frozen=True, slots=True)
class Fill:
    """Bytes that are set to one value."""

    address: int
    """First byte."""
    nbytes: int
    """How many."""
    byte: int
    """The value."""


Command = Run | Invoke | Move | Fill
"""What is done in order; none allocates, waits or speaks with the host."""


class Recording(Protocol):
    """Commands that were recorded once, with their addresses, to be replayed as one."""

    def replay(self) -> None:
        """Do it again."""


class Mark(Protocol):
    """A place in the queue."""

    @property
    def done(self) -> bool:
        """Tell whether all that was queued before it is done."""


class Driver(Lender, Protocol):
    """One device and one queue of commands on it."""

    @property
    def name(self) -> str:
        """Say what it is, for people: "NVIDIA H200", "emulated"."""

    @property
    def identity(self) -> str:
        """Say on what a measurement depends: GPU, its driver and the versions of CUDA."""

    @property
    def cache_bytes(self) -> int:
        """Give the size of the largest cache; 0 where none matters."""

    def here(self) -> AbstractContextManager[object]:
        """Make this the device that libraries take."""

    def load(self, launches: Sequence[Launch]) -> None:
        """Compile the functions of `launches` that are not there yet, and load them.

        Raises `BackendError` with the compiler's words when the text is no CUDA C++.
        """

    def allocate(self, nbytes: int) -> int:
        """Give the address of zeroed memory, a multiple of 256, that lives as long as the driver.

        Raises `BackendError` when there is not enough; programs take all their memory at once.
        """

    def release(self, address: int) -> None:
        """Give memory back."""

    def free_bytes(self) -> int | None:
        """Tell how much memory can be had, if that is known."""

    def write(self, address: int, array: Array) -> None:
        """Copy a contiguous array from the host, in the order of the queue."""

    def borrow(self, given: object) -> ForeignArray:
        """Give where an array of another library lies, if that is memory of this device.

        What its producer has queued comes before what is queued here from now on. Raises
        `ForeignError` for one that lies elsewhere, or not in the order of its indices.
        """

    def mark(self) -> Mark:
        """Put a mark into the queue."""

    def do(self, commands: Sequence[Command]) -> None:
        """Queue commands; an error may show only when something is read."""

    def time(self, command_groups: Sequence[Sequence[Command]]) -> list[float]:
        """Do groups of commands one after the other and give the seconds that each took."""

    def record(self, commands: Sequence[Command]) -> Recording:
        """Record commands without doing them."""


THREADS: Dim3 = (1024, 1024, 64)
"""The most threads of a block along each axis, of every device that is served."""
