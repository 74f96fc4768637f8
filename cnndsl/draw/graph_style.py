"""The picture of a network as a graph: rounded boxes from top to bottom, sizes on the edges."""

from __future__ import annotations

from cnndsl.draw.colours import BLOCK, paint
from cnndsl.draw.metrics import text_width
from cnndsl.draw.nested import Inner, Sized, inside, path_of
from cnndsl.draw.places import Gaps, Node
from cnndsl.draw.scene import Box, Cluster, Item, Scene
from cnndsl.draw.svg import INK, QUIET, Canvas, curve, move, straight

NAME, WORDS, REST, SIZE = 9.0, 11.5, 10.0, 9.5
"""Font sizes: the name of a box, its first layer, those that follow, sizes on edges."""
HEAD, STRIP, FOLLOW = 14.0, 20.0, 16.0
"""Heights: of the name's line, of the first layer's, of each that follows."""
INSIDE = 12.0
"""Room on both sides of the words in a box."""
STEM = 9.0
"""Length of an edge before the size that stands on it."""
PILL = 14.0
"""Height of a size on an edge."""
RADIUS = 6.0
"""Of corners."""
MARGIN = 16.0
"""Around the picture and inside clusters."""
TITLE = 15.0
"""Height of a cluster's title."""
LINE = "#7b8794"
"""Colour of edges."""
GAPS = Gaps()
"""Between boxes."""
COPIES = 4.0
"""How far the outlines of hidden copies show."""


def draw_graph(scene: Scene) -> str:
    """Give the picture as SVG."""
    whole = inside(scene.items, (), (), _sized, GAPS)
    canvas = Canvas()
    _draw_inside(canvas, whole, MARGIN, MARGIN)
    boxes = len(scene.boxes)
    return canvas.document(
        whole.layout.breadth + 2 * MARGIN,
        whole.layout.length + 2 * MARGIN,
        title=scene.name,
        desc=f"The layers of {scene.name} from top to bottom, in {boxes} boxes.",
    )


# ------------------------------------------------------------------ sizes


def _sized(item: Item) -> Sized:
    return _sized_box(item) if isinstance(item, Box) else _sized_cluster(item)


def _sized_box(box: Box) -> Sized:
    widths = [text_width(box.title, NAME) + _badge_width(box.copies) + 4]
    for index, strip in enumerate(box.strips):
        widths.append(text_width(strip.words, REST if index else WORDS, bold=not index))
    sizes = [text_width(outlet.size, SIZE) + 10 for outlet in box.outlets]
    width = max(max(widths) + 2 * INSIDE, sum(sizes) + 6 * len(sizes), 74.0)
    height = HEAD + STRIP + FOLLOW * (len(box.strips) - 1)
    if box.kind in ("input", "output") and not box.labelled:
        height = STRIP + 4
    outs: dict[str, float] = {}
    left = -sum(sizes) / 2
    for outlet, size in zip(box.outlets, sizes, strict=True):
        outs[outlet.value] = left + size / 2
        left += size
    copies = COPIES * min(box.copies - 1, 2)
    tail = STEM + PILL if box.outlets else 0.0
    node = Node(width / 2, width / 2 + copies, height + copies + tail, outs=outs)
    return Sized(box, node, width, height)


def _sized_cluster(cluster: Cluster) -> Sized:
    inner = inside(cluster.children, cluster.inputs, cluster.exits, _sized, GAPS)
    breadth = inner.layout.breadth
    title = text_width(cluster.title, REST, bold=True) + _badge_width(cluster.copies) + 30
    left, right = MARGIN, MARGIN
    axis = inner.enters(0) if inner.entries else breadth / 2
    if title > left + axis:  # the title stands beside the edge that comes in
        right = max(right, title - (breadth - axis))
    ins = {value: inner.enters(i) - axis for i, value in enumerate(cluster.inputs)}
    outs = {value: inner.leaves(i) - axis for i, value in enumerate(cluster.exits)}
    height = inner.layout.length + TITLE
    copies = COPIES * min(cluster.copies - 1, 2)
    node = Node(left + axis, breadth - axis + right + copies, height + copies, ins=ins, outs=outs)
    return Sized(cluster, node, left + breadth + right, height, inner)


def _badge_width(copies: int) -> float:
    return text_width(f"×{copies}", NAME, bold=True) + 10 if copies > 1 else 0.0


# ------------------------------------------------------------------ drawing


def _draw_inside(canvas: Canvas, inner: Inner, x: float, y: float) -> None:
    entries = inner.entries
    for edge, route in zip(inner.edges, inner.layout.routes, strict=True):
        canvas.path(path_of(route, x, y), stroke=LINE, line=1.3)
        if inner.ends_in_part(edge):
            across, along = route.points[-1]
            _draw_arrow(canvas, x + across, y + along)
    for index, part in enumerate(inner.parts, entries):
        across, along = inner.layout.across[index], inner.layout.along[index]
        left, top = x + across - part.node.before, y + along
        if isinstance(part.item, Box):
            _draw_box(canvas, part, part.item, left, top)
        else:
            _draw_cluster(canvas, part, part.item, left, top)


def _draw_arrow(canvas: Canvas, x: float, y: float) -> None:
    canvas.polygon([(x, y), (x - 3.6, y - 7), (x + 3.6, y - 7)], fill=LINE)


def _draw_box(canvas: Canvas, part: Sized, box: Box, left: float, top: float) -> None:
    colours = paint(box.kind)
    width, height = part.width, part.height
    for copy in range(min(box.copies - 1, 2), 0, -1):
        shift = COPIES * copy
        canvas.rect(
            left + shift, top + shift, width, height,
            radius=RADIUS, fill=colours.fill, stroke=colours.stroke,
        )  # fmt: skip
    with canvas.group(box.about, box.key):
        canvas.rect(left, top, width, height, radius=RADIUS, fill=colours.fill)
        middle = left + width / 2
        bare = box.kind in ("input", "output") and not box.labelled
        y = top
        if not bare:
            _draw_head(canvas, box, left, top, width)
            y += HEAD
        canvas.text(middle, y + (16 if bare else 13), box.strips[0].words, size=WORDS, bold=True)
        y += STRIP
        for index, strip in enumerate(box.strips[1:], 2):
            last = index == len(box.strips)
            band = _band(left, y, width, FOLLOW, RADIUS if last else 0.0)
            canvas.path(band, fill=paint(strip.kind).fill)
            canvas.path(move(left, y) + straight(left + width, y), stroke="#ffffff", line=1.2)
            canvas.text(middle, y + 11.5, strip.words, size=REST)
            y += FOLLOW
        canvas.rect(left, top, width, height, radius=RADIUS, stroke=colours.stroke, line=1.2)
        axis = left + part.node.before
        bottom = top + height + COPIES * min(box.copies - 1, 2)
        for outlet in box.outlets:
            x = axis + part.node.outs[outlet.value]
            canvas.path(move(x, top + height) + straight(x, bottom + STEM), stroke=LINE, line=1.3)
            canvas.text(x, bottom + STEM + 10.5, outlet.size, size=SIZE, fill=INK)


def _draw_head(canvas: Canvas, box: Box, left: float, top: float, width: float) -> None:
    """Write the name of a box and how often it is there."""
    if box.copies == 1:
        canvas.text(left + width / 2, top + 11, box.title, size=NAME, fill=QUIET)
        return
    canvas.text(left + 8, top + 11, box.title, size=NAME, fill=QUIET, anchor="start")
    _draw_badge(canvas, box.copies, left + width, top, paint(box.kind).stroke)


def _draw_badge(canvas: Canvas, copies: int, right: float, top: float, colour: str) -> None:
    width = _badge_width(copies)
    canvas.rect(right - width - 4, top + 3, width, 13, radius=6.5, fill=colour)
    canvas.text(right - 4 - width / 2, top + 13, f"×{copies}", size=NAME, bold=True, fill="#ffffff")


def _draw_cluster(canvas: Canvas, part: Sized, cluster: Cluster, left: float, top: float) -> None:
    assert part.inner is not None
    colour = BLOCK.stroke
    for copy in range(min(cluster.copies - 1, 2), 0, -1):
        shift = COPIES * copy
        canvas.rect(
            left + shift, top + shift, part.width, part.height,
            radius=10, fill="#f3f9f9", stroke=colour,
        )  # fmt: skip
    canvas.rect(
        left, top, part.width, part.height, radius=10, fill="#f3f9f9", stroke=colour, line=1.2
    )
    for value in cluster.inputs:
        x = left + part.node.before + part.node.ins[value]
        canvas.path(move(x, top) + straight(x, top + TITLE), stroke=LINE, line=1.3)
    for value in cluster.exits:
        x = left + part.node.before + part.node.outs[value]
        bottom = top + part.height
        end = bottom + COPIES * min(cluster.copies - 1, 2)
        canvas.path(move(x, bottom) + straight(x, end), stroke=LINE, line=1.3)
    if cluster.title:
        width = text_width(cluster.title, REST, bold=True)
        beside = width + 20 > part.node.before
        x = left + (part.node.before + 10 if beside else 12)
        canvas.text(x, top + 15, cluster.title, size=REST, bold=True, fill=colour, anchor="start")
    if cluster.copies > 1:
        _draw_badge(canvas, cluster.copies, left + part.width - 2, top + 1, colour)
    _draw_inside(canvas, part.inner, left + MARGIN, top + TITLE)


def _band(x: float, y: float, width: float, height: float, radius: float) -> str:
    """Give a rectangle whose lower corners are round."""
    right, bottom = x + width, y + height
    corner = radius * 0.45
    return "".join(
        (
            move(x, y),
            straight(right, y),
            straight(right, bottom - radius),
            curve(right, bottom - corner, right - corner, bottom, right - radius, bottom),
            straight(x + radius, bottom),
            curve(x + corner, bottom, x, bottom - corner, x, bottom - radius),
            "Z",
        )
    )
