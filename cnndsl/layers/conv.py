"""Convolutions: filters that slide over an image."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from math import prod
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
from cnndsl.layers.misfit import check_slide
from cnndsl.layers.weights import (
    INIT_CLAUSES,
    initial_bias,
    initial_weight,
    written_weight,
)
from cnndsl.layers.window import WINDOW_CLAUSES, Slide, slide
from cnndsl.ops.conv import Conv2dAttrs, conv2d
from cnndsl.ops.structural import Init

BARE_WINDOW = 3
"""Side of the window when none is written."""
BARE_FILTERS = 64
"""Filters of a bare CONV before the first POOL; doubled at every one."""
MOST_BARE_FILTERS = 512
"""Where the doubling ends."""

_BORDERS = ("pad", "pad_total", "same", "same_lower", "half", "valid", "fit")


class _Convolution(LayerKind):
    """What plain and depthwise convolution share: window, border, bias, nodes."""

    takes_activation = True

    @abstractmethod
    def filters(self, spec: LayerSpec, inputs: Sequence[Hwc]) -> int:
        """Give the number of filters."""

    @abstractmethod
    def groups(self, spec: LayerSpec, inputs: Sequence[Hwc]) -> int:
        """Give the number of groups."""

    def worked_out(
        self, given: Mapping[str, SettingValue], *, bare: bool, pools: int
    ) -> Mapping[str, SettingValue]:
        """Give a 3x3 window, and a border that keeps the size, when no window is written."""
        found: dict[str, SettingValue] = {}
        if "weights" in given:
            rows = written_weight(str(given["weights"]))
            return {"window": (len(rows), len(rows[0])), "nobias": True}
        if "window" not in given:
            found["window"] = (BARE_WINDOW, BARE_WINDOW)
        if (bare or "window" not in given) and not any(given.get(word) for word in _BORDERS):
            found["same"] = True
        return found

    def slide(self, spec: LayerSpec, inputs: Sequence[Hwc]) -> Slide:
        """Give the window on the image."""
        height, width, _ = image(self.name, inputs[0])
        return slide(
            spec.settings,
            (height, width),
            margin=spec.margin("pad"),
            stride_said="stride" in spec.spans,
        )

    def output(self, spec: LayerSpec, inputs: Sequence[Hwc]) -> Hwc:
        """Give places down, places across, filters."""
        window = self.slide(spec, inputs)
        check_slide(window)
        _check_written(spec)
        return (*window.places, self.filters(spec, inputs))

    def formula(self, spec: LayerSpec, inputs: Sequence[Hwc]) -> str:
        """Write the window formula."""
        return self.slide(spec, inputs).formula()

    def parameters(self, spec: LayerSpec, inputs: Sequence[Hwc]) -> tuple[ParameterSpec, ...]:
        """Give the weight [O, C/groups, KH, KW] and the bias, [O] or [O, OH, OW]."""
        filters, groups = self.filters(spec, inputs), self.groups(spec, inputs)
        shape = (filters, inputs[0][-1] // groups, *spec.size("window"))
        taps = shape[2] * shape[3]
        if "weights" in spec.settings:
            rows = written_weight(spec.word("weights"))
            numbers = tuple(number for row in rows for number in row)
            return (ParameterSpec("weight", shape, Init("table", table=numbers), trainable=False),)
        weight = initial_weight(spec, fan_in=shape[1] * taps, fan_out=filters // groups * taps)
        found = [ParameterSpec("weight", shape, weight)]
        if not spec.flag("nobias"):
            places = self.output(spec, inputs)[:2] if spec.flag("untied") else ()
            found.append(ParameterSpec("bias", (filters, *places), initial_bias(spec), bias=True))
        return tuple(found)

    def macs(self, spec: LayerSpec, inputs: Sequence[Hwc], output: Hwc) -> int:
        """Count a multiply-add for each weight of a filter at each of its places."""
        height, width, filters = output
        down, across = spec.size("window")
        depth = inputs[0][-1] // self.groups(spec, inputs)
        return height * width * filters * depth * down * across

    def flops(self, spec: LayerSpec, inputs: Sequence[Hwc], output: Hwc) -> int:
        """Count the multiply-adds twice, and the bias."""
        return flops_with_bias(spec, self.macs(spec, inputs, output), output)

    def field(
        self, spec: LayerSpec, inputs: Sequence[Hwc]
    ) -> tuple[tuple[int, int], tuple[int, int]]:
        """Give the pixels a window spans, and the stride."""
        window = self.slide(spec, inputs)
        return (window.height.extent, window.width.extent), spec.size("stride")

    def border(self, spec: LayerSpec, inputs: Sequence[Hwc]) -> tuple[int, int]:
        """Give the padding above and left."""
        (top, _), (left, _) = self.slide(spec, inputs).pads
        return top, left

    def emit(self, ctx: LayerContext, spec: LayerSpec, *inputs: Value) -> Value:
        """Emit one `conv2d`."""
        (x,) = inputs
        _, channels, height, width = ctx.b.type_of(x).shape
        sizes = [(height, width, channels)]
        attrs = Conv2dAttrs(
            strides=spec.size("stride"),
            padding=self.slide(spec, sizes).pads,
            dilations=spec.size("dilation"),
            groups=self.groups(spec, sizes),
            has_bias=ctx.has("bias"),
        )
        bias = [ctx.parameter("bias")] if ctx.has("bias") else []
        return ctx.b.emit(conv2d, x, ctx.parameter("weight"), *bias, attrs=attrs, name=ctx.name)


_SHARED_CLAUSES = (
    Clause("window", Takes.SIZE, doc="height and width of a filter",
           names=("kernel", "kernel_size", "filter size")),
    Clause("stride", Takes.SIZE, default=(1, 1), doc="pixels from place to place",
           names=("strides",)),
    *WINDOW_CLAUSES,
    Clause("dilation", Takes.SIZE, default=(1, 1), doc="pixels from tap to tap",
           names=("dilated", "rate")),
    Clause("nobias", Takes.FLAG, doc="no bias is added", names=("no bias",), group="the bias"),
    Clause("untied", Takes.FLAG, doc="a bias of its own at each position",
           names=("bias per position", "untied bias"), group="the bias"),
    *INIT_CLAUSES,
    Clause("weights", Takes.ROWS, doc="the numbers of every filter, which training leaves alone"),
)  # fmt: skip


@define_layer
class Conv(_Convolution):
    """Convolution (cross-correlation): filters of a window's size, as deep as the input.

    Y = X * W + b at (N - F + 2P)/S + 1 places on each axis. As `CONV` alone it has a 3x3 window,
    keeps the size, and has 64 filters, doubled at every pooling before it up to 512.
    """

    name = "conv"
    names = (
        "convolution", "convolutional", "conv2d", "convolution2d", "conv layer",
        "convolution layer", "convolutional layer",
    )  # fmt: skip
    clauses: ClassVar[tuple[Clause, ...]] = (
        Clause("filters", Takes.COUNT, doc="how many filters, the channels of the result",
               names=("channels", "kernels", "maps", "feature maps"), required=True),
        *_SHARED_CLAUSES[:2],
        Clause("groups", Takes.COUNT, default=1, doc="groups of channels that see only themselves",
               names=("group",)),
        *_SHARED_CLAUSES[2:],
        Clause("filter_depth", Takes.COUNT, doc="channels a filter reaches through, as in 5x5x3"),
    )  # fmt: skip
    order = ("filters", "window", "stride")
    solid = "filter_depth"

    def sized(self, digits: str, number: int) -> dict[str, SettingValue]:
        """Read `conv3-64`: a 3x3 window, 64 filters; `conv-64`: 64 filters."""
        if not digits:
            return {"filters": number}
        return {"window": (int(digits), int(digits)), "filters": number}

    def worked_out(
        self, given: Mapping[str, SettingValue], *, bare: bool, pools: int
    ) -> Mapping[str, SettingValue]:
        """Give also the number of filters, when no window is written: 64, doubled at every POOL."""
        found = dict(super().worked_out(given, bare=bare, pools=pools))
        if "filters" not in given and "window" not in given:
            found["filters"] = min(BARE_FILTERS * 2 ** min(pools, 16), MOST_BARE_FILTERS)
        return found

    def filters(self, spec: LayerSpec, inputs: Sequence[Hwc]) -> int:
        """Give the number that the program says."""
        return spec.count("filters")

    def groups(self, spec: LayerSpec, inputs: Sequence[Hwc]) -> int:
        """Give the number that the program says."""
        return spec.count("groups")

    def output(self, spec: LayerSpec, inputs: Sequence[Hwc]) -> Hwc:
        """Give places down, places across, filters; the groups must divide the channels."""
        channels = image(self.name, inputs[0])[-1]
        check_groups(spec, channels, spec.count("filters"))
        self._check_depth(spec, channels // spec.count("groups"))
        return super().output(spec, inputs)

    def _check_depth(self, spec: LayerSpec, depth: int) -> None:
        """Refuse filters of `5x5x3` that do not reach through the input; raises E0308."""
        if "filter_depth" not in spec.settings or spec.count("filter_depth") == depth:
            return
        down, across = spec.size("window")
        written = f"{down}x{across}x{spec.count('filter_depth')}"
        raise LayerError(
            "E0308",
            f"a {written} filter does not reach through an input {depth} deep",
            at="filter_depth",
            label="filters always extend the full depth of their input",
            helps=[f"`{down}x{across}x{depth}`, or `{down}x{across}` for short"],
        )


@define_layer
class Depthwise(_Convolution):
    """Depthwise convolution: each channel has filters of its own, one channel deep.

    With `multiplier` m every channel has m of them. A 1x1 `conv` after it makes a depthwise
    separable convolution (Howard et al., 2017).
    """

    name = "depthwise"
    names = (
        "depthwise conv", "dwconv", "depthwise convolution", "depthwiseconv2d", "conv depthwise",
        "depthwise conv2d",
    )  # fmt: skip
    clauses: ClassVar[tuple[Clause, ...]] = (
        *_SHARED_CLAUSES[:2],
        Clause("multiplier", Takes.COUNT, default=1, doc="filters for each channel",
               names=("depth multiplier",)),
        *_SHARED_CLAUSES[2:],
    )  # fmt: skip
    order = ("window", "stride")

    def sized(self, digits: str, number: int) -> dict[str, SettingValue]:
        """Read `depthwise-3`: a 3x3 window."""
        if digits:
            return super().sized(digits, number)
        return {"window": (number, number)}

    def filters(self, spec: LayerSpec, inputs: Sequence[Hwc]) -> int:
        """Give the multiplier times the channels."""
        return image(self.name, inputs[0])[-1] * spec.count("multiplier")

    def groups(self, spec: LayerSpec, inputs: Sequence[Hwc]) -> int:
        """Give a group to each channel."""
        return inputs[0][-1]


def _check_written(spec: LayerSpec) -> None:
    """Refuse a window that is not that of the written filter; raises E0206."""
    if "weights" not in spec.settings:
        return
    rows = written_weight(spec.word("weights"))
    if spec.size("window") != (len(rows), len(rows[0])):
        down, across = spec.size("window")
        raise LayerError(
            "E0206",
            f"the written filter is {len(rows)}x{len(rows[0])} and the window {down}x{across}",
            at="window",
            also={"weights": ""},
            helps=["leave the window out: it is that of the filter"],
        )


def image(kind: str, size: Hwc) -> tuple[int, int, int]:
    """Give a size as height, width, channels; `LayerError` E0307 if it is a vector's."""
    if len(size) != 3:
        raise LayerError(
            "E0307",
            f"`{kind}` looks at images, and was given {show_size(size)}",
            label="needs height x width x channels",
            helps=[f"`reshape [1x1x{size[-1]}]` makes it an image of one pixel"],
        )
    height, width, channels = size
    return height, width, channels


def flops_with_bias(spec: LayerSpec, macs: int, output: Hwc) -> int:
    """Count multiply-adds twice, and the bias once for each number of the result."""
    return 2 * macs + (0 if spec.flag("nobias") else prod(output))


def check_groups(spec: LayerSpec, channels: int, filters: int) -> None:
    """Refuse groups that do not divide channels and filters; raises `LayerError` E0308."""
    groups = spec.count("groups")
    for what, count in (("channels", channels), ("filters", filters)):
        if count % groups:
            raise LayerError(
                "E0308",
                f"{count} {what} do not divide into {groups} groups",
                at="groups",
                label=f"{count}/{groups} = {count / groups:.2f}",
                helps=_divisors(channels, filters, groups),
            )


def _divisors(channels: int, filters: int, groups: int) -> list[str]:
    fitting = [
        g for g in range(1, min(channels, filters, 4096) + 1)
        if channels % g == 0 and filters % g == 0
    ]  # fmt: skip
    nearest = sorted(sorted(fitting, key=lambda g: (abs(g - groups), g))[:3])
    return [f"`groups {g}` fits" for g in nearest if g > 1] or ["leave `groups` out"]
