"""Keras and PyTorch listings."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnndsl.frontend.elaborate import elaborate
from cnndsl.frontend.parse import parse
from cnndsl.importers.keras import read_keras
from cnndsl.importers.listing import Call, read_listing, statements
from cnndsl.importers.pytorch import read_torch
from cnndsl.layers.analysis import analyse
from cnndsl.support.diagnostics import DiagnosticError


def params(program: str) -> int:
    return analyse(elaborate(parse(program)).network).params


def outcome(read: Callable[[str], str], text: str) -> str:
    """Give "program", or the code of the refusal."""
    try:
        return "program" if read(text).strip() else "nothing"
    except DiagnosticError as problem:
        return problem.diagnostics[0].code


def test_a_list_of_layers() -> None:
    program = read_keras(
        """
model = keras.Sequential([
    layers.Input(shape=(32, 32, 3)),
    layers.Conv2D(8, (3, 3), strides=2, padding='same', use_bias=False),
    layers.BatchNormalization(),
    layers.Activation('relu'),   # a remark, with ) in it
    layers.DepthwiseConv2D(3, padding='same'),
    layers.AveragePooling2D(),
    layers.Dropout(0.25),
    layers.GlobalAveragePooling2D(),
    layers.Dense(10, activation='softmax', name='scores'),
])
model.compile(optimizer=keras.optimizers.SGD(learning_rate=0.1, momentum=0.9), loss='mse')
"""
    )
    assert program.splitlines()[:10] == [
        "input [32x32x3]",
        "conv2d_1: conv 8 3x3 stride 2 nobias same",
        "batch_normalization_1: bn",
        "activation_1: relu",
        "depthwise_conv2d_1: depthwise 3x3 same",
        "average_pooling2d_1: avgpool 2x2 floor",
        "dropout_1: dropout 0.25",
        "global_average_pooling2d_1: gap",
        "scores: fc 10, softmax",
        "",
    ]
    assert "optimizer: sgd(lr=0.1, momentum=0.9)" in program
    assert params(program) == 3 * 3 * 3 * 8 + 16 + 80 + 90


def test_the_functional_form() -> None:
    program = read_keras(
        """
inputs = Input((16, 16, 4))
x = Conv2D(4, 3, padding='same', activation='relu')(inputs)
x = Conv2D(4, 3, padding='same')(x)
y = Add()([x, inputs])
z = Flatten()(y)
out = Dense(3)(z)
model = Model(inputs, out)
"""
    )
    assert "from conv2d_2\nadd_1: add inputs" in program
    assert params(program) == 2 * (3 * 3 * 4 * 4 + 4) + 16 * 16 * 4 * 3 + 3


def test_what_the_language_does_not_have_is_said() -> None:
    for text, words in (
        ("model.add(Conv3D(4, 3))", "`Conv3D` is a layer that the language does not have"),
        ("model.add(Dense(3, activation='mish'))", "the activation mish"),
        ("print('hello')", "shows no layer of a Keras model"),
    ):
        with pytest.raises(DiagnosticError, match="E0930") as caught:
            read_keras(text)
        assert words in str(caught.value)


def test_a_sequence_of_torch() -> None:
    program = read_torch(
        """
self.net = nn.Sequential(
    nn.Conv2d(1, 6, 5, padding=2), nn.Sigmoid(), nn.AvgPool2d(kernel_size=2, stride=2),
    nn.Conv2d(6, 16, kernel_size=(5, 5)), nn.Sigmoid(), nn.AvgPool2d(2),
    nn.Flatten(), nn.Linear(400, 120), nn.Dropout(), nn.Linear(120, 84, bias=False))
"""
    )
    assert params(f"input [28x28x1]\n{program}") == 156 + 2416 + 48120 + 10080
    assert "dropout 0.5" in program


def test_channels_that_do_not_follow_are_refused() -> None:
    with pytest.raises(DiagnosticError, match="reads 4 channels, and 8 arrive"):
        read_torch("net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Conv2d(4, 8, 3))")
    with pytest.raises(DiagnosticError, match="`Transformer` is a layer"):
        read_torch("net = nn.Sequential(nn.Transformer())")
    with pytest.raises(DiagnosticError, match="shows no layer of a PyTorch network"):
        read_torch("import torch")


def test_nothing_is_executed() -> None:
    text = "import os\nos.system('false')\n__import__('os').abort()\nmodel.add(Dense(3))"
    assert "fc 3" in read_keras(text)


def test_calls_with_literals() -> None:
    (call,) = read_listing("x = layers.Conv2D(-3, kernel_size=(3, 5), name='a', f=g)(y)").calls
    assert isinstance(call, Call)
    assert (call.name, call.owner, call.made, call.applied) == ("Conv2D", "layers", "x", ("y",))
    assert call.argument("kernel_size", 1) == (3, 5)
    assert call.argument("filters", 0) == -3


def test_statements_over_several_lines() -> None:
    text = "a(1,\n   2)\n# b(\nc = ')'\n"
    assert list(statements(text)) == [(1, "a(1, 2)"), (4, "c = ')'")]


@given(st.text(alphabet="model.ad(Conv2D3,'\"=[]{}#\n \\)", max_size=200))
def test_any_text_is_read_or_refused(text: str) -> None:
    for read in (read_keras, read_torch):
        assert outcome(read, text) in ("program", "E0930")


def test_sequences_and_larger_images() -> None:
    """Parameters as Keras counts them: 4(d(d + D) + d) of an LSTM, 3(d(d + D) + 2d) of a GRU."""
    program = read_keras(
        """
model = Sequential([
    LSTM(8, return_sequences=True, input_shape=(6, 5)),
    Dense(3, activation='relu'),
    Dropout(0.1),
    GRU(4, return_sequences=True),
    SimpleRNN(7, activation='relu'),
    Dense(2, activation='softmax'),
])
model.compile(optimizer='adam', loss='mse', metrics=['acc', 'mae'])
"""
    )
    rows = [row.partition(": ")[2] for row in program.splitlines() if ": " in row]
    assert rows[:6] == [
        "lstm 8 all", "conv 3 1x1, relu", "dropout 0.1", "gru 4 all", "rnn 7 relu",
        "fc 2, softmax",
    ]  # fmt: skip
    assert "metrics:   accuracy" in program
    assert "# a metric of the listing is none here" in program
    wanted = 4 * (8 * 13 + 8) + 27 + 3 * (4 * 7 + 8) + 7 * 11 + 7 + 16
    assert params(program) == wanted
    program = read_keras(
        """
x = Input((8, 8, 4))
y = Conv2DTranspose(6, 3, strides=2, padding='same', activation='relu')(x)
y = UpSampling2D((2, 1))(y)
y = Conv2DTranspose(2, (2, 2), strides=(2, 2), use_bias=False)(y)
model = Model(x, y)
"""
    )
    network = elaborate(parse(program)).network
    assert network.layers[-1].output == (64, 32, 2)
    assert params(program) == 3 * 3 * 4 * 6 + 6 + 2 * 2 * 6 * 2


@pytest.mark.parametrize(
    ("layer", "words"),
    [
        ("UpSampling2D(2, interpolation='bilinear')", "upsample 2 bilinear"),
        ("UpSampling2D(size=(2, 3))", "upsample 2x3"),
        ("Resizing(6, 5)", "resize 6x5"),
        ("Resizing(6, 5, interpolation='nearest')", "resize 6x5 nearest"),
    ],
)
def test_scaled_images(layer: str, words: str) -> None:
    program = read_keras(f"model.add(Input((8, 8, 4)))\nmodel.add({layer})\n")
    assert program.splitlines()[-1].endswith(f": {words}")
    assert elaborate(parse(program)).network.layers


@pytest.mark.parametrize(
    "layer",
    [
        "LSTM(4, activation='relu')", "GRU(4, recurrent_activation='hard_sigmoid')",
        "LSTM(4, go_backwards=True)", "UpSampling2D(2, interpolation='bicubic')",
        "Resizing(4, 4, crop_to_aspect_ratio=True)", "Resizing(4, 4, 'lanczos3')",
        "Conv2DTranspose(4, 2, strides=3)", "Conv2DTranspose(4, 3, strides=2, output_padding=1)",
    ],
)  # fmt: skip
def test_what_keras_computes_otherwise_is_refused(layer: str) -> None:
    assert outcome(read_keras, f"model.add(Input((8, 8, 4)))\nmodel.add({layer})\n") == "E0930"
