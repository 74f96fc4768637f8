"""Colours by kind of layer; told apart by lightness too, for print and for the colour-blind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Paint:
    """The colours of a box."""

    fill: str
    """Its face."""
    stroke: str
    """Its outline."""
    shade: str
    """The side of a solid that lies in shadow."""


CONVOLUTION = Paint("#d3e5f6", "#2f6ea5", "#a9c9e6")
POOLING = Paint("#f9d9cd", "#b4532f", "#edb59f")
DENSE = Paint("#e2d9f0", "#6a4a9c", "#c4b3df")
NORMALISATION = Paint("#fbf0c4", "#94771a", "#ecd98d")
ACTIVATION = Paint("#fbe3c0", "#a8690f", "#efc78c")
JOIN = Paint("#d3ecd9", "#2f7d49", "#a6d4b3")
SHAPE = Paint("#eceff2", "#66727f", "#d0d6dc")
BLOCK = Paint("#d6eeee", "#2a7b7d", "#a8d6d7")
END = Paint("#f4f6f8", "#3e4c59", "#d7dde3")

PAINTS: Mapping[str, Paint] = {
    "input": END,
    "output": END,
    "block": BLOCK,
    **dict.fromkeys(("fc", "rbf", "rnn", "lstm", "gru"), DENSE),
    **dict.fromkeys(("conv", "depthwise", "upconv"), CONVOLUTION),
    **dict.fromkeys(("maxpool", "avgpool", "gap", "gmp", "unpool"), POOLING),
    **dict.fromkeys(("bn", "lrn"), NORMALISATION),
    **dict.fromkeys(("add", "concat", "multiply"), JOIN),
    **dict.fromkeys(
        ("flatten", "reshape", "pad", "crop", "shuffle", "id", "dropout", "upsample", "resize"),
        SHAPE,
    ),
}
"""By the canonical word of a kind; the rest are activations."""


def paint(kind: str) -> Paint:
    """Give the colours of a kind of layer."""
    return PAINTS.get(kind, ACTIVATION)
