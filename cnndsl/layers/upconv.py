"""Transposed convolution: filters laid over a larger image, one for each pixel of the input."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
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
)
from cnndsl.layers.conv import check_groups, flops_with_bias, image
from cnndsl.layers.weights import INIT_CLAUSES, initial_bias, initial_weight
from cnndsl.layers.window import WINDOW_CLAUSES
from cnndsl.ops.conv import Conv2dGradAttrs, conv2d_grad_input
from cnndsl.ops.elementwise import add
from cnndsl.ops.shape import emit_reshape
from cnndsl.ops.window import reach, same_padding

BARE_SIDE = 2
"""Window and stride where no window is written: an image twice as large."""

_BORDERS = ("pad", "pad_total", "same", "same_lower", "half", "valid")


@dataclass(frozen=True, slots=True)
class Spread:
    """One axis of a transposed convolution: where the windows of N pixels lie, S apart."""

    length: int
    """Pixels of the input, N."""
    window: int
    """Taps, F."""
    stride: int
    """Pixels of the result from window to window, S."""
    dilation: int
    """Pixels from tap to tap, d."""
    margin: tuple[int, int]
    """Pixels cut off before and behind, if `same` is not said."""
    extra: int
    """Pixels more behind."""
    same: str
    """"same", "same_lower", or nothing."""

    @property
    def extent(self) -> int:
        """Pixels from the first tap to the last: d(F - 1) + 1."""
        return reach(self.window, self.dilation)

    @property
    def pads(self) -> tuple[int, int]:
        """Pixels cut off before and behind."""
        if not self.same:
            return self.margin
        lower = self.same == "same_lower"
        return same_padding(
            self.length * self.stride, self.window, stride=self.stride, dilation=self.dilation,
            lower=lower,
        )  # fmt: skip

    @property
    def before(self) -> int:
        """Pixels before the input whose windows would reach the first one of the result."""
        return (self.extent - 1 - self.pads[0]) // self.stride

    @property
    def size(self) -> int:
        """Pixels of the result, (N - 1)S - 2P + F; N*S with `same`. Below 1 if none are left."""
        if self.same:
            return self.length * self.stride
        return (self.length - 1) * self.stride + self.extent - sum(self.margin) + self.extra

    def formula(self) -> str:
        """Write the size formula with its numbers.

        >>> Spread(28, 2, 2, 1, (0, 0), 0, "").formula()
        '(28 - 1)*2 + 2 = 56'
        >>> Spread(16, 4, 2, 1, (1, 1), 0, "").formula()
        '(16 - 1)*2 - 2*1 + 4 = 32'
        """
        if self.same:
            return f"{self.length}*{self.stride} = {self.size}"
        before, behind = self.margin
        border = ""
        if before or behind:
            border = f" - 2*{before}" if before == behind else f" - {before} - {behind}"
        extent = str(self.window)
        if self.dilation > 1:
            extent = f"({self.dilation}*({self.window} - 1) + 1)"
        more = f" + {self.extra}" if self.extra else ""
        return f"({self.length} - 1)*{self.stride}{border} + {extent}{more} = {self.size}"


@define_layer
class UpConv(LayerKind):
    """Transposed convolution: each pixel of the input lays its filters, scaled, over the result.

    (N - 1)S - 2P + F pixels on each axis; the padding P is cut off. Where windows overlap they add
    up. It is the gradient of a convolution, used forward. `same` makes the image S times as large;
    without a window it is 2x2 at stride 2.
    """

    name = "upconv"
    names = (
        "up conv", "up convolution", "upconvolution", "transposed conv", "transposed convolution",
        "transpose conv", "transpose convolution", "strided transpose convolution", "deconv",
        "deconvolution", "deconvolutional", "conv2dtranspose", "conv2d transpose",
        "convtranspose2d", "conv transpose2d", "conv transpose", "upconv layer",
        "transposed convolutional layer", "fractionally strided convolution",
    )  # fmt: skip
    clauses: ClassVar[tuple[Clause, ...]] = (
        Clause("filters", Takes.COUNT, doc="how many filters, the channels of the result",
               names=("channels", "kernels", "maps", "feature maps"), required=True),
        Clause("window", Takes.SIZE, default=(BARE_SIDE, BARE_SIDE),
               doc="height and width of a filter", names=("kernel", "kernel_size", "filter size")),
        Clause("stride", Takes.SIZE, doc="pixels of the result from place to place",
               names=("strides",)),
        Clause("groups", Takes.COUNT, default=1, doc="groups of channels that see only themselves",
               names=("group",)),
        *(clause for clause in WINDOW_CLAUSES if clause.name in _BORDERS),
        Clause("extra", Takes.MARGIN, default=0, names=("output_padding",),
               doc="rows and columns more below and right, fewer than the stride"),
        Clause("dilation", Takes.SIZE, default=(1, 1), doc="pixels from tap to tap",
               names=("dilated", "rate")),
        Clause("nobias", Takes.FLAG, doc="no bias is added", names=("no bias",)),
        *INIT_CLAUSES,
    )  # fmt: skip
    order = ("filters", "window", "stride")
    takes_activation = True
    spreads = True

    def worked_out(
        self, given: Mapping[str, SettingValue], *, bare: bool, pools: int
    ) -> Mapping[str, SettingValue]:
        """Give the stride: 1 behind a written window, else that of the window."""
        return {"stride": (1, 1) if "window" in given else (BARE_SIDE, BARE_SIDE)}

    def usual(self, settings: Mapping[str, SettingValue]) -> Mapping[str, SettingValue]:
        """Give what need not be written: never the window, which says how much larger."""
        unsaid = {**super().usual(settings), "stride": (1, 1)}
        del unsaid["window"]
        return unsaid

    def spread(self, spec: LayerSpec, inputs: Sequence[Hwc]) -> tuple[Spread, Spread]:
        """Give where the windows lie, down and across."""
        height, width, _ = image(self.name, inputs[0])
        same = next((word for word in ("same", "same_lower") if spec.flag(word)), "")
        sides = spec.margin("pad")
        total = spec.settings.get("pad_total")
        if isinstance(total, int) and not isinstance(total, bool):
            sides = (total - total // 2, total // 2) * 2
        extra = spec.settings["extra"]
        more = extra if isinstance(extra, tuple) else (extra, extra)
        axes = []
        for axis, length in enumerate((height, width)):
            window, stride = spec.size("window")[axis], spec.size("stride")[axis]
            dilation = spec.size("dilation")[axis]
            cut = (sides[2 * axis], sides[2 * axis + 1])
            if spec.flag("half"):
                cut = ((reach(window, dilation) - 1) // 2,) * 2
            axes.append(Spread(length, window, stride, dilation, cut, int(more[axis]), same))
        return axes[0], axes[1]

    def output(self, spec: LayerSpec, inputs: Sequence[Hwc]) -> Hwc:
        """Give the size of the larger image; raises E0305 to E0308 with the arithmetic."""
        channels = image(self.name, inputs[0])[-1]
        check_groups(spec, channels, spec.count("filters"))
        axes = self.spread(spec, inputs)
        extra = spec.settings["extra"]
        if isinstance(extra, tuple) and len(extra) != 2:
            raise LayerError(
                "E0207",
                f"`extra` of `{self.name}` is a number, or rows x columns; given {len(extra)}",
                at="extra",
                helps=["only what lies below and right may be more"],
            )
        for axis in axes:
            self._check(spec, axis)
        return (axes[0].size, axes[1].size, spec.count("filters"))

    def _check(self, spec: LayerSpec, axis: Spread) -> None:
        if spec.flag("half") and axis.extent % 2 == 0:
            raise LayerError(
                "E0306",
                f"half of a window of {axis.extent} is no whole number of pixels",
                at="half",
                label=f"({axis.extent} - 1)/2 = {(axis.extent - 1) / 2:g}",
                also={"window": ""},
                helps=[f"`same` makes {axis.length}*{axis.stride} = {axis.length * axis.stride}"],
            )
        if axis.extra and (axis.same or axis.extra >= axis.stride):
            reason = f"`{axis.same.replace('_', ' ')}` says the size already" if axis.same else (
                f"{axis.extra} is not below the stride of {axis.stride}"
            )  # fmt: skip
            raise LayerError(
                "E0207",
                f"`extra {axis.extra}` does not go with this `{self.name}`",
                at="extra",
                label=reason,
                notes=["it chooses among the sizes that a convolution rounds down to this one"],
            )
        if axis.size < 1:
            raise LayerError(
                "E0305",
                f"the padding cuts off all that a window of {axis.extent} makes of "
                f"{axis.length} pixels",
                at="pad",
                label=axis.formula(),
                helps=["leave `pad` out: it cuts pixels off the larger image"],
            )

    def formula(self, spec: LayerSpec, inputs: Sequence[Hwc]) -> str:
        """Write the size formula, once if both axes have the same numbers."""
        down, across = (axis.formula() for axis in self.spread(spec, inputs))
        return down if down == across else f"{down}; {across}"

    def parameters(self, spec: LayerSpec, inputs: Sequence[Hwc]) -> tuple[ParameterSpec, ...]:
        """Give the weight [C, O/groups, KH, KW], as of the convolution back, and the bias [O]."""
        filters, groups, channels = spec.count("filters"), spec.count("groups"), inputs[0][-1]
        shape = (channels, filters // groups, *spec.size("window"))
        (rows, columns), _ = self.field(spec, inputs)
        weight = initial_weight(
            spec,
            fan_in=channels // groups * rows * columns,
            fan_out=shape[1] * shape[2] * shape[3],
        )
        found = [ParameterSpec("weight", shape, weight)]
        if not spec.flag("nobias"):
            found.append(ParameterSpec("bias", (filters,), initial_bias(spec), bias=True))
        return tuple(found)

    def macs(self, spec: LayerSpec, inputs: Sequence[Hwc], output: Hwc) -> int:
        """Count a multiply-add for each weight of a filter at each pixel of the input."""
        height, width, channels = inputs[0]
        down, across = spec.size("window")
        depth = spec.count("filters") // spec.count("groups")
        return height * width * channels * depth * down * across

    def flops(self, spec: LayerSpec, inputs: Sequence[Hwc], output: Hwc) -> int:
        """Count the multiply-adds twice, and the bias."""
        return flops_with_bias(spec, self.macs(spec, inputs, output), output)

    def field(
        self, spec: LayerSpec, inputs: Sequence[Hwc]
    ) -> tuple[tuple[int, int], tuple[Fraction, Fraction]]:
        """Give the pixels whose windows may meet in one of the result, and the step, 1/S."""
        down, across = self.spread(spec, inputs)
        return (
            (-(-down.extent // down.stride), -(-across.extent // across.stride)),
            (Fraction(1, down.stride), Fraction(1, across.stride)),
        )

    def border(self, spec: LayerSpec, inputs: Sequence[Hwc]) -> tuple[int, int]:
        """Give how far before the first pixel the first one of the result looks."""
        down, across = self.spread(spec, inputs)
        return down.before, across.before

    def emit(self, ctx: LayerContext, spec: LayerSpec, *inputs: Value) -> Value:
        """Emit one `conv2d_grad_input`, and an `add` for the bias."""
        (x,) = inputs
        batch, channels, height, width = ctx.b.type_of(x).shape
        size = (height, width, channels)
        down, across = self.spread(spec, [size])
        attrs = Conv2dGradAttrs(
            strides=spec.size("stride"),
            padding=(down.pads, across.pads),
            dilations=spec.size("dilation"),
            groups=spec.count("groups"),
            shape=(batch, spec.count("filters"), down.size, across.size),
        )
        biased = ctx.has("bias")
        name = f"{ctx.name}.spread" if biased else ctx.name
        y = ctx.b.emit(conv2d_grad_input, x, ctx.parameter("weight"), attrs=attrs, name=name)
        if not biased:
            return y
        bias = emit_reshape(ctx.b, ctx.parameter("bias"), (1, spec.count("filters"), 1, 1))
        return ctx.b.emit(add, y, bias, name=ctx.name)
