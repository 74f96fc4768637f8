"""Window arithmetic: sizes, padding and which elements a sliding window meets, in one place."""

from __future__ import annotations

import math

import numpy as np

from cnndsl.ops.rules import Array
from cnndsl.support.diagnostics import TypeRuleError

Pair = tuple[int, int]
"""One number for rows (height) and one for columns (width); or pixels before and after an axis."""
Padding = tuple[Pair, Pair]
"""((top, bottom), (left, right)) in pixels."""

NO_PADDING: Padding = ((0, 0), (0, 0))
"""No pixel on any side."""

_AXES = ("height", "width")


def reach(window: int, dilation: int = 1) -> int:
    """Give the pixels from a window's first tap to its last, both counted: d(F - 1) + 1.

    >>> reach(3, 2)
    5
    """
    return dilation * (window - 1) + 1


def output_size(
    size: int,
    window: int,
    *,
    stride: int = 1,
    padding: Pair = (0, 0),
    dilation: int = 1,
    ceil: bool = False,
) -> int:
    """Give the places of a window along an axis: (N + lo + hi - d(F - 1) - 1)/S + 1, rounded down.

    `ceil` rounds up instead. The result is below 1 when the window is larger than the padded axis.

    >>> output_size(227, 11, stride=4)
    55
    >>> output_size(112, 3, stride=2), output_size(112, 3, stride=2, ceil=True)
    (55, 56)
    """
    room = size + sum(padding) - reach(window, dilation)
    return (-(-room // stride) if ceil else room // stride) + 1


def size_arithmetic(
    size: int, window: int, *, stride: int = 1, padding: Pair = (0, 0), dilation: int = 1
) -> str:
    """Write `output_size` out in figures, with the quotient before it is rounded.

    >>> size_arithmetic(227, 11, stride=4)
    '(227 - 11)/4 + 1 = 55'
    >>> size_arithmetic(7, 3, stride=3, padding=(1, 0))
    '(7 + 1 + 0 - 3)/3 + 1 = 2.67'
    """
    pads = f" + {padding[0]} + {padding[1]}" if any(padding) else ""
    taps = f"{dilation}*({window} - 1) - 1" if dilation > 1 else str(window)
    places = (size + sum(padding) - reach(window, dilation)) / stride + 1
    return f"({size}{pads} - {taps})/{stride} + 1 = {round(places, 2):g}"


def same_padding(
    size: int, window: int, *, stride: int = 1, dilation: int = 1, lower: bool = False
) -> Pair:
    """Give the least padding with which a window has ceil(N/S) places.

    An odd pixel goes after the axis (below, right), with `lower` before it.

    >>> same_padding(224, 7, stride=2), same_padding(224, 7, stride=2, lower=True)
    ((2, 3), (3, 2))
    """
    places = math.ceil(size / stride)
    total = max((places - 1) * stride + reach(window, dilation) - size, 0)
    less, more = total // 2, total - total // 2
    return (more, less) if lower else (less, more)


def ceil_padding(size: int, window: int, *, stride: int = 1, padding: Pair = (0, 0)) -> Pair:
    """Give `padding` with enough pixels more after the axis to round the number of places up.

    A last window that would start behind the last real pixel is left out (as Caffe and PyTorch
    do), so that pooling never sees a window without a real element.

    >>> ceil_padding(112, 3, stride=2)
    (0, 1)
    >>> ceil_padding(5, 1, stride=3)
    (0, 0)
    """
    places = output_size(size, window, stride=stride, padding=padding, ceil=True)
    if (places - 1) * stride - padding[0] >= size:
        places -= 1
    missing = (places - 1) * stride + window - size - sum(padding)
    return padding[0], padding[1] + max(missing, 0)


def image_size(
    image: Pair,
    window: Pair,
    *,
    strides: Pair = (1, 1),
    padding: Padding = NO_PADDING,
    dilations: Pair = (1, 1),
) -> Pair:
    """Give height and width of the result of sliding a window over an image.

    Raises `TypeRuleError` for attributes that are no window and for one larger than the image.
    """
    _check("window", window, 1)
    _check("stride", strides, 1)
    _check("dilation", dilations, 1)
    _check("padding", tuple(sum(padding, ())), 0)
    sizes = []
    for axis, name in enumerate(_AXES):
        size, taps, stride = image[axis], window[axis], strides[axis]
        pads, dilation = padding[axis], dilations[axis]
        found = output_size(size, taps, stride=stride, padding=pads, dilation=dilation)
        if found < 1:
            shown = size_arithmetic(size, taps, stride=stride, padding=pads, dilation=dilation)
            raise TypeRuleError(f"the window of {name} {taps} is larger than the image: {shown}")
        sizes.append(found)
    return sizes[0], sizes[1]


def _check(what: str, values: tuple[int, ...], least: int) -> None:
    if min(values) < least:
        shown = " x ".join(map(str, values))
        raise TypeRuleError(f"a {what} of {shown}: no number may be below {least}")


def check_windows_touch(image: Pair, window: Pair, strides: Pair, padding: Padding) -> None:
    """Refuse padding with which some window holds no real element; `TypeRuleError` says which.

    A mean or maximum over padding alone has no meaning. The caller has checked `image_size`.
    """
    for axis, name in enumerate(_AXES):
        before = padding[axis][0]
        places = output_size(image[axis], window[axis], stride=strides[axis], padding=padding[axis])
        last = (places - 1) * strides[axis] - before
        if before >= window[axis]:
            raise TypeRuleError(
                f"padding {before} before the {name} is not below the window's {window[axis]}: "
                f"the first window holds padding only"
            )
        if last >= image[axis]:
            raise TypeRuleError(
                f"the last window starts at {places - 1}*{strides[axis]} - {before} = {last} and "
                f"holds padding only: the {name} is {image[axis]}"
            )


def overlap(size: int, places: int, tap: int, *, stride: int, before: int) -> tuple[slice, slice]:
    """Tell which places of a window see a real pixel under one tap, and which pixels those are.

    `tap` is the tap's distance from the window's start (dilation included), `before` the padding
    before the axis. Gives (slice of the places, slice of the pixels), of equal length; place o
    sees pixel `o*stride + tap - before`.

    >>> overlap(5, 5, 0, stride=1, before=1)
    (slice(1, 5, None), slice(0, 4, 1))
    """
    first = max(0, -((tap - before) // stride))
    stop = min(places, (size - 1 - tap + before) // stride + 1)
    if stop <= first:
        return slice(0, 0), slice(0, 0, stride)
    start = first * stride + tap - before
    return slice(first, stop), slice(start, start + (stop - first - 1) * stride + 1, stride)


def pad_image(x: Array, padding: Padding) -> Array:
    """Give x [N,C,H,W] with zeros around it; x itself where there is nothing to add."""
    (top, bottom), (left, right) = padding
    if not (top or bottom or left or right):
        return x
    count, channels, height, width = x.shape
    padded = np.zeros((count, channels, top + height + bottom, left + width + right), x.dtype)
    padded[:, :, top : top + height, left : left + width] = x
    return padded


def patches(x: Array, window: Pair, strides: Pair, dilations: Pair, places: Pair) -> Array:
    """View a padded image x [N,C,H,W] as [C, KH, KW, N, OH, OW]: each tap's pixels side by side.

    The view copies nothing; reshaped to a matrix it is what is called im2col.
    """
    image, channel, row, column = x.strides
    return np.lib.stride_tricks.as_strided(
        x,
        (x.shape[1], *window, x.shape[0], *places),
        (
            channel,
            row * dilations[0],
            column * dilations[1],
            image,
            row * strides[0],
            column * strides[1],
        ),
        writeable=False,
    )
