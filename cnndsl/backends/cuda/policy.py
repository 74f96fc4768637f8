"""What a user lets the compiler choose among."""

from __future__ import annotations

from dataclasses import dataclass

from cnndsl.support.settings import GpuPrecision


@dataclass(frozen=True, slots=True)
class Policy:
    """How kernels are chosen."""

    precision: GpuPrecision = "fp32"
    """"fp32": plain multiply-adds; "tf32" and "bf16": tensor cores, factors of 10 and 7 bits."""

    @property
    def halves(self) -> bool:
        """Whether activations have two bytes an element in memory."""
        return self.precision == "bf16"


DEFAULT_POLICY = Policy()
"""Every product in full precision."""
