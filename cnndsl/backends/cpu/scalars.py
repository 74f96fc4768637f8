"""Scalar rules rendered as LLVM's instructions, on scalars and on vectors alike."""

from __future__ import annotations

from cnndsl.backends.cpu import vector_math
from cnndsl.backends.cpu.emit import FunctionEmitter
from cnndsl.backends.cpu.llvm import LType, V, constant
from cnndsl.ir.types import DType


class LlvmScalars:
    """Scalar arithmetic on values of one type, a scalar's or a vector's."""

    def __init__(self, f: FunctionEmitter, kind: LType, dtype: DType) -> None:
        """Write to `f`, with values of `kind` that stand for elements of `dtype`."""
        self._f = f
        self._kind = kind
        self._dtype = dtype

    def const(self, value: float) -> V:
        """Give a constant."""
        return constant(self._kind, value)

    def add(self, a: V, b: V) -> V:
        """A + b; of truth values, whether either holds."""
        return self._f.bits("or", a, b) if self._dtype is DType.BOOL else self._f.add(a, b)

    def sub(self, a: V, b: V) -> V:
        """A - b."""
        return self._f.sub(a, b)

    def mul(self, a: V, b: V) -> V:
        """A * b; of truth values, whether both hold."""
        return self._f.bits("and", a, b) if self._dtype is DType.BOOL else self._f.mul(a, b)

    def div(self, a: V, b: V) -> V:
        """A / b."""
        return self._f.div(a, b)

    def less(self, a: V, b: V) -> V:
        """Whether a < b."""
        return self._f.compare(self._relation("lt"), a, b)

    def _relation(self, relation: str) -> str:
        if self._kind.is_float:
            return f"o{relation}"
        signed = self._dtype in (DType.I32, DType.I64)
        return f"{'s' if signed else 'u'}{relation}"

    def select(self, cond: V, then: V, other: V) -> V:
        """`then` where `cond`, else `other`."""
        return self._f.select(cond, then, other)

    def maximum(self, a: V, b: V) -> V:
        """The larger; a NaN in either is the result."""
        if self._kind.is_float:
            return self._f.maximum(a, b)
        return self.select(self.less(a, b), b, a)

    def minimum(self, a: V, b: V) -> V:
        """The smaller; a NaN in either is the result."""
        if self._kind.is_float:
            name = f"minimum.{self._kind.mangled}"
            return self._f.intrinsic(name, self._kind, a, b, flags="nsz ")
        return self.select(self.less(b, a), b, a)

    def abs(self, a: V) -> V:
        """The absolute value."""
        if self._kind.is_float:
            return self._f.intrinsic(f"fabs.{self._kind.mangled}", self._kind, a)
        if self._dtype in (DType.U8, DType.BOOL):
            return a
        return self.select(self.less(a, self.const(0)), self.sub(self.const(0), a), a)

    def exp(self, a: V) -> V:
        """E to the a."""
        return vector_math.exp(self._f, a)

    def log(self, a: V) -> V:
        """The natural logarithm."""
        return vector_math.log(self._f, a)

    def log1p(self, a: V) -> V:
        """log(1 + a)."""
        return vector_math.log1p(self._f, a)

    def sqrt(self, a: V) -> V:
        """The square root."""
        return self._f.intrinsic(f"sqrt.{self._kind.mangled}", self._kind, a)

    def tanh(self, a: V) -> V:
        """The hyperbolic tangent."""
        return vector_math.tanh(self._f, a)

    def power(self, a: V, b: V) -> V:
        """A to the b."""
        return vector_math.power(self._f, a, b)
