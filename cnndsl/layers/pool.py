"""Pooling: one number for each window of each channel."""

from __future__ import annotations

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
    SettingValue,
    Takes,
    define_layer,
)
from cnndsl.layers.conv import image
from cnndsl.layers.misfit import check_slide
from cnndsl.layers.window import WINDOW_CLAUSES, Slide, slide
from cnndsl.ops.pool import (
    AvgPool2dAttrs,
    Pool2dAttrs,
    avg_pool2d,
    global_avg_pool,
    global_max_pool,
    max_pool2d,
)

_CLAUSES = (
    Clause("window", Takes.SIZE, default=(2, 2), doc="height and width of what is pooled",
           names=("size", "pool_size", "kernel", "kernel_size")),
    Clause("stride", Takes.SIZE, doc="pixels from place to place; the window if it is not said",
           names=("strides",)),
    *WINDOW_CLAUSES,
)  # fmt: skip


class _Pooling(LayerKind):
    """What maximum and average pooling share: the window, and no parameters."""

    clauses: ClassVar[tuple[Clause, ...]] = _CLAUSES
    order = ("window", "stride")
    pools = True

    def sized(self, digits: str, number: int) -> dict[str, SettingValue]:
        """Read `POOL-2`: a 2x2 window."""
        if digits:
            return super().sized(digits, number)
        return {"window": (number, number)}

    def worked_out(
        self, given: Mapping[str, SettingValue], *, bare: bool, pools: int
    ) -> Mapping[str, SettingValue]:
        """Give the stride: the window, so that windows do not overlap."""
        return {"stride": given.get("window", (2, 2))}

    def usual(self, settings: Mapping[str, SettingValue]) -> Mapping[str, SettingValue]:
        """Give the window as the stride that need not be written."""
        return {"stride": settings["window"], "count_padding": False}

    def slide(self, spec: LayerSpec, inputs: Sequence[Hwc]) -> Slide:
        """Give the window on the image."""
        height, width, _ = image(self.name, inputs[0])
        margin = spec.margin("pad")
        return slide(spec.settings, (height, width), margin=margin, stride_said=True)

    def output(self, spec: LayerSpec, inputs: Sequence[Hwc]) -> Hwc:
        """Give places down, places across, the channels of the input."""
        window = self.slide(spec, inputs)
        check_slide(window)
        for axis in window.axes:
            widest = max(axis.said_pads)
            last = (axis.places - 1) * axis.stride - axis.pads[0]
            if widest >= axis.extent or last >= axis.length:
                raise LayerError(
                    "E0310",
                    f"a window of {axis.extent} would see nothing but the padding of {widest}",
                    at="pad",
                    also={"window": ""},
                    helps=[f"`pad {axis.extent // 2}` is the most that is of use here"],
                )
        return (*window.places, inputs[0][-1])

    def formula(self, spec: LayerSpec, inputs: Sequence[Hwc]) -> str:
        """Write the window formula."""
        return self.slide(spec, inputs).formula()

    def flops(self, spec: LayerSpec, inputs: Sequence[Hwc], output: Hwc) -> int:
        """Count one operation for each element of each window, as the slides do."""
        height, width, channels = output
        down, across = spec.size("window")
        return height * width * channels * down * across

    def field(
        self, spec: LayerSpec, inputs: Sequence[Hwc]
    ) -> tuple[tuple[int, int], tuple[int, int]]:
        """Give window and stride."""
        return spec.size("window"), spec.size("stride")

    def border(self, spec: LayerSpec, inputs: Sequence[Hwc]) -> tuple[int, int]:
        """Give the padding above and left."""
        (top, _), (left, _) = self.slide(spec, inputs).pads
        return top, left

    def _emitted(self, ctx: LayerContext, spec: LayerSpec, x: Value) -> Slide:
        _, channels, height, width = ctx.b.type_of(x).shape
        return self.slide(spec, [(height, width, channels)])


@define_layer
class MaxPool(_Pooling):
    """The largest number of each window, channel by channel; 2x2 at stride 2 if nothing is said.

    The stride is the window unless it is said; 3x3 at stride 2 overlaps, as in AlexNet. Padding
    never wins.
    """

    name = "maxpool"
    names = (
        "max pool", "max pooling", "maxpooling", "max pooling layer", "maxpooling2d",
        "max pooling2d", "maxpool2d", "max pool layer", "pool", "pooling", "pool layer",
        "pooling layer",
    )  # fmt: skip

    def emit(self, ctx: LayerContext, spec: LayerSpec, *inputs: Value) -> Value:
        """Emit one `max_pool2d`."""
        (x,) = inputs
        pads = self._emitted(ctx, spec, x).pads
        attrs = Pool2dAttrs(spec.size("window"), spec.size("stride"), pads)
        return ctx.b.emit(max_pool2d, x, attrs=attrs, name=ctx.name)


@define_layer
class AvgPool(_Pooling):
    """The mean of each window, channel by channel; 2x2 at stride 2 if nothing is said.

    Padding does not count: the mean is of the real numbers in the window, unless `count padding`
    is said.
    """

    name = "avgpool"
    names = (
        "avg pool", "avg pooling", "avgpooling", "average pool", "average pooling", "averagepool",
        "averagepooling2d", "average pooling2d", "averagepooling", "mean pool", "mean pooling",
        "avgpool2d", "average pooling layer", "subsampling", "subsampling layer", "subsample",
    )  # fmt: skip
    clauses: ClassVar[tuple[Clause, ...]] = (
        *_CLAUSES,
        Clause("count_padding", Takes.FLAG, doc="the mean is over the padding too",
               names=("count_include_pad",)),
    )  # fmt: skip

    def emit(self, ctx: LayerContext, spec: LayerSpec, *inputs: Value) -> Value:
        """Emit one `avg_pool2d`."""
        (x,) = inputs
        attrs = AvgPool2dAttrs(
            spec.size("window"),
            spec.size("stride"),
            self._emitted(ctx, spec, x).pads,
            count_padding=spec.flag("count_padding"),
        )
        return ctx.b.emit(avg_pool2d, x, attrs=attrs, name=ctx.name)


class _GlobalPooling(LayerKind):
    """What the poolings over a whole image share."""

    def output(self, spec: LayerSpec, inputs: Sequence[Hwc]) -> Hwc:
        """Give one number a channel: [C]."""
        return (image(self.name, inputs[0])[-1],)

    def formula(self, spec: LayerSpec, inputs: Sequence[Hwc]) -> str:
        """Write what falls away, `7x7 -> 1`."""
        height, width, _ = inputs[0]
        return f"{height}x{width} -> 1"

    def flops(self, spec: LayerSpec, inputs: Sequence[Hwc], output: Hwc) -> int:
        """Count one operation for each element read."""
        height, width, channels = inputs[0]
        return height * width * channels

    def field(
        self, spec: LayerSpec, inputs: Sequence[Hwc]
    ) -> tuple[tuple[int, int], tuple[int, int]]:
        """Give the whole image as the window."""
        height, width, _ = inputs[0]
        return (height, width), (1, 1)


@define_layer
class GlobalAvgPool(_GlobalPooling):
    """The mean of each whole channel: h x w x d becomes d numbers (Lin, Chen and Yan, 2013)."""

    name = "gap"
    names = (
        "global average pool", "global average pooling", "global avg pool", "global avg pooling",
        "global avgpool", "globalavgpool", "globalaveragepooling2d", "global average pooling2d",
        "globalaveragepool", "global average",
    )  # fmt: skip

    def emit(self, ctx: LayerContext, spec: LayerSpec, *inputs: Value) -> Value:
        """Emit one `global_avg_pool`."""
        return ctx.b.emit(global_avg_pool, *inputs, name=ctx.name)


@define_layer
class GlobalMaxPool(_GlobalPooling):
    """The largest number of each whole channel: h x w x d becomes d numbers."""

    name = "gmp"
    names = (
        "global max pool", "global max pooling", "global maxpool", "globalmaxpool",
        "globalmaxpooling2d", "global max pooling2d", "global maximum pool",
    )  # fmt: skip

    def emit(self, ctx: LayerContext, spec: LayerSpec, *inputs: Value) -> Value:
        """Emit one `global_max_pool`."""
        return ctx.b.emit(global_max_pool, *inputs, name=ctx.name)
