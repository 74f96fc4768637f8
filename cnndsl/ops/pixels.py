"""Images as they are stored, a byte a number, made into what a network computes with."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from cnndsl.ir.graph import Node
from cnndsl.ir.op import Attrs, define_op
from cnndsl.ir.types import DType, TensorType, f32
from cnndsl.ops.rules import Array, Cost, Sample, cost, no_gradient, reference, samples
from cnndsl.support.diagnostics import TypeRuleError


@dataclass(frozen=True, slots=True)
class Pixels(Attrs):
    """What a byte stands for: (byte - black)/(white - black), less the mean, over the deviation."""

    black: float = 0.0
    """The byte that becomes 0."""
    white: float = 255.0
    """The byte that becomes 1."""
    mean: tuple[float, ...] = ()
    """What is taken off, one a channel; none: nothing."""
    std: tuple[float, ...] = ()
    """What is divided by afterwards, one a channel; none: nothing."""


@dataclass(frozen=True, slots=True)
class UnpackPixelsAttrs(Attrs):
    """Attributes of `unpack_pixels`."""

    type: TensorType
    """Type of the images, [N,C,H,W]."""
    pixels: Pixels = Pixels()
    """What a byte stands for."""
    channels: int = 0
    """Channels that the bytes have, where the images have more, which are 0; 0: all."""
    channels_last: bool = False
    """Whether the bytes are [H,W,C] of each image and not [C,H,W]."""

    @property
    def given(self) -> int:
        """Channels that the bytes have."""
        return self.channels or self.type.shape[1]


@define_op("unpack_pixels")
def unpack_pixels(attrs: UnpackPixelsAttrs, bytes_: TensorType) -> TensorType:
    """Images of floats from rows of bytes, scaled and normalised: u8[N, C*H*W] to [N,C,H,W]."""
    kind, pixels = attrs.type, attrs.pixels
    if kind.rank != 4 or not kind.dtype.is_float or not 0 < attrs.given <= kind.shape[1]:
        raise TypeRuleError(f"unpack_pixels makes images [N,C,H,W] of floats; asked for {kind}")
    count, _, height, width = kind.shape
    rows = TensorType(DType.U8, (count, attrs.given * height * width))
    if bytes_ != rows:
        raise TypeRuleError(f"unpack_pixels of {kind} takes {rows}; given {bytes_}")
    lengths = {len(pixels.mean), len(pixels.std)} - {0, attrs.given}
    if lengths or pixels.white == pixels.black or not all(pixels.std):
        raise TypeRuleError(f"unpack_pixels of {attrs.given} channels by {pixels}")
    return kind


@reference.rule(unpack_pixels)
def unpack_pixels_reference(node: Node[UnpackPixelsAttrs], bytes_: Array) -> Array:
    """Do to the numbers what the preparation of images does, in the same order."""
    attrs, pixels = node.attrs, node.attrs.pixels
    count, _, height, width = attrs.type.shape
    number = attrs.type.dtype.numpy.type
    if attrs.channels_last:
        images = bytes_.reshape(count, height, width, attrs.given).transpose(0, 3, 1, 2)
    else:
        images = bytes_.reshape(count, attrs.given, height, width)
    found = np.zeros(attrs.type.shape, number)
    value = images.astype(number)
    if pixels.black:
        value -= number(pixels.black)
    value /= number(pixels.white - pixels.black)
    if pixels.mean:
        value -= np.asarray(pixels.mean, number)[:, None, None]
    if pixels.std:
        value /= np.asarray(pixels.std, number)[:, None, None]
    found[:, : attrs.given] = value
    return found


no_gradient.add(unpack_pixels)


@cost.rule(unpack_pixels)
def unpack_pixels_cost(node: Node[UnpackPixelsAttrs], operands: Sequence[TensorType]) -> Cost:
    """One operation a number for each step."""
    pixels = node.attrs.pixels
    steps = 1 + bool(pixels.black) + bool(pixels.mean) + bool(pixels.std)
    return Cost(steps * operands[0].size, 0, operands[0].nbytes, node.type.nbytes)


@samples.rule(unpack_pixels)
def unpack_pixels_samples() -> Iterable[Sample]:
    """Both orders, with and without statistics, more channels than bytes."""
    colours = Pixels(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
    for kind, pixels, channels, last in (
        (f32(2, 3, 4, 5), colours, 0, False),
        (f32(2, 3, 4, 5), colours, 0, True),
        (f32(3, 1, 5, 3), Pixels(mean=(0.5,)), 0, False),
        (f32(1, 2, 3, 3), Pixels(16.0, 235.0, std=(0.5, 2.0)), 0, True),
        (f32(2, 4, 3, 5), colours, 3, True),
        (f32(2, 8, 3, 5), colours, 3, False),
    ):
        attrs = UnpackPixelsAttrs(kind, pixels, channels, channels_last=last)
        rows = (kind.shape[0], attrs.given * kind.shape[2] * kind.shape[3])
        yield Sample((TensorType(DType.U8, rows),), attrs, integers=256)
