"""Back to a larger image: copies of each pixel, zeros between them, or the places of a pool."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
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
    Maker,
    SettingValue,
    Steps,
    Takes,
    define_layer,
    show_size,
)
from cnndsl.layers.clauses import fold_words
from cnndsl.layers.conv import image
from cnndsl.layers.pool import MaxPool
from cnndsl.ops.pad import PadAttrs, pad
from cnndsl.ops.pool import Pool2dAttrs, max_pool2d, max_pool2d_grad
from cnndsl.ops.shape import BroadcastToAttrs, broadcast_to, emit_reshape

FACTOR = Clause("factor", Takes.SIZE, default=(2, 2), doc="how many times as high and as wide",
                 names=("by", "scale", "scale_factor"))  # fmt: skip


class Enlarging(LayerKind):
    """What the layers that make an image larger share: the factor, and no parameters."""

    order = ("factor",)

    def words(self, spec: LayerSpec) -> str:
        """Write how much larger, `upsample 2`, always; and what fills the new pixels."""
        down, across = spec.size("factor")
        said = [c.name for c in self.clauses if c.takes is Takes.FLAG and spec.flag(c.name)]
        flags = [fold_words(name) for name in said]
        return " ".join([self.name, str(down) if down == across else f"{down}x{across}", *flags])

    def output(self, spec: LayerSpec, inputs: Sequence[Hwc]) -> Hwc:
        """Give the larger image."""
        height, width, channels = image(self.name, inputs[0])
        down, across = spec.size("factor")
        return (height * down, width * across, channels)

    def formula(self, spec: LayerSpec, inputs: Sequence[Hwc]) -> str:
        """Write the products, `14*2 = 28`; once if both axes have the same numbers."""
        made = [
            f"{side}*{factor} = {side * factor}"
            for side, factor in zip(inputs[0][:2], spec.size("factor"), strict=True)
        ]
        return "; ".join(dict.fromkeys(made))

    def field(
        self, spec: LayerSpec, inputs: Sequence[Hwc]
    ) -> tuple[tuple[int, int], tuple[Steps, Steps]]:
        """Give one pixel, and steps of a part of it."""
        down, across = spec.size("factor")
        return (1, 1), (Fraction(1, down), Fraction(1, across))


def emit_copies(ctx: LayerContext, x: Value, factor: tuple[int, int]) -> Value:
    """Emit x [N,C,H,W] with each pixel repeated, [N,C,H*fh,W*fw]."""
    batch, channels, height, width = ctx.b.type_of(x).shape
    down, across = factor
    apart = emit_reshape(ctx.b, x, (batch, channels, height, 1, width, 1))
    spread = BroadcastToAttrs((batch, channels, height, down, width, across))
    copies = ctx.b.emit(broadcast_to, apart, attrs=spread, name=ctx.name)
    return emit_reshape(ctx.b, copies, (batch, channels, height * down, width * across))


@define_layer
class Unpool(Enlarging):
    """Unpooling: `unpool pool1` puts each number back to the place that `pool1` took its from.

    The rest is 0 (SegNet: Badrinarayanan, Kendall, Cipolla, 2015); where windows overlap and share
    their maximum, numbers add up. `unpool 2` copies each pixel, `unpool 2 nails` puts it above and
    left among zeros (a bed of nails).
    """

    name = "unpool"
    names = (
        "unpooling", "unpool layer", "unpooling layer", "max unpool", "max unpooling", "maxunpool",
        "maxunpool2d", "max unpooling layer",
    )  # fmt: skip
    inputs = (1, 2)
    asks_makers = True
    clauses: ClassVar[tuple[Clause, ...]] = (
        FACTOR,
        Clause("nearest", Takes.FLAG, doc="copies of each pixel, as without a word",
               names=("nearest neighbour", "nearest neighbor"), group="what the new pixels hold"),
        Clause("nails", Takes.FLAG, doc="each pixel above and left of zeros",
               names=("bed of nails", "zeros"), group="what the new pixels hold"),
    )  # fmt: skip

    def settled(
        self, settings: Mapping[str, SettingValue], makers: Sequence[Maker | None]
    ) -> Mapping[str, SettingValue]:
        """Take the size of the result from the pool whose places are used."""
        if len(makers) < 2:
            return settings
        maker = makers[1]
        kind = maker.spec.kind if maker is not None else None
        if maker is None or not isinstance(kind, MaxPool):
            what = f"`{maker.spec.kind.name}`" if maker is not None else "an input"
            raise LayerError(
                "E0307",
                f"`unpool` takes the places that a `maxpool` took its numbers from, not {what}",
                also={"1": f"{what} chooses no places"},
                helps=["name the pool itself: `maxpool 2x2/2 as p`, and then `unpool p`",
                       "or say only how much larger: `unpool 2`"],
            )  # fmt: skip
        said = next((w for w in ("nearest", "nails") if settings.get(w)), "")
        if said:
            raise LayerError(
                "E0206",
                f"the places of `{maker.name}` and `{said}` say two different things",
                at=said,
                helps=[f"leave `{said}` out, or the name of the pool"],
            )
        height, width, _ = maker.inputs[0]
        pooled = kind.output(maker.spec, maker.inputs)
        return {**settings, "factor": maker.spec.size("stride"), "height": height,
                "width": width, "pooled": pooled}  # fmt: skip

    def output(self, spec: LayerSpec, inputs: Sequence[Hwc]) -> Hwc:
        """Give the larger image: that which the pool read, if one is named."""
        if "pooled" not in spec.settings:
            return super().output(spec, inputs)
        image(self.name, inputs[0])
        if inputs[0] != spec.settings["pooled"]:
            given, made = show_size(inputs[0]), show_size(inputs[1])
            raise LayerError(
                "E0307",
                f"`unpool` was given {given}, and the pool that it undoes made {made}",
                label="a number for each place",
                also={"0": given, "1": made},
                helps=_same_channels(inputs[0], inputs[1]),
            )
        return (spec.count("height"), spec.count("width"), inputs[0][-1])

    def words(self, spec: LayerSpec) -> str:
        """Write `unpool` alone where a pool says how far."""
        return self.name if "pooled" in spec.settings else super().words(spec)

    def formula(self, spec: LayerSpec, inputs: Sequence[Hwc]) -> str:
        """Write the products, or what the pool read."""
        if "pooled" not in spec.settings:
            return super().formula(spec, inputs)
        height, width, _ = inputs[0]
        back = f"{spec.count('height')}x{spec.count('width')}"
        return f"{height}x{width} -> {back}, as before the pool"

    def emit(self, ctx: LayerContext, spec: LayerSpec, *inputs: Value) -> Value:
        """Emit a `max_pool2d_grad` at what the pool read, or a `broadcast_to`, or a `pad`."""
        x, *places = inputs
        if places:
            node = ctx.b.graph[places[0]]
            assert node.op is max_pool2d
            assert isinstance(node.attrs, Pool2dAttrs)
            return ctx.b.emit(max_pool2d_grad, node.operands[0], x, attrs=node.attrs, name=ctx.name)
        if not spec.flag("nails"):
            return emit_copies(ctx, x, spec.size("factor"))
        batch, channels, height, width = ctx.b.type_of(x).shape
        down, across = spec.size("factor")
        apart = emit_reshape(ctx.b, x, (batch, channels, height, 1, width, 1))
        zeros = PadAttrs((0,) * 6, (0, 0, 0, down - 1, 0, across - 1))
        nails = ctx.b.emit(pad, apart, attrs=zeros, name=ctx.name)
        return emit_reshape(ctx.b, nails, (batch, channels, height * down, width * across))


def _same_channels(given: Hwc, made: Hwc) -> list[str]:
    if len(given) == 3 and given[:2] == made[:2]:
        return [f"`conv {made[-1]} 1x1` before it makes {show_size(made)}"]
    larger = math.prod(given[:-1]) > math.prod(made[:-1])
    return ["unpool in the opposite order of the pools: the last pool first"] if larger else []
