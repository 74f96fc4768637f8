"""Radial outputs: how far the input lies from a learnt point for each class."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar

from cnndsl.ir.graph import Value
from cnndsl.layers.base import (
    Clause,
    Hwc,
    LayerContext,
    LayerKind,
    LayerSpec,
    ParameterSpec,
    Takes,
    define_layer,
)
from cnndsl.layers.weights import INIT_CLAUSES, initial_weight
from cnndsl.ops.elementwise import add, emit_scalar, mul
from cnndsl.ops.linalg import DenseAttrs, dense
from cnndsl.ops.reduce import ReduceAttrs, reduce_sum
from cnndsl.ops.shape import emit_reshape
from cnndsl.ops.unary import square


@define_layer
class Radial(LayerKind):
    """Squared distance of the input to a learnt point for each class, y_i = sum_j (x_j - w_ij)^2.

    LeNet-5 ended in it (LeCun, Bottou, Bengio, Haffner, 1998): the smallest output is the answer.
    An image is flattened first.
    """

    name = "rbf"
    names = ("gauss", "gaussian", "rbf output", "radial", "radial basis")
    clauses: ClassVar[tuple[Clause, ...]] = (
        Clause("neurons", Takes.COUNT, doc="how many points, the length of the result",
               names=("units", "outputs", "classes"), required=True),
        *INIT_CLAUSES[:2],
    )  # fmt: skip
    order = ("neurons",)

    def output(self, spec: LayerSpec, inputs: Sequence[Hwc]) -> Hwc:
        """Give [neurons]."""
        return (spec.count("neurons"),)

    def parameters(self, spec: LayerSpec, inputs: Sequence[Hwc]) -> tuple[ParameterSpec, ...]:
        """Give the points [out, in]."""
        neurons, arriving = spec.count("neurons"), math.prod(inputs[0])
        start = initial_weight(spec, fan_in=arriving, fan_out=neurons)
        return (ParameterSpec("weight", (neurons, arriving), start),)

    def macs(self, spec: LayerSpec, inputs: Sequence[Hwc], output: Hwc) -> int:
        """Count one multiply-add for each number of each point."""
        return math.prod(inputs[0]) * output[0]

    def flops(self, spec: LayerSpec, inputs: Sequence[Hwc], output: Hwc) -> int:
        """Count a difference, a square and a sum for each number of each point."""
        return 3 * self.macs(spec, inputs, output)

    def field(
        self, spec: LayerSpec, inputs: Sequence[Hwc]
    ) -> tuple[tuple[int, int], tuple[int, int]]:
        """Give the whole image as the window."""
        return (inputs[0][0], inputs[0][1]) if len(inputs[0]) == 3 else (1, 1), (1, 1)

    def emit(self, ctx: LayerContext, spec: LayerSpec, *inputs: Value) -> Value:
        """Emit |x|^2 - 2 x.w + |w|^2, which needs no array of all differences."""
        b = ctx.b
        batch, *rest = b.type_of(inputs[0]).shape
        flat = emit_reshape(b, inputs[0], (batch, math.prod(rest)))
        weight = ctx.parameter("weight")
        sums = ReduceAttrs(axes=(1,), keepdims=True)
        inner = b.emit(dense, flat, weight, attrs=DenseAttrs(has_bias=False))
        crossed = b.emit(mul, inner, emit_scalar(b, -2.0, inner))
        own = b.emit(reduce_sum, b.emit(square, flat), attrs=sums)
        points = b.emit(reduce_sum, b.emit(square, weight), attrs=sums)
        row = emit_reshape(b, points, (1, spec.count("neurons")))
        return b.emit(add, b.emit(add, crossed, own), row, name=ctx.name)
