"""Scalar rules: an elementwise op is written once and rendered by NumPy, LLVM and CUDA alike."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Concatenate, Protocol, TypeVar

import numpy as np

from cnndsl.ir.graph import Node
from cnndsl.ir.op import Op, ScalarChain
from cnndsl.ir.op import ScalarStep as ScalarStep
from cnndsl.ops.rules import Array, RuleTable, reference

S = TypeVar("S")


class ScalarOps(Protocol[S]):
    """The arithmetic that a backend offers to scalar rules."""

    def const(self, value: float) -> S:
        """Give a constant of the chain's precision."""
        ...

    def add(self, a: S, b: S) -> S:
        """A + b."""
        ...

    def sub(self, a: S, b: S) -> S:
        """A - b."""
        ...

    def mul(self, a: S, b: S) -> S:
        """A * b."""
        ...

    def div(self, a: S, b: S) -> S:
        """A / b."""
        ...

    def less(self, a: S, b: S) -> S:
        """Whether a < b; only for `select`."""
        ...

    def select(self, cond: S, then: S, other: S) -> S:
        """`then` where `cond`, else `other`."""
        ...

    def maximum(self, a: S, b: S) -> S:
        """The larger; a NaN in either operand is the result."""
        ...

    def minimum(self, a: S, b: S) -> S:
        """The smaller; a NaN in either operand is the result."""
        ...

    def abs(self, a: S) -> S:
        """The absolute value."""
        ...

    def exp(self, a: S) -> S:
        """E to the a."""
        ...

    def log(self, a: S) -> S:
        """The natural logarithm."""
        ...

    def log1p(self, a: S) -> S:
        """log(1 + a), exact for small a."""
        ...

    def sqrt(self, a: S) -> S:
        """The square root."""
        ...

    def tanh(self, a: S) -> S:
        """The hyperbolic tangent."""
        ...

    def power(self, a: S, b: S) -> S:
        """A to the b."""
        ...


ScalarRule = Callable[Concatenate[Any, Any, ...], Any]
"""`(s: ScalarOps[S], attrs, *operands: S) -> S`."""


class ScalarTable(RuleTable[ScalarRule]):
    """Op to scalar rule; an op that has one gets its reference from it."""

    def rule(self, *ops: Op[Any]) -> Callable[[ScalarRule], ScalarRule]:
        """Give the decorated rule to `ops`, and the reference that renders it with NumPy."""
        reference.rule(*ops)(scalar_reference)
        return super().rule(*ops)


def scalar_reference(node: Node[Any], *operands: Array) -> Array:
    """Run a scalar rule on whole arrays that broadcast to the shape of the result."""
    result = scalar[node.op](NumpyScalars(node.type.dtype.numpy), node.attrs, *operands)
    return result if result.shape == node.type.shape else np.broadcast_to(result, node.type.shape)


scalar: RuleTable[ScalarRule] = ScalarTable("scalar")


class NumpyScalars:
    """Scalar arithmetic on whole NumPy arrays, in the precision `dtype`."""

    def __init__(self, dtype: np.dtype[np.generic]) -> None:
        self._dtype = dtype

    def const(self, value: float) -> Array:
        return np.asarray(value, dtype=self._dtype)

    def add(self, a: Array, b: Array) -> Array:
        return np.asarray(a + b)

    def sub(self, a: Array, b: Array) -> Array:
        return np.asarray(a - b)

    def mul(self, a: Array, b: Array) -> Array:
        return np.asarray(a * b)

    def div(self, a: Array, b: Array) -> Array:
        return np.asarray(a / b)

    def less(self, a: Array, b: Array) -> Array:
        return np.asarray(a < b)

    def select(self, cond: Array, then: Array, other: Array) -> Array:
        return np.where(cond, then, other)

    def maximum(self, a: Array, b: Array) -> Array:
        return np.asarray(np.maximum(a, b))

    def minimum(self, a: Array, b: Array) -> Array:
        return np.asarray(np.minimum(a, b))

    def abs(self, a: Array) -> Array:
        return np.asarray(np.abs(a))

    def exp(self, a: Array) -> Array:
        return np.asarray(np.exp(a))

    def log(self, a: Array) -> Array:
        return np.asarray(np.log(a))

    def log1p(self, a: Array) -> Array:
        return np.asarray(np.log1p(a))

    def sqrt(self, a: Array) -> Array:
        return np.asarray(np.sqrt(a))

    def tanh(self, a: Array) -> Array:
        return np.asarray(np.tanh(a))

    def power(self, a: Array, b: Array) -> Array:
        return np.asarray(np.power(a, b))


@dataclass(frozen=True, slots=True)
class ScalarProgram(ScalarChain):
    """A fused elementwise chain that can be rendered; the last step is the result."""

    def __call__(self, s: ScalarOps[S], *inputs: S) -> S:
        """Render the chain with the arithmetic `s`; without steps it gives its first input."""
        values = list(inputs)
        for step in self.steps:
            values.append(scalar[step.op](s, step.attrs, *(values[i] for i in step.operands)))
        return values[-1] if self.steps else values[0]

    def __str__(self) -> str:
        return " ".join(
            f"{step.op.name}({','.join(f'${i}' for i in step.operands)})" for step in self.steps
        )
