"""The zoo at a small size: every program with an input that a test can compute with."""

from __future__ import annotations

import re

from cnndsl.frontend.elaborate import elaborate
from cnndsl.frontend.parse import parse
from cnndsl.layers.network import Network
from tests.zoo.networks import ZOO

SMALL_SIZES = {
    "alexnet": "67x67x3",
    "alphago": "7x7x48",
    "densenet": "64x64x3",
    "efficientnet_b0": "64x64x3",
    "googlenet": "32x32x3",
    "inception_v2": "64x64x3",
    "inception_v3": "107x107x3",
    "inception_v4": "107x107x3",
    "mobilenet": "64x64x3",
    "mobilenet_v2": "64x64x3",
    "nin": "67x67x3",
    "resnet": "64x64x3",
    "resnext": "64x64x3",
    "segnet": "64x64x3",
    "shufflenet": "64x64x3",
    "squeezenet": "35x35x3",
    "unet": "188x188x1",
    "vgg": "32x32x3",
    "wide_resnet": "64x64x3",
    "xception": "71x71x3",
    "zfnet": "64x64x3",
}
"""Inputs for which all windows fit, and for which the last maps still have several places, so that
batch normalisation has something to normalise."""

CHOICES = {
    "alexnet": "towers=2, classes=10",
    "alphago": "k=128",
    "mobilenet": "alpha=0.25, classes=10",
    "resnet": "depth=18, flavour=preact, classes=10",
    "resnext": "groups=32, width=4, classes=10",
    "vgg": "v=LRN, classes=10",
    "wide_resnet": "width=128, classes=10",
}

MADE_OF = {"resnext": "resnet", "wide_resnet": "resnet"}
"""Programs that are only another one with other arguments; a patch goes to that one."""


def small(name: str) -> Network:
    """Give a program of the zoo with a smaller input; its size assertions are dropped."""
    if name == "zfnet":  # a patch itself, whose own assertions hold for 224 pixels
        text = re.sub(r" => .*|assert .*", "", ZOO[name].read_text(encoding="utf-8"))
        text = text.replace("224x224x3", SMALL_SIZES[name])
    else:
        choices = CHOICES.get(name, "classes=10")
        text = (
            f'import "{MADE_OF.get(name, name)}.cnn" as whole\n'
            f"net small = whole({choices}) {{ replace INPUT: [{SMALL_SIZES[name]}] }}\n"
        )
    return elaborate(parse(text, "small.cnn"), base_dir=ZOO[name].parent).network
