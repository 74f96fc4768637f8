"""Layers that join streams: add, multiply, concat."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar

from cnndsl.ir.graph import Value
from cnndsl.ir.op import Attrs, Op
from cnndsl.layers.base import (
    Clause,
    Hwc,
    LayerContext,
    LayerError,
    LayerKind,
    LayerSpec,
    Takes,
    define_layer,
    show_size,
)
from cnndsl.layers.shape import emit_crop, size_of
from cnndsl.ops.elementwise import add, mul
from cnndsl.ops.shape import ConcatAttrs, concat, emit_reshape


@define_layer
class Add(LayerKind):
    """The sum of two or more streams of one shape, number by number: F(x) + x."""

    name = "add"
    names = ("sum", "plus", "addition", "elementwise sum", "elementwise add")
    inputs = (2, None)
    takes_activation = True

    def output(self, spec: LayerSpec, inputs: Sequence[Hwc]) -> Hwc:
        """Give the size that all have; E0303 if they differ."""
        if len(set(inputs)) > 1:
            raise _different(self.name, inputs, helps=_projection(inputs))
        return inputs[0]

    def flops(self, spec: LayerSpec, inputs: Sequence[Hwc], output: Hwc) -> int:
        """Count one sum for each number and stream after the first."""
        return (len(inputs) - 1) * math.prod(output)

    def emit(self, ctx: LayerContext, spec: LayerSpec, *inputs: Value) -> Value:
        """Emit `add`, one fewer than there are streams."""
        result, *others = inputs
        return emit_chain(ctx, add, result, others)


@define_layer
class Multiply(LayerKind):
    """The product of two or more streams of one shape, number by number.

    A vector [C] beside an image [H x W x C] scales its channels.
    """

    name = "multiply"
    names = ("mul", "times", "product", "elementwise product", "scale by")
    inputs = (2, None)
    takes_activation = True

    def output(self, spec: LayerSpec, inputs: Sequence[Hwc]) -> Hwc:
        """Give the size that all have, or the image's if the others scale its channels."""
        largest = max(inputs, key=len)
        if any(size not in (largest, largest[-1:]) for size in inputs):
            raise _different(self.name, inputs)
        return largest

    def flops(self, spec: LayerSpec, inputs: Sequence[Hwc], output: Hwc) -> int:
        """Count one product for each number and stream after the first."""
        return (len(inputs) - 1) * math.prod(output)

    def emit(self, ctx: LayerContext, spec: LayerSpec, *inputs: Value) -> Value:
        """Emit `mul`, one fewer than there are streams; vectors beside images as [N, C, 1, 1]."""
        shapes = [ctx.b.type_of(value).shape for value in inputs]
        rank = max(map(len, shapes))
        result, *others = (
            emit_reshape(ctx.b, value, (*shape, *(1,) * (rank - len(shape))))
            for value, shape in zip(inputs, shapes, strict=True)
        )
        return emit_chain(ctx, mul, result, others)


@define_layer
class Concat(LayerKind):
    """Streams side by side: the channels add up, heights and widths must agree.

    With `crop` larger images are cut down to the smallest, evenly on opposite sides (one pixel
    more below and right if it must be), as U-Net's shortcuts are.
    """

    name = "concat"
    names = (
        "concatenate", "concatenation", "filter concatenation", "filter concat", "depth concat",
        "depthconcat",
    )  # fmt: skip
    clauses: ClassVar[tuple[Clause, ...]] = (
        Clause("crop", Takes.FLAG, doc="cut larger images to the smallest"),
    )
    inputs = (2, None)
    takes_activation = True

    def output(self, spec: LayerSpec, inputs: Sequence[Hwc]) -> Hwc:
        """Give the common height and width and the sum of the channels; E0304 if they differ."""
        channels = sum(size[-1] for size in inputs)
        if len({len(size) for size in inputs}) > 1:
            raise LayerError(
                "E0304",
                f"`concat` was given {_listed(map(show_size, inputs))}",
                label="images and vectors do not go together",
                also={str(i): show_size(size) for i, size in enumerate(inputs)},
                helps=["`flatten` makes a vector of an image"],
            )
        sides = [size[:-1] for size in inputs]
        if len(set(sides)) > 1 and not spec.flag("crop"):
            shown = ["x".join(map(str, side)) for side in dict.fromkeys(sides)]
            raise LayerError(
                "E0304",
                f"`concat` was given {_listed(shown)}",
                label="heights and widths must agree",
                also={str(i): show_size(size) for i, size in enumerate(inputs)},
                helps=["crop the larger side: `concat .. crop`"],
            )
        smallest = tuple(map(min, zip(*sides, strict=True)))
        return (*smallest, channels)

    def formula(self, spec: LayerSpec, inputs: Sequence[Hwc]) -> str:
        """Write the sum of the channels."""
        channels = [size[-1] for size in inputs]
        return f"{' + '.join(map(str, channels))} = {sum(channels)}"

    def emit(self, ctx: LayerContext, spec: LayerSpec, *inputs: Value) -> Value:
        """Emit one `concat` over axis 1, behind a `slice` for each stream that is cut."""
        if spec.flag("crop") and ctx.b.type_of(inputs[0]).rank == 4:
            sizes = [size_of(ctx, value) for value in inputs]
            height, width = min(s[0] for s in sizes), min(s[1] for s in sizes)
            inputs = tuple(
                emit_crop(ctx, value, (*_both_sides(s[0] - height), *_both_sides(s[1] - width)))
                for value, s in zip(inputs, sizes, strict=True)
            )
        return ctx.b.emit(concat, *inputs, attrs=ConcatAttrs(1), name=ctx.name)


def emit_chain(ctx: LayerContext, op: Op[Attrs], first: Value, others: Sequence[Value]) -> Value:
    """Emit `op` over all values from the left; the last node has the layer's name."""
    for index, other in enumerate(others, 1):
        name = ctx.name if index == len(others) else f"{ctx.name}.{index}"
        first = ctx.b.emit(op, first, other, name=name)
    return first


def _both_sides(pixels: int) -> tuple[int, int]:
    return pixels // 2, pixels - pixels // 2


def _different(kind: str, inputs: Sequence[Hwc], *, helps: Sequence[str] = ()) -> LayerError:
    return LayerError(
        "E0303",
        f"`{kind}` was given {_listed(map(show_size, inputs))}",
        label="these must have one shape",
        also={str(i): show_size(size) for i, size in enumerate(inputs)},
        helps=helps,
    )


def _listed(words: Sequence[str] | map[str]) -> str:
    *first, last = words
    return f"{', '.join(first)} and {last}" if first else last


def _projection(inputs: Sequence[Hwc]) -> list[str]:
    """Say what convolution makes the second of two images like the first."""
    if len(inputs) != 2 or any(len(size) != 3 for size in inputs):
        return []
    (height, width, channels), (h, w, others) = inputs
    if (h, w) == (height, width):
        wider = max(channels, others)
        return [f"project the shortcut: `conv {wider} 1x1` makes {show_size((h, w, wider))}"]
    if h * w < height * width:
        return []
    stride = round(h / height)
    if -(-h // stride) != height or -(-w // stride) != width:
        return []
    return [
        f"project the shortcut: `conv {channels} 1x1 stride {stride} same` makes "
        f"{show_size(inputs[0])}"
    ]
