"""From text to networks: the language's example programs, and what their words mean."""

from __future__ import annotations

import pytest

from cnndsl.frontend.values import Symbol, Value
from cnndsl.layers.analysis import analyse
from cnndsl.layers.network import Layer
from tests.frontend.elaborating import PROGRAMS as PROGRAM_FOLDER
from tests.frontend.elaborating import built, codes, kinds, names, parameters, program, result

COUNTS: list[tuple[str, dict[str, Value], int]] = [
    ("alexnet", {}, 62_378_344),
    ("slide_alexnet", {}, 62_378_344),
    ("slide_vgg", {}, 138_357_544),
    ("vgg", {"v": "A"}, 132_863_336),
    ("vgg", {"v": "LRN"}, 132_863_336),
    ("vgg", {"v": "B"}, 133_047_848),
    ("vgg", {"v": "C"}, 133_638_952),
    ("vgg", {}, 138_357_544),
    ("vgg", {"v": Symbol("E")}, 143_667_240),
    ("resnet", {"depth": 18}, 11_689_512),
    ("resnet", {"depth": "34"}, 21_797_672),
    ("resnet", {}, 25_557_032),
    ("resnet", {"depth": 101}, 44_549_160),
    ("resnet", {"depth": 152}, 60_192_808),
    ("densenet", {}, 7_978_856),
    ("densenet", {"depth": 169}, 14_149_480),
    ("densenet", {"depth": 201}, 20_013_928),
    ("mobilenet", {}, 4_231_976),
    ("googlenet", {}, 6_998_552),
    ("lenet5", {}, 61_706),
    ("keras_mnist", {}, 257_162),
    ("transfer", {}, 138_357_544 - 4097 * (1000 - 37)),
]


@pytest.mark.parametrize(("name", "params", "count"), COUNTS)
def test_published_networks_have_their_parameters(
    name: str, params: dict[str, Value], count: int
) -> None:
    network = program(name, **params).network
    assert parameters(network) == count
    assert analyse(network).params == count


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("alphago", (361,)),
        ("slide_alphago", (19, 19, 1)),
        ("nin", (1000,)),
        ("zfnet", (1000,)),
        ("slide", (10,)),
        ("slide_lenet", (512,)),
        ("pattern", (10,)),
    ],
)
def test_the_other_programs_have_their_sizes(name: str, size: tuple[int, ...]) -> None:
    assert result(program(name).network) == size


LATER = {
    "unet": "`crossentropy(weights=..)`",
    "yolo": "`yolo`",
    "faster_rcnn": "`input of a free size`, `softmax(pairs)`, `proposals`, `roipool`, `minimize`",
    "mask_rcnn": "`proposals`, `roialign`",
    "pix2pix": "`let`, `update`",
    "cyclegan": "`inorm`, `unpaired`, `let`, `update`",
    "captioning": "`input of a free size`, `embed`, `concat(axis)`, "
    "`crossentropy(shift=..)`, `generate`",
}


@pytest.mark.parametrize("name", LATER)
def test_what_is_not_available_yet_is_said_at_once(name: str) -> None:
    from cnndsl.frontend.check import check

    text = (PROGRAM_FOLDER / f"{name}.cnn").read_text("utf-8")
    (found,) = check(text, base_dir=PROGRAM_FOLDER)
    assert found.code == "E0212"
    assert found.message.startswith(LATER[name] + " ")


def test_yolo_has_its_parameters() -> None:
    text = (PROGRAM_FOLDER / "yolo.cnn").read_text("utf-8").partition("train {")[0]
    assert parameters(built(text).network) == 271_703_550


# ------------------------------------------------------------------ names


def test_layers_are_named_by_label_else_by_kind_and_number() -> None:
    network = built(
        """
        input [8x8x3]
        conv 4 3x3 relu - conv 4 1x1
        C3: conv 2 1x1, relu
        conv 2 1x1
        """
    ).network
    assert names(network) == ["conv1", "relu1", "conv2", "C3", "relu2", "conv4"]


def test_a_label_takes_a_name_from_a_layer_that_has_it_by_counting() -> None:
    network = built("input [8x8x3]\nconv 4 1x1\nconv1: conv 4 1x1\nfrom conv1 - fc 2").network
    assert names(network) == ["conv1_1", "conv1", "fc1"]
    assert network["fc1"].inputs == ("conv1",)


def test_a_range_of_labels_makes_as_many_layers() -> None:
    network = built("input [8x8x4]\nCONV2..5: 4 3x3 filters, pad 1\nfrom CONV5 - fc 2").network
    assert names(network) == ["CONV2", "CONV3", "CONV4", "CONV5", "fc1"]


@pytest.mark.parametrize("joint", [", relu", " - relu", " relu"])
def test_a_range_of_labels_repeats_its_whole_line(joint: str) -> None:
    network = built(f"input [8x8x4]\nC2..4: conv 4 3x3 pad 1{joint} => [8x8x4]\nfc 2").network
    assert names(network) == ["C2", "relu1", "C3", "relu2", "C4", "relu3", "fc1"]
    assert network["C3"].inputs == ("relu1",)
    assert network["fc1"].inputs == ("relu3",)


def test_kinds_that_end_in_a_digit_keep_it_apart() -> None:
    assert names(built("input [8x8x4]\nrelu6 - relu6").network) == ["relu6_1", "relu6_2"]


def test_labels_of_blocks_belong_to_each_use() -> None:
    network = built("block b { c: conv 3 3x3 half }\ninput [8x8x3]\nb - b").network
    assert names(network) == ["c", "c_2"]
    assert network["c"].path == ("b",)


def test_a_label_that_is_a_kind_may_come_again() -> None:
    text = "input [8x8x3]\nCONV3-4: [8x8x4]\nCONV3-4: [8x8x4]\nPOOL2: [4x4x4]\nPOOL2: [2x2x4]"
    assert names(built(text).network) == ["conv1", "conv2", "maxpool1", "maxpool2"]


def test_a_size_in_the_line_gives_the_neurons() -> None:
    network = built("input [8x8x3]\nFC: [1x1x40]\nFC: [1x1x10]").network
    assert [layer.output for layer in network.layers] == [(40,), (10,)]


# ------------------------------------------------------------------ words


def the_layer(words: str, before: str = "") -> Layer:
    return built(f"{before}\ninput [32x32x3]\n{words}").network.layers[0]


@pytest.mark.parametrize(
    "words",
    [
        "conv 16 5x5 stride 2 pad 2 floor",
        "CONV 16 5x5/2 pad 2 floor",
        "conv(16, 5x5, stride=2, pad=2, floor)",
        "conv(filters=16, window=5x5, stride=2, pad=2, floor=true)",
        "Convolution 16 5x5 filters applied at stride 2 with pad 2 floor",
        "conv(16, 5x5/2) pad 2 floor",
        "C1: conv 16 5x5, stride 2, pad 2, floor",
        "CONV1: 16 5x5 filters, stride 2, pad 2, floor",
        "conv n k stride s pad s floor",
        "conv 16 5 2 pad 2 floor",
        "conv 16 filters 5x5 stride 2 pad 2 floor",
        "conv filters 16 window 5x5/2 padding 2 floor",
        "conv filters 5x5 stride 2 pad floor",
    ],
)
def test_many_ways_say_one_layer(words: str) -> None:
    layer = the_layer(words, "let n = 16\nlet k = 5x5\nlet s = 2\nlet pad = s\nlet filters = n")
    assert layer.kind == "conv"
    assert layer.output == (16, 16, 16)
    assert layer.spec.size("stride") == (2, 2)
    assert layer.spec.margin("pad") == (2, 2, 2, 2)


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        ("conv 8 3x3 half relu", ["conv", "relu"]),
        ("conv 8 3x3 relu half", ["conv", "relu"]),
        ("conv(8, 3x3, half, activation=relu)", ["conv", "relu"]),
        ("conv(8, 3x3, half, activation=leaky(0.2))", ["conv", "leaky"]),
        ("conv 8 3x3 half leaky 0.2", ["conv", "leaky"]),
        ("conv 8 3x3 half, relu, dropout 40%", ["conv", "relu", "dropout"]),
        ("CONV - RELU, POOL", ["conv", "relu", "maxpool"]),
        ("conv3-8 -> POOL-2", ["conv", "maxpool"]),
        ("MAX POOL1: 3x3 filters at stride 2, floor", ["maxpool"]),
        ("soft-max", ["softmax"]),
        ("NORM1: Normalization layer", ["lrn"]),
        ("relu, pad 2", ["relu", "pad"]),
        ("fc classes", ["fc"]),
        ("add { id\n id }", ["add"]),
    ],
)
def test_words_name_layers(words: str, wanted: list[str]) -> None:
    assert kinds(built(f"let classes = 7\ninput [32x32x3]\n{words}").network) == wanted


def test_activations_keep_their_settings() -> None:
    network = built("input [8x8x3]\nconv 8 3x3 leaky 0.2").network
    assert network["leaky1"].spec.number("slope") == 0.2
    assert network["leaky1"].implicit


def test_bare_shorthand_has_bare_defaults() -> None:
    network = built("input [32x32x3]\nCONV - POOL - CONV - POOL - FC").network
    assert [layer.output for layer in network.layers] == [
        (32, 32, 64), (16, 16, 64), (16, 16, 128), (8, 8, 128), (512,),
    ]  # fmt: skip


def test_a_name_bound_to_an_activation_is_it() -> None:
    text = "block b(act) { conv 3 3x3 half act }\ninput [8x8x3]\nb(relu) - b(act=tanh)"
    assert kinds(built(text).network) == ["conv", "relu", "conv", "tanh"]


# ------------------------------------------------------------------ defaults


def test_defaults_hold_for_the_layers_after_them() -> None:
    network = built(
        """
        input [8x8x3]
        conv 4 3x3
        default conv and depthwise: half, relu
        conv 4 3x3
        depthwise 3x3
        conv 4 3x3 sigmoid pad 0
        """
    ).network
    assert kinds(network) == ["conv", "conv", "relu", "depthwise", "relu", "conv", "sigmoid"]
    assert network["conv1"].output == (6, 6, 4)
    assert network["conv2"].output == (6, 6, 4)
    assert network["conv3"].output == (4, 4, 4)


def test_defaults_reach_blocks_by_place_of_definition() -> None:
    network = built(
        """
        block outside { conv 4 3x3 }
        block within { default conv: half
          conv 4 3x3
          outside }
        input [8x8x3]
        within
        """
    ).network
    assert [layer.output for layer in network.layers] == [(8, 8, 4), (6, 6, 4)]


# ------------------------------------------------------------------ chains


@pytest.mark.parametrize(
    ("chain", "wanted"),
    [
        ("relu * 3", ["relu"] * 3),
        ("(relu - tanh) * 2", ["relu", "tanh"] * 2),
        ("[relu - tanh]*n", ["relu", "tanh"] * 2),
        ("relu * (n - 2)", []),
        ("relu? - tanh", ["relu", "tanh"]),
        ("relu*2..4 - tanh", ["relu", "relu", "tanh"]),
        ("relu if n == 2 - tanh if n == 3", ["relu"]),
        ("id - relu", ["relu"]),
        ("(relu | tanh) - concat", ["relu", "tanh", "concat"]),
        ("(relu | id) - add - relu", ["relu", "add", "relu"]),
    ],
)
def test_chains(chain: str, wanted: list[str]) -> None:
    assert kinds(built(f"let n = 2\ninput [8x8x3]\n{chain} - fc 2").network) == [*wanted, "fc"]


def test_statements_run_from_top_to_bottom() -> None:
    network = built(
        """
        input [16x16x3]
        repeat i in 1..3 {
          conv(2^i, 3x3) half as c[i]
          if i == 2 { relu } else if i == 3 { tanh } else { sigmoid }
        } => [16x16x8]
        repeat 2 { pad 1 }
        repeat c in [5, 6] { conv c 1x1 }
        from c[2] - fc 3
        """
    ).network
    assert kinds(network) == [
        "conv", "sigmoid", "conv", "relu", "conv", "tanh", "pad", "pad", "conv", "conv", "fc",
    ]  # fmt: skip
    assert network["fc1"].inputs == ("conv2",)
    assert network.streams["c[2]"] == "conv2"


def test_a_section_of_a_joining_layer_has_a_branch_a_line() -> None:
    network = built(
        """
        input [8x8x3]
        concat {
          let n = 4
          conv n 1x1 - relu
          if shape.c == 3 { left: tanh }
          repeat i in 1..2 { conv i 1x1 }
        }
        add left
        """.replace("add left", "from left - fc 2")
    ).network
    assert network["concat1"].inputs == ("relu1", "left", "conv2", "conv3")
    assert network["concat1"].output == (8, 8, 10)


def test_streams_are_named_and_found() -> None:
    network = built(
        """
        input image [8x8x3]
        conv 4 3x3 half as a
        e[0]: conv 4 3x3 half
        relu - add a - concat e[0]
        from image - conv 8 3x3 half as b
        (from b | from e[0..0] | from image) - concat conv1
        """
    ).network
    assert network["add1"].inputs == ("relu1", "conv1")
    assert network["concat1"].inputs == ("add1", "e[0]")
    assert network["concat2"].inputs == ("conv3", "e[0]", "image", "conv1")


def test_let_may_hold_a_block_and_depend_on_the_size() -> None:
    network = built(
        """
        param wide = true
        let unit = big if wide else small
        block big { conv(2 * shape.c, 1x1) }
        block small { conv 1 1x1 }
        input [8x8x3]
        unit * 2
        """
    ).network
    assert result(network) == (8, 8, 12)


def test_several_inputs_and_outputs() -> None:
    network = built(
        """
        input left [8x8x3]
        input right [4]
        (from left - fc 4 as l | from right) - add as both
        output l, both
        """
    ).network
    assert [(i.name, i.size) for i in network.inputs] == [("left", (8, 8, 3)), ("right", (4,))]
    assert network.outputs == {"l": "fc1", "both": "add1"}


# ------------------------------------------------------------------ sizes


@pytest.mark.parametrize("stated", ["[8x8x4]", "[8x8x?]", "[?x?x4]", "[8 x 8 x n]", "[h x h x 4]"])
def test_stated_sizes_that_hold(stated: str) -> None:
    network = built(f"let n = 4\nlet h = 8.0\ninput [8x8x3]\nconv 4 1x1  => {stated}").network
    assert result(network) == (8, 8, 4)


@pytest.mark.parametrize("stated", ["[8x8x5]", "[8x7x?]", "[8x8]", "[4]", "[8 x 8 x n]"])
def test_stated_sizes_that_do_not_hold(stated: str) -> None:
    assert codes(f"let n = 5\ninput [8x8x3]\nconv 4 1x1  => {stated}") == ["E0302"]


def test_axes_of_length_one_may_be_left_out() -> None:
    text = "[19x19x4] INPUT\nconv 1 1x1 => [19x19]\n[1x1x5] fc 5\n[5] relu"
    assert result(built(text).network) == (5,)


def test_a_size_without_channels_has_one() -> None:
    assert built("input [28x28]\nfc 2").network.inputs[0].size == (28, 28, 1)


def test_labels_of_lenets_figure_are_layers() -> None:
    network = built(
        """
        input [32x32x1]
        C1: 6 5x5 filters, sigmoid   => [28x28x6]
        S2: 2x2
        C3..4: 16 3x3 filters, pad 1, relu
        F5: 84 neurons
        """
    ).network
    assert kinds(network) == [
        "conv", "sigmoid", "avgpool", "conv", "relu", "conv", "relu", "fc",
    ]  # fmt: skip
    assert codes("input [8x8x1]; X1: 6 3x3 filters") == ["E0201"]
