"""What a user says over the program."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from cnndsl.backends.base import Precision
from cnndsl.compiler import CompileOptions
from cnndsl.ir.types import DType
from cnndsl.support.diagnostics import DiagnosticError, error

_LEAST = {"epochs": 1, "batch": 1, "rate": 0.0, "seed": 0, "patience": 1, "limit": 1}
"""The least that each number may be."""


@dataclass(frozen=True, slots=True)
class Choices:
    """What the command line, or the caller, says over the program.

    Raises `DiagnosticError` E0732 for numbers that make no sense.
    """

    params: Mapping[str, str | int | float | bool] = field(default_factory=dict)
    """Values of the program's parameters."""
    data: str | None = None
    """A data set by name, or a folder of images; nothing: the program's own."""
    data_dir: Path | None = None
    """Where data sets are looked for first."""
    epochs: int | None = None
    """Passes over the training images."""
    batch: int | None = None
    """Images of a step."""
    rate: float | None = None
    """Learning rate at the start."""
    seed: int | None = None
    """Where every random number comes from."""
    patience: int | None = None
    """Epochs without progress before training stops."""
    limit: int | None = None
    """Most images of each split."""
    skip_bad: bool = False
    """Whether images that cannot be read are left out."""
    device: str = "cpu"
    """Name of the backend; "auto": the fastest that can run here."""
    dtype: DType = DType.F32
    """Type of the floats."""
    precision: Precision = "fast"
    """"exact" forbids algorithms that round otherwise than a plain sum."""

    def options(self, batch: int) -> CompileOptions:
        """Say how a network is compiled for a number of images."""
        return CompileOptions(
            batch=batch, device=self.device, dtype=self.dtype, precision=self.precision
        )

    def __post_init__(self) -> None:
        for name, least in _LEAST.items():
            value = getattr(self, name)
            if value is not None and not least <= value < float("inf"):
                raise DiagnosticError(
                    error("E0732", f"`{name}` cannot be {value}", notes=(f"it is {least} or more",))
                )
