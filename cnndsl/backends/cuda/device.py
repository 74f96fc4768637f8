"""`--device cuda[:N]`: a GPU of this machine, or words about why there is none."""

from __future__ import annotations

import functools
import importlib.util
from pathlib import Path
from typing import Any, ClassVar

from cnndsl.backends.base import Precision
from cnndsl.backends.cuda.backend import CudaBackend
from cnndsl.backends.cuda.cupy_driver import CupyDriver
from cnndsl.backends.cuda.folders import code_folder
from cnndsl.backends.cuda.libraries import Libraries, find_libraries
from cnndsl.backends.cuda.nvrtc import unavailable
from cnndsl.backends.cuda.policy import Policy
from cnndsl.support.settings import Settings

INSTALL = "pip install 'cnndsl[cuda]'"


class GpuBackend(CudaBackend):
    """GPU number N by CuPy; CuPy is imported when somebody asks."""

    name: ClassVar[str] = "cuda"
    seen_on: ClassVar[str | None] = "emulated"

    def __init__(
        self,
        number: int = 0,
        *,
        precision: Precision = "fast",
        settings: Settings | None = None,
    ) -> None:
        """Stand for GPU `number`; without `settings` the environment is read."""
        known = Settings.from_env() if settings is None else settings
        self.number = number
        """Which GPU."""
        folder = code_folder(known.kernel_dir, "cuda")
        super().__init__(
            lambda: driver_of(number, folder),
            why_not=lambda: why_not(number),
            policy=Policy(known.gpu_precision),
            precision=precision,
            libraries=lambda driver: libraries_of(number, folder),
            folder=folder,
        )


@functools.cache
def driver_of(number: int, folder: Path | None) -> CupyDriver:
    """Give the one driver of a GPU in this process, so that functions are loaded once."""
    return CupyDriver(number, folder=folder)


@functools.cache
def libraries_of(number: int, folder: Path | None) -> Libraries:
    """Begin the libraries on a GPU once in this process, so that plans are made once."""
    return find_libraries(driver_of(number, folder))


def why_not(number: int) -> str | None:
    """Say why GPU `number` cannot be used here, or nothing if it can."""
    if importlib.util.find_spec("cupy") is None:
        return f"CuPy is not installed; {INSTALL}"
    try:
        import cupy
    except ImportError as error:
        return f"CuPy cannot be imported: {str(error).strip().splitlines()[0]}"
    runtime: Any = cupy.cuda.runtime
    return _driver_fault(runtime) or _device_fault(runtime, number) or _compiler_fault()


def _driver_fault(runtime: Any) -> str | None:
    """Say what is wrong with the driver of this machine."""
    try:
        driver, built = int(runtime.driverGetVersion()), int(runtime.runtimeGetVersion())
    except runtime.CUDARuntimeError as error:
        return f"the NVIDIA driver does not answer: {error}"
    if driver == 0:
        return "there is no NVIDIA driver on this machine"
    if driver // 1000 < built // 1000:
        return (
            f"the NVIDIA driver serves CUDA {_dotted(driver)}, and this CuPy is for CUDA "
            f"{built // 1000}.x; a newer driver, or pip install cupy-cuda{driver // 1000}x, helps"
        )
    return None


def _device_fault(runtime: Any, number: int) -> str | None:
    """Say what is wrong with the number of a GPU."""
    try:
        count = int(runtime.getDeviceCount())
    except runtime.CUDARuntimeError as error:
        return f"no GPU answers: {error}"
    if number >= count:
        there = "cuda:0" if count == 1 else f"cuda:0 to cuda:{count - 1}"
        return f"there is no GPU {number}; this machine has {there if count else 'none'}"
    return None


def _compiler_fault() -> str | None:
    """Say what is wrong with the compiler of kernels."""
    words = unavailable()
    return None if words is None else f"{words}; {INSTALL}"


def _dotted(version: int) -> str:
    """Write a version as CUDA counts it: 13020 is 13.2.

    >>> _dotted(13020), _dotted(12080)
    ('13.2', '12.8')
    """
    return f"{version // 1000}.{version % 1000 // 10}"
