"""What runs a plan: the NumPy reference, and machine code for the processor from LLVM."""

from __future__ import annotations

import importlib

from cnndsl.backends.base import Backend
from cnndsl.support.diagnostics import DiagnosticError, error
from cnndsl.support.registry import Registry
from cnndsl.support.suggest import nearest

BACKENDS: Registry[str] = Registry("backend")
"""Name of each backend to "module:Class"."""

BACKENDS.register("reference", "cnndsl.backends.reference.backend:ReferenceBackend")
BACKENDS.register("cpu", "cnndsl.backends.cpu.backend:CpuBackend")


def load(name: str) -> Backend:
    """Give the backend called `name`; raises `DiagnosticError` when there is none."""
    if name not in BACKENDS:
        close = nearest(name, BACKENDS)
        raise DiagnosticError(
            error(
                "E0912",
                f"no backend is called {name}",
                notes=(f"known: {', '.join(BACKENDS)}",),
                helps=(f"did you mean {close[0]}?",) if close else (),
            )
        )
    module, _, cls = BACKENDS[name].partition(":")
    backend = getattr(importlib.import_module(module), cls)()
    assert isinstance(backend, Backend), f"{BACKENDS[name]} is no backend"
    return backend
