"""The window arithmetic against counting by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnndsl.ops.window import (
    ceil_padding,
    check_windows_touch,
    image_size,
    output_size,
    overlap,
    pad_image,
    patches,
    reach,
    same_padding,
    size_arithmetic,
)
from cnndsl.support.diagnostics import TypeRuleError

sizes = st.integers(1, 20)
windows = st.integers(1, 6)
strides = st.integers(1, 5)
pads = st.tuples(st.integers(0, 4), st.integers(0, 4))
dilations = st.integers(1, 3)


def starts(size: int, window: int, stride: int, pad: tuple[int, int], dilation: int) -> list[int]:
    """Walk a window along a padded axis; gives where it starts, counted from the first pixel."""
    found, at = [], -pad[0]
    while at + dilation * (window - 1) <= size + pad[1] - 1:
        found.append(at)
        at += stride
    return found


@given(sizes, windows, strides, pads, dilations)
def test_output_size_counts_the_places(
    size: int, window: int, stride: int, pad: tuple[int, int], dilation: int
) -> None:
    places = len(starts(size, window, stride, pad, dilation))
    found = output_size(size, window, stride=stride, padding=pad, dilation=dilation)
    assert max(found, 0) == places


@given(sizes, windows, strides, pads, dilations)
def test_overlap_lists_the_real_pixels_under_each_tap(
    size: int, window: int, stride: int, pad: tuple[int, int], dilation: int
) -> None:
    at = starts(size, window, stride, pad, dilation)
    for tap in range(window):
        seen = [(o, start + tap * dilation) for o, start in enumerate(at)]
        real = [(o, pixel) for o, pixel in seen if 0 <= pixel < size]
        places, pixels = overlap(size, len(at), tap * dilation, stride=stride, before=pad[0])
        listed = zip(range(len(at))[places], range(size)[pixels], strict=True)
        assert list(listed) == real


@given(sizes, windows, strides, dilations, st.booleans())
def test_same_padding_keeps_the_size_over_the_stride(
    size: int, window: int, stride: int, dilation: int, lower: bool
) -> None:
    low, high = same_padding(size, window, stride=stride, dilation=dilation, lower=lower)
    places = output_size(size, window, stride=stride, padding=(low, high), dilation=dilation)
    assert places == math.ceil(size / stride)
    assert abs(low - high) <= 1
    assert low >= high if lower else low <= high
    if low + high:
        fewer = output_size(size, window, stride=stride, padding=(low, high - 1), dilation=dilation)
        assert fewer < places


@given(sizes, windows, strides, pads)
def test_ceil_padding_rounds_up_but_never_onto_padding_alone(
    size: int, window: int, stride: int, pad: tuple[int, int]
) -> None:
    before = min(pad[0], window - 1)
    after = min(pad[1], window - 1)
    if size + before + after < window:
        return
    low, high = ceil_padding(size, window, stride=stride, padding=(before, after))
    down = output_size(size, window, stride=stride, padding=(before, after))
    up = output_size(size, window, stride=stride, padding=(before, after), ceil=True)
    places = output_size(size, window, stride=stride, padding=(low, high))
    assert (low, high >= after) == (before, True)
    if (up - 1) * stride - before < size:
        assert places == up
    else:
        assert places == up - 1 == down or (down == up and places < up)


def test_sizes_that_lectures_work_out() -> None:
    assert output_size(227, 11, stride=4) == 55
    assert output_size(32, 5) == 28
    assert output_size(224, 7, stride=2, padding=(3, 3)) == 112
    assert [output_size(7, 3, stride=s) for s in (1, 2)] == [5, 3]
    assert size_arithmetic(7, 3, stride=3) == "(7 - 3)/3 + 1 = 2.33"
    assert size_arithmetic(9, 3, dilation=2) == "(9 - 2*(3 - 1) - 1)/1 + 1 = 5"
    assert reach(3, 2) == 5


def test_a_window_larger_than_the_image_is_refused_with_the_arithmetic() -> None:
    with pytest.raises(TypeRuleError, match=r"width 5 .*\(4 - 5\)/1 \+ 1 = 0"):
        image_size((5, 4), (5, 5))
    with pytest.raises(TypeRuleError, match=r"height 3 .*\(1 \+ 0 \+ 1 - 3\)/2 \+ 1 = 0.5"):
        image_size((1, 9), (3, 3), strides=(2, 2), padding=((0, 1), (0, 0)))


@pytest.mark.parametrize(
    ("window", "stride", "dilation", "low"),
    [
        ((0, 1), (1, 1), (1, 1), 0),
        ((1, 1), (1, 0), (1, 1), 0),
        ((1, 1), (1, 1), (0, 1), 0),
        ((1, 1), (1, 1), (1, 1), -1),
    ],
)
def test_numbers_that_are_no_window_are_refused(
    window: tuple[int, int], stride: tuple[int, int], dilation: tuple[int, int], low: int
) -> None:
    with pytest.raises(TypeRuleError, match="no number may be below"):
        image_size((5, 5), window, strides=stride, padding=((low, 0), (0, 0)), dilations=dilation)


def test_pooling_over_padding_alone_is_refused() -> None:
    with pytest.raises(TypeRuleError, match="padding 2 before the height"):
        check_windows_touch((4, 4), (2, 2), (1, 1), ((2, 0), (0, 0)))
    with pytest.raises(TypeRuleError, match=r"starts at 2\*2 - 0 = 4 and .* the width is 4"):
        check_windows_touch((4, 4), (2, 2), (2, 2), ((0, 0), (0, 2)))
    check_windows_touch((4, 4), (2, 2), (2, 2), ((1, 1), (1, 1)))


def test_patches_hold_what_each_tap_sees() -> None:
    x = np.arange(2 * 3 * 6 * 7).reshape(2, 3, 6, 7)
    view = patches(x, (2, 3), (3, 1), (2, 2), (2, 3))
    assert view.shape == (3, 2, 3, 2, 2, 3)
    for c, i, j, n, p, q in np.ndindex(*view.shape):
        assert view[c, i, j, n, p, q] == x[n, c, 3 * p + 2 * i, q + 2 * j]


def test_padding_adds_zeros_on_the_sides_named() -> None:
    x = np.ones((1, 1, 2, 3))
    expected = np.pad(x, ((0, 0), (0, 0), (1, 2), (0, 3)))
    np.testing.assert_array_equal(pad_image(x, ((1, 2), (0, 3))), expected)
    assert pad_image(x, ((0, 0), (0, 0))) is x
