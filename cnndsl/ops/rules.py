"""Rule tables: what an op means to each part of the compiler, one table a meaning."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Concatenate, Generic, TypeVar

import numpy as np
import numpy.typing as npt

from cnndsl.ir.builder import Builder
from cnndsl.ir.graph import Node, Value
from cnndsl.ir.op import OPS, Attrs, Op
from cnndsl.ir.types import TensorType

Rule = TypeVar("Rule")
Array = npt.NDArray[Any]


class MissingRuleError(LookupError):
    """An op has no rule in a table."""


class RuleTable(Generic[Rule]):
    """Op to rule."""

    def __init__(self, name: str) -> None:
        """Make an empty table; `name` is the suffix of its rules' names."""
        self.name = name
        self._rules: dict[Op[Any], Rule] = {}

    def rule(self, *ops: Op[Any]) -> Callable[[Rule], Rule]:
        """Give the decorated rule to `ops`."""

        def register(rule: Rule) -> Rule:
            for op in ops:
                if op in self._rules:
                    raise ValueError(f"{op.name} has two {self.name} rules")
                self._rules[op] = rule
            return rule

        return register

    def __getitem__(self, op: Op[Any]) -> Rule:
        try:
            return self._rules[op]
        except KeyError:
            raise MissingRuleError(f"{op.name} has no {self.name} rule") from None

    def __contains__(self, op: object) -> bool:
        return op in self._rules

    def missing(self) -> Iterator[Op[Any]]:
        """Walk the ops without a rule here."""
        return (op for op in OPS.values() if op not in self._rules)


@dataclass(frozen=True, slots=True)
class Cost:
    """What running a node once takes."""

    flops: int = 0
    """Floating-point operations; a multiply-add is two."""
    macs: int = 0
    """Multiply-adds of convolutions and matrix products, as the slides count operations."""
    bytes_read: int = 0
    """Bytes of the operands."""
    bytes_written: int = 0
    """Bytes of the results."""

    def __add__(self, other: Cost) -> Cost:
        return Cost(
            self.flops + other.flops,
            self.macs + other.macs,
            self.bytes_read + other.bytes_read,
            self.bytes_written + other.bytes_written,
        )


@dataclass(frozen=True, slots=True)
class Sample:
    """One application of an op for the conformance walk."""

    operands: tuple[TensorType, ...]
    """Types of the operands; floats are tried in float32 and float64."""
    attrs: Attrs = Attrs()  # noqa: RUF009 - frozen
    """Attributes."""
    low: float = -1.0
    """Floats are drawn from [low, high]."""
    high: float = 1.0
    """Integers are drawn from [0, integers)."""
    integers: int = 2
    """One more than the largest integer drawn."""
    distinct: bool = False
    """Draw floats at least 0.01 apart, so that a maximum has no ties near by."""
    avoid: tuple[float, ...] = ()
    """Points where the op is not differentiable; floats stay 0.01 away from them."""
    differentiable: tuple[int, ...] | None = None
    """Operands whose gradient is checked; nothing means all float operands."""
    tolerance: float = 1e-5
    """Largest relative error of a float32 backend against the float64 reference."""


ReferenceRule = Callable[Concatenate[Any, ...], "Array | tuple[Array, ...]"]
"""`(node, *operands) -> results`: NumPy, in the precision of the operands, as plain as possible."""
VjpRule = Callable[Concatenate[Builder, Any, ...], "Sequence[Value | None]"]
"""`(b, node, *grads) -> operand gradients`; a result's gradient may be None, an operand's too."""
CostRule = Callable[[Any, Sequence[TensorType]], Cost]
"""`(node, operand types) -> Cost`."""
SamplesRule = Callable[[], Iterable[Sample]]
"""`() -> samples` for conformance tests."""
DecomposeRule = Callable[[Builder, Any], Sequence[Value]]
"""`(b, node) -> results` in simpler ops."""

reference: RuleTable[ReferenceRule] = RuleTable("reference")
vjp: RuleTable[VjpRule] = RuleTable("vjp")
cost: RuleTable[CostRule] = RuleTable("cost")
samples: RuleTable[SamplesRule] = RuleTable("samples")
decompose: RuleTable[DecomposeRule] = RuleTable("decompose")

no_gradient: set[Op[Any]] = set()
"""Ops through which no gradient flows, by their nature (integer results, random draws, updates)."""


def cost_of(node: Node[Any], operands: Sequence[TensorType]) -> Cost:
    """Give the cost of a node; without a rule, one operation an element of the results."""
    if node.op in cost:
        return cost[node.op](node, operands)
    return elementwise_cost(node, operands)


def elementwise_cost(
    node: Node[Any], operands: Sequence[TensorType], *, flops_per_element: int = 1
) -> Cost:
    """Give the cost of a node that does the same for each element of its first result."""
    return Cost(
        flops=node.types[0].size * flops_per_element,
        bytes_read=sum(t.nbytes for t in operands),
        bytes_written=sum(t.nbytes for t in node.types),
    )


def compute(node: Node[Any], *operands: Array) -> tuple[Array, ...]:
    """Run a node's reference rule; always gives a tuple of arrays of the node's dtypes in C order.

    The order matters to the last bit of what reads them: a matrix product of a transposed view
    may round otherwise than one of the same elements laid out anew.
    """
    result = reference[node.op](node, *operands)
    results = result if isinstance(result, tuple) else (result,)
    return tuple(
        np.asarray(array, dtype=kind.dtype.numpy, order="C")
        for array, kind in zip(results, node.types, strict=True)
    )
