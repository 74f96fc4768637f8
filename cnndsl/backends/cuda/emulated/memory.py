"""Memory of the emulated device: it ends where an inaccessible page begins."""

from __future__ import annotations

import ctypes
import mmap
from dataclasses import dataclass

from cnndsl.support.diagnostics import BackendError

GUARD = 1 << 20
"""Bytes before and after that nothing may touch."""
_NONE, _READ_WRITE = 0, 3  # PROT_NONE, PROT_READ | PROT_WRITE
_PRIVATE_ANONYMOUS = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS


@dataclass(frozen=True, slots=True)
class Guarded:
    """A stretch between guards."""

    address: int
    """First byte."""
    nbytes: int
    """Bytes up to the guard behind."""
    base: int
    """Where the mapping begins."""
    length: int
    """Bytes of the mapping."""

    def holds(self, place: int) -> bool:
        """Tell whether a place is in this mapping, guards included."""
        return self.base <= place < self.base + self.length


def _libc() -> ctypes.CDLL:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mmap.restype = ctypes.c_void_p
    libc.mmap.argtypes = [
        ctypes.c_void_p,
        ctypes.c_size_t,
        ctypes.c_int,
        ctypes.c_int,
        ctypes.c_int,
        ctypes.c_long,
    ]
    libc.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
    return libc


LIBC = _libc()


def allocate(nbytes: int) -> Guarded:
    """Give zeroed memory whose last byte is the last before a guard; aligned as its size is."""
    page = mmap.PAGESIZE
    inner = -(-max(nbytes, 1) // page) * page
    length = inner + 2 * GUARD
    base = LIBC.mmap(None, length, _NONE, _PRIVATE_ANONYMOUS, -1, 0)
    if base in (None, ctypes.c_void_p(-1).value):
        raise BackendError(f"the machine has no room for {nbytes:,} bytes of emulated memory")
    if LIBC.mprotect(base + GUARD, inner, _READ_WRITE):
        LIBC.munmap(base, length)
        raise BackendError(f"the machine has no room for {nbytes:,} bytes of emulated memory")
    return Guarded(base + GUARD + inner - nbytes, nbytes, base, length)


def release(memory: Guarded) -> None:
    """Give memory back."""
    LIBC.munmap(memory.base, memory.length)
