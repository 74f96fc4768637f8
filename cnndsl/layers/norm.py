"""Normalisation: over the batch, and over neighbouring channels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar

from cnndsl.ir.graph import Value
from cnndsl.layers.base import (
    Clause,
    Hwc,
    LayerContext,
    LayerError,
    LayerKind,
    LayerSpec,
    ParameterSpec,
    Takes,
    define_layer,
)
from cnndsl.layers.conv import image
from cnndsl.ops.elementwise import add, emit_scalar, mul
from cnndsl.ops.lrn import LrnAttrs, lrn
from cnndsl.ops.norm import BatchNormAttrs, batch_norm, batch_norm_train
from cnndsl.ops.structural import Init


@define_layer
class BatchNorm(LayerKind):
    """Batch normalisation: (x - mean)/sqrt(variance + eps) * scale + shift, a channel at a time.

    Training takes mean and variance from the batch and keeps running ones, which inference uses:
    momentum * old + (1 - momentum) * batch, with the unbiased variance. Frozen layers use the
    running ones in training too. Ioffe and Szegedy, 2015.
    """

    name = "bn"
    names = (
        "batch norm", "batchnorm", "batch normalization", "batchnormalization",
        "batch normalisation", "batchnorm2d", "batch norm layer",
    )  # fmt: skip
    clauses: ClassVar[tuple[Clause, ...]] = (
        Clause("eps", Takes.NUMBER, default=1e-5, doc="added to the variance", low=1e-12,
               names=("epsilon",)),
        Clause("momentum", Takes.NUMBER, default=0.9, doc="share of the old running statistics",
               low=0.0, below=1.0),
    )  # fmt: skip
    takes_activation = True

    def output(self, spec: LayerSpec, inputs: Sequence[Hwc]) -> Hwc:
        """Give the size of the input."""
        return inputs[0]

    def parameters(self, spec: LayerSpec, inputs: Sequence[Hwc]) -> tuple[ParameterSpec, ...]:
        """Give scale and shift, and the running mean and variance; each [C]."""
        shape, one = (inputs[0][-1],), Init("constant", 1.0)
        return (
            ParameterSpec("scale", shape, one, decay=False),
            ParameterSpec("shift", shape, Init(), bias=True),
            ParameterSpec("mean", shape, Init(), trainable=False, decay=False),
            ParameterSpec("variance", shape, one, trainable=False, decay=False),
        )

    def flops(self, spec: LayerSpec, inputs: Sequence[Hwc], output: Hwc) -> int:
        """Count one product and one sum for each number, as at inference."""
        return 2 * math.prod(output)

    def emit(self, ctx: LayerContext, spec: LayerSpec, *inputs: Value) -> Value:
        """Emit `batch_norm`, or `batch_norm_train` with the update of the running statistics."""
        (x,) = inputs
        attrs = BatchNormAttrs(spec.number("eps"))
        scale, shift = ctx.parameter("scale"), ctx.parameter("shift")
        if not ctx.training or ctx.frozen:
            known = (scale, shift, ctx.parameter("mean"), ctx.parameter("variance"))
            return ctx.b.emit(batch_norm, x, *known, attrs=attrs, name=ctx.name)
        result, mean, variance = ctx.b.emit_all(
            batch_norm_train, x, scale, shift, attrs=attrs, name=ctx.name
        )
        shape = ctx.b.type_of(x).shape
        count = math.prod(shape) // shape[1]
        unbiased = count / (count - 1) if count > 1 else 1.0
        momentum = spec.number("momentum")
        _keep(ctx, "mean", mean, momentum=momentum, weight=1.0 - momentum)
        _keep(ctx, "variance", variance, momentum=momentum, weight=(1.0 - momentum) * unbiased)
        return result


def _keep(ctx: LayerContext, name: str, batch: Value, *, momentum: float, weight: float) -> None:
    """Let a run leave momentum * old + weight * batch in a running statistic."""
    b, old = ctx.b, ctx.parameter(name)
    kept = b.emit(mul, old, emit_scalar(b, momentum, old), name=f"{ctx.name}.{name}_kept")
    new = b.emit(mul, batch, emit_scalar(b, weight, batch), name=f"{ctx.name}.{name}_batch")
    ctx.update(name, b.emit(add, kept, new, name=f"{ctx.name}.{name}_new"))


@define_layer
class Lrn(LayerKind):
    """Local response normalisation: x / (k + alpha * sum of x^2 over `size` channels)^beta.

    The constants are AlexNet's: 5 channels, alpha 1e-4 (not divided by the size), beta 0.75, k 2.
    Krizhevsky, Sutskever and Hinton, 2012.
    """

    name = "lrn"
    names = (
        "norm", "normalization", "normalization layer", "normalisation", "normalisation layer",
        "local response norm", "local response normalization", "local response normalisation",
        "norm layer",
    )  # fmt: skip
    clauses: ClassVar[tuple[Clause, ...]] = (
        Clause("size", Takes.COUNT, default=5, doc="neighbouring channels, an odd number",
               names=("n",)),
        Clause("alpha", Takes.NUMBER, default=1e-4, doc="weight of the squares", low=0.0),
        Clause("beta", Takes.NUMBER, default=0.75, doc="power of the divisor"),
        Clause("k", Takes.NUMBER, default=2.0, doc="added to the squares", low=1e-6),
    )  # fmt: skip
    order = ("size",)

    def output(self, spec: LayerSpec, inputs: Sequence[Hwc]) -> Hwc:
        """Give the size of the input; the number of channels must have a middle."""
        image(self.name, inputs[0])
        size = spec.count("size")
        if size % 2 == 0:
            raise LayerError(
                "E0207",
                f"`size` of `lrn` is {size}; only an odd number of channels has a middle",
                at="size",
                helps=[f"`size {size - 1}` or `size {size + 1}`"],
            )
        return inputs[0]

    def flops(self, spec: LayerSpec, inputs: Sequence[Hwc], output: Hwc) -> int:
        """Count squares and their sum, scaling, power and quotient for each number."""
        return (2 * spec.count("size") + 4) * math.prod(output)

    def emit(self, ctx: LayerContext, spec: LayerSpec, *inputs: Value) -> Value:
        """Emit one `lrn`."""
        attrs = LrnAttrs(
            spec.count("size"), spec.number("alpha"), spec.number("beta"), spec.number("k")
        )
        return ctx.b.emit(lrn, *inputs, attrs=attrs, name=ctx.name)
