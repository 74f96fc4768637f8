"""Images scaled to another size: the nearest pixel, or a blend of the four around, and gradients.

Sizes and numbers are those of PyTorch's `interpolate` with the modes "nearest" and "bilinear",
`align_corners` as given, without antialiasing. Places are whole numbers of parts of a pixel here;
PyTorch rounds them to single precision, and so its "nearest" takes the pixel before where a place
falls on a pixel and is rounded down: number 22 of 33 over 39 pixels stands on pixel 26.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from cnndsl.ir.builder import Builder
from cnndsl.ir.graph import Node, Value
from cnndsl.ir.op import Attrs, define_op
from cnndsl.ir.types import TensorType, f32
from cnndsl.ops.rules import (
    Array,
    Cost,
    Sample,
    cost,
    elementwise_cost,
    reference,
    samples,
    vjp,
)
from cnndsl.support.diagnostics import TypeRuleError

MODES = ("nearest", "bilinear")
BLEND_FLOPS = 7
"""Operations of a blended number: four products, three sums."""


@dataclass(frozen=True, slots=True)
class ResizeAttrs(Attrs):
    """Attributes of `resize`."""

    height: int
    """Rows of the result."""
    width: int
    """Columns of the result."""
    mode: str = "bilinear"
    """"nearest": a copy of one pixel; "bilinear": a blend of two on each axis."""
    align_corners: bool = False
    """Whether the middles of the corner pixels stay the corners, else the outer edges do."""


@dataclass(frozen=True, slots=True)
class ResizeGradAttrs(Attrs):
    """Attributes of `resize_grad`."""

    height: int
    """Rows of what was resized."""
    width: int
    """Columns of what was resized."""
    resize: ResizeAttrs
    """How it was resized."""


@dataclass(frozen=True, slots=True)
class Line:
    """Where the numbers of one axis come from.

    Number `o` of the result looks at the place (step*o + start)/unit of the operand, no less than
    0 and no more than the last one; pixels stand at whole places. Without a blend it copies the
    pixel at or before its place, with one it blends that with the next by how far it is from both.
    All are whole numbers, so that nothing is rounded but weights.
    """

    length: int
    """Pixels of the operand."""
    size: int
    """Numbers of the result."""
    step: int
    """From number to number, in units."""
    start: int
    """Place of number 0, in units; may lie before pixel 0."""
    unit: int
    """From pixel to pixel."""
    blends: bool
    """Whether two pixels count."""

    @classmethod
    def of(cls, attrs: ResizeAttrs, length: int, size: int) -> Line:
        """Give the places for `size` numbers over `length` pixels.

        nearest: o*length/size; bilinear: (o + 1/2)*length/size - 1/2, which lays the edges of the
        images on one another; with `align_corners` o*(length - 1)/(size - 1), 0 for one number.
        """
        if attrs.mode == "nearest":
            return cls(length, size, length, 0, size, blends=False)
        if not attrs.align_corners:
            return cls(length, size, 2 * length, length - size, 2 * size, blends=True)
        if size == 1:
            return cls(length, size, 0, 0, 1, blends=True)
        return cls(length, size, length - 1, 0, size - 1, blends=True)

    def tap(self, number: int) -> tuple[int, int, float]:
        """Give the pixels before and behind the place of a number, and the second's share."""
        place = min(max(self.step * number + self.start, 0), (self.length - 1) * self.unit)
        before, beyond = divmod(place, self.unit)
        if not self.blends:
            return before, before, 0.0
        return before, min(before + 1, self.length - 1), beyond / self.unit

    @property
    def taps(self) -> tuple[list[int], list[int], list[float]]:
        """Give the same for every number."""
        found = [self.tap(number) for number in range(self.size)]
        return [tap[0] for tap in found], [tap[1] for tap in found], [tap[2] for tap in found]

    @property
    def readers(self) -> list[list[tuple[int, float]]]:
        """Give, for each pixel, the numbers that it counts in, in order, and its share of each."""
        found: list[list[tuple[int, float]]] = [[] for _ in range(self.length)]
        for number, (before, behind, share) in enumerate(zip(*self.taps, strict=True)):
            found[before].append((number, 1.0 - share if behind != before else 1.0))
            if share and behind != before:
                found[behind].append((number, share))
        return found


def lines_of(attrs: ResizeAttrs, height: int, width: int) -> tuple[Line, Line]:
    """Give the places along both axes for an image of `height` x `width`."""
    return Line.of(attrs, height, attrs.height), Line.of(attrs, width, attrs.width)


@define_op("resize")
def resize(attrs: ResizeAttrs, x: TensorType) -> TensorType:
    """The image [N,C,H,W] scaled to [N,C,height,width], as PyTorch's `interpolate` does.

    "nearest" copies the pixel at floor(o*H/height). "bilinear" blends the pixels around
    (o + 1/2)*H/height - 1/2, or around o*(H - 1)/(height - 1) with `align_corners`.
    """
    if attrs.mode not in MODES:
        raise TypeRuleError(f"resize has no mode {attrs.mode!r}; it has {', '.join(MODES)}")
    if x.rank != 4 or not x.dtype.is_float or not x.size:
        raise TypeRuleError(f"resize takes an image [N,C,H,W] of floats; given {x}")
    if min(attrs.height, attrs.width) < 1:
        raise TypeRuleError(f"resize of {x} to {attrs.height}x{attrs.width}: 1x1 is the least")
    if attrs.align_corners and attrs.mode == "nearest":
        raise TypeRuleError("resize with align_corners blends; nearest takes one pixel")
    return x.with_shape((*x.shape[:2], attrs.height, attrs.width))


@define_op("resize_grad")
def resize_grad(attrs: ResizeGradAttrs, grad: TensorType) -> TensorType:
    """The gradient of `resize`: each pixel sums its share of the numbers that it counts in."""
    if grad.rank != 4 or min(attrs.height, attrs.width) < 1:
        raise TypeRuleError(f"resize_grad takes the gradient of an image [N,C,H,W]; given {grad}")
    x = grad.with_shape((*grad.shape[:2], attrs.height, attrs.width))
    made = resize.infer(attrs.resize, x)[0]
    if made != grad:
        raise TypeRuleError(f"resize gives {made} here; its gradient is {grad}")
    return x


def _resized(x: Array, line: Line, axis: int) -> Array:
    """Scale one axis."""
    before, behind, share = line.taps
    first = np.take(x, before, axis)
    if not line.blends:
        return first
    shape = [1] * x.ndim
    shape[axis] = line.size
    weight = np.asarray(share, x.dtype).reshape(shape)
    return np.asarray(first * (1 - weight) + np.take(x, behind, axis) * weight)


@reference.rule(resize)
def resize_reference(node: Node[ResizeAttrs], x: Array) -> Array:
    """Scale the rows, then the columns."""
    down, across = lines_of(node.attrs, *x.shape[2:])
    return _resized(_resized(x, down, 2), across, 3)


@reference.rule(resize_grad)
def resize_grad_reference(node: Node[ResizeGradAttrs], grad: Array) -> Array:
    """Sum along the columns, then along the rows."""
    attrs = node.attrs
    down, across = lines_of(attrs.resize, attrs.height, attrs.width)
    for axis, line in ((3, across), (2, down)):
        moved = np.moveaxis(grad, axis, 0)
        found = np.zeros((line.length, *moved.shape[1:]), grad.dtype)
        for pixel, readers in enumerate(line.readers):
            for number, share in readers:
                found[pixel] += moved[number] * grad.dtype.type(share)
        grad = np.moveaxis(found, 0, axis)
    return grad


@vjp.rule(resize)
def resize_vjp(b: Builder, node: Node[ResizeAttrs], grad: Value) -> Sequence[Value]:
    """Give the gradient op."""
    height, width = b.type_of(node.operands[0]).shape[2:]
    attrs = ResizeGradAttrs(height, width, node.attrs)
    return (b.emit(resize_grad, grad, attrs=attrs),)


@vjp.rule(resize_grad)
def resize_grad_vjp(b: Builder, node: Node[ResizeGradAttrs], grad: Value) -> Sequence[Value]:
    """Resize: both are linear, and each is the other's transpose."""
    return (b.emit(resize, grad, attrs=node.attrs.resize),)


@cost.rule(resize)
def resize_cost(node: Node[ResizeAttrs], operands: Sequence[TensorType]) -> Cost:
    """A copy, or a blend of four."""
    flops = BLEND_FLOPS if node.attrs.mode == "bilinear" else 0
    return elementwise_cost(node, operands, flops_per_element=flops)


@cost.rule(resize_grad)
def resize_grad_cost(node: Node[ResizeGradAttrs], operands: Sequence[TensorType]) -> Cost:
    """Each number is added to the pixel, or to the four, that it came from."""
    each = 8 if node.attrs.resize.mode == "bilinear" else 1
    (grad,) = operands
    return Cost(each * grad.size, 0, grad.nbytes, node.type.nbytes)


_CASES = (
    ((2, 3, 4, 5), ResizeAttrs(8, 10)),  # twice as large
    ((2, 3, 4, 5), ResizeAttrs(8, 10, "nearest")),
    ((1, 2, 3, 4), ResizeAttrs(7, 4, align_corners=True)),
    ((1, 2, 3, 4), ResizeAttrs(9, 6, align_corners=True)),
    ((2, 1, 7, 6), ResizeAttrs(3, 2)),  # smaller: pixels that nobody looks at
    ((2, 1, 7, 6), ResizeAttrs(3, 4, "nearest")),
    ((1, 5, 5, 3), ResizeAttrs(2, 7, align_corners=True)),
    ((1, 4, 1, 1), ResizeAttrs(3, 2)),  # one pixel everywhere
    ((1, 4, 1, 6), ResizeAttrs(2, 1, align_corners=True)),
    ((1, 8, 3, 2), ResizeAttrs(3, 2)),  # nothing to do
    ((1, 8, 2, 3), ResizeAttrs(6, 12)),
)


@samples.rule(resize)
def resize_samples() -> Iterable[Sample]:
    """Try larger and smaller images, by whole factors and by others, on both conventions."""
    return [Sample((f32(*shape),), attrs) for shape, attrs in _CASES]


@samples.rule(resize_grad)
def resize_grad_samples() -> Iterable[Sample]:
    """Try the cases of `resize`."""
    return [
        Sample((f32(*shape[:2], a.height, a.width),), ResizeGradAttrs(*shape[2:], a))
        for shape, a in _CASES
    ]
