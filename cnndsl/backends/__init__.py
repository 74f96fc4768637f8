"""What runs a plan: the NumPy reference, machine code from LLVM, and kernels for NVIDIA GPUs."""

from __future__ import annotations

import importlib

from cnndsl.backends.base import PRECISIONS, Backend, Precision
from cnndsl.support.diagnostics import DiagnosticError, error
from cnndsl.support.registry import Registry
from cnndsl.support.suggest import nearest

BACKENDS: Registry[str] = Registry("backend")
"""Name of each backend to "module:Class"."""

BACKENDS.register("reference", "cnndsl.backends.reference.backend:ReferenceBackend")
BACKENDS.register("cpu", "cnndsl.backends.cpu.backend:CpuBackend")
BACKENDS.register("cuda", "cnndsl.backends.cuda.device:GpuBackend")

EMULATORS: Registry[str] = Registry("emulator")
"""As `BACKENDS`, of those that are slow by their nature: they run when they are named."""

EMULATORS.register("cuda-emulated", "cnndsl.backends.cuda.emulated.backend:EmulatedBackend")

NUMBERED = ("cuda",)
"""Backends of which there are several: `cuda:1` is the second GPU, `cuda` the first."""

AUTO = "auto"
"""Stands for the fastest backend that can run here."""
FASTEST_FIRST = ("cpu", "reference")
"""What `auto` tries; the reference can run everywhere."""


def resolve(name: str) -> str:
    """Give the backend that `auto` stands for here; any other name stands for itself."""
    if name != AUTO:
        return name
    return next(known for known in FASTEST_FIRST if load(known).unavailable() is None)


def load(name: str, *, precision: Precision = "fast") -> Backend:
    """Give the backend called `name`; raises `DiagnosticError` when there is none.

    A colon and a number name one of several: "cuda:1". One that cannot run here is given too, and
    says so when it compiles: nothing else is taken in its place but for `auto`. With
    `precision="exact"` it takes no algorithm that rounds otherwise than a plain sum.
    """
    name = resolve(name)
    known = (*BACKENDS, *EMULATORS, AUTO)
    base, colon, number = name.partition(":")
    numbered = base in NUMBERED and number.isascii() and number.isdigit()
    if base not in known or (colon and not numbered):
        close = nearest(base, known)
        raise DiagnosticError(
            error(
                "E0912",
                f"no backend is called {name}",
                notes=(f"known: {', '.join(known)}",),
                helps=(f"did you mean {close[0]}?",) if close else (),
            )
        )
    if precision not in PRECISIONS:
        raise DiagnosticError(
            error(
                "E0913",
                f"no precision is called {precision}",
                notes=(f"known: {', '.join(PRECISIONS)}",),
            )
        )
    path = BACKENDS[base] if base in BACKENDS else EMULATORS[base]
    module, _, cls = path.partition(":")
    make = getattr(importlib.import_module(module), cls)
    backend = make(*([int(number)] if colon else []), precision=precision)
    assert isinstance(backend, Backend), f"{path} is no backend"
    return backend
