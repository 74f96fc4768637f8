"""The processor that code is made for: its name, features, vectors and registers."""

from __future__ import annotations

import functools
from dataclasses import dataclass

from cnndsl.ir.types import DType


@dataclass(frozen=True, slots=True)
class CpuTarget:
    """One kind of processor, as LLVM names it."""

    triple: str
    """What LLVM calls the machine: "x86_64-unknown-linux-gnu"."""
    cpu: str
    """Name of the processor: "znver4", "haswell", "apple-m1"."""
    features: str
    """What it can do beyond its name, as "+fma,+avx2,-avx512f"."""
    vector_bytes: int
    """Bytes of a vector register."""
    registers: int
    """How many vector registers there are."""

    def lanes(self, dtype: DType) -> int:
        """Give the elements of a full vector.

        >>> HASWELL.lanes(DType.F32), HASWELL.lanes(DType.F64)
        (8, 4)
        """
        return max(1, self.vector_bytes // dtype.nbytes)


HASWELL = CpuTarget("x86_64-unknown-linux-gnu", "haswell", "", 32, 16)
"""AVX2 and FMA without AVX-512: tested on any machine that has them."""


def unavailable() -> str | None:
    """Say why no code can be made here, or nothing if it can."""
    try:
        import llvmlite
    except ImportError as error:
        wanted = "pip install 'llvmlite>=0.45,<0.52'"
        return f"llvmlite cannot be loaded ({error}); install it with: {wanted}"
    version = tuple(int(part) for part in llvmlite.__version__.split(".")[:2])
    if version < (0, 45):
        return f"llvmlite {llvmlite.__version__} is too old; 0.45 or newer is needed"
    triple = host_target().triple
    if not triple.startswith(("x86_64", "aarch64", "arm64")):
        return f"no vectors are known for the processor of {triple}"
    return None


@functools.cache
def host_target() -> CpuTarget:
    """Give the processor that this runs on."""
    from llvmlite import binding

    triple = binding.get_process_triple()
    features = dict(binding.get_host_cpu_features())
    vector_bytes, registers = _vectors(triple, features)
    # LLVM prefers half vectors on some processors that have whole ones; kernels choose themselves.
    listed = [f"{'+' if on else '-'}{name}" for name, on in sorted(features.items()) if name]
    if triple.startswith("x86_64"):
        listed.append("-prefer-256-bit")
    return CpuTarget(triple, binding.get_host_cpu_name(), ",".join(listed), vector_bytes, registers)


def _vectors(triple: str, features: dict[str, bool]) -> tuple[int, int]:
    """Give the bytes and the number of vector registers."""
    if not triple.startswith("x86_64"):
        return 16, 32
    if all(features.get(f"avx512{part}") for part in ("f", "vl", "dq", "bw")):
        return 64, 32
    if features.get("avx2") and features.get("fma"):
        return 32, 16
    return 16, 16


def haswell() -> CpuTarget | None:
    """Give the AVX2 target if this machine can run its code, else nothing."""
    host = host_target()
    if not host.triple.startswith("x86_64") or host.vector_bytes < HASWELL.vector_bytes:
        return None
    return CpuTarget(
        host.triple, HASWELL.cpu, HASWELL.features, HASWELL.vector_bytes, HASWELL.registers
    )
