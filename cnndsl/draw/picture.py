"""A network as a picture, in one call."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeAlias

from cnndsl.draw.blocks_style import draw_blocks
from cnndsl.draw.gather import scene_of
from cnndsl.draw.graph_style import draw_graph
from cnndsl.draw.scene import Scene
from cnndsl.draw.text_forms import to_dot, to_mermaid
from cnndsl.layers.network import Network

Style: TypeAlias = Literal["graph", "blocks"]
"""Boxes from top to bottom, or solids from left to right."""

MOST_BOXES: Mapping[Style, int] = {"graph": 120, "blocks": 40}
"""Boxes of a picture whose depth nobody says."""


def arrange(network: Network, *, style: Style = "graph", depth: int | None = None) -> Scene:
    """Give what a picture shows; without a `depth`, blocks are open as deep as is still clear."""
    singles = style == "graph"
    if depth is not None:
        return scene_of(network, depth=depth, singles=singles)
    for level in range(_deepest(network), 0, -1):
        scene = scene_of(network, depth=level, singles=singles)
        if len(scene.boxes) <= MOST_BOXES[style]:
            return scene
    return scene_of(network, depth=0, singles=singles)


def _deepest(network: Network) -> int:
    nets = max((layer.name.count(".") for layer in network.layers), default=0)
    return nets + max((len(layer.path) for layer in network.layers), default=0)


def to_svg(network: Network, *, style: Style = "graph", depth: int | None = None) -> str:
    """Draw a network as SVG."""
    return svg_of(arrange(network, style=style, depth=depth), style)


def svg_of(scene: Scene, style: Style) -> str:
    """Draw what has been arranged as SVG."""
    return draw_graph(scene) if style == "graph" else draw_blocks(scene)


__all__ = ["MOST_BOXES", "Style", "arrange", "svg_of", "to_dot", "to_mermaid", "to_svg"]
