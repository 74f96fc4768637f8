"""The registry of kinds: names, clauses, documentation, and that every kind emits what it says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING

import pytest

from cnndsl.ir.types import DType, TensorType
from cnndsl.layers.base import LAYERS, Hwc, LayerSpec, SettingValue, Takes, batched, find_layer
from cnndsl.layers.clauses import fold_words, wrong_value

if TYPE_CHECKING:
    from tests.layers.conftest import Bench

IMAGE: Hwc = (6, 5, 4)
CASES: list[tuple[str, Mapping[str, SettingValue], tuple[Hwc, ...]]] = [
    ("conv", {"filters": 6, "window": (3, 2)}, (IMAGE,)),
    ("conv", {"filters": 6, "window": (3, 3), "stride": (2, 2), "half": True, "floor": True},
     (IMAGE,)),
    ("conv", {"filters": 6, "window": (2, 2), "groups": 2, "same": True, "nobias": True}, (IMAGE,)),
    ("conv", {"filters": 2, "window": (2, 2), "dilation": (2, 1), "untied": True}, (IMAGE,)),
    ("conv", {"filters": 2, "window": (2, 2), "stride": (3, 3), "pad": (1, 0, 2, 1), "ceil": True},
     (IMAGE,)),
    ("conv", {"filters": 2, "window": (4, 4), "same_lower": True}, (IMAGE,)),
    ("depthwise", {"window": (3, 3), "stride": (2, 2), "same": True}, (IMAGE,)),
    ("depthwise", {"multiplier": 2, "half": True}, (IMAGE,)),
    ("conv", {"filters": 2, "window": (3, 3), "filter_depth": 4, "fit": True}, (IMAGE,)),
    ("conv", {"filters": 2, "weights": "[[1, -1]]"}, (IMAGE,)),
    ("rbf", {"neurons": 7}, (IMAGE,)),
    ("rbf", {"neurons": 7}, ((9,),)),
    ("fc", {"neurons": 7}, (IMAGE,)),
    ("fc", {"neurons": 7, "nobias": True}, ((9,),)),
    ("maxpool", {"window": (3, 3), "stride": (2, 2), "ceil": True}, (IMAGE,)),
    ("maxpool", {"window": (3, 3), "stride": (1, 1), "same": True}, (IMAGE,)),
    ("maxpool", {"window": (3, 2), "stride": (2, 2), "pad": (1, 0), "floor": True}, (IMAGE,)),
    ("avgpool", {"window": (2, 2), "floor": True}, (IMAGE,)),
    ("avgpool", {"window": (3, 3), "half": True, "floor": True, "count_padding": True}, (IMAGE,)),
    ("gap", {}, (IMAGE,)),
    ("gmp", {}, (IMAGE,)),
    *((name, {}, (size,)) for name in ("relu", "relu6", "leaky", "prelu", "elu", "sigmoid", "tanh",
                                       "swish", "gelu", "softplus", "softmax", "logsoftmax",
                                       "maxout", "bn", "dropout", "id", "flatten")
      for size in (IMAGE, (8,))),
    ("leaky", {"slope": 0.2}, (IMAGE,)),
    ("lrn", {}, (IMAGE,)),
    ("lrn", {"size": 3, "k": 1.0}, (IMAGE,)),
    ("dropout", {"rate": 0.0}, (IMAGE,)),
    ("dropout", {"keep": 0.75}, ((10,),)),
    ("reshape", {"size": (2, -1, 5)}, (IMAGE,)),
    ("reshape", {"size": (120,)}, (IMAGE,)),
    ("reshape", {"size": (3, 4)}, ((12,),)),
    ("pad", {"amount": 2}, (IMAGE,)),
    ("pad", {"amount": (1, 2), "reflect": True}, (IMAGE,)),
    ("pad", {"amount": (0, 3, 1, 0), "edge": True}, (IMAGE,)),
    ("shuffle", {"groups": 2}, (IMAGE,)),
    ("shuffle", {"groups": 3}, ((9,),)),
    ("crop", {"amount": 1}, (IMAGE,)),
    ("crop", {"amount": 0}, (IMAGE,)),
    ("upconv", {"filters": 6}, (IMAGE,)),
    ("upconv", {"filters": 6, "window": (3, 2), "stride": (2, 3), "groups": 2, "extra": (1, 0)},
     (IMAGE,)),
    ("upconv", {"filters": 3, "window": (4, 4), "stride": (2, 2), "pad": 1, "nobias": True},
     (IMAGE,)),
    ("upconv", {"filters": 3, "window": (3, 3), "stride": (4, 4), "same": True}, (IMAGE,)),
    ("upconv", {"filters": 3, "window": (3, 3), "same_lower": True, "dilation": (2, 1)}, (IMAGE,)),
    ("upconv", {"filters": 3, "window": (3, 5), "half": True}, (IMAGE,)),
    ("upconv", {"filters": 3, "window": (4, 4), "stride": (2, 2), "pad_total": 3}, (IMAGE,)),
    ("upsample", {"factor": (3, 2)}, (IMAGE,)),
    ("upsample", {"factor": (3, 2), "bilinear": True, "align_corners": True}, (IMAGE,)),
    ("resize", {"size": (7, 3)}, (IMAGE,)),
    ("resize", {"scale": 2.0, "nearest": True}, (IMAGE,)),
    ("unpool", {}, (IMAGE,)),
    ("unpool", {"factor": (1, 3), "nails": True}, (IMAGE,)),
    ("rnn", {"neurons": 4}, (IMAGE,)),
    ("rnn", {"neurons": 4, "relu": True, "all": True, "nobias": True}, (IMAGE,)),
    ("rnn", {"neurons": 4}, ((1, 1, 3), (4,))),
    ("lstm", {"neurons": 4, "peephole": True}, (IMAGE, (4,))),
    ("lstm", {"neurons": 1, "all": True}, (IMAGE,)),
    ("gru", {"neurons": 4, "all": True}, (IMAGE,)),
    ("gru", {"neurons": 4, "reset_before": True, "nobias": True}, (IMAGE,)),
    ("add", {}, (IMAGE, IMAGE, IMAGE)),
    ("multiply", {}, (IMAGE, IMAGE)),
    ("multiply", {}, ((4,), IMAGE)),
    ("concat", {}, (IMAGE, (6, 5, 3), (6, 5, 1))),
    ("concat", {}, ((3,), (4,))),
    ("concat", {"crop": True}, (IMAGE, (4, 4, 3), (5, 6, 2))),
]  # fmt: skip


@pytest.mark.parametrize("training", [False, True], ids=["inference", "training"])
@pytest.mark.parametrize(("kind", "given", "inputs"), CASES)
def test_the_graph_has_the_size_that_the_layer_says(
    bench: Bench, kind: str, given: Mapping[str, SettingValue], inputs: tuple[Hwc, ...],
    training: bool,
) -> None:  # fmt: skip
    for dtype in (DType.F32, DType.F64):
        made = bench.emit(kind, given, *inputs, training=training, dtype=dtype)
        expected = TensorType(dtype, batched(made.size, 3))
        assert made.graph.type_of(made.value) == expected


def test_every_kind_is_among_the_cases() -> None:
    assert {kind for kind, _, _ in CASES} == set(LAYERS)


def test_no_spelling_belongs_to_two_kinds() -> None:
    spellings = Counter(
        spelling
        for kind in LAYERS.values()
        for spelling in {fold_words(name) for name in (kind.name, *kind.names)}
    )
    assert [spelling for spelling, count in spellings.items() if count > 1] == []


@pytest.mark.parametrize(
    ("words", "kind", "count"),
    [
        ("CONV 64 3x3", "conv", 1),
        ("Convolution", "conv", 1),
        ("conv2d", "conv", 1),
        ("MAX POOL", "maxpool", 2),
        ("max-pool", "maxpool", 1),
        ("Max Pooling layer", "maxpool", 3),
        ("pool", "maxpool", 1),
        ("Subsampling", "avgpool", 1),
        ("average pooling", "avgpool", 2),
        ("avg-pool", "avgpool", 1),
        ("Normalization layer", "lrn", 2),
        ("NORM", "lrn", 1),
        ("Fully Connected", "fc", 2),
        ("fully-connected", "fc", 1),
        ("Dense", "fc", 1),
        ("linear", "fc", 1),
        ("batch norm relu", "bn", 2),
        ("BatchNormalization", "bn", 1),
        ("soft-max", "softmax", 1),
        ("SOFTMAX", "softmax", 1),
        ("global average pooling", "gap", 3),
        ("Global avg pool", "gap", 3),
        ("leaky relu", "leaky", 2),
        ("rectifier nonlinearity", "relu", 2),
        ("depthwise", "depthwise", 1),
        ("strided transpose convolution", "upconv", 3),
        ("ConvTranspose2d", "upconv", 1),
        ("Long Short-Term Memory", "lstm", 3),
        ("SimpleRNN", "rnn", 1),
        ("gated recurrent unit", "gru", 3),
        ("Unpooling", "unpool", 1),
        ("UpSampling2D", "upsample", 1),
    ],
)
def test_the_slides_spellings_are_known(words: str, kind: str, count: int) -> None:
    found = find_layer(words.split())
    assert found is not None
    assert (found[0].name, found[1]) == (kind, count)


def test_an_unknown_word_is_no_layer() -> None:
    assert find_layer(["maxpol", "2x2"]) is None
    assert find_layer([]) is None


def test_clauses_are_found_by_their_most_words() -> None:
    conv = LAYERS["conv"]
    for text, name, count in (
        ("same lower relu", "same_lower", 2),
        ("SAME relu", "same", 1),
        ("bias per position", "untied", 3),
        ("no bias", "nobias", 2),
        ("kernel_size", "window", 1),
    ):
        found = conv.find_clause(text.split())
        assert found is not None
        assert (found[0].name, found[1]) == (name, count)
    assert conv.find_clause(["relu"]) is None
    assert LAYERS["fc"].clause("stride") is None


@pytest.mark.parametrize("kind", list(LAYERS))
def test_a_kind_explains_itself_and_its_clauses(kind: str) -> None:
    layer = LAYERS[kind]
    assert layer.doc.endswith(".")
    assert layer.doc[0].isupper()
    names = [fold_words(n) for c in layer.clauses for n in (c.name, *c.names)]
    assert len(names) == len(set(names))
    for clause in layer.clauses:
        assert clause.doc
        assert clause.takes is Takes.WORD or not clause.words
        if clause.default is not None:
            assert wrong_value(clause, clause.default) == ""
    assert all(layer.clause(name) is not None for name in layer.order)


@pytest.mark.parametrize(
    ("kind", "given", "words"),
    [
        ("conv", {"filters": 96, "window": (11, 11), "stride": (4, 4)}, "conv 96 11x11 stride 4"),
        ("conv", {"filters": 64, "window": (3, 3), "half": True, "floor": True, "nobias": True},
         "conv 64 3x3 half floor nobias"),
        ("conv", {"filters": 8, "window": (1, 7), "stride": (1, 2), "pad": (0, 3)},
         "conv 8 1x7 stride 1x2 pad 0x3"),
        ("conv", {"filters": 1, "window": (1, 1), "same_lower": True, "untied": True, "groups": 1},
         "conv 1 1x1 same lower untied"),
        ("conv", {"filters": 8, "window": (3, 3), "init": "he", "dilation": (2, 2)},
         "conv 8 3x3 dilation 2 init he"),
        ("depthwise", {"window": (3, 3), "same": True}, "depthwise 3x3 same"),
        ("maxpool", {}, "maxpool 2x2"),
        ("maxpool", {"window": (3, 3), "stride": (2, 2)}, "maxpool 3x3 stride 2"),
        ("avgpool", {"window": (7, 7), "count_padding": True}, "avgpool 7x7 count padding"),
        ("fc", {"neurons": 10, "nobias": True}, "fc 10 nobias"),
        ("dropout", {"rate": 0.4}, "dropout 0.4"),
        ("dropout", {"keep": 0.75}, "dropout 0.25"),
        ("leaky", {}, "leaky"),
        ("leaky", {"slope": 0.2}, "leaky 0.2"),
        ("pad", {"amount": 3, "reflect": True}, "pad 3 reflect"),
        ("reshape", {"size": (7, 7, 30)}, "reshape 7x7x30"),
        ("bn", {"momentum": 0.99}, "bn momentum 0.99"),
        ("lrn", {}, "lrn"),
        ("concat", {"crop": True}, "concat crop"),
    ],
)  # fmt: skip
def test_a_layer_is_written_as_a_program_writes_it(
    bench: Bench, kind: str, given: Mapping[str, SettingValue], words: str
) -> None:
    assert LAYERS[kind].words(bench.spec(kind, given)) == words


def test_margins_are_read_in_each_form() -> None:
    def margin(value: SettingValue) -> tuple[int, ...]:
        return LayerSpec(LAYERS["pad"], {"amount": value}).margin("amount")

    assert margin(2) == (2, 2, 2, 2)
    assert margin((1, 2)) == (1, 1, 2, 2)
    assert margin((1, 2, 3, 4)) == (1, 2, 3, 4)
    assert LayerSpec(LAYERS["pad"], {}).margin("amount") == (0, 0, 0, 0)
