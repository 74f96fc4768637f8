"""Formulas over graph values, so that an update rule reads as it stands in its paper."""

from __future__ import annotations

from dataclasses import dataclass

from cnndsl.ir.builder import Builder
from cnndsl.ir.graph import Value
from cnndsl.ir.op import Op
from cnndsl.ir.types import TensorType
from cnndsl.ops import elementwise, unary
from cnndsl.ops.structural import FullAttrs, full


@dataclass(frozen=True, slots=True)
class Term:
    """A value of a graph under construction, with arithmetic that adds nodes.

    A plain number becomes a scalar constant of the term's precision and broadcasts.
    """

    b: Builder
    """Where nodes are added."""
    value: Value
    """The value."""

    @property
    def type(self) -> TensorType:
        """Type of the value."""
        return self.b.type_of(self.value)

    def constant(self, number: float) -> Term:
        """Give a scalar of this term's precision."""
        kind = TensorType(self.type.dtype, ())
        return Term(self.b, self.b.emit(full, attrs=FullAttrs(kind, float(number))))

    def _binary(self, op: Op, other: Term | float, *, swapped: bool = False) -> Term:  # type: ignore[type-arg]
        right = other if isinstance(other, Term) else self.constant(other)
        pair = (right, self) if swapped else (self, right)
        return Term(self.b, self.b.emit(op, pair[0].value, pair[1].value))

    def _unary(self, op: Op) -> Term:  # type: ignore[type-arg]
        return Term(self.b, self.b.emit(op, self.value))

    def __add__(self, other: Term | float) -> Term:
        return self._binary(elementwise.add, other)

    def __radd__(self, other: float) -> Term:
        return self._binary(elementwise.add, other, swapped=True)

    def __sub__(self, other: Term | float) -> Term:
        return self._binary(elementwise.sub, other)

    def __rsub__(self, other: float) -> Term:
        return self._binary(elementwise.sub, other, swapped=True)

    def __mul__(self, other: Term | float) -> Term:
        return self._binary(elementwise.mul, other)

    def __rmul__(self, other: float) -> Term:
        return self._binary(elementwise.mul, other, swapped=True)

    def __truediv__(self, other: Term | float) -> Term:
        return self._binary(elementwise.div, other)

    def sqrt(self) -> Term:
        """The square root."""
        return self._unary(unary.sqrt)

    def square(self) -> Term:
        """The square."""
        return self._binary(elementwise.mul, self)

    def exp(self) -> Term:
        """E to the value."""
        return self._unary(unary.exp)

    def minimum(self, other: Term | float) -> Term:
        """The smaller of the two."""
        return self._binary(elementwise.minimum, other)

    def maximum(self, other: Term | float) -> Term:
        """The larger of the two."""
        return self._binary(elementwise.maximum, other)
