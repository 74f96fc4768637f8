"""Settings of the process, read once from CNNDSL_* and passed on."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

GpuPrecision = Literal["fp32", "tf32", "bf16"]
"""How the factors of products are rounded on a GPU."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What the environment says; every field has a default."""

    data_dir: Path | None = None
    """CNNDSL_DATA: a folder that holds data sets, looked into before the cache."""
    device: str = "cpu"
    """CNNDSL_DEVICE: the backend that runs programs; "auto": the fastest that can run here."""
    threads: int | None = None
    """CNNDSL_THREADS: the most threads that a program runs on; nothing: all processors."""
    kernel_dir: str | None = None
    """CNNDSL_KERNELS: a folder that keeps compiled kernels, or "off"; nothing: the user's cache."""
    gpu_precision: GpuPrecision = "fp32"
    """CNNDSL_GPU_PRECISION: "tf32" or "bf16" use tensor cores, whose factors are rounded."""
    debug: int = 0
    """CNNDSL_DEBUG: 1 stage times, 2 a line a kernel, 3 graphs, 4 sources, 5 assembly."""

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> Settings:
        """Read the settings; raises `ValueError` for a value that is none."""
        env = os.environ if environ is None else environ
        data = env.get("CNNDSL_DATA")
        debug = env.get("CNNDSL_DEBUG", "0") or "0"
        if not debug.isdigit():
            raise ValueError(f"CNNDSL_DEBUG is {debug!r}; it takes a number from 0 to 5")
        threads = env.get("CNNDSL_THREADS") or ""
        if threads and (not threads.isdigit() or not int(threads)):
            raise ValueError(f"CNNDSL_THREADS is {threads!r}; it takes a number from 1")
        precision = env.get("CNNDSL_GPU_PRECISION") or "fp32"
        known: tuple[GpuPrecision, ...] = get_args(GpuPrecision)
        if precision not in known:
            raise ValueError(
                f"CNNDSL_GPU_PRECISION is {precision!r}; it is one of {', '.join(known)}"
            )
        return cls(
            data_dir=Path(data).expanduser() if data else None,
            device=env.get("CNNDSL_DEVICE") or "cpu",
            threads=int(threads) if threads else None,
            kernel_dir=env.get("CNNDSL_KERNELS") or None,
            gpu_precision=known[known.index(precision)],
            debug=int(debug),
        )
