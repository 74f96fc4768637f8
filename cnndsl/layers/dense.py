"""Fully connected layers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import ClassVar

from cnndsl.ir.graph import Value
from cnndsl.layers.base import (
    Clause,
    Hwc,
    LayerContext,
    LayerKind,
    LayerSpec,
    ParameterSpec,
    SettingValue,
    Takes,
    define_layer,
)
from cnndsl.layers.weights import INIT_CLAUSES, initial_bias, initial_weight
from cnndsl.ops.linalg import DenseAttrs, dense
from cnndsl.ops.shape import emit_reshape

BARE_NEURONS = 512
"""Neurons of a bare FC."""


@define_layer
class Dense(LayerKind):
    """Fully connected: every neuron sees every number of the input, y = W x + b.

    An image is flattened first, channel by channel (C, H, W order). As `FC` alone it has 512
    neurons.
    """

    name = "fc"
    names = (
        "dense", "linear", "fully connected", "fully connected layer", "fullyconnected",
        "fc layer", "dense layer", "linear layer", "affine", "inner product",
    )  # fmt: skip
    clauses: ClassVar[tuple[Clause, ...]] = (
        Clause("neurons", Takes.COUNT, doc="how many neurons, the length of the result",
               names=("units", "outputs"), required=True),
        Clause("nobias", Takes.FLAG, doc="no bias is added", names=("no bias",)),
        *INIT_CLAUSES,
    )  # fmt: skip
    order = ("neurons",)
    takes_activation = True

    def sized(self, digits: str, number: int) -> dict[str, SettingValue]:
        """Read `FC-4096`: 4096 neurons."""
        if digits:
            return super().sized(digits, number)
        return {"neurons": number}

    def worked_out(
        self, given: Mapping[str, SettingValue], *, bare: bool, pools: int
    ) -> Mapping[str, SettingValue]:
        """Give a bare FC its neurons."""
        return {"neurons": BARE_NEURONS}

    def output(self, spec: LayerSpec, inputs: Sequence[Hwc]) -> Hwc:
        """Give [neurons]."""
        return (spec.count("neurons"),)

    def formula(self, spec: LayerSpec, inputs: Sequence[Hwc]) -> str:
        """Write how many numbers go in, `7*7*512 = 25088`; nothing for a vector."""
        if len(inputs[0]) == 1:
            return ""
        return f"{'*'.join(map(str, inputs[0]))} = {math.prod(inputs[0])}"

    def parameters(self, spec: LayerSpec, inputs: Sequence[Hwc]) -> tuple[ParameterSpec, ...]:
        """Give the weight [out, in] and the bias [out]."""
        neurons, arriving = spec.count("neurons"), math.prod(inputs[0])
        weight = initial_weight(spec, fan_in=arriving, fan_out=neurons)
        found = [ParameterSpec("weight", (neurons, arriving), weight)]
        if not spec.flag("nobias"):
            found.append(ParameterSpec("bias", (neurons,), initial_bias(spec), bias=True))
        return tuple(found)

    def macs(self, spec: LayerSpec, inputs: Sequence[Hwc], output: Hwc) -> int:
        """Count one multiply-add for each weight."""
        return math.prod(inputs[0]) * output[0]

    def flops(self, spec: LayerSpec, inputs: Sequence[Hwc], output: Hwc) -> int:
        """Count the multiply-adds twice, and the bias."""
        bias = 0 if spec.flag("nobias") else output[0]
        return 2 * self.macs(spec, inputs, output) + bias

    def field(
        self, spec: LayerSpec, inputs: Sequence[Hwc]
    ) -> tuple[tuple[int, int], tuple[int, int]]:
        """Give the whole image as the window."""
        return (inputs[0][0], inputs[0][1]) if len(inputs[0]) == 3 else (1, 1), (1, 1)

    def emit(self, ctx: LayerContext, spec: LayerSpec, *inputs: Value) -> Value:
        """Emit a `reshape` if an image arrives, and one `dense`."""
        batch, *rest = ctx.b.type_of(inputs[0]).shape
        flat = emit_reshape(ctx.b, inputs[0], (batch, math.prod(rest)))
        bias = [ctx.parameter("bias")] if ctx.has("bias") else []
        attrs = DenseAttrs(has_bias=bool(bias))
        return ctx.b.emit(dense, flat, ctx.parameter("weight"), *bias, attrs=attrs, name=ctx.name)
