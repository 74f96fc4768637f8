"""From CUDA C++ to machine code: NVRTC by CuPy's binding, without a GPU, a driver or a toolkit.

CuPy's own `RawModule(code=...)` asks the present device for its architecture and flushes small
numbers to zero; here the architecture is said and every option is ours, so that what is checked
where there is no GPU is what runs where there is one.
"""

from __future__ import annotations

import hashlib
import importlib.util
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cnndsl.backends.cuda.kernel import Launch
from cnndsl.support.diagnostics import BackendError

PRELUDE = Path(__file__).parent / "device" / "device.cuh"
OPTIONS = ("-std=c++17", "--ptxas-options=-v")


@dataclass(frozen=True, slots=True)
class Usage:
    """What a function takes on an architecture."""

    registers: int
    """Of a thread."""
    spilled: int
    """Bytes stored and loaded because registers did not suffice."""
    stack: int
    """Bytes of local memory of a thread."""
    shared: int
    """Bytes of static shared memory."""


@dataclass(frozen=True, slots=True)
class Cubin:
    """Machine code of a module."""

    image: bytes
    """An ELF file."""
    log: str
    """What the compiler said."""

    def usage(self) -> dict[str, Usage]:
        """Read from the log what each function takes."""
        return read_usage(self.log)


def unavailable() -> str | None:
    """Say why nothing can be compiled here, or nothing if it can."""
    if importlib.util.find_spec("cupy") is None:
        return "CuPy is not installed"
    try:
        from cupy.cuda import nvrtc

        nvrtc.getVersion()
    except (ImportError, RuntimeError, OSError) as error:
        return f"NVRTC cannot be loaded: {str(error).splitlines()[0]}"
    return None


def version() -> tuple[int, int]:
    """Give the version of NVRTC."""
    from cupy.cuda import nvrtc

    major, minor = nvrtc.getVersion()
    return int(major), int(minor)


def module_text(launches: Sequence[Launch]) -> str:
    """Give the text of a module: the prelude and the functions."""
    return "\n".join([PRELUDE.read_text(encoding="utf-8"), *(e.text for e in launches)])


def cubin_key(launch: Launch, arch: str) -> str:
    """Give the name of the machine code of one function in a store."""
    parts = (str(version()), arch, *OPTIONS, module_text([launch]))
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def compile_module(text: str, arch: str) -> Cubin:
    """Compile a text for an architecture, "80" or "90".

    Raises `BackendError` with the compiler's words.
    """
    from cupy.cuda import nvrtc

    program = nvrtc.createProgram(text, "kernels.cu", (), ())
    try:
        try:
            nvrtc.compileProgram(program, (f"-arch=sm_{arch}", *OPTIONS))
        except nvrtc.NVRTCError:
            words = nvrtc.getProgramLog(program)
            raise BackendError(f"NVRTC cannot compile the kernels:\n{words[:4000]}") from None
        return Cubin(bytes(nvrtc.getCUBIN(program)), str(nvrtc.getProgramLog(program)))
    finally:
        nvrtc.destroyProgram(program)


_USED = re.compile(r"Used (\d+) registers")
_SPILLED = re.compile(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads")
_SHARED = re.compile(r"(\d+) bytes smem")


def read_usage(log: str) -> dict[str, Usage]:
    """Read what each function takes from the words of `--ptxas-options=-v`.

    >>> log = '''ptxas info : Compiling entry function 'f' for 'sm_90'
    ...     16 bytes stack frame, 8 bytes spill stores, 4 bytes spill loads
    ... ptxas info : Used 12 registers, used 0 barriers, 64 bytes smem'''
    >>> read_usage(log)
    {'f': Usage(registers=12, spilled=12, stack=16, shared=64)}
    """
    found = {}
    for part in log.split("Compiling entry function ")[1:]:
        name = part.split("'")[1]
        spilled, used, shared = _SPILLED.search(part), _USED.search(part), _SHARED.search(part)
        found[name] = Usage(
            registers=int(used[1]) if used else 0,
            spilled=int(spilled[2]) + int(spilled[3]) if spilled else 0,
            stack=int(spilled[1]) if spilled else 0,
            shared=int(shared[1]) if shared else 0,
        )
    return found
