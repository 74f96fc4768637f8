"""Layers that only move numbers: flatten, reshape, pad, crop, shuffle, the empty branch."""

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
    Takes,
    batched,
    define_layer,
    show_size,
)
from cnndsl.layers.conv import image
from cnndsl.ops.pad import PadAttrs, pad
from cnndsl.ops.shape import SliceAttrs, TransposeAttrs, emit_reshape, slice_, transpose


@define_layer
class Identity(LayerKind):
    """Nothing: the result is the input. The empty branch of a shortcut."""

    name = "id"
    names = ("identity",)
    counted = False

    def output(self, spec: LayerSpec, inputs: Sequence[Hwc]) -> Hwc:
        """Give the size of the input."""
        return inputs[0]

    def emit(self, ctx: LayerContext, spec: LayerSpec, *inputs: Value) -> Value:
        """Emit nothing."""
        return inputs[0]


@define_layer
class Flatten(LayerKind):
    """Stretch an image into one column, channel by channel (C, H, W order)."""

    name = "flatten"
    names = ("stretch", "flatten layer")
    counted = False

    def output(self, spec: LayerSpec, inputs: Sequence[Hwc]) -> Hwc:
        """Give how many numbers there are."""
        return (math.prod(inputs[0]),)

    def formula(self, spec: LayerSpec, inputs: Sequence[Hwc]) -> str:
        """Write the product."""
        return f"{'*'.join(map(str, inputs[0]))} = {math.prod(inputs[0])}"

    def field(
        self, spec: LayerSpec, inputs: Sequence[Hwc]
    ) -> tuple[tuple[int, int], tuple[int, int]]:
        """Give the whole image as the window: the column holds all of it."""
        return (inputs[0][0], inputs[0][1]) if len(inputs[0]) == 3 else (1, 1), (1, 1)

    def emit(self, ctx: LayerContext, spec: LayerSpec, *inputs: Value) -> Value:
        """Emit one `reshape`."""
        batch, *rest = ctx.b.type_of(inputs[0]).shape
        return emit_reshape(ctx.b, inputs[0], (batch, math.prod(rest)))


@define_layer
class Reshape(LayerKind):
    """The same numbers as an image or vector of another size, `reshape [7x7x30]`.

    They keep the order of `flatten`: channel by channel. One side may be `?`.
    """

    name = "reshape"
    names = ("view", "squeeze")
    clauses: ClassVar[tuple[Clause, ...]] = (
        Clause("size", Takes.SHAPE, doc="height x width x channels, or one length",
               names=("to", "shape"), required=True),
    )  # fmt: skip
    order = ("size",)
    counted = False

    def output(self, spec: LayerSpec, inputs: Sequence[Hwc]) -> Hwc:
        """Give the size that is said; it must hold as many numbers as arrive."""
        said = spec.settings["size"]
        assert isinstance(said, tuple)
        wanted = (*said, 1) if len(said) == 2 else said
        arriving = math.prod(inputs[0])
        if wanted.count(-1) == 1:
            known = -math.prod(wanted)
            if known and arriving % known == 0:
                wanted = tuple(arriving // known if side == -1 else side for side in wanted)
        if math.prod(wanted) != arriving or min(wanted) < 1:
            shown = "x".join("?" if side == -1 else str(side) for side in said)
            raise LayerError(
                "E0309",
                f"[{shown}] does not hold the {arriving:,} numbers of {show_size(inputs[0])}",
                at="size",
                label=_holds(wanted),
                notes=[f"{'*'.join(map(str, inputs[0]))} = {arriving:,} numbers arrive"],
                helps=_that_hold(wanted, arriving),
            )
        return wanted

    def field(
        self, spec: LayerSpec, inputs: Sequence[Hwc]
    ) -> tuple[tuple[int, int], tuple[int, int]]:
        """Give the whole image as the window: any number may come from anywhere in it."""
        return (inputs[0][0], inputs[0][1]) if len(inputs[0]) == 3 else (1, 1), (1, 1)

    def emit(self, ctx: LayerContext, spec: LayerSpec, *inputs: Value) -> Value:
        """Emit one `reshape`."""
        size = size_of(ctx, inputs[0])
        batch = ctx.b.type_of(inputs[0]).shape[0]
        return emit_reshape(ctx.b, inputs[0], batched(self.output(spec, [size]), batch))


def _that_hold(wanted: tuple[int, ...], arriving: int) -> list[str]:
    """Give sizes that hold what arrives, as near to the one that was said as one number lets."""
    found = []
    for axis, side in reversed(list(enumerate(wanted))):
        rest = math.prod(abs(n) for at, n in enumerate(wanted) if at != axis)
        if side != -1 and len(wanted) > 1 and rest and arriving % rest == 0:
            fitting = (*wanted[:axis], arriving // rest, *wanted[axis + 1 :])
            if min(fitting) > 0:
                found.append(f"`reshape [{'x'.join(map(str, fitting))}]` holds them")
                break
    return [*found, f"`reshape [{arriving}]` makes them one row"]


def _holds(size: Hwc) -> str:
    if -1 in size:
        return (
            "no number for `?` makes it fit" if size.count(-1) == 1 else "only one side may be `?`"
        )
    return f"{'*'.join(map(str, size))} = {math.prod(size):,}"


def size_of(ctx: LayerContext, value: Value) -> Hwc:
    """Give the size of a value of the graph, as the language writes it."""
    _, channels, *rest = ctx.b.type_of(value).shape
    return (*rest, channels)


@define_layer
class Pad(LayerKind):
    """A border around an image: zeros, or with `reflect` its mirror image, with `edge` its edge."""

    name = "pad"
    names = ("padding", "zero padding", "zeropadding2d", "pad layer")
    clauses: ClassVar[tuple[Clause, ...]] = (
        Clause("amount", Takes.MARGIN, doc="pixels on each side", required=True,
               names=("border", "width")),
        Clause("reflect", Takes.FLAG, doc="mirror the image at its border",
               group="what the border holds"),
        Clause("edge", Takes.FLAG, doc="repeat the outermost pixels",
               names=("replicate",), group="what the border holds"),
        Clause("zero", Takes.FLAG, doc="zeros, as without a word", names=("zeros",),
               group="what the border holds"),
    )  # fmt: skip
    order = ("amount",)

    def output(self, spec: LayerSpec, inputs: Sequence[Hwc]) -> Hwc:
        """Give the size with the border."""
        height, width, channels = image(self.name, inputs[0])
        top, bottom, left, right = spec.margin("amount")
        if spec.flag("reflect") and (max(top, bottom) >= height or max(left, right) >= width):
            raise LayerError(
                "E0311",
                f"a {height}x{width} image has too few pixels to reflect",
                at="amount",
                label=f"at most {min(height, width) - 1} on each side",
                helps=["`edge` repeats the outermost pixels as often as it takes"],
            )
        return (height + top + bottom, width + left + right, channels)

    def formula(self, spec: LayerSpec, inputs: Sequence[Hwc]) -> str:
        """Write the sum."""
        top, bottom, _, _ = spec.margin("amount")
        height = inputs[0][0]
        return f"{height} + {top} + {bottom} = {height + top + bottom}"

    def border(self, spec: LayerSpec, inputs: Sequence[Hwc]) -> tuple[int, int]:
        """Give the rows above and the columns left."""
        top, _, left, _ = spec.margin("amount")
        return top, left

    def emit(self, ctx: LayerContext, spec: LayerSpec, *inputs: Value) -> Value:
        """Emit one `pad`."""
        top, bottom, left, right = spec.margin("amount")
        mode = next((word for word in ("reflect", "edge") if spec.flag(word)), "constant")
        attrs = PadAttrs((0, 0, top, left), (0, 0, bottom, right), mode)
        return ctx.b.emit(pad, *inputs, attrs=attrs, name=ctx.name)


@define_layer
class Crop(LayerKind):
    """Cut pixels from the border of an image: `crop 2`, on every side."""

    name = "crop"
    names = ("cropping", "cropping2d")
    clauses: ClassVar[tuple[Clause, ...]] = (
        Clause("amount", Takes.MARGIN, doc="pixels on each side", required=True,
               names=("border", "width")),
    )  # fmt: skip
    order = ("amount",)

    def output(self, spec: LayerSpec, inputs: Sequence[Hwc]) -> Hwc:
        """Give the size without the border; something must be left."""
        height, width, channels = image(self.name, inputs[0])
        top, bottom, left, right = spec.margin("amount")
        cut = (height - top - bottom, width - left - right, channels)
        if min(cut) < 1:
            side = f"{height} - {top} - {bottom} = {cut[0]}"
            if cut[0] >= 1:
                side = f"{width} - {left} - {right} = {cut[1]}"
            raise LayerError(
                "E0305", f"nothing is left of the {height}x{width} image", at="amount", label=side
            )
        return cut

    def formula(self, spec: LayerSpec, inputs: Sequence[Hwc]) -> str:
        """Write the difference."""
        top, bottom, _, _ = spec.margin("amount")
        height = inputs[0][0]
        return f"{height} - {top} - {bottom} = {height - top - bottom}"

    def border(self, spec: LayerSpec, inputs: Sequence[Hwc]) -> tuple[int, int]:
        """Give what is cut off above and left, as a border less than none."""
        top, _, left, _ = spec.margin("amount")
        return -top, -left

    def emit(self, ctx: LayerContext, spec: LayerSpec, *inputs: Value) -> Value:
        """Emit one `slice`."""
        top, bottom, left, right = spec.margin("amount")
        return emit_crop(ctx, inputs[0], (top, bottom, left, right))


@define_layer
class Shuffle(LayerKind):
    """Channel shuffle: the channels dealt out in turn, `shuffle 3` (Zhang et al., 2018).

    Of `groups` groups of channels the first of each come first, then the second of each: behind a
    convolution in groups every group of the next one sees all of them.
    """

    name = "shuffle"
    names = ("channel shuffle", "shuffle channels", "channelshuffle")
    clauses: ClassVar[tuple[Clause, ...]] = (
        Clause("groups", Takes.COUNT, doc="groups of channels that are dealt out", required=True,
               names=("group",)),
    )  # fmt: skip
    order = ("groups",)
    counted = False

    def output(self, spec: LayerSpec, inputs: Sequence[Hwc]) -> Hwc:
        """Give the size of the input; the groups must divide the channels."""
        channels, groups = inputs[0][-1], spec.count("groups")
        if channels % groups:
            raise LayerError(
                "E0308",
                f"{channels} channels do not divide into {groups} groups",
                at="groups",
                label=f"{channels}/{groups} = {channels / groups:.2f}",
                notes=[f"the input here is {show_size(inputs[0])}"],
            )
        return inputs[0]

    def formula(self, spec: LayerSpec, inputs: Sequence[Hwc]) -> str:
        """Write the division, `240 = 3 groups of 80`."""
        channels, groups = inputs[0][-1], spec.count("groups")
        return f"{channels} = {groups} groups of {channels // groups}"

    def emit(self, ctx: LayerContext, spec: LayerSpec, *inputs: Value) -> Value:
        """Emit `reshape` to [N, groups, channels/groups, ...], `transpose`, and `reshape` back."""
        (x,) = inputs
        batch, channels, *rest = ctx.b.type_of(x).shape
        groups = spec.count("groups")
        apart = emit_reshape(ctx.b, x, (batch, groups, channels // groups, *rest))
        order = TransposeAttrs((0, 2, 1, *range(3, 3 + len(rest))))
        dealt = ctx.b.emit(transpose, apart, attrs=order, name=ctx.name)
        return emit_reshape(ctx.b, dealt, (batch, channels, *rest))


def emit_crop(ctx: LayerContext, x: Value, margin: tuple[int, int, int, int]) -> Value:
    """Emit x [N,C,H,W] without (top, bottom, left, right) pixels; x itself if they are 0."""
    if not any(margin):
        return x
    batch, channels, height, width = ctx.b.type_of(x).shape
    top, bottom, left, right = margin
    attrs = SliceAttrs((0, 0, top, left), (batch, channels, height - bottom, width - right))
    return ctx.b.emit(slice_, x, attrs=attrs, name=f"{ctx.name}.cropped")
