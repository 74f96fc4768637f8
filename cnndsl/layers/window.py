"""How a window slides over an image: the one size formula of convolution and pooling.

On each axis N pixels, a window of F taps at dilation d, stride S and P pixels of padding on each
side give (N - (d(F - 1) + 1) + 2P)/S + 1 places. When that is not whole the program has to say
`floor`, `ceil` or `same`; the complaint shows the arithmetic that ran.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum

from cnndsl.layers.clauses import Clause, LayerError, SettingValue, Takes
from cnndsl.ops.window import ceil_padding, output_size, reach, same_padding


class Padding(Enum):
    """What is said about the border."""

    MARGIN = "pad"
    """So many pixels on each side; none if nothing is said."""
    HALF = "half"
    """d(F - 1)/2 pixels on both sides."""
    SAME = "same"
    """As many as ceil(N/S) places take, the odd one below and right (the rule of ONNX's
    SAME_UPPER and of TensorFlow)."""
    SAME_LOWER = "same lower"
    """The same number, the odd one above and left (ONNX's SAME_LOWER)."""


class Rounding(Enum):
    """What is said about places that do not come out whole."""

    EXACT = "exact"
    """Nothing: they must come out whole."""
    FLOOR = "floor"
    """The last rows and columns are left out."""
    CEIL = "ceil"
    """They are padded; a window that would see only padding is left out."""


@dataclass(frozen=True, slots=True)
class Axis:
    """One axis of an image, and the window on it."""

    length: int
    """Pixels, N."""
    window: int
    """Taps, F."""
    stride: int = 1
    """Pixels from place to place, S."""
    dilation: int = 1
    """Pixels from tap to tap, d."""
    padding: Padding = Padding.MARGIN
    """What is said about the border."""
    margin: tuple[int, int] = (0, 0)
    """Pixels before and behind, when the padding is a margin."""
    rounding: Rounding = Rounding.EXACT
    """What is said about places that do not come out whole."""
    stride_said: bool = True
    """Whether the program writes the stride; if not and it is 1, the formula leaves it out."""

    @property
    def extent(self) -> int:
        """Pixels from the first tap to the last: d(F - 1) + 1."""
        return reach(self.window, self.dilation)

    @property
    def is_same(self) -> bool:
        """Whether the border follows from the result."""
        return self.padding in (Padding.SAME, Padding.SAME_LOWER)

    @property
    def said_pads(self) -> tuple[int, int]:
        """Padding before and behind, before any rounding up."""
        if self.padding is Padding.HALF:
            return (self.extent - 1) // 2, (self.extent - 1) // 2
        if self.padding is Padding.MARGIN:
            return self.margin
        lower = self.padding is Padding.SAME_LOWER
        return same_padding(self.length, self.extent, stride=self.stride, lower=lower)

    @property
    def pads(self) -> tuple[int, int]:
        """Padding before and behind, with what `ceil` adds behind."""
        if self.rounding is not Rounding.CEIL or self.is_same:
            return self.said_pads
        return ceil_padding(self.length, self.extent, stride=self.stride, padding=self.said_pads)

    @property
    def span(self) -> int:
        """What the first window leaves of the padded axis; negative if it does not fit."""
        return self.length - self.extent + sum(self.said_pads)

    @property
    def places(self) -> int:
        """Places of the window; below 1 if it does not fit. Rounded down when not whole."""
        return output_size(self.length, self.extent, stride=self.stride, padding=self.pads)

    @property
    def whole(self) -> bool:
        """Whether the formula comes out whole."""
        return self.is_same or self.span % self.stride == 0

    @property
    def unread(self) -> int:
        """Pixels behind the last whole window, which rounding down leaves out."""
        return 0 if self.whole else self.span % self.stride

    def formula(self) -> str:
        """Write the formula with its numbers and its result.

        >>> Axis(227, 11, stride=4).formula()
        '(227 - 11)/4 + 1 = 55'
        >>> Axis(224, 7, 2, padding=Padding.HALF, rounding=Rounding.FLOOR).formula()
        'floor((224 - 7 + 2*3)/2) + 1 = 112'
        """
        if self.is_same:
            return f"ceil({self.length}/{self.stride}) = {self.places}"
        left = self._sum()
        if self.stride > 1 or self.stride_said:
            left = f"({left})/{self.stride}"
            if not self.whole and self.rounding is not Rounding.EXACT:
                inner = left
                left = f"{self.rounding.value}({inner})"
        result = self._result()
        less = ""
        if self.rounding is Rounding.CEIL and -(-self.span // self.stride) + 1 > self.places:
            less = " - 1"  # the last window would see only padding
        return f"{left} + 1{less} = {result}"

    def _sum(self) -> str:
        extent = str(self.window)
        if self.dilation > 1:
            extent = f"({self.dilation}*({self.window} - 1) + 1)"
        before, behind = self.said_pads
        border = ""
        if before or behind:
            border = f" + 2*{before}" if before == behind else f" + {before} + {behind}"
        return f"{self.length} - {extent}{border}"

    def _result(self) -> str:
        if self.whole or self.rounding is not Rounding.EXACT:
            return str(self.places)
        return f"{self.span / self.stride + 1:.2f}".rstrip("0").rstrip(".")


@dataclass(frozen=True, slots=True)
class Slide:
    """A window on both axes of an image."""

    height: Axis
    """Down."""
    width: Axis
    """Across."""

    @property
    def axes(self) -> tuple[Axis, Axis]:
        """Down, across."""
        return self.height, self.width

    @property
    def places(self) -> tuple[int, int]:
        """Places down and across."""
        return self.height.places, self.width.places

    @property
    def pads(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """((top, bottom), (left, right)), as the ops take it."""
        return self.height.pads, self.width.pads

    def formula(self) -> str:
        """Write the formula: once if both axes have the same numbers, else for both."""
        down, across = self.height.formula(), self.width.formula()
        return down if down == across else f"{down}; {across}"

    def changed(self, **fields: int | Padding | Rounding | tuple[int, int]) -> Slide:
        """Give the same window with other fields on both axes."""
        return Slide(
            replace(self.height, **fields),  # type: ignore[arg-type]
            replace(self.width, **fields),  # type: ignore[arg-type]
        )

    @property
    def fits(self) -> bool:
        """Whether both axes give whole numbers of places, at least one."""
        return all(axis.whole and axis.span >= 0 for axis in self.axes)


WINDOW_CLAUSES: tuple[Clause, ...] = (
    Clause("pad", Takes.MARGIN, doc="pixels of border on each side", names=("padding",),
           group="the border"),
    Clause("same", Takes.FLAG, doc="pad to ceil(size/stride), the odd pixel below and right",
           group="the border"),
    Clause("same_lower", Takes.FLAG, group="the border",
           doc="pad to ceil(size/stride), the odd pixel above and left"),
    Clause("half", Takes.FLAG, doc="pad half a window on each side", group="the border"),
    Clause("valid", Takes.FLAG, doc="no border", group="the border"),
    Clause("floor", Takes.FLAG, doc="leave out rows and columns that do not fill a stride",
           group="rounding"),
    Clause("ceil", Takes.FLAG, doc="pad rows and columns that do not fill a stride",
           group="rounding"),
)  # fmt: skip
"""The clauses about the border and the rounding, which convolution and pooling share."""


def slide(
    settings: Mapping[str, SettingValue],
    image: tuple[int, int],
    *,
    margin: tuple[int, int, int, int],
    stride_said: bool,
) -> Slide:
    """Read window, stride, dilation, border and rounding from a layer's settings."""
    said = [p for p in (Padding.SAME, Padding.SAME_LOWER, Padding.HALF)
            if settings.get(p.value.replace(" ", "_"))]  # fmt: skip
    rounding = Rounding.FLOOR if settings.get("floor") else Rounding.EXACT
    if settings.get("ceil"):
        rounding = Rounding.CEIL
    sides = margin[:2], margin[2:]
    down, across = (
        Axis(
            length=image[i],
            window=_side(settings["window"], i),
            stride=_side(settings["stride"], i),
            dilation=_side(settings.get("dilation", (1, 1)), i),
            padding=said[0] if said else Padding.MARGIN,
            margin=(sides[i][0], sides[i][1]),
            rounding=rounding,
            stride_said=stride_said,
        )
        for i in (0, 1)
    )
    return Slide(down, across)


def _side(value: SettingValue, index: int) -> int:
    assert isinstance(value, tuple)
    return value[index]


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


def _refuse_uneven(window: Slide, axis: Axis) -> None:
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
