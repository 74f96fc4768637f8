"""`--device cuda-emulated`: the kernels of the CUDA backend on this machine's processor, slowly."""

from __future__ import annotations

from typing import ClassVar

from cnndsl.backends.base import Precision
from cnndsl.backends.cuda.backend import CudaBackend
from cnndsl.backends.cuda.emulated.compile import unavailable
from cnndsl.backends.cuda.emulated.driver import EmulatedDriver
from cnndsl.backends.cuda.folders import code_folder
from cnndsl.backends.cuda.policy import Policy
from cnndsl.support.settings import Settings


class EmulatedBackend(CudaBackend):
    """To see and check what a GPU would do, where there is none."""

    name: ClassVar[str] = "cuda-emulated"

    def __init__(self, *, precision: Precision = "fast", settings: Settings | None = None) -> None:
        """Without `settings` the environment is read."""
        known = Settings.from_env() if settings is None else settings
        super().__init__(
            lambda: EmulatedDriver(folder=code_folder(known.kernel_dir, "emulated")),
            why_not=unavailable,
            policy=Policy(known.gpu_precision),
            precision=precision,
        )
