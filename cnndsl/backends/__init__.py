"""What runs a plan: the NumPy reference, and machine code for the processor from LLVM."""

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

    One that cannot run here is given too, and says so when it compiles: nothing else is taken in
    its place but for `auto`. With `precision="exact"` it takes no algorithm that rounds otherwise
    than a plain sum.
    """
    name = resolve(name)
    if name not in BACKENDS:
        close = nearest(name, (*BACKENDS, AUTO))
        raise DiagnosticError(
            error(
                "E0912",
                f"no backend is called {name}",
                notes=(f"known: {', '.join((*BACKENDS, AUTO))}",),
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
    module, _, cls = BACKENDS[name].partition(":")
    backend = getattr(importlib.import_module(module), cls)(precision=precision)
    assert isinstance(backend, Backend), f"{BACKENDS[name]} is no backend"
    return backend
