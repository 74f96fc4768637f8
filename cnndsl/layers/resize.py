"""Images of another size without weights: copies of pixels, or blends of neighbouring ones."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from fractions import Fraction
from math import ceil, floor
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
    Steps,
    Takes,
    define_layer,
    show_size,
)
from cnndsl.layers.conv import image
from cnndsl.layers.unpool import FACTOR, Enlarging, emit_copies
from cnndsl.ops.resize import BLEND_FLOPS, Line, ResizeAttrs, lines_of, resize

_GROUP = "what the new pixels hold"
_NEAREST = ("nearest neighbour", "nearest neighbor")
_CORNERS = Clause("align_corners", Takes.FLAG,
                  doc="the middles of the corner pixels stay the corners, else the edges do",
                  names=("aligned corners", "corners"))  # fmt: skip
FINEST = 10_000
"""Largest denominator of a scale."""


class Resizing(LayerKind):
    """What the layers that scale images share: where each number comes from."""

    @abstractmethod
    def attrs(self, spec: LayerSpec, inputs: Sequence[Hwc]) -> ResizeAttrs:
        """Give the size of the result and what its pixels hold."""

    def lines(self, spec: LayerSpec, inputs: Sequence[Hwc]) -> tuple[Line, Line]:
        """Give where the numbers come from along both axes."""
        height, width, _ = image(self.name, inputs[0])
        return lines_of(self.attrs(spec, inputs), height, width)

    def flops(self, spec: LayerSpec, inputs: Sequence[Hwc], output: Hwc) -> int:
        """Count four products and three sums for a blended number."""
        height, width, channels = output
        blends = self.attrs(spec, inputs).mode == "bilinear"
        return BLEND_FLOPS * height * width * channels if blends else 0

    def field(
        self, spec: LayerSpec, inputs: Sequence[Hwc]
    ) -> tuple[tuple[int, int], tuple[Steps, Steps]]:
        """Give the pixels that a number blends, and how far it is from number to number."""
        down, across = self.lines(spec, inputs)
        return (_seen(down), _seen(across)), (_step(down), _step(across))


def _seen(line: Line) -> int:
    """Give how many pixels along an axis a number looks at."""
    return 2 if line.blends and (line.step % line.unit or line.start % line.unit) else 1


def _step(line: Line) -> Fraction:
    """Give how far, in pixels, it is from number to number."""
    return Fraction(line.step or line.length, line.unit if line.step else line.size)


@define_layer
class Upsample(Resizing, Enlarging):
    """An image some times as high and wide: `upsample 2` copies each pixel, `.. bilinear` blends.

    With `bilinear` a number blends the four pixels around it; pixels outside are those of the
    border. With `align corners` the middles of the corner pixels stay the corners.
    """

    name = "upsample"
    names = (
        "upsampling", "upsample layer", "upsampling layer", "upsampling2d", "upsample2d",
        "nearest upsampling", "nearest neighbour", "nearest neighbor",
    )  # fmt: skip
    clauses: ClassVar[tuple[Clause, ...]] = (
        FACTOR,
        Clause("nearest", Takes.FLAG, doc="copies of each pixel, as without a word",
               names=_NEAREST, group=_GROUP),
        Clause("bilinear", Takes.FLAG, doc="blends of the four pixels around", group=_GROUP),
        _CORNERS,
    )  # fmt: skip

    def complete(
        self, given: Mapping[str, SettingValue], *, bare: bool, pools: int
    ) -> dict[str, SettingValue]:
        """Refuse corners for copies: `LayerError` E0206."""
        filled = super().complete(given, bare=bare, pools=pools)
        if filled.get("align_corners") and not filled.get("bilinear"):
            raise LayerError(
                "E0206",
                "`align corners` says where blends are taken, and `upsample` copies pixels",
                at="align_corners",
                helps=["`bilinear align corners` blends", "or leave `align corners` out"],
            )
        return filled

    def attrs(self, spec: LayerSpec, inputs: Sequence[Hwc]) -> ResizeAttrs:
        """Give the factor times the size."""
        height, width, _ = self.output(spec, inputs)
        mode = "bilinear" if spec.flag("bilinear") else "nearest"
        return ResizeAttrs(height, width, mode, align_corners=spec.flag("align_corners"))

    def emit(self, ctx: LayerContext, spec: LayerSpec, *inputs: Value) -> Value:
        """Emit a `broadcast_to` between two reshapes, or a `resize`."""
        if not spec.flag("bilinear"):
            return emit_copies(ctx, inputs[0], spec.size("factor"))
        return emit_resize(ctx, self, spec, inputs[0])


@define_layer
class Resize(Resizing):
    """An image of another size: `resize 32x48` blends the pixels around, `.. nearest` copies one.

    `resize scale 0.5` says it in parts of the size. The numbers are those of PyTorch's
    `interpolate`; a smaller image takes no means: it looks at four pixels, or at one.
    """

    name = "resize"
    names = ("resizing", "resize layer", "resizing layer", "interpolate", "interpolation",
             "rescale")  # fmt: skip
    clauses: ClassVar[tuple[Clause, ...]] = (
        Clause("size", Takes.SIZE, doc="height and width of the result", names=("to",),
               group="the new size"),
        Clause("scale", Takes.NUMBER, doc="how many times as high and wide", low=1 / FINEST,
               most=FINEST, names=("by", "scale_factor"), group="the new size"),
        Clause("bilinear", Takes.FLAG, doc="blends of the four pixels around, as without a word",
               group=_GROUP),
        Clause("nearest", Takes.FLAG, doc="copies of one pixel", names=_NEAREST, group=_GROUP),
        _CORNERS,
    )  # fmt: skip
    order = ("size",)

    def complete(
        self, given: Mapping[str, SettingValue], *, bare: bool, pools: int
    ) -> dict[str, SettingValue]:
        """Ask for a size (`LayerError` E0205) and refuse corners for copies (E0206)."""
        filled = super().complete(given, bare=bare, pools=pools)
        if "size" not in filled and "scale" not in filled:
            raise LayerError(
                "E0205",
                "`resize` does not say its `size`",
                helps=["`resize 32x48` is 32 high and 48 wide; `resize scale 0.5` half the size"],
            )
        if filled.get("align_corners") and filled.get("nearest"):
            raise LayerError(
                "E0206",
                "`align corners` says where blends are taken, and `nearest` copies pixels",
                at="align_corners",
                also={"nearest": ""},
                helps=["leave one of them out"],
            )
        return filled

    def output(self, spec: LayerSpec, inputs: Sequence[Hwc]) -> Hwc:
        """Give the size that is said, or the scale times the size if that is whole."""
        height, width, channels = image(self.name, inputs[0])
        if "size" in spec.settings:
            return (*spec.size("size"), channels)
        sides = [side * _scale(spec) for side in (height, width)]
        if any(side.denominator > 1 for side in sides):
            raise _uneven(spec, inputs[0], sides)
        return (int(sides[0]), int(sides[1]), channels)

    def formula(self, spec: LayerSpec, inputs: Sequence[Hwc]) -> str:
        """Write `14*3/2 = 21`, or `14 -> 32`; once if both axes have the same numbers."""
        pairs = zip(inputs[0][:2], self.output(spec, inputs)[:2], strict=True)
        if "size" in spec.settings:
            made = [f"{side} -> {result}" for side, result in pairs]
        else:
            made = [f"{side}*{_scale(spec)} = {result}" for side, result in pairs]
        return "; ".join(dict.fromkeys(made))

    def attrs(self, spec: LayerSpec, inputs: Sequence[Hwc]) -> ResizeAttrs:
        """Give the size of the result."""
        height, width, _ = self.output(spec, inputs)
        mode = "nearest" if spec.flag("nearest") else "bilinear"
        return ResizeAttrs(height, width, mode, align_corners=spec.flag("align_corners"))

    def emit(self, ctx: LayerContext, spec: LayerSpec, *inputs: Value) -> Value:
        """Emit a `resize`."""
        return emit_resize(ctx, self, spec, inputs[0])


def emit_resize(ctx: LayerContext, kind: Resizing, spec: LayerSpec, x: Value) -> Value:
    """Emit the op for x [N,C,H,W]."""
    _, channels, height, width = ctx.b.type_of(x).shape
    attrs = kind.attrs(spec, [(height, width, channels)])
    return ctx.b.emit(resize, x, attrs=attrs, name=ctx.name)


def _scale(spec: LayerSpec) -> Fraction:
    return Fraction(spec.number("scale")).limit_denominator(FINEST)


def _uneven(spec: LayerSpec, given: Hwc, sides: Sequence[Fraction]) -> LayerError:
    """Say which side is no whole number of pixels, and which sizes are near."""
    scale = _scale(spec)
    wrong = [
        f"{side}*{scale} = {float(result):g}"
        for side, result in zip(given, sides, strict=False)
        if result.denominator > 1
    ]
    least, most = (
        "x".join(str(max(1, rounded(side))) for side in sides) for rounded in (floor, ceil)
    )
    return LayerError(
        "E0312",
        f"{show_size(given)} scaled by {scale} has no whole number of pixels",
        at="scale",
        label="; ".join(dict.fromkeys(wrong)),
        helps=[f"say the size: `resize {least}` or `resize {most}`"],
    )
