"""How a window slides over an image: the one size formula of convolution and pooling.

On each axis N pixels, a window of F taps at dilation d, stride S and P pixels of padding on each
side give (N - (d(F - 1) + 1) + 2P)/S + 1 places. When that is not whole the program has to say
`floor`, `ceil` or `same`; the complaint shows the arithmetic that ran.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum
from functools import cached_property, lru_cache

from cnndsl.layers.clauses import Clause, SettingValue, Takes
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
    FIT = "fit"
    """Whatever fits: equal on both sides, as near to half a window as comes out whole."""


class Rounding(Enum):
    """What is said about places that do not come out whole."""

    EXACT = "exact"
    """Nothing: they must come out whole."""
    FLOOR = "floor"
    """The last rows and columns are left out."""
    CEIL = "ceil"
    """They are padded; a window that would see only padding is left out."""


@dataclass(frozen=True)
class Axis:
    """One axis of an image, and the window on it; what follows from its numbers is kept."""

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

    @cached_property
    def extent(self) -> int:
        """Pixels from the first tap to the last: d(F - 1) + 1."""
        return reach(self.window, self.dilation)

    @property
    def is_same(self) -> bool:
        """Whether the border follows from the result."""
        return self.padding in (Padding.SAME, Padding.SAME_LOWER)

    @cached_property
    def said_pads(self) -> tuple[int, int]:
        """Padding before and behind, before any rounding up."""
        if self.padding is Padding.HALF:
            return (self.extent - 1) // 2, (self.extent - 1) // 2
        if self.padding is Padding.MARGIN:
            return self.margin
        if self.padding is Padding.FIT:
            return self.fitting, self.fitting
        lower = self.padding is Padding.SAME_LOWER
        return same_padding(self.length, self.extent, stride=self.stride, lower=lower)

    @property
    def fitting(self) -> int:
        """The padding on each side that comes out whole, nearest to half a window, if any does.

        N - F + 2P takes every remainder by S that it ever takes while P runs over S numbers.
        """
        half = (self.extent - 1) // 2
        left = self.length - self.extent
        reach = range(max(0, half - self.stride), half + self.stride + 1)
        for pad in sorted(reach, key=lambda p: (abs(p - half), p)):
            if left + 2 * pad >= 0 and (left + 2 * pad) % self.stride == 0:
                return pad
        return half

    @cached_property
    def pads(self) -> tuple[int, int]:
        """Padding before and behind, with what `ceil` adds behind."""
        if self.rounding is not Rounding.CEIL or self.is_same:
            return self.said_pads
        return ceil_padding(self.length, self.extent, stride=self.stride, padding=self.said_pads)

    @cached_property
    def span(self) -> int:
        """What the first window leaves of the padded axis; negative if it does not fit."""
        return self.length - self.extent + sum(self.said_pads)

    @cached_property
    def places(self) -> int:
        """Places of the window; below 1 if it does not fit. Rounded down when not whole."""
        return output_size(self.length, self.extent, stride=self.stride, padding=self.pads)

    @cached_property
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
    Clause("pad_total", Takes.WHOLE, doc="pixels of border on both sides together",
           names=("total padding", "padding total"), group="the border"),
    Clause("same", Takes.FLAG, doc="pad to ceil(size/stride), the odd pixel below and right",
           group="the border"),
    Clause("same_lower", Takes.FLAG, group="the border",
           doc="pad to ceil(size/stride), the odd pixel above and left"),
    Clause("half", Takes.FLAG, doc="pad half a window on each side", group="the border"),
    Clause("valid", Takes.FLAG, doc="no border", group="the border"),
    Clause("fit", Takes.FLAG, doc="pad whatever fits, the same on both sides",
           names=("pad fit", "pad to fit"), group="the border"),
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
    padding = next((p for word, p in _BORDER_WORDS if settings.get(word)), Padding.MARGIN)
    rounding = Rounding.FLOOR if settings.get("floor") else Rounding.EXACT
    if settings.get("ceil"):
        rounding = Rounding.CEIL
    total = settings.get("pad_total")
    if isinstance(total, int) and not isinstance(total, bool):
        margin = (total - total // 2, total // 2) * 2
    (height, width), (down, across) = _sides(settings["window"]), _sides(settings["stride"])
    spread = _sides(settings.get("dilation", (1, 1)))
    top, bottom, left, right = margin
    said = padding, rounding, stride_said
    return Slide(
        _axis(image[0], height, down, spread[0], (top, bottom), *said),
        _axis(image[1], width, across, spread[1], (left, right), *said),
    )


_BORDER_WORDS = (
    ("same", Padding.SAME),
    ("same_lower", Padding.SAME_LOWER),
    ("half", Padding.HALF),
    ("fit", Padding.FIT),
)
"""Flags about the border."""


@lru_cache(maxsize=4096)
def _axis(
    length: int,
    window: int,
    stride: int,
    dilation: int,
    margin: tuple[int, int],
    padding: Padding,
    rounding: Rounding,
    stride_said: bool,
) -> Axis:
    """Give an axis, the same object for the same numbers: a layer asks for its own many times."""
    return Axis(length, window, stride, dilation, padding, margin, rounding, stride_said)


def _sides(value: SettingValue) -> tuple[int, int]:
    assert isinstance(value, tuple)
    down, across = value
    return down, across
