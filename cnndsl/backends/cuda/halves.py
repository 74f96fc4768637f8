"""Numbers of two bytes on the host: for memory that a measurement fills and reads."""

from __future__ import annotations

import numpy as np

from cnndsl.ops.rules import Array


def to_halves(array: Array, kind: str) -> Array:
    """Give the bits of the "bf16" or "f16" nearest to each single; ties go to the even one."""
    if kind == "f16":
        with np.errstate(over="ignore"):
            return array.astype(np.float16).view(np.uint16)
    bits = np.ascontiguousarray(array, np.float32).view(np.uint32)
    rounded = (bits.astype(np.uint64) + 0x7FFF + (bits >> 16 & 1)) >> 16
    return np.where(np.isnan(array), 0x7FFF, rounded).astype(np.uint16)


def from_halves(bits: Array, kind: str) -> Array:
    """Give the singles that such bits stand for."""
    if kind == "f16":
        return bits.view(np.float16).astype(np.float32)
    return (bits.astype(np.uint32) << 16).view(np.float32)
