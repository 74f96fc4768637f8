"""Convolution and its data gradient as one thing: sums over taps.

A tap is a distance from an output's place in the image and the weight that is read there. The
gradient for the image of a strided convolution falls into as many such sums as a stride has
pixels down times across: the pixels that lie on one lattice see the same taps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

from cnndsl.ir.types import Shape
from cnndsl.ops.conv import SlideAttrs
from cnndsl.ops.window import Pair

Tap = tuple[int, int]
"""Pixels from an output's place to what it reads, and elements from the first weight."""


@dataclass(frozen=True, slots=True)
class Lattice:
    """Which places of an axis are written: start, start + step, ..."""

    start: int = 0
    """The first place."""
    step: int = 1
    """Places from one to the next."""


@dataclass(frozen=True, slots=True)
class TapSum:
    """out[n, o, y, x] = sum of w[o, c, tap] * in[n, c, y*sy + down, x*sx + across].

    Pixels outside the image are zero. Everything is counted within one group of channels.
    """

    images: int
    """Images of the batch."""
    groups: int
    """Groups of channels."""
    inputs: int
    """Channels that a group reads."""
    outputs: int
    """Channels that a group writes."""
    image: Pair
    """Height and width of what is read."""
    places: Pair
    """Height and width of what is written, on its lattice."""
    strides: Pair
    """Pixels of the image from place to place."""
    down: tuple[Tap, ...]
    """Taps of the rows."""
    across: tuple[Tap, ...]
    """Taps of the columns."""
    weights: tuple[int, int, int]
    """Elements of the weight from group to group, output to output, input to input."""
    result: Pair
    """Height and width of the result."""
    lattices: tuple[Lattice, Lattice] = (Lattice(), Lattice())
    """Where in the result the places lie."""

    @property
    def steps(self) -> int:
        """Multiply-adds of one output."""
        return self.inputs * len(self.down) * len(self.across)

    @property
    def flops(self) -> float:
        """Operations of all outputs."""
        outputs = self.images * self.groups * self.outputs * self.places[0] * self.places[1]
        return 2.0 * outputs * self.steps

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to sum or nowhere to put it."""
        return not (self.steps and all(self.places) and self.images and self.outputs)

    def span(self, axis: int) -> tuple[int, int]:
        """Give the first pixel that is read along an axis and the one after the last."""
        taps = (self.down, self.across)[axis]
        distances = [distance for distance, _ in taps]
        last = (self.places[axis] - 1) * self.strides[axis] + max(distances)
        return min(distances), last + 1

    @property
    def is_pointwise(self) -> bool:
        """Whether every output reads one pixel."""
        return len(self.down) == len(self.across) == 1

    @property
    def is_inside(self) -> bool:
        """Whether only real pixels are read."""
        spans = [self.span(axis) for axis in (0, 1)]
        return all(
            low >= 0 and high <= size for (low, high), size in zip(spans, self.image, strict=True)
        )

    @property
    def is_dense(self) -> bool:
        """Whether each output reads the one pixel that lies at its own place, and all are read."""
        return (
            self.is_pointwise
            and self.strides == (1, 1)
            and self.image == self.places
            and self.down[0][0] == self.across[0][0] == 0
        )


def forward_taps(attrs: SlideAttrs, x: Shape, weight: Shape, y: Shape) -> TapSum:
    """Give the sums that a convolution makes."""
    filters, depth, height, width = weight
    (top, _), (left, _) = attrs.padding
    outputs = filters // attrs.groups
    return TapSum(
        images=x[0],
        groups=attrs.groups,
        inputs=depth,
        outputs=outputs,
        image=(x[2], x[3]),
        places=(y[2], y[3]),
        strides=attrs.strides,
        down=tuple((i * attrs.dilations[0] - top, i * width) for i in range(height)),
        across=tuple((j * attrs.dilations[1] - left, j) for j in range(width)),
        weights=(outputs * depth * height * width, depth * height * width, height * width),
        result=(y[2], y[3]),
    )


def gradient_taps(attrs: SlideAttrs, grad: Shape, weight: Shape, x: Shape) -> list[TapSum]:
    """Give the sums that the gradient for the image is made of, one a lattice."""
    filters, depth, height, width = weight
    window, sizes = (height, width), (x[2], x[3])
    outputs = filters // attrs.groups
    found = []
    for start in product(*(range(min(s, n)) for s, n in zip(attrs.strides, sizes, strict=True))):
        taps = [_seen(attrs, axis, start[axis], window[axis]) for axis in (0, 1)]
        scaled = [
            tuple((distance, tap * (width if axis == 0 else 1)) for distance, tap in taps[axis])
            for axis in (0, 1)
        ]
        found.append(
            TapSum(
                images=x[0],
                groups=attrs.groups,
                inputs=outputs,
                outputs=depth,
                image=(grad[2], grad[3]),
                places=(
                    -(-(x[2] - start[0]) // attrs.strides[0]),
                    -(-(x[3] - start[1]) // attrs.strides[1]),
                ),
                strides=(1, 1),
                down=scaled[0],
                across=scaled[1],
                weights=(outputs * depth * height * width, height * width, depth * height * width),
                result=sizes,
                lattices=(
                    Lattice(start[0], attrs.strides[0]),
                    Lattice(start[1], attrs.strides[1]),
                ),
            )
        )
    return found


def _seen(attrs: SlideAttrs, axis: int, start: int, taps: int) -> Sequence[Tap]:
    """Give distance and number of the taps that pixels start, start + stride, ... were under."""
    stride, before = attrs.strides[axis], attrs.padding[axis][0]
    found = []
    for tap in reversed(range(taps)):
        offset = start + before - tap * attrs.dilations[axis]
        if offset % stride == 0:
            found.append((offset // stride, tap))
    return found
