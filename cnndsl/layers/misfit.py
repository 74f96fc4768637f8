"""What is said about a window that does not fit its image: the arithmetic, and what would fit."""

from __future__ import annotations

from dataclasses import replace

from cnndsl.layers.clauses import LayerError
from cnndsl.layers.window import Axis, Padding, Rounding, Slide


def check_slide(window: Slide) -> None:
    """Raise `LayerError` E0301, E0305 or E0306 when the window does not fit the image."""
    for axis in window.axes:
        if axis.padding is Padding.HALF and (axis.extent - 1) % 2:
            _refuse_half(window, axis)
    for axis in window.axes:
        if axis.places < 1:
            _refuse_large(window, axis)
    for axis in window.axes:
        if not axis.whole and axis.rounding is Rounding.EXACT:
            _refuse_uneven(window, axis)


def _a(down: int, across: int) -> str:
    """Write a size with its article: `a 3x3`, `an 8x8`, `an 11x11`."""
    vowel = str(down).startswith("8") or down in (11, 18)
    return f"{'an' if vowel else 'a'} {_by(down, across)}"


def _by(height: int, width: int) -> str:
    return f"{height}x{width}"


def _refuse_half(window: Slide, axis: Axis) -> None:
    size = _by(window.height.window, window.width.window)
    raise LayerError(
        "E0306",
        f"half of a {size} window is no whole number of pixels",
        at="half",
        label=f"({axis.extent} - 1)/2 = {(axis.extent - 1) / 2:g}",
        also={"window": ""},
        helps=[
            f"`same` pads {(axis.extent - 1) // 2} above and left and "
            f"{axis.extent // 2} below and right at stride 1",
            f"or say how much: `pad {axis.extent // 2}`",
        ],
    )


def _refuse_large(window: Slide, axis: Axis) -> None:
    down, across = window.axes
    message = f"{_a(down.window, across.window)} window"
    if max(down.dilation, across.dilation) > 1:
        message += f" at dilation {_short(down.dilation, across.dilation)}"
    message += f" is larger than the {_by(down.length, across.length)} image it slides over"
    if any(sum(a.said_pads) for a in window.axes):
        padded = [a.length + sum(a.said_pads) for a in window.axes]
        message += f", padded to {_by(padded[0], padded[1])}"
    plain = replace(axis, rounding=Rounding.EXACT)
    helps = []
    half = window.changed(padding=Padding.HALF)
    if all(a.extent % 2 for a in window.axes) and half.fits:
        keeps = "keeps the size" if half.places == (down.length, across.length) else "fits"
        amount = _short(*((a.extent - 1) // 2 for a in window.axes))
        helps.append(f"`half` {keeps} (pads {amount} on every side)")
    else:
        same = window.changed(padding=Padding.SAME)
        helps.append(f"`same` pads as much as it takes and gives {_short(*same.places)}")
    raise LayerError("E0305", message, at="window", label=plain.formula(), helps=helps)


def _refuse_fit(window: Slide, axis: Axis) -> None:
    """Say that no padding fits: with an even stride, N - F and N - F + 2P have one parity."""
    down, across = window.axes
    half = axis.fitting
    floored = window.changed(padding=Padding.HALF, rounding=Rounding.FLOOR)
    helps = []
    if all(a.extent % 2 for a in window.axes):
        helps.append(f"`half floor` pads {half} and gives {_short(*floored.places)}")
    same = window.changed(padding=Padding.SAME)
    helps.append(f"`same` pads one side more than the other and gives {_short(*same.places)}")
    raise LayerError(
        "E0301",
        f"no padding makes {_a(down.window, across.window)} window at stride "
        f"{_short(down.stride, across.stride)} fit {_a(down.length, across.length)} image",
        at="fit",
        label=f"{axis.length} - {axis.extent} + 2P is never a multiple of {axis.stride}",
        also={"stride": ""},
        helps=helps,
    )


def _refuse_uneven(window: Slide, axis: Axis) -> None:
    if axis.padding is Padding.FIT:
        _refuse_fit(window, axis)
    down, across = window.axes
    stride = _short(down.stride, across.stride)
    said = f"{_a(down.window, across.window)} window at stride {stride}"
    before, behind = axis.said_pads
    if before or behind:
        border = str(before) if before == behind else f"{before}, {behind}"
        said += f" with padding {border}"
    raise LayerError(
        "E0301",
        f"{said} does not fit {_a(down.length, across.length)} image",
        at="stride",
        label=f"{axis.formula()} is not an integer",
        also={"window": ""},
        helps=[*_other_stride(window), *_other_pad(window), *_rounded(window)],
    )


TRIED = 64
"""How far from what is written a stride or a padding that fits is looked for."""


def _other_stride(window: Slide) -> list[str]:
    now = max(a.stride for a in window.axes)
    most = max(now, *(a.window for a in window.axes))
    reach = range(max(1, now - TRIED), min(most, now + TRIED) + 1)
    for stride in sorted(reach, key=lambda s: (abs(s - now), s)):
        other = window.changed(stride=stride, stride_said=True)
        if stride != now and other.fits:
            return [f"`stride {stride}` fits: {other.formula()}"]
    return []


def _other_pad(window: Slide) -> list[str]:
    if any(a.padding is not Padding.MARGIN or a.margin[0] != a.margin[1] for a in window.axes):
        return []
    if window.height.margin != window.width.margin:
        return []
    now = window.height.margin[0]
    reach = range(max(0, now - TRIED), min(max(a.extent for a in window.axes), now + TRIED))
    for pad in sorted(reach, key=lambda p: (abs(p - now), -p)):
        other = window.changed(margin=(pad, pad), stride_said=True)
        if pad != now and other.fits:
            return [f"`pad {pad}` fits: {other.formula()}"]
    return []


def _rounded(window: Slide) -> list[str]:
    lower = window.changed(rounding=Rounding.FLOOR)
    upper = window.changed(rounding=Rounding.CEIL)
    words = []
    for axis, one, more in ((window.height, "row", "rows"), (window.width, "column", "columns")):
        if axis.unread:
            words.append((axis.unread, one if axis.unread == 1 else more))
    counts = {count for count, _ in words}
    if len(counts) == 1:
        number = "" if counts == {1} else f"{counts.pop()} "
        left = f"the last {number}{' and '.join(word for _, word in words)}"
    else:
        left = " and ".join(f"the last {count} {word}" for count, word in words)
    text = f"`floor` leaves out {left} and gives {_short(*lower.places)}"
    if upper.places != lower.places:
        text += f"; `ceil` pads them and gives {_short(*upper.places)}"
    return [text]


def _short(down: int, across: int) -> str:
    return str(down) if down == across else _by(down, across)
