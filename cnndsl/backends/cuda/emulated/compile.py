"""Kernel text to a library of the host: g++, with the words of CUDA C++ defined for it."""

from __future__ import annotations

import functools
import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from cnndsl.backends.cuda.folders import prepare
from cnndsl.backends.cuda.kernel import Launch
from cnndsl.support.diagnostics import BackendError

HERE = Path(__file__).parent
DEVICE = HERE.parent / "device" / "device.cuh"
COMPILER = "g++"
OPTIONS = ("-std=c++17", "-O1", "-fPIC", "-shared", "-ffp-contract=off", "-w")
"""-O1: kernels are compiled more often than they run; every product and sum rounds on its own."""


def unavailable() -> str | None:
    """Say why kernels cannot be emulated here, or nothing if they can."""
    if os.name != "posix":
        return "the emulator needs a POSIX system"
    if shutil.which(COMPILER) is None:
        return f"the emulator compiles kernels with {COMPILER}, which is not installed"
    return None


@functools.cache
def compiler_version() -> str:
    """Give what the compiler says it is."""
    done = subprocess.run([COMPILER, "--version"], capture_output=True, text=True, check=True)
    return done.stdout.split("\n")[0]


def module_text(launches: Sequence[Launch]) -> str:
    """Give the text of a module: the prelude, the functions, and how each is called."""
    parts = ["#define CNNDSL_EMULATED", f'#include "{DEVICE}"']
    for launch in launches:
        parts.append(launch.text)
        parts.append(
            f'extern "C" void {launch.name}_call(void** arguments)\n'
            f"{{ emulated_call({launch.name}, arguments); }}"
        )
    return "\n".join(parts) + "\n"


def compile_emulator(folder: Path, *, ucontext: bool = False) -> Path:
    """Compile the machine itself, unless the folder has it; `ucontext`: as where no assembly is."""
    source = (HERE / "emulator.cpp").read_text(encoding="utf-8")
    options = ("-DEMULATED_UCONTEXT",) if ucontext else ()
    return _library(source, folder, "emulator", options)


def compile_module(launches: Sequence[Launch], folder: Path, emulator: Path) -> Path:
    """Compile functions to a library that uses `emulator`, unless the folder has it."""
    options = (f"-I{HERE}", str(emulator), f"-Wl,-rpath,{emulator.parent}")
    parts = (HERE / "emulator.h", DEVICE)
    seen = "".join(path.read_text(encoding="utf-8") for path in parts)
    return _library(module_text(launches), folder, "kernels", options, seen)


def _library(source: str, folder: Path, stem: str, options: Sequence[str], seen: str = "") -> Path:
    """Compile under a name that says all that the content depends on; another may do so too."""
    parts = (compiler_version(), *OPTIONS, *options, seen, source)
    digest = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]
    path = folder / f"{stem}-{digest}.so"
    prepare(folder)
    if path.exists():
        return path
    with tempfile.TemporaryDirectory(dir=folder) as room:
        text, made = Path(room) / f"{stem}.cpp", Path(room) / path.name
        text.write_text(source, encoding="utf-8")
        # Libraries stand behind the source that uses them.
        command = [COMPILER, *OPTIONS, str(text), *options, "-o", str(made)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise BackendError(f"{COMPILER} cannot compile the kernels:\n{done.stderr[:4000]}")
        made.replace(path)
    return path
