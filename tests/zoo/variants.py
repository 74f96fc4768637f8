"""Members of the zoo's families, and how many parameters their sources say they have."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

HAND = "by hand"
SLIDES = "the lectures"
PAPER = "the paper"
KERAS = "Keras, trained parameters"
TORCHVISION = "torchvision"
IMGCLSMOB = "imgclsmob's table"
CAFFE = "the released Caffe model"


@dataclass(frozen=True)
class Variant:
    """A program with values for its parameters."""

    program: str
    """Its name in the zoo."""
    count: int
    """Trained parameters, biases included."""
    source: str
    """Who counts them."""
    params: Mapping[str, str] = field(default_factory=dict)
    """What is given with `-p`."""

    @property
    def options(self) -> str:
        """What a user writes behind the program's name."""
        return " ".join(f"-p {name}={value}" for name, value in self.params.items())


def family(name: str, key: str, counts: Mapping[str, int], source: str) -> list[Variant]:
    """Give the members of a family that one parameter names."""
    return [Variant(name, count, source, {key: value}) for value, count in counts.items()]


RESNET = {
    "18": 11_689_512, "34": 21_797_672, "50": 25_557_032, "101": 44_549_160, "152": 60_192_808,
}  # fmt: skip
PREACT = {
    "18": 11_687_848, "34": 21_796_008, "50": 25_549_480, "101": 44_541_608, "152": 60_185_256,
}  # fmt: skip

VARIANTS = (
    Variant("lenet", 61_706, SLIDES),
    Variant("lenet28", 61_706, SLIDES),
    Variant("mlp", 266_610, HAND),
    Variant("keras_mnist", 257_162, SLIDES),
    Variant("convnetjs_cifar10", 22_466, HAND),
    *family("alexnet", "towers", {"1": 62_378_344, "2": 60_965_224}, SLIDES),
    Variant("zfnet", 107_627_624, IMGCLSMOB),
    *family(
        "vgg",
        "v",
        {"A": 132_863_336, "LRN": 132_863_336, "B": 133_047_848, "C": 133_638_952,
         "D": 138_357_544, "E": 143_667_240},
        PAPER,
    ),
    Variant("nin", 7_439_608, HAND),
    *family("googlenet", "aux", {"false": 6_998_552, "true": 13_378_280}, CAFFE),
    Variant("inception_v2", 11_295_240, CAFFE),
    *family("inception_v3", "aux", {"false": 23_834_568, "true": 27_161_264}, TORCHVISION),
    Variant("inception_v4", 42_679_816, IMGCLSMOB),
    *family("resnet", "depth", RESNET, TORCHVISION),
    *(
        Variant("resnet", count, IMGCLSMOB, {"flavour": "preact", "depth": depth})
        for depth, count in PREACT.items()
    ),
    Variant("resnext", 25_028_904, TORCHVISION),
    Variant("wide_resnet", 68_883_240, TORCHVISION),
    *family(
        "densenet",
        "depth",
        {"121": 7_978_856, "161": 28_681_000, "169": 14_149_480, "201": 20_013_928},
        TORCHVISION,
    ),
    *family(
        "mobilenet",
        "alpha",
        {"0.25": 470_072, "0.5": 1_331_592, "0.75": 2_585_560, "1.0": 4_231_976},
        KERAS,
    ),
    Variant("mobilenet_v2", 3_504_872, TORCHVISION),
    *family(
        "shufflenet",
        "g",
        {"1": 1_531_936, "2": 1_733_848, "3": 1_865_728, "4": 1_968_344, "8": 2_434_768},
        IMGCLSMOB,
    ),
    *family("squeezenet", "v", {"1.0": 1_248_424, "1.1": 1_235_496}, TORCHVISION),
    Variant("xception", 22_855_952, KERAS),
    Variant("efficientnet_b0", 5_288_548, TORCHVISION),
    Variant("unet", 31_030_658, HAND),
    Variant("segnet", 29_449_932, HAND),
    *family(
        "alphago",
        "k",
        {"128": 1_777_641, "192": 3_882_793, "256": 6_798_953, "384": 15_064_297},
        SLIDES,
    ),
)  # fmt: skip
"""Every member with a count of its own; the first of a program is not always its usual one."""
