"""How each notation of the seeds is read, and what must come out of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from cnndsl.importers.sheet import Options

Facts = Mapping[str, int | str]
"""What is measured: "params", "CONV1.size", .. and its value."""


@dataclass(frozen=True)
class Case:
    """One notation: read it, put the rest of a program around it, check it."""

    after: tuple[str, ...] = ()
    """Notations that the lecture shows before it and that it speaks of."""
    options: Options = field(default_factory=Options)
    """Conventions that the slide leaves to its reader."""
    before: str = ""
    """A program that it is read on top of: networks that it makes claims about."""
    behind: str = ""
    """What uses the block or the defaults that it defines."""
    page: int = -1
    """Which of its programs."""
    pages: int = 1
    """How many programs it holds."""
    params: Mapping[str, str] = field(default_factory=dict)
    """Values of its parameters."""
    facts: Facts = field(default_factory=dict)
    """What must be measured."""
    wrong: tuple[str, ...] = ()
    """What the compiler must complain about, in order: part of each diagnostic's text."""
    reader: str = "slide"
    """What reads it: "slide", "keras", "torch"."""


ALEXNET_SHAPE: Facts = {
    "params": 62_378_344,
    "CONV1.size": "55x55x96",
    "CONV5.size": "13x13x256",
    "FC8.size": "1000",
    "layers": 13,
}

VGG_PARAMS = {
    "A": 132_863_336,
    "A_LRN": 132_863_336,
    "B": 133_047_848,
    "C": 133_638_952,
    "D": 138_357_544,
    "E": 143_667_240,
}

SINGLE_CONVOLUTIONS = """
net Inception {
  input [28x28x192]
  (conv 64 1x1 | conv 96 1x1 - conv 128 3x3 half | conv 16 1x1 - conv 32 5x5 half
   | maxpool 3x3/1 same - conv 32 1x1) - concat => [28x28x256]
}
net Conv3x3 { input [28x28x192]; conv 256 3x3 half }
net Conv5x5 { input [28x28x192]; conv 256 5x5 half }
"""

STEM_AND_VGG = """
net Stem {
  input [224x224x3]
  default conv and maxpool: floor
  counting: with pools
  conv 64 7x7/2 pad 3; maxpool 3x3/2 pad 1; conv 64 1x1; conv 192 3x3 pad 1; maxpool 3x3/2 pad 1
}
net VGG16 {
  input [224x224x3]
  conv3-64; conv3-64; maxpool; conv3-128; conv3-128; maxpool
  conv3-256; conv3-256; conv3-256; maxpool => [28x28x256]
}
"""

LENET = """
net LeNet {
  input [28x28x1]
  conv1: conv 6 5x5 pad 2, sigmoid; avgpool; conv2: conv 16 5x5, sigmoid; avgpool
  dense1: fc 120, sigmoid; dense2: fc 84, sigmoid; dense3: fc 10
}
"""

ALEXNET_227 = """
net AlexNet {
  input [227x227x3]
  conv1: conv 96 11x11/4; maxpool 3x3/2; conv2: conv 256 5x5 pad 2; maxpool 3x3/2
  conv3: conv 384 3x3 pad 1; conv4: conv 384 3x3 pad 1; conv5: conv 256 3x3 pad 1; maxpool 3x3/2
  dense1: fc 4096; dense2: fc 4096; dense3: fc 1000
}
"""

ALEXNET_224 = """
net AlexNet {
  input [224x224x3]
  default conv and maxpool: floor
  conv1: conv 96 11x11/4; maxpool 3x3/2; conv2: conv 256 5x5 pad 2; maxpool 3x3/2
  conv3: conv 384 3x3 pad 1; conv4: conv 384 3x3 pad 1; conv5: conv 256 3x3 pad 1; maxpool 3x3/2
  dense1: fc 4096; dense2: fc 4096
}
"""

CAPTIONING = """
net CNN {
  input [64x64x3]
  conv 16 3x3/2 same relu - maxpool - conv 32 3x3 half relu - maxpool => [8x8x32]
}
net RNN { input [8x8x32]; lstm 128 all - conv 1000 1x1 - softmax => [8x1x1000] }
input [64x64x3]
"""

GOOGLENET_SLIPS = (
    "params: 2.7K` is wrong|9,408 weights", "ops: 34M` is wrong|118,013,952",
    "params: 380K` is wrong|388,096", "params: 364K` is wrong|375,552",
    "params: 437K` is wrong|448,512", "params: 463K` is wrong|509,440",
    "params: 580K` is wrong|604,672", "params: 840K` is wrong|867,328",
    "params: 1072K` is wrong|1,042,432", "ops: 54M` is wrong|51,079,168",
    "params: 1388K` is wrong|1,442,816",
)  # fmt: skip

CASES: Mapping[str, Case] = {
    "N-01": Case(facts={"params": 3_248_202, "weight_layers": 8}),
    "N-02": Case(facts={"params": 3_248_202, "weight_layers": 8}),
    "N-03": Case(
        options=Options(input="32x32x1"),
        facts={"conv1.size": "28x28x64", "conv2.size": "10x10x128", "conv3.size": "1x1x256"},
    ),
    "N-05": Case(facts={"layers": 5, "maxpool1.size": "16x16x64"}),
    "N-06": Case(facts={"conv1.size": "28x28x1", "params": 76}),
    "N-07": Case(options=Options(input="32x32x3"), facts={"conv1.size": "28x28x6"}),
    "N-08": Case(facts={"conv1.size": "32x32x10", "params": 760}),
    "N-09": Case(after=("N-08",), facts={"L2.params": 760}),
    "N-10": Case(
        options=Options(input="227x227x3"),
        params={"K": "128"},
        facts={"conv2.size": "227x227x128", "conv3.size": "114x114x128"},
    ),
    "N-11": Case(facts={"L.size": "32x32x64", "weights": 1_728, "biases": 64}),
    "N-12": Case(facts={"L.size": "30x30x3", "params": 0}),
    "N-13": Case(pages=3, page=1, facts={"conv1.size": "7x7x1"}),
    "N-14": Case(options=Options(layout="chw"), facts={"conv1.size": "28x28x6", "weights": 450}),
    "N-15": Case(options=Options(input="56x56x64"), facts={"weights": 2_048, "biases": 32}),
    "N-16": Case(facts={"flatten1.c": 3_072}),
    "N-17": Case(options=Options(input="32x32x3"), facts={"conv1.memory": 3_920}),
    "N-18": Case(options=Options(input="227x227x3"), facts={"weights": 23_232}),
    "N-20": Case(options=Options(input="5x5x1"), facts={"sharpen.size": "5x5x1", "params": 0}),
    "N-22": Case(pages=2, facts={"CONV1.size": "55x55x96", "CONV1.weights": 34_848}),
    "N-23": Case(after=("N-22",), facts={"POOL1.size": "27x27x96", "POOL1.params": 0}),
    "N-24": Case(facts=ALEXNET_SHAPE),
    "N-25": Case(facts=ALEXNET_SHAPE),
    "N-26": Case(wrong=("58,631,144 = 58.6M", "is 0.939928 = 94.0%")),
    "N-27": Case(after=("N-24",), wrong=("CONV1.memory = 290,400",)),
    "N-28": Case(facts={"conv2.size": "8x8x16", "rbf1.c": 10, "layers": 7}),
    "N-29": Case(after=("N-24",), facts={"params": 386_548_840}),
    "N-30": Case(after=("N-24",), facts={"params": 62_378_344, "macs": 1_135_256_096}),
    "N-31": Case(after=("N-24",), facts={"params": 62_378_344}),
    "N-32": Case(
        behind="input [224x224x3]; conv 64 - conv 64 - maxpool",
        facts={"maxpool1.size": "112x112x64", "conv2.weights": 36_864},
    ),
    "N-33": Case(params={"column": "D"}, facts={"params": VGG_PARAMS["D"]}),
    "N-34": Case(after=("N-33",), params={"column": "E"}, facts={"params": VGG_PARAMS["E"]}),
    "N-35": Case(wrong=("memory is 15,237,608 = 15.2M", "60,950,432 = 61.0MB (58.1 MiB)")),
    "N-36": Case(params={"column": "C"}, facts={"params": VGG_PARAMS["C"]}),
    "N-37": Case(
        behind="input [56x56x128]; VGG(3, 256)",
        facts={"maxpool1.size": "28x28x256", "layers": 7},
    ),
    "N-39": Case(options=Options(input="224x224x3"), facts={"weight_layers": 15}),
    "N-40": Case(
        options=Options(input="224x224x3"), pages=2, page=0, facts={"maxpool3.size": "28x28x3"}
    ),
    "N-42": Case(
        before='import "alexnet.cnn" as AlexNet\nimport "vgg.cnn" as VGGNet\n', facts={"params": 0}
    ),
    "N-43": Case(
        options=Options(input="12x12x384"), facts={"gap1.c": 1_000, "weight_layers": 3}
    ),
    "N-44": Case(facts={"params": 0}),
    "N-45": Case(wrong=GOOGLENET_SLIPS),
    "N-46": Case(wrong=GOOGLENET_SLIPS),
    "N-47": Case(
        behind="input [28x28x192]; inception(64, 96, 128, 16, 32, 32)",
        facts={"concat1.size": "28x28x256", "weights": 163_328},
    ),
    "N-58": Case(params={"n": "2"}, facts={"fc1.c": 1_000, "add8.size": "28x28x512"}),
    "N-49": Case(before=SINGLE_CONVOLUTIONS, facts={"params": 0}),
    "N-51": Case(facts={"params": 124_416, "L6.size": "28x28x192", "bytes": 8_429_568}),
    "N-52": Case(
        before=STEM_AND_VGG,
        pages=2,
        wrong=(
            "VGG16.bytes is 53,788,672 = 51.3MiB", "VGG16.bytes / Stem.bytes is 6.87",
            "VGG16.params is 1,735,488", "VGG16.params / Stem.params is 13.949",
            "VGG16.ops is 9,340,", "VGG16.ops / Stem.ops is 19.4",
        ),
    ),
    "N-53": Case(facts={"params": 0}),
    "N-54": Case(facts={"input.size": "28x28x256"}),
    "N-55": Case(after=("N-24",), wrong=("weight_layers = 8",)),
    "N-61": Case(options=Options(input="32x32x16"), facts={"concat5.c": 36}),
    "N-62": Case(
        behind="input [32x32x64]; separable(128)", facts={"weights": 8_768, "weight_layers": 2}
    ),
    "N-64": Case(facts={"params": 3_882_433, "CONV12.size": "19x19x192", "macs": 1_400_726_208}),
    "N-65": Case(
        options=Options(layout="chw"),
        params={"H": "48", "W": "80", "D1": "16"},
        facts={"maxpool1.size": "24x40x16", "unpool1.size": "48x80x16", "conv2.size": "48x80x1"},
    ),
    "N-66": Case(
        params={"T": "9", "X": "5", "H": "7", "O": "3"},
        facts={
            "h.size": "9x1x7", "h.weights": 7 * 7 + 7 * 5, "h.biases": 7, "o.size": "9x1x3",
            "o.weights": 21, "params": 91 + 24,
        },
    ),
    "N-67": Case(params={"a": "5", "b": "7"}, facts={"params": 0}),
    "N-68": Case(
        before=CAPTIONING, facts={"RNN.lstm1.params": 4 * 128 * (8 * 32 + 128 + 1), "layers": 9}
    ),
    "N-72": Case(reader="keras", facts={"params": 257_162, "macs": 5_846_144}),
    "N-73": Case(after=("N-72",), reader="keras+slide", wrong=("`activation_1`", "`activation_1`")),
    "N-74": Case(facts={"params": 0}),
    "N-75": Case(reader="keras", facts={"params": 7_114, "dense_1.params": 6_464}),
    "N-76": Case(
        reader="torch",
        behind="input [32x32x3]; Conv2d(3, 64, 3, padding=1); Conv2d(64, 32, 3, 2, bias=false)",
        facts={"conv1.size": "32x32x64", "conv2.size": "15x15x32", "conv2.biases": 0},
    ),
    "N-78": Case(facts={"params": 0}),
    "N-80": Case(facts={"conv3.size": "7x7x1"}),
    "N-87": Case(wrong=("is 1.07",)),
    "N-88": Case(
        before=ALEXNET_227 + LENET,
        wrong=(
            "AlexNet.conv1.macs is 105,415,200", "LeNet.conv1.macs is 117,600",
            "AlexNet.conv2.macs is 447,897,600", "LeNet.conv2.macs is 240,000",
            "is 523,321,344", "AlexNet.dense1.weights is 37,748,736",
            "LeNet.dense1.weights is 48,000", "AlexNet.dense1.macs is 37,748,736",
            "LeNet.dense1.macs is 48,000", "LeNet.dense2.weights is 10,080",
            "LeNet.dense2.macs is 10,080", "AlexNet.weights is 62,367,776",
            "LeNet.macs is 416,520", "AlexNet.weights / LeNet.weights is",
            "AlexNet.macs / LeNet.macs is 2,725",
        ),
    ),
}  # fmt: skip
"""Every notation that is a program, an assertion or a listing, and some formulas."""

NOT_PROGRAMS: Mapping[str, str] = {}
"""Notations of class P or A that are no programs here, and why."""

FORMULAS: Mapping[str, str] = {
    "N-19": "test_formulas.test_sizes_of_cross_correlation",
    "N-21": "test_operators.test_printed_arrays",
    "N-56": "test_formulas.test_global_average",
    "N-77": "test_formulas.test_conv2d_as_documented",
    "N-79": "test_formulas.test_output_size_with_padding",
    "N-81": "test_formulas.test_total_padding",
    "N-82": "test_formulas.test_floor_with_stride",
    "N-83": "test_formulas.test_receptive_field",
    "N-84": "test_formulas.test_layers_do_not_flip",
    "N-85": "test_formulas.test_activations",
    "N-86": "test_formulas.test_batch_norm",
}
"""Notations that are no network, and the test that holds the analysis or an operator to them."""

PROSE: Mapping[str, str] = {
    "N-04": "pattern.cnn", "N-38": "vgg.cnn", "N-41": "vgg.cnn", "N-48": "googlenet.cnn",
    "N-50": "googlenet.cnn", "N-57": "googlenet.cnn", "N-59": "resnet.cnn", "N-60": "resnet.cnn",
    "N-63": "alphago.cnn", "N-69": "resnet.cnn", "N-70": "lenet5.cnn", "N-71": "nin.cnn",
}  # fmt: skip
"""Notations in prose, and the program that says the same."""
