"""The picture of a network as solids from left to right, as in papers.

Height and depth of a solid stand for the height and width of an image, its thickness for the
channels. Sides grow with the square root of the size and thickness with the logarithm, so that
both ends of a network can be seen.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from cnndsl.draw.colours import BLOCK, paint
from cnndsl.draw.metrics import broken, text_width
from cnndsl.draw.nested import Inner, Sized, inside, path_of
from cnndsl.draw.places import Gaps, Node
from cnndsl.draw.scene import Box, Cluster, Item, Scene
from cnndsl.draw.svg import INK, QUIET, Canvas, move, straight
from cnndsl.layers.base import Hwc

NAME, SIZE, WORDS = 10.5, 10.0, 9.0
"""Font sizes: of a label, of a size, of a layer's words."""
LINE_HEIGHT = 12.0
"""Of lines of words."""
COLUMN = 84.0
"""Pixels after which words are broken, where the solid is no wider."""
TALLEST = 150.0
"""Height of the solid of the largest image."""
LEAST = 14.0
"""Height of the smallest."""
SLANT_X, SLANT_Y = 0.30, 0.26
"""How far a side of one pixel goes right and up."""
MARGIN = 18.0
"""Around the picture."""
TITLE = 24.0
"""Height of a cluster's title."""
PAD = 10.0
"""Around the inside of a cluster."""
EDGE = "#7b8794"
"""Colour of edges."""
GAPS = Gaps(along=16.0, across=18.0, slope=0.10, most=46.0)
"""Between solids."""


@dataclass(frozen=True, slots=True)
class _Solid:
    """The measures of a solid, in pixels."""

    thick: float
    """Left to right."""
    high: float
    """Top to bottom."""
    over: float
    """How far its back lies to the right."""
    up: float
    """How far its back lies above."""


def draw_blocks(scene: Scene) -> str:
    """Give the picture as SVG."""
    sides = [
        side
        for box in scene.boxes
        for outlet in box.outlets
        for size in outlet.sizes
        for side in size[:-1]
    ]
    artist = _Artist(max(sides, default=1))
    whole = inside(scene.items, (), (), artist.sized, GAPS)
    canvas = Canvas()
    artist.draw_inside(canvas, whole, MARGIN, MARGIN)
    return canvas.document(
        whole.layout.length + 2 * MARGIN,
        whole.layout.breadth + 2 * MARGIN,
        title=scene.name,
        desc=f"The layers of {scene.name} from left to right, as solids of their results.",
    )


@dataclass(frozen=True, slots=True)
class _Artist:
    """Draws solids to the scale of one picture."""

    largest: int
    """The longest side of an image in it."""

    # -------------------------------------------------------------- measures

    def side(self, pixels: int) -> float:
        """Give the length of an image's side."""
        return LEAST + (TALLEST - LEAST) * math.sqrt(pixels / self.largest)

    def solid(self, size: Hwc) -> _Solid:
        """Give the measures for a size; what is no image becomes a rod."""
        if len(size) != 3:
            high = 20 + 26 * math.log10(max(math.prod(size), 1))
            return _Solid(9.0, high, 5.0, 4.0)
        height, width, channels = size
        depth = self.side(width)
        thick = 4 + 4.2 * math.log2(channels + 1)
        return _Solid(thick, self.side(height), depth * SLANT_X, depth * SLANT_Y)

    def sized(self, item: Item) -> Sized:
        """Measure an item."""
        return self._sized_box(item) if isinstance(item, Box) else self._sized_cluster(item)

    def _sized_box(self, box: Box) -> Sized:
        solid = self.solid(_size_of(box))
        wide = solid.thick + solid.over
        lines = _lines(box, max(COLUMN, wide))
        width = max([wide, *(text_width(text, size, bold=bold) for text, size, bold in lines)])
        above = solid.high / 2 + solid.up + (16 if box.copies > 1 else 2)
        below = solid.high / 2 + 6 + LINE_HEIGHT * len(lines)
        outs = {outlet.value: 0.0 for outlet in box.outlets}
        return Sized(box, Node(above, below, width, outs=outs), width, above + below)

    def _sized_cluster(self, cluster: Cluster) -> Sized:
        inner = inside(cluster.children, cluster.inputs, cluster.exits, self.sized, GAPS)
        axis = inner.enters(0) if inner.entries else inner.layout.breadth / 2
        title = text_width(cluster.title, NAME, bold=True) + 44
        width = max(inner.layout.length, title)
        ins = {value: inner.enters(i) - axis for i, value in enumerate(cluster.inputs)}
        outs = {value: inner.leaves(i) - axis for i, value in enumerate(cluster.exits)}
        before, after = axis + TITLE, inner.layout.breadth - axis + PAD
        node = Node(before, after, width, ins=ins, outs=outs)
        return Sized(cluster, node, width, before + after, inner)

    # -------------------------------------------------------------- drawing

    def draw_inside(self, canvas: Canvas, inner: Inner, x: float, y: float) -> None:
        """Draw the inside of a cluster or the whole picture."""
        for index, part in enumerate(inner.parts, inner.entries):
            left, axis = x + inner.layout.along[index], y + inner.layout.across[index]
            if isinstance(part.item, Cluster):
                self._draw_cluster(canvas, part, part.item, left, axis)
        read = {edge.value for edge in inner.edges}
        for edge, route in zip(inner.edges, inner.layout.routes, strict=True):
            canvas.path(path_of(route, x, y, sideways=True), stroke=EDGE, line=1.3)
            if inner.ends_in_part(edge):
                target = inner.parts[edge.target - inner.entries]
                across, along = route.points[-1]
                self._draw_arrow(canvas, target, x + along, y + across)
        for index, part in enumerate(inner.parts, inner.entries):
            left, axis = x + inner.layout.along[index], y + inner.layout.across[index]
            if isinstance(part.item, Box):
                self._draw_box(canvas, part, part.item, left, axis)
                if read.intersection(part.node.outs):
                    self._draw_way_out(canvas, part, part.item, left, axis)

    def _draw_arrow(self, canvas: Canvas, target: Sized, x: float, y: float) -> None:
        """Draw the end of an edge: up to the solid, which may be narrower than its words."""
        end = x
        if isinstance(target.item, Box):
            solid = self.solid(_size_of(target.item))
            end = x + (target.width - solid.thick - solid.over) / 2
            canvas.path(move(x, y) + straight(end - 4, y), stroke=EDGE, line=1.3)
        canvas.polygon([(end, y), (end - 7, y - 3.6), (end - 7, y + 3.6)], fill=EDGE)

    def _draw_way_out(
        self, canvas: Canvas, part: Sized, box: Box, left: float, axis: float
    ) -> None:
        """Draw the beginning of edges: from the solid to the end of its words."""
        solid = self.solid(_size_of(box))
        begin = left + (part.width + solid.thick + solid.over) / 2
        canvas.path(move(begin, axis) + straight(left + part.width, axis), stroke=EDGE, line=1.3)

    def _draw_box(self, canvas: Canvas, part: Sized, box: Box, left: float, axis: float) -> None:
        solid = self.solid(_size_of(box))
        colours = paint(box.kind)
        wide = solid.thick + solid.over
        start = left + (part.width - wide) / 2
        top, bottom = axis - solid.high / 2, axis + solid.high / 2
        with canvas.group(box.about, box.key):
            front = start + solid.thick
            back, high = front + solid.over, top - solid.up
            canvas.polygon(
                [(start, top), (start + solid.over, high), (back, high), (front, top)],
                fill=_lighter(colours.fill), stroke=colours.stroke,
            )  # fmt: skip
            canvas.polygon(
                [(front, top), (back, high), (back, bottom - solid.up), (front, bottom)],
                fill=colours.shade, stroke=colours.stroke,
            )  # fmt: skip
            canvas.rect(start, top, solid.thick, solid.high, fill=colours.fill)
            self._draw_followers(canvas, box, front, top, solid)
            canvas.rect(start, top, solid.thick, solid.high, stroke=colours.stroke)
            middle = left + part.width / 2
            y = bottom + 5
            for text, size, bold in _lines(box, max(COLUMN, wide)):
                y += LINE_HEIGHT
                fill = INK if bold or size == SIZE else QUIET
                canvas.text(middle, y, text, size=size, bold=bold, fill=fill)
            if box.copies > 1:
                _draw_badge(canvas, box.copies, middle, high - 14, colours.stroke)

    def _draw_followers(
        self, canvas: Canvas, box: Box, right: float, top: float, solid: _Solid
    ) -> None:
        """Draw the layers that follow in the same box as bands at its right end."""
        band = min(5.0, 0.4 * solid.thick / max(len(box.strips) - 1, 1))
        for strip in box.strips[:0:-1]:
            right -= band
            canvas.rect(right, top, band, solid.high, fill=paint(strip.kind).shade)

    def _draw_cluster(
        self, canvas: Canvas, part: Sized, cluster: Cluster, left: float, axis: float
    ) -> None:
        assert part.inner is not None
        top = axis - part.node.before
        canvas.rect(
            left, top, part.width, part.height,
            radius=10, fill="#f3f9f9", stroke=BLOCK.stroke, dashes="4 3",
        )  # fmt: skip
        title = cluster.title
        canvas.text(
            left + 12, top + 16, title, size=NAME, bold=True, fill=BLOCK.stroke, anchor="start"
        )
        if cluster.copies > 1:
            _draw_badge(canvas, cluster.copies, left + part.width - 20, top + 5, BLOCK.stroke)
        shift = (part.width - part.inner.layout.length) / 2
        for value, offset in part.node.ins.items():
            assert value in cluster.inputs
            y = axis + offset
            canvas.path(move(left, y) + straight(left + shift, y), stroke=EDGE, line=1.3)
        for offset in part.node.outs.values():
            y, end = axis + offset, left + part.width
            canvas.path(move(end - shift, y) + straight(end, y), stroke=EDGE, line=1.3)
        self.draw_inside(canvas, part.inner, left + shift, top + TITLE)


def _size_of(box: Box) -> Hwc:
    return box.outlets[0].sizes[0] if box.outlets else (1,)


def _lines(box: Box, width: float) -> list[tuple[str, float, bool]]:
    """Give what stands under a solid: (text, font size, bold)."""
    found: list[tuple[str, float, bool]] = []
    if box.labelled and box.kind != "output":
        found += [(line, NAME, True) for line in broken(box.title, NAME, width, bold=True)]
    found += [(outlet.size, SIZE, not box.labelled) for outlet in box.outlets]
    for strip in box.strips:
        found += [(line, WORDS, False) for line in broken(strip.words, WORDS, width)]
    return found


def _draw_badge(canvas: Canvas, copies: int, middle: float, top: float, colour: str) -> None:
    text = f"×{copies}"
    width = text_width(text, WORDS, bold=True) + 10
    canvas.rect(middle - width / 2, top, width, 13, radius=6.5, fill=colour)
    canvas.text(middle, top + 10, text, size=WORDS, bold=True, fill="#ffffff")


def _lighter(colour: str) -> str:
    """Give a colour half way to white.

    >>> _lighter("#d3e5f6")
    '#e9f2fa'
    """
    channels = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
    return "#" + "".join(f"{(c + 255) // 2:02x}" for c in channels)
