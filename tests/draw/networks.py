from __future__ import annotations

from pathlib import Path

from cnndsl.frontend.elaborate import elaborate
from cnndsl.frontend.parse import parse, parse_file
from cnndsl.layers.network import Network

PROGRAMS = Path(__file__).parents[1] / "frontend" / "programs"
DRAWN = (
    "alexnet", "alphago", "densenet", "googlenet", "keras_mnist", "lenet5", "mobilenet", "nin",
    "pattern", "resnet", "slide", "slide_vgg", "transfer", "vgg", "zfnet",
)  # fmt: skip
"""Programs whose pictures are looked at."""

RESIDUAL = """input [8x8x4]
block unit(c) { ( conv c 3x3 half - bn - relu - conv c 3x3 half - bn | id ) - add - relu }
conv 6 3x3 half, relu
unit(6) * 3
maxpool 2x2
fc 10, softmax
"""


def network(text: str) -> Network:
    return elaborate(parse(text, "program.cnn")).network


def program(name: str) -> Network:
    return elaborate(
        parse_file(PROGRAMS / f"{name}.cnn"), input_size=(32, 32, 3), classes=10
    ).network
