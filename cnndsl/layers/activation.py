"""Activations: functions of one number, softmax, and maxout."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
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
    SettingValue,
    Takes,
    define_layer,
    show_size,
)
from cnndsl.ops.activations import (
    EluAttrs,
    LeakyReluAttrs,
    elu,
    leaky_relu,
    prelu,
    relu,
    relu6,
    sigmoid,
    tanh,
)
from cnndsl.ops.shape import emit_reshape
from cnndsl.ops.smooth import SwishAttrs, gelu, softplus, swish
from cnndsl.ops.softmax import MaxoutAttrs, SoftmaxAttrs, log_softmax, maxout, softmax
from cnndsl.ops.structural import Init


class _Activation(LayerKind):
    """What activations share: the size stays, and the slides count no memory for them."""

    activation = True
    counted = False

    def output(self, spec: LayerSpec, inputs: Sequence[Hwc]) -> Hwc:
        """Give the size of the input."""
        return inputs[0]

    def flops(self, spec: LayerSpec, inputs: Sequence[Hwc], output: Hwc) -> int:
        """Count one operation for each number."""
        return math.prod(output)


@define_layer
class Relu(_Activation):
    """Rectifier: max(0, x)."""

    name = "relu"
    names = ("rectifier", "rectifier nonlinearity", "relu layer")

    def emit(self, ctx: LayerContext, spec: LayerSpec, *inputs: Value) -> Value:
        """Emit one `relu`."""
        return ctx.b.emit(relu, *inputs, name=ctx.name)


@define_layer
class Relu6(_Activation):
    """Rectifier that stops at six: min(max(0, x), 6)."""

    name = "relu6"

    def emit(self, ctx: LayerContext, spec: LayerSpec, *inputs: Value) -> Value:
        """Emit one `relu6`."""
        return ctx.b.emit(relu6, *inputs, name=ctx.name)


@define_layer
class Leaky(_Activation):
    """Leaky rectifier: x where it is positive, `slope` times x elsewhere.

    The slope is 0.1 unless it is said, as on the slides; some libraries take 0.01.
    """

    name = "leaky"
    names = ("leaky relu", "leakyrelu", "lrelu")
    clauses: ClassVar[tuple[Clause, ...]] = (
        Clause("slope", Takes.NUMBER, default=0.1, doc="what negative numbers are multiplied by",
               names=("alpha", "negative_slope")),
    )  # fmt: skip
    order = ("slope",)

    def emit(self, ctx: LayerContext, spec: LayerSpec, *inputs: Value) -> Value:
        """Emit one `leaky_relu`."""
        attrs = LeakyReluAttrs(spec.number("slope"))
        return ctx.b.emit(leaky_relu, *inputs, attrs=attrs, name=ctx.name)


@define_layer
class Prelu(_Activation):
    """Leaky rectifier whose slope is learned, one for each channel (He et al., 2015).

    Slopes begin at 0.25 unless `slope` says otherwise, and do not decay.
    """

    name = "prelu"
    names = ("parametric relu",)
    clauses: ClassVar[tuple[Clause, ...]] = (
        Clause("slope", Takes.NUMBER, default=0.25, doc="where the slopes begin"),
    )
    order = ("slope",)

    def parameters(self, spec: LayerSpec, inputs: Sequence[Hwc]) -> tuple[ParameterSpec, ...]:
        """Give the slopes [C]."""
        begin = Init("constant", spec.number("slope"))
        return (ParameterSpec("slope", (inputs[0][-1],), begin, decay=False),)

    def emit(self, ctx: LayerContext, spec: LayerSpec, *inputs: Value) -> Value:
        """Emit one `prelu` with the slopes as [1, C, 1, 1] or [1, C]."""
        (x,) = inputs
        rank, channels = ctx.b.type_of(x).rank, ctx.b.type_of(x).shape[1]
        shape = (1, channels, *(1,) * (rank - 2))
        slope = emit_reshape(ctx.b, ctx.parameter("slope"), shape)
        return ctx.b.emit(prelu, x, slope, name=ctx.name)


@define_layer
class Elu(_Activation):
    """Exponential linear unit: x where it is positive, alpha (e^x - 1) elsewhere."""

    name = "elu"
    clauses: ClassVar[tuple[Clause, ...]] = (
        Clause("alpha", Takes.NUMBER, default=1.0, doc="minus the limit on the left", low=1e-6),
    )
    order = ("alpha",)

    def emit(self, ctx: LayerContext, spec: LayerSpec, *inputs: Value) -> Value:
        """Emit one `elu`."""
        attrs = EluAttrs(spec.number("alpha"))
        return ctx.b.emit(elu, *inputs, attrs=attrs, name=ctx.name)


@define_layer
class Sigmoid(_Activation):
    """Sigmoid: 1/(1 + e^-x), between 0 and 1."""

    name = "sigmoid"
    names = ("logistic",)
    preferred_init = "glorot_uniform"

    def emit(self, ctx: LayerContext, spec: LayerSpec, *inputs: Value) -> Value:
        """Emit one `sigmoid`."""
        return ctx.b.emit(sigmoid, *inputs, name=ctx.name)


@define_layer
class Tanh(_Activation):
    """Hyperbolic tangent, between -1 and 1."""

    name = "tanh"
    preferred_init = "glorot_uniform"

    def emit(self, ctx: LayerContext, spec: LayerSpec, *inputs: Value) -> Value:
        """Emit one `tanh`."""
        return ctx.b.emit(tanh, *inputs, name=ctx.name)


@define_layer
class Swish(_Activation):
    """Swish: x times the sigmoid of beta x; SiLU when beta is 1 (Ramachandran et al., 2017)."""

    name = "swish"
    names = ("silu",)
    clauses: ClassVar[tuple[Clause, ...]] = (
        Clause("beta", Takes.NUMBER, default=1.0, doc="steepness of the sigmoid"),
    )
    order = ("beta",)

    def emit(self, ctx: LayerContext, spec: LayerSpec, *inputs: Value) -> Value:
        """Emit one `swish`."""
        attrs = SwishAttrs(spec.number("beta"))
        return ctx.b.emit(swish, *inputs, attrs=attrs, name=ctx.name)


@define_layer
class Gelu(_Activation):
    """Gaussian error linear unit, in its tanh form (Hendrycks and Gimpel, 2016)."""

    name = "gelu"

    def emit(self, ctx: LayerContext, spec: LayerSpec, *inputs: Value) -> Value:
        """Emit one `gelu`."""
        return ctx.b.emit(gelu, *inputs, name=ctx.name)


@define_layer
class Softplus(_Activation):
    """Smooth rectifier: log(1 + e^x)."""

    name = "softplus"

    def emit(self, ctx: LayerContext, spec: LayerSpec, *inputs: Value) -> Value:
        """Emit one `softplus`."""
        return ctx.b.emit(softplus, *inputs, name=ctx.name)


class _OverChannels(_Activation):
    """What softmax and its logarithm share: channels compete; a number brings an `fc`."""

    clauses: ClassVar[tuple[Clause, ...]] = (
        Clause("classes", Takes.COUNT, doc="neurons of the `fc` that it brings"),
    )
    order = ("classes",)
    preferred_init = "glorot_uniform"

    def brings(
        self, settings: Mapping[str, SettingValue]
    ) -> tuple[tuple[str, dict[str, SettingValue]], ...]:
        """Give the `fc` that `softmax 10` needs."""
        return (("fc", {"neurons": settings["classes"]}),) if "classes" in settings else ()

    def flops(self, spec: LayerSpec, inputs: Sequence[Hwc], output: Hwc) -> int:
        """Count maximum, difference, exponential, sum and quotient: five for each number."""
        return 5 * math.prod(output)


@define_layer
class Softmax(_OverChannels):
    """Softmax over the classes: e^x over its sum, at each place of an image by itself.

    `softmax 10` brings the `fc 10` it needs.
    """

    name = "softmax"
    names = ("soft max", "softmax layer", "softmax classifier")

    def emit(self, ctx: LayerContext, spec: LayerSpec, *inputs: Value) -> Value:
        """Emit one `softmax` over axis 1."""
        return ctx.b.emit(softmax, *inputs, attrs=SoftmaxAttrs(1), name=ctx.name)


@define_layer
class LogSoftmax(_OverChannels):
    """Logarithm of the softmax over the classes."""

    name = "logsoftmax"
    names = ("log softmax",)

    def emit(self, ctx: LayerContext, spec: LayerSpec, *inputs: Value) -> Value:
        """Emit one `log_softmax` over axis 1."""
        return ctx.b.emit(log_softmax, *inputs, attrs=SoftmaxAttrs(1), name=ctx.name)


@define_layer
class Maxout(_Activation):
    """Maxout: the largest of each `pieces` neighbouring channels (Goodfellow et al., 2013).

    Channels become fewer: for n units of two pieces write `fc 2n maxout 2`, whose weights are
    twice as many.
    """

    name = "maxout"
    counted = True
    clauses: ClassVar[tuple[Clause, ...]] = (
        Clause("pieces", Takes.COUNT, default=2, doc="channels that share one maximum",
               names=("group_size",)),
    )  # fmt: skip
    order = ("pieces",)

    def output(self, spec: LayerSpec, inputs: Sequence[Hwc]) -> Hwc:
        """Give the channels divided by the pieces."""
        *image, channels = inputs[0]
        pieces = spec.count("pieces")
        if channels % pieces:
            raise LayerError(
                "E0308",
                f"{channels} channels do not divide into pieces of {pieces}",
                at="pieces",
                label=f"{channels}/{pieces} = {channels / pieces:.2f}",
                notes=[f"the input here is {show_size(inputs[0])}"],
                helps=[f"give the layer before it {(channels // pieces + 1) * pieces} channels"],
            )
        return (*image, channels // pieces)

    def formula(self, spec: LayerSpec, inputs: Sequence[Hwc]) -> str:
        """Write the division."""
        channels, pieces = inputs[0][-1], spec.count("pieces")
        return f"{channels}/{pieces} = {channels // pieces}"

    def flops(self, spec: LayerSpec, inputs: Sequence[Hwc], output: Hwc) -> int:
        """Count one operation for each number read."""
        return math.prod(inputs[0])

    def emit(self, ctx: LayerContext, spec: LayerSpec, *inputs: Value) -> Value:
        """Emit one `maxout`."""
        attrs = MaxoutAttrs(spec.count("pieces"))
        return ctx.b.emit(maxout, *inputs, attrs=attrs, name=ctx.name)
