"""Windows of a convolution in numbers, and the text that finds the pixel under a tap."""

from __future__ import annotations

from dataclasses import dataclass

from cnndsl.ir.types import Shape
from cnndsl.ops.conv import SlideAttrs
from cnndsl.ops.window import Padding, Pair


@dataclass(frozen=True, slots=True)
class Window:
    """Sizes of a convolution of images [N, C, H, W] by weights [O, C/groups, KH, KW]."""

    count: int
    """Images."""
    channels: int
    """Of an image, all groups."""
    image: Pair
    """Height and width of an image."""
    all_filters: int
    """Filters of all groups."""
    groups: int
    """Groups that do not see each other."""
    window: Pair
    """Taps down and across."""
    result: Pair
    """Height and width of the result."""
    strides: Pair
    """Pixels from place to place."""
    padding: Padding
    """Zeros around the image."""
    dilations: Pair
    """Pixels from tap to tap."""

    @classmethod
    def of(cls, attrs: SlideAttrs, x: Shape, weight: Shape, y: Shape) -> Window:
        """Take the sizes from attributes and shapes."""
        return cls(
            count=x[0],
            channels=x[1],
            image=(x[2], x[3]),
            all_filters=weight[0],
            groups=attrs.groups,
            window=(weight[2], weight[3]),
            result=(y[2], y[3]),
            strides=attrs.strides,
            padding=attrs.padding,
            dilations=attrs.dilations,
        )

    @property
    def depth(self) -> int:
        """Channels that a filter sees."""
        return self.channels // self.groups

    @property
    def filters(self) -> int:
        """Filters of a group."""
        return self.all_filters // self.groups

    @property
    def taps(self) -> int:
        """Taps of a filter in one channel."""
        return self.window[0] * self.window[1]

    @property
    def pixels(self) -> int:
        """Pixels of an image in one channel."""
        return self.image[0] * self.image[1]

    @property
    def places(self) -> int:
        """Places of the window over an image."""
        return self.result[0] * self.result[1]

    @property
    def is_depthwise(self) -> bool:
        """Whether each filter sees one channel, of several."""
        return self.depth == 1 and self.groups > 1

    @property
    def sees_every_pixel(self) -> bool:
        """Whether place and pixel are the same thing: one tap, no stride, no padding."""
        return self.taps == 1 and self.strides == (1, 1) and self.padding == ((0, 0), (0, 0))

    def patch(self, *, place: str, tap: str) -> str:
        """Write `offset` = where the pixel lies that `tap` of group `g` sees at `place`.

        `place` counts the places of all images; `tap` the taps, channels the fastest. A tap in
        the padding leaves `offset` alone.
        """
        group = f" + g * {self.depth}" if self.groups > 1 else ""
        if self.sees_every_pixel:
            return f"offset = {place} * {self.channels}{group} + {tap};"
        image, channel = f"{place} / {self.places}", f"{tap} % {self.depth}"
        at = self.under(f"{place} % {self.places}", f"{tap} / {self.depth}")
        inside = f"if ({self.inside}) offset = {self.pixel(image)}{group} + {channel};"
        return f"{at}\n{inside}"

    def filter_row(self, number: str) -> str:
        """Write where filter `number` of group `g` begins among the weights, O,H,W,I."""
        group = f"g * {self.filters} + " if self.groups > 1 else ""
        return f"({group}{number}) * {self.depth * self.taps}"

    def pixel(self, image: str) -> str:
        """Write where the channels of pixel `h`, `w` of an image begin."""
        height, width = self.image
        return f"(({image} * {height} + h) * {width} + w) * {self.channels}"

    @property
    def inside(self) -> str:
        """Whether `h`, `w` is a pixel."""
        height, width = self.image
        return f"h >= 0 && h < {height} && w >= 0 && w < {width}"

    def under(self, place: str, tap: str) -> str:
        """Write the row `h` and the column `w` of what a tap sees at a place of an image."""
        columns, across = self.result[1], self.window[1]
        (top, _), (left, _) = self.padding
        down = f"({tap}) / {across} * {self.dilations[0]}"
        right = f"({tap}) % {across} * {self.dilations[1]}"
        return (
            f"const $I h = ({place}) / {columns} * {self.strides[0]} - {top} + {down};\n"
            f"const $I w = ({place}) % {columns} * {self.strides[1]} - {left} + {right};"
        )

    def spread(self, *, pixel: str, tap: str) -> str:
        """Write `offset` = where the gradient lies of the place whose `tap` sees `pixel`.

        `tap` counts the taps of group `g`, filters the fastest, and `pixel` the pixels of all
        images. Where no such place is, `offset` is left alone.
        """
        group = f" + g * {self.filters}" if self.groups > 1 else ""
        if self.sees_every_pixel:
            return f"offset = {pixel} * {self.all_filters}{group} + {tap};"
        image, filter_ = f"{pixel} / {self.pixels}", f"{tap} % {self.filters}"
        at = self.over(f"{pixel} % {self.pixels}", f"{tap} / {self.filters}")
        return f"{at}\nif ({self.stands}) offset = {self.place(image)}{group} + {filter_};"

    def over(self, pixel: str, tap: str) -> str:
        """Write how far down (`h`) and across (`w`) the window stands whose tap sees a pixel."""
        width, across = self.image[1], self.window[1]
        (top, _), (left, _) = self.padding
        down = f"({tap}) / {across} * {self.dilations[0]}"
        right = f"({tap}) % {across} * {self.dilations[1]}"
        return (
            f"const $I h = ({pixel}) / {width} + {top} - {down};\n"
            f"const $I w = ({pixel}) % {width} + {left} - {right};"
        )

    @property
    def stands(self) -> str:
        """Whether the window stands at `h`, `w` at some place."""
        (rows, columns), (down, across) = self.result, self.strides
        stands = [f"h >= 0 && w >= 0 && h / {down} < {rows} && w / {across} < {columns}"]
        stands += [f"h % {down} == 0"] if down > 1 else []
        stands += [f"w % {across} == 0"] if across > 1 else []
        return " && ".join(stands)

    def place(self, image: str) -> str:
        """Write where the filters of the place at `h`, `w` of an image begin."""
        (rows, columns), (down, across) = self.result, self.strides
        return f"(({image} * {rows} + h / {down}) * {columns} + w / {across}) * {self.all_filters}"
