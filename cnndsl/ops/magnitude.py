"""The largest magnitude in several arrays: one number that tells whether all of them are finite."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from cnndsl.ir.graph import Node
from cnndsl.ir.op import Attrs, define_op
from cnndsl.ir.types import TensorType, f32
from cnndsl.ops.rules import Array, Cost, Sample, cost, no_gradient, reference, samples
from cnndsl.support.diagnostics import TypeRuleError


@define_op("largest_magnitude")
def largest_magnitude(attrs: Attrs, *xs: TensorType) -> TensorType:
    """The largest magnitude of all elements; NaN where there is one, 0 of no elements."""
    if not xs:
        raise TypeRuleError("largest_magnitude of nothing")
    for x in xs:
        if not x.dtype.is_float or x.dtype != xs[0].dtype:
            raise TypeRuleError(f"largest_magnitude of {xs[0]} and {x}: floats of one type")
    return xs[0].with_shape(())


@reference.rule(largest_magnitude)
def largest_magnitude_reference(node: Node[Attrs], *xs: Array) -> Array:
    """Search each array, then among what was found."""
    found = [np.max(np.abs(x), initial=0.0) for x in xs]
    return np.asarray(np.max(found), dtype=xs[0].dtype)


# It judges whether numbers are finite; a loss that it is a part of would move but one element.
no_gradient.add(largest_magnitude)


@cost.rule(largest_magnitude)
def largest_magnitude_cost(node: Node[Attrs], operands: Iterable[TensorType]) -> Cost:
    """Read everything once."""
    kinds = list(operands)
    return Cost(
        flops=sum(kind.size for kind in kinds),
        bytes_read=sum(kind.nbytes for kind in kinds),
        bytes_written=node.type.nbytes,
    )


@samples.rule(largest_magnitude)
def largest_magnitude_samples() -> Iterable[Sample]:
    """One array and several, a number alone, nothing beside something."""
    yield Sample((f32(3, 5),))
    yield Sample((f32(2, 3, 2, 2), f32(7), f32(), f32(4, 1)), low=-8.0, high=3.0)
    yield Sample((f32(0, 2), f32(33)), low=-4.0, high=-2.0)
    yield Sample((f32(0),))
