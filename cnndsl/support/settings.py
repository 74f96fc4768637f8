"""Settings of the process, read once from CNNDSL_* and passed on."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from cnndsl.support.diagnostics import SettingError, error
from cnndsl.support.suggest import nearest

GpuPrecision = Literal["fp32", "tf32", "bf16", "fp16"]
"""How the factors of products are rounded on a GPU."""
GPU_PRECISIONS: tuple[GpuPrecision, ...] = get_args(GpuPrecision)
"""All of them, the usual one first."""
MOST_DEBUG = 5
"""The highest level of CNNDSL_DEBUG."""
MOST_DIGITS = 9
"""Of a number in the environment."""
OFF = "off"
"""The CNNDSL_KERNELS that keeps nothing."""


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
    """CNNDSL_GPU_PRECISION: but for "fp32" tensor cores; "bf16", "fp16": activations halved."""
    debug: int = 0
    """CNNDSL_DEBUG: 1 stage times, 2 a line a kernel, 3 graphs, 4 sources, 5 assembly."""

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> Settings:
        """Read the settings; raises `SettingError` E0914 for a value that is none."""
        env = os.environ if environ is None else environ
        kernel_dir = env.get("CNNDSL_KERNELS") or None
        if kernel_dir not in (None, OFF):
            kernel_dir = str(_folder(env, "CNNDSL_KERNELS"))
        return cls(
            data_dir=_folder(env, "CNNDSL_DATA"),
            device=env.get("CNNDSL_DEVICE") or "cpu",
            threads=_number(env, "CNNDSL_THREADS", 1, None),
            kernel_dir=kernel_dir,
            debug=_number(env, "CNNDSL_DEBUG", 0, MOST_DEBUG) or 0,
            gpu_precision=_choice(env, "CNNDSL_GPU_PRECISION", GPU_PRECISIONS),
        )


def _number(env: Mapping[str, str], name: str, least: int, most: int | None) -> int | None:
    """Read a number; nothing for a variable that is not set, or empty."""
    text = env.get(name) or ""
    if not text:
        return None
    plain = text.isascii() and text.isdecimal() and len(text) <= MOST_DIGITS
    if plain and least <= int(text) and (most is None or int(text) <= most):
        return int(text)
    takes = f"a number from {least}" + ("" if most is None else f" to {most}")
    raise SettingError(error("E0914", f"{name} is {text!r}; it takes {takes}", helps=_unset(name)))


def _choice(env: Mapping[str, str], name: str, known: tuple[GpuPrecision, ...]) -> GpuPrecision:
    """Read one of the known words, the first of which a variable that is not set stands for."""
    text = env.get(name) or known[0]
    for word in known:
        if word == text:
            return word
    close = nearest(text, known, limit=1)
    helps = (f"did you mean {close[0]}?",) if close else _unset(name)
    listed = ", ".join(known)
    raise SettingError(error("E0914", f"{name} is {text!r}; it is one of {listed}", helps=helps))


def _unset(name: str) -> tuple[str, ...]:
    return (f"`unset {name}` leaves the usual value",)


def _folder(env: Mapping[str, str], name: str) -> Path | None:
    """Read a path; nothing for a variable that is not set, or empty."""
    text = env.get(name)
    if not text:
        return None
    try:
        return Path(text).expanduser()
    except RuntimeError:
        who = text.partition("/")[0]
        raise SettingError(
            error(
                "E0914",
                f"{name} is {text!r}; there is no home folder {who}",
                helps=("write the whole path",),
            )
        ) from None
