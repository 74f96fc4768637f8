"""What a user lets the compiler choose among."""

from __future__ import annotations

from dataclasses import dataclass

from cnndsl.support.settings import GpuPrecision

HALVES: dict[GpuPrecision, str] = {"bf16": "bf16", "fp16": "f16"}
"""Element type in C++ of what is kept in two bytes, by the precisions that keep any so."""


@dataclass(frozen=True, slots=True)
class Policy:
    """How kernels are chosen."""

    precision: GpuPrecision = "fp32"
    """"fp32": plain multiply-adds; else tensor cores, factors of 10 ("tf32", "fp16") or 7 bits."""

    @property
    def half(self) -> str | None:
        """Element type in C++ of activations that have two bytes an element, where they do."""
        return HALVES.get(self.precision)


DEFAULT_POLICY = Policy()
"""Every product in full precision."""
