"""The register of slips: what the slides have wrong, and how the compiler says so."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tests.acceptance.notations import ALEXNET_227, LENET
from tests.acceptance.numbers import ALEXNET, FILES, STEMS, TOWERS, VGG16


@dataclass(frozen=True)
class Refused:
    """A program that states the slide's figure; the complaint has the right one."""

    program: str
    says: str


@dataclass(frozen=True)
class Accepted:
    """A program that states the figure under its named convention."""

    program: str


@dataclass(frozen=True)
class Notation:
    """The notation itself shows it, as test_notations walks it: part of what is said about it."""

    id: str
    says: str


@dataclass(frozen=True)
class Read:
    """Reading a notation, or a text, gives a program with this text in it."""

    source: str
    program: str


@dataclass(frozen=True)
class Cleaned:
    """Cleaning gives this text."""

    before: str
    after: str


@dataclass(frozen=True)
class Held:
    """A test that runs it."""

    test: str


@dataclass(frozen=True)
class Beyond:
    """Nothing that a program could say; the reason."""

    reason: str


Check = Refused | Accepted | Notation | Read | Cleaned | Held | Beyond

ONE = "input [1]\n"
NETS = f"{ALEXNET_227}{LENET}{TOWERS}{ONE}"

SLIPS: Mapping[str, tuple[Check, ...]] = {
    "E-01": (Notation("N-73", "`activation_1` has no value here"),),
    "E-02": (Read("keras N-72", "names no optimizer: the argument `optimizer` was meant"),
             Read("keras N-72", "optimizer: rmsprop")),
    "E-03": (Read("N-12", "the slide speaks of 3 hyper-parameters and lists 2: F, S"),),
    "E-04": (Cleaned("$W_2 = (W_1 F + 2P)/S + 1$", "W2 = (W1 - F + 2P)/S + 1"),
             Cleaned("$p_h = k_h 1$", "p_h = k_h - 1"),
             Cleaned("tanh(x) = 2sigm(2x) 1", "tanh(x) = 2sigm(2x) - 1")),
    "E-05": (Cleaned("$[(n_h - k_h + p_h + s_h)/s_h]$", "floor((n_h - k_h + p_h + s_h)/s_h)"),
             Held("test_formulas.py::test_floor_with_stride")),
    "E-06": (Read("N-19", "the sum from i = 0 to c_i has c_i + 1 terms"),),
    "E-07": (Read("N-81", "conv(1, 2x2, pad=[1, 1, 1, 1])"),
             Refused("input [7x7x1]\n[7x7x1] conv(1, 2x2, pad=[1, 1, 1, 1])",
                     "makes [8x8x1], not the [7x7x1] written here"),
             Accepted("input [7x7x1]\n[7x7x1] conv(1, 2x2, pad=[1, 0, 1, 0])")),
    "E-08": (Accepted("input [28x28x1]\n[28x28x1] conv 1 5x5 pad 2"),
             Accepted("input [28x28x1]\n[28x28x1] conv 1 5x5 pad total 4"),
             Refused("input [28x28x1]\n[28x28x1] conv 1 5x5 pad 4", "makes [32x32x1]")),
    "E-09": (Refused("input [112x112x64]; maxpool 3x3/2", "(112 - 3)/2 + 1 = 55.5"),
             Accepted("input [112x112x64]\n[56x56x64] maxpool 3x3/2 ceil"),
             Accepted("input [112x112x64]\n[56x56x64] maxpool 3x3/2 pad 1 floor")),
    "E-10": (Refused("input [7x7x1]; conv 1 3x3/3", "(7 - 3)/3 + 1 = 2.33 is not an integer"),
             Accepted("input [7x7x1]\n[2x2x1] conv 1 3x3/3 floor"),
             Accepted("input [7x7x1]\n[3x3x1] conv 1 3x3/3 ceil")),
    "E-11": (Accepted("input [227x227x3]\n[114x114x8] conv 8 5x5 stride 2, fit"),
             Refused("input [32x32x3]; conv 8 5x5 stride 2, fit",
                     "32 - 5 + 2P is never a multiple of 2"),
             Accepted("input [32x32x3]\n[16x16x8] conv 8 5x5 stride 2, half floor")),
    "E-12": (Accepted("input [227x227x3]\nCONV1: 96 11x11 filters at stride 4  params: 34848=35K"),
             Accepted("counting: with biases\ninput [227x227x3]\n"
                      "CONV1: 96 11x11 filters at stride 4  params: 34944=35K"),
             Refused("input [227x227x3]\nCONV1: 96 11x11 filters at stride 4  params: 34944",
                     "the line has 34,848 weights, biases left out")),
    "E-13": (Accepted(f"{ALEXNET}assert params ~= 62.3M"),
             Accepted(f"{ALEXNET}assert params ~= 62.4M"),
             Refused(f"{ALEXNET}assert params ~= 62.2M", "params = 62,378,344")),
    "E-14": (Accepted(f"{NETS}assert Towers.params == 60_965_224"),
             Refused(f"{NETS}assert Towers.params ~= 62.3M", "60,965,224"),
             Refused(f"{NETS}assert Towers.macs ~= 1.1G", "724,406,816"),
             Accepted(f"{NETS}assert AlexNet.macs ~= 1.1G")),
    "E-15": (Refused(f"{ALEXNET}assert CONV1.c == 64", "CONV1.c = 96"),
             Accepted("input [227x227x3]; C: conv 64 11x11x3 /4\nassert C.weights == 23_232"
                      .replace(" /4", " stride 4"))),
    "E-16": (Notation("N-27", "CONV1.memory = 290,400"),),
    "E-17": (Notation("N-26", "58,631,144 = 58.6M"), Notation("N-26", "94.0%")),
    "E-18": (Refused("input [224x224x3]; CONV1: 96 11x11 filters at stride 4, pad 0",
                     "(224 - 11)/4 + 1 = 54.25 is not an integer"),
             Accepted("input [224x224x3]\n[55x55x96] conv 96 11x11 stride 4, pad 2, floor")),
    "E-19": (Held("test_slips.py::test_normalising_after_pooling_gives_other_values"),),
    "E-20": (Beyond("a claim of history: who used ReLU first"),),
    "E-21": (Held("test_notations.py::test_stands_as_it_is[N-29]"),
             Held("test_numbers.py::test_the_right_value_comes_out[C-130-ZFNet.FC6.params]")),
    "E-22": (Notation("N-01", "no layer before `softmax` gives one number for each class"),),
    "E-23": (Accepted("input [5x5x16]; a: conv 120 5x5\nfrom input - fc 120 as b\noutput b\n"
                      "assert a.params == 48_120"),
             Accepted("input [5x5x16]; a: fc 120\nassert a.params == 48_120")),
    "E-24": (Notation("N-88", "AlexNet.conv1.macs is 105,415,200"),
             Notation("N-88", "AlexNet.dense1.weights is 37,748,736")),
    "E-25": (Notation("N-88", "LeNet.conv1.macs is 117,600"),
             Notation("N-88", "LeNet.dense1.weights is 48,000")),
    "E-26": (Notation("N-88", "AlexNet.weights / LeNet.weights is 1,0"),
             Notation("N-88", "AlexNet.macs / LeNet.macs is 2,725")),
    "E-27": (Read("N-88", "assert AlexNet.conv2.macs ~= 415M"),
             Read("N-88", "assert LeNet.conv2.weights ~= 2.4K")),
    "E-28": (Accepted(f"{VGG16}assert fc6.weights ~= 102M"),
             Accepted(f"{VGG16}assert fc6.weights ~= 103M"),
             Refused(f"{VGG16}assert fc6.weights ~= 101M", "102,760,448")),
    "E-29": (Accepted(f"{VGG16}assert params ~= 138M\nassert weights ~= 138M"),
             Accepted(f"{VGG16}assert params == 138_357_544\nassert weights == 138_344_128")),
    "E-30": (Notation("N-35", "memory is 15,237,608 = 15.2M"),
             Notation("N-35", "60,950,432 = 61.0MB (58.1 MiB)")),
    "E-31": (Notation("N-52", "VGG16.bytes is 53,788,672 = 51.3MiB"),
             Notation("N-52", "VGG16.params is 1,735,488")),
    "E-32": (Refused(f"{STEMS}{ONE}assert Stem.ops ~= 418M", "480,836,608 = 480.8M"),),
    "E-33": (Notation("N-45", "9,408 weights, biases left out: 9.2K"),
             Notation("N-45", "118,013,952 multiply-adds: 118.0M")),
    "E-34": tuple(Notation("N-45", text) for text in (
        "379.0K", "366.8K", "438.0K", "497.5K", "590.5K", "847.0K", "1,018.0K", "1,409.0K",
        "51.1M")),
    "E-35": (Accepted("counting: kilo 1024, every digit\ninput [56x56x64]\n"
                      "C: conv 64 1x1 - conv 192 3x3 half  params: 112K"),
             Refused("counting: every digit\ninput [56x56x64]\n"
                     "C: conv 64 1x1 - conv 192 3x3 half  params: 112K", "114,688")),
    "E-36": (Refused(f"{FILES}{ONE}assert googlenet.params ~= 5M", "6,998,552 = 7.0M"),
             Refused(f"{FILES}{ONE}assert alexnet.params / googlenet.params ~= 12", "is 8.91")),
    "E-37": (Refused(f"{FILES}{ONE}assert googlenet.fc1.weights == 0", "1,024,000"),),
    "E-38": (Accepted(f"{FILES}{TOWERS}{ONE}assert googlenet.macs / Towers.macs ~= 2"),
             Refused(f"{FILES}{ONE}assert googlenet.macs / alexnet.macs ~= 2", "is 1.39")),
    "E-39": (Beyond("error rates of two ensembles: needs ImageNet and trained nets"),),
    "E-40": (Refused(f"{VGG16}assert c51.c == 2 * c43.c", "c51.c = 512, c43.c = 512"),
             Accepted(f"{VGG16}assert c41.c == 2 * c33.c and c31.c == 2 * c22.c")),
    "E-41": (Notation("N-87", "is 1.07"),),
    "E-42": (Held("test_formulas.py::test_layers_do_not_flip"),),
    "E-43": (Held("test_slips.py::test_valid_means_after_padding"),),
    "E-44": (Accepted("input [8x8x4]; D: depthwise 3x3 multiplier 2 nobias\n"
                      "assert D.c == 8 and D.weights == 2*4*9"),
             Refused("input [8x8x4]; conv 6 3x3 groups 4", "6 filters do not divide")),
    "E-45": (Held("test_slips.py::test_keep_and_rate_are_two_names"),),
    "E-46": (Held("test_formulas.py::test_batch_norm"),),
    "E-47": (Held("test_slips.py::test_relu_has_a_gradient_for_positive_inputs_only"),),
    "E-48": (Accepted(f"{FILES}{ONE}assert alphago.CONV13.biases == 361"),
             Refused(f"{FILES}{ONE}assert alphago.CONV13.biases == 1", "= 361")),
    "E-49": (Read("N-66", "# W_ho makes o of h: named as W_hx is, to-from, it is W_oh"),
             Read("N-66", "assert o.weights == O*H"),
             Held("test_slips.py::test_the_order_of_the_letters_is_said_where_it_differs")),
    "E-50": (Read("N-39", "# conv 2_2 stands here twice"), Read("N-39", "softmax")),
    "E-51": (Cleaned("| A | \u0412 | \u0421 | D | \u0415 |", "| A | B | C | D | E |"),
             Cleaned("\u0421\t\u041d", "C\tH"), Cleaned("Ir\t\u0e32\u0e23\u0e19", "Ir\t")),
    "E-52": (Read("N-51", "conv 64 7x7 stride 2, pad 3"), Read("N-51", "[28x28x192]")),
    "E-53": (Beyond("prose of captions and figures run together: no number, no layer to restore"),),
    "E-54": (Cleaned("$(\\text{CONV-RELU})^* \\text{N}$", "(CONV-RELU)* N"),
             Read("N-78", "assert (7 - 3) / 3 + 1 ~= 2.33")),
}  # fmt: skip
"""Every entry of the register."""
