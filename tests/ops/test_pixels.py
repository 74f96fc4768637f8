"""Bytes as images: to the bit what the preparation of data makes of them."""

from __future__ import annotations

import numpy as np
import pytest

from cnndsl.data.transforms import Stored, normalize, to_unit
from cnndsl.ir.builder import Builder
from cnndsl.ir.graph import Graph
from cnndsl.ir.types import DType, TensorType, f32
from cnndsl.ops.pixels import Pixels, UnpackPixelsAttrs, unpack_pixels
from cnndsl.ops.rules import Array, compute, cost_of
from cnndsl.ops.structural import InputAttrs, input_
from cnndsl.support.diagnostics import TypeRuleError

COLOURS = Pixels(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
EVERY = np.arange(256, dtype=np.uint8)


def run(attrs: UnpackPixelsAttrs, rows: Array) -> Array:
    """Run one node with its reference rule."""
    b = Builder(Graph("test"))
    value = b.emit(input_, attrs=InputAttrs(TensorType(DType.U8, rows.shape)))
    return compute(b.graph[b.emit(unpack_pixels, value, attrs=attrs)], rows)[0]


@pytest.mark.parametrize("pixels", [Pixels(), COLOURS, Pixels(16.0, 235.0, std=(0.3, 1.0, 7.0))])
@pytest.mark.parametrize("last", [False, True])
def test_every_byte_becomes_what_the_preparation_makes_of_it(pixels: Pixels, last: bool) -> None:
    images = np.stack([EVERY, EVERY[::-1], EVERY]).reshape(1, 3, 16, 16)
    expected: Stored = to_unit(images, black=pixels.black, white=pixels.white)
    expected = normalize(expected, mean=pixels.mean, std=pixels.std)
    attrs = UnpackPixelsAttrs(f32(1, 3, 16, 16), pixels, channels_last=last)
    rows = (images.transpose(0, 2, 3, 1) if last else images).reshape(1, -1)
    found = run(attrs, rows)
    assert found.dtype == np.float32
    assert found.tobytes() == expected.tobytes()


def test_channels_that_no_byte_has_are_zero() -> None:
    attrs = UnpackPixelsAttrs(f32(1, 4, 16, 16), COLOURS, channels=3)
    found = run(attrs, np.tile(EVERY, 3).reshape(1, -1))
    same = run(UnpackPixelsAttrs(f32(1, 3, 16, 16), COLOURS), np.tile(EVERY, 3).reshape(1, -1))
    assert np.array_equal(found[:, :3], same)
    assert not found[:, 3].any()


def test_cost_counts_a_byte_a_number() -> None:
    b = Builder(Graph("test"))
    kind = TensorType(DType.U8, (2, 12))
    x = b.emit(input_, attrs=InputAttrs(kind))
    attrs = UnpackPixelsAttrs(f32(2, 3, 2, 2), COLOURS)
    found = cost_of(b.graph[b.emit(unpack_pixels, x, attrs=attrs)], [kind])
    assert (found.bytes_read, found.bytes_written, found.flops) == (24, 96, 3 * 24)


@pytest.mark.parametrize(
    ("attrs", "rows", "message"),
    [
        (UnpackPixelsAttrs(f32(2, 3)), (2, 3), "asked for"),
        (UnpackPixelsAttrs(f32(1, 2, 2, 2), channels=3), (1, 12), "asked for"),
        (UnpackPixelsAttrs(f32(2, 3, 2, 2)), (2, 11), "takes"),
        (UnpackPixelsAttrs(f32(2, 3, 2, 2), Pixels(mean=(0.5,))), (2, 12), "3 channels by"),
        (UnpackPixelsAttrs(f32(2, 1, 2, 2), Pixels(std=(0.0,))), (2, 4), "1 channels by"),
        (UnpackPixelsAttrs(f32(2, 1, 2, 2), Pixels(3.0, 3.0)), (2, 4), "1 channels by"),
    ],
)
def test_what_does_not_fit_is_refused(
    attrs: UnpackPixelsAttrs, rows: tuple[int, ...], message: str
) -> None:
    with pytest.raises(TypeRuleError, match=message):
        unpack_pixels.infer(attrs, TensorType(DType.U8, rows))
