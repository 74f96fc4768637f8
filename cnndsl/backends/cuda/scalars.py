"""Scalar rules rendered as C++: one statement a step, so that the text can be read."""

from __future__ import annotations

import math

from cnndsl.ir.types import DType

_BINARY = {"add": "+", "sub": "-", "mul": "*", "div": "/"}


class CudaScalars:
    """Scalar arithmetic on C++ expressions of one element type; collects the statements."""

    def __init__(self, dtype: DType, kind: str, *, prefix: str = "v") -> None:
        """Compute with elements of `dtype`, `kind` in C++; variables begin with `prefix`."""
        self._dtype = dtype
        self._kind = kind
        self._prefix = prefix
        self._lines: list[str] = []

    @property
    def text(self) -> str:
        """The statements so far."""
        return "\n".join(self._lines)

    def _let(self, expression: str, kind: str | None = None) -> str:
        name = f"{self._prefix}{len(self._lines)}"
        self._lines.append(f"const {kind or self._kind} {name} = {expression};")
        return name

    def const(self, value: float) -> str:
        """Give a constant."""
        return literal(value, self._dtype)

    def add(self, a: str, b: str) -> str:
        """A + b; of truth values, whether either holds."""
        return self._let(f"{a} | {b}" if self._dtype is DType.BOOL else f"{a} + {b}")

    def sub(self, a: str, b: str) -> str:
        """A - b."""
        return self._let(f"{a} - {b}")

    def mul(self, a: str, b: str) -> str:
        """A * b; of truth values, whether both hold."""
        return self._let(f"{a} & {b}" if self._dtype is DType.BOOL else f"{a} * {b}")

    def div(self, a: str, b: str) -> str:
        """A / b."""
        return self._let(f"{a} / {b}")

    def less(self, a: str, b: str) -> str:
        """Whether a < b."""
        return self._let(f"{a} < {b}", "bool")

    def select(self, cond: str, then: str, other: str) -> str:
        """`then` where `cond`, else `other`."""
        return self._let(f"{cond} ? {then} : {other}")

    def maximum(self, a: str, b: str) -> str:
        """The larger; a NaN in either is the result."""
        return self._let(f"larger({a}, {b})")

    def minimum(self, a: str, b: str) -> str:
        """The smaller; a NaN in either is the result."""
        return self._let(f"smaller({a}, {b})")

    def abs(self, a: str) -> str:
        """The absolute value."""
        return self._let(f"magnitude({a})")

    def exp(self, a: str) -> str:
        """E to the a."""
        return self._let(f"exp_of({a})")

    def log(self, a: str) -> str:
        """The natural logarithm."""
        return self._let(f"log_of({a})")

    def log1p(self, a: str) -> str:
        """log(1 + a)."""
        return self._let(f"log1p_of({a})")

    def sqrt(self, a: str) -> str:
        """The square root."""
        return self._let(f"sqrt_of({a})")

    def tanh(self, a: str) -> str:
        """The hyperbolic tangent."""
        return self._let(f"tanh_of({a})")

    def power(self, a: str, b: str) -> str:
        """A to the b."""
        return self._let(f"power_of({a}, {b})")


def literal(value: float, dtype: DType) -> str:
    """Write a number so that C++ reads the same bits in `dtype`.

    >>> literal(0.1, DType.F32), literal(-3, DType.I64), literal(float("inf"), DType.F64)
    ('0.1f', '(-3ll)', 'INFINITY_OF(double)')
    """
    if dtype.is_float:
        name = "float" if dtype is DType.F32 else "double"
        if math.isnan(value):
            return f"NAN_OF({name})"
        if math.isinf(value):
            return f"INFINITY_OF({name})" if value > 0 else f"(-INFINITY_OF({name}))"
        exact = repr(float(dtype.numpy.type(value)))
        if dtype is DType.F32:
            exact = str(dtype.numpy.type(value))
        exact = exact if any(c in exact for c in ".e") else f"{exact}.0"
        text = exact + ("f" if dtype is DType.F32 else "")
    elif dtype is DType.BOOL:
        return "true" if value else "false"
    else:
        text = f"{int(value)}{'ll' if dtype is DType.I64 else ''}"
        text = f"(unsigned char){int(value) & 255}" if dtype is DType.U8 else text
    return text if value >= 0 else f"({text})"
