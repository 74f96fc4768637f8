"""Transposed convolution: sizes, words, counts, complaints, and that it undoes a convolution."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import assume
from hypothesis import given as for_all
from hypothesis import strategies as st

from cnndsl.frontend.check import check
from cnndsl.layers.analysis import analyse
from cnndsl.layers.base import LAYERS, Hwc, LayerError, LayerSpec, SettingValue
from cnndsl.model import Model
from tests.layers.gradients import worst_gradient

if TYPE_CHECKING:
    from tests.layers.conftest import Bench


@pytest.mark.parametrize(
    ("given", "size", "expected", "formula"),
    [
        ({}, (28, 28, 8), (56, 56, 6), "(28 - 1)*2 + 2 = 56"),  # U-Net
        ({"window": (4, 4), "stride": (2, 2), "pad": 1}, (16, 16, 8), (32, 32, 6),
         "(16 - 1)*2 - 2*1 + 4 = 32"),  # pix2pix
        ({"window": (4, 4)}, (1, 1, 8), (4, 4, 6), "(1 - 1)*1 + 4 = 4"),  # DCGAN's first
        ({"window": (3, 3), "stride": (2, 2), "same": True}, (64, 64, 8), (128, 128, 6),
         "64*2 = 128"),  # CycleGAN
        ({"window": (3, 3), "stride": (2, 2), "pad": 1, "extra": 1}, (64, 64, 8), (128, 128, 6),
         "(64 - 1)*2 - 2*1 + 3 + 1 = 128"),
        ({"window": (3, 3), "half": True}, (9, 7, 8), (9, 7, 6),
         "(9 - 1)*1 - 2*1 + 3 = 9; (7 - 1)*1 - 2*1 + 3 = 7"),
        ({"window": (3, 3), "dilation": (2, 2), "pad": (0, 1, 0, 1)}, (5, 5, 8), (8, 8, 6),
         "(5 - 1)*1 - 0 - 1 + (2*(3 - 1) + 1) = 8"),
        ({"window": (2, 2), "stride": (3, 3), "same": True}, (5, 4, 8), (15, 12, 6),
         "5*3 = 15; 4*3 = 12"),
    ],
)  # fmt: skip
def test_sizes(
    bench: Bench, given: Mapping[str, SettingValue], size: Hwc, expected: Hwc, formula: str
) -> None:
    asked = {"filters": 6, **given}
    assert bench.output("upconv", asked, size) == expected
    assert bench.formula("upconv", asked, size) == formula


@for_all(
    st.integers(1, 9), st.integers(1, 5), st.integers(1, 4), st.integers(1, 3), st.integers(0, 4)
)
def test_a_convolution_back_gives_the_size_that_went_in(
    length: int, window: int, stride: int, dilation: int, pad: int
) -> None:
    kind, back = LAYERS["upconv"], LAYERS["conv"]
    shared: dict[str, SettingValue] = {
        "window": (window, window), "stride": (stride, stride), "dilation": (dilation, dilation),
        "pad": pad,
    }  # fmt: skip
    up = LayerSpec(kind, kind.complete({"filters": 2, **shared}, bare=False, pools=0))
    try:
        larger = kind.output(up, [(length, length, 3)])
    except LayerError:
        assume(False)
    down = LayerSpec(back, back.complete({"filters": 3, **shared}, bare=False, pools=0))
    assert back.output(down, [larger]) == (length, length, 3)


def test_the_gradient_of_a_convolution_is_what_comes_out(bench: Bench) -> None:
    rng = np.random.default_rng(0)
    made = bench.emit("upconv", {"filters": 2, "window": (3, 3), "stride": (2, 2)}, (4, 5, 3))
    x = rng.normal(size=(3, 3, 4, 5)).astype(np.float32)
    weight = rng.normal(size=(3, 2, 3, 3)).astype(np.float32)
    bias = np.array([0.5, -1.0], np.float32)
    wanted = np.zeros((3, 2, 9, 11))
    for row, column in np.ndindex(4, 5):
        laid = np.einsum("nc,coij->noij", x[:, :, row, column], weight)
        wanted[:, :, 2 * row : 2 * row + 3, 2 * column : 2 * column + 3] += laid
    found = made.run(x, weight=weight, bias=bias)
    np.testing.assert_allclose(found, wanted + bias[:, None, None], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("given", "code", "said"),
    [
        ({"filters": 6, "groups": 4}, "E0308", "6 filters do not divide into 4 groups"),
        ({"filters": 4, "groups": 3}, "E0308", "8 channels do not divide into 3 groups"),
        ({"filters": 4, "window": (2, 2), "half": True}, "E0306", "a window of 2"),
        ({"filters": 4, "window": (3, 3), "extra": 1}, "E0207", "`extra 1`"),
        ({"filters": 4, "window": (3, 3), "stride": (2, 2), "extra": 1, "same": True}, "E0207",
         "`extra 1`"),
        ({"filters": 4, "extra": (1, 0, 1, 0)}, "E0207", "rows x columns; given 4"),
        ({"filters": 4, "window": (3, 3), "pad": 9}, "E0305", "cuts off all"),
        ({"filters": 4, "window": (3, 3), "pad": 1, "same": True}, "E0206", "two different things"),
        ({"window": (3, 3)}, "E0205", "`filters`"),
    ],
)  # fmt: skip
def test_complaints(bench: Bench, given: Mapping[str, SettingValue], code: str, said: str) -> None:
    with pytest.raises(LayerError) as problem:
        bench.output("upconv", given, (6, 6, 8))
    assert problem.value.code == code
    assert said in problem.value.message


def test_vectors_have_no_pixels(bench: Bench) -> None:
    assert bench.output_or_code("upconv", {"filters": 4}, (100,)) == "E0307"


def test_counts_as_of_the_convolution_back() -> None:
    network = Model.from_text("input [8x6x12]\nup: upconv 4 3x3/2 same groups 2\n").network
    report = analyse(network)["up"]
    assert network["up"].parameters[0].shape == (12, 2, 3, 3)
    assert (report.params, report.weights) == (12 * 2 * 9 + 4, 12 * 2 * 9)
    assert report.macs == 8 * 6 * 12 * 2 * 9
    assert report.flops == 2 * report.macs + 16 * 12 * 4
    assert report.receptive_field == (2, 2)
    assert report.stride == (Fraction(1, 2), Fraction(1, 2))


def test_an_encoder_and_its_decoder_end_at_the_pixels_they_began_with() -> None:
    text = "input [16x16x1]\nconv 4 3x3 half - maxpool 2x2/2 - conv 4 3x3 half - upconv 4 2x2/2\n"
    *_, last = analyse(Model.from_text(text).network).layers
    assert last.stride == (1, 1)
    assert last.receptive_field == (8, 8)
    assert last.padding == (3, 3)
    assert check(f"{text}assert upconv1.step == 1 and upconv1.field == 8\n") == ()


def test_words_say_the_window_always() -> None:
    network = Model.from_text("input [8x8x3]\nupconv 4 - upconv 4 3x3 - upconv 4 4x4/2 pad 1\n")
    words = [layer.spec.kind.words(layer.spec) for layer in network.network.layers]
    assert words == ["upconv 4 2x2 stride 2", "upconv 4 3x3", "upconv 4 4x4 stride 2 pad 1"]


def test_gradients_agree_with_differences() -> None:
    text = "input [3x4x2]\nupconv 3 3x2/2 pad 1 extra 1 tanh - upconv 2 3x3 half groups 1 sigmoid\n"
    assert worst_gradient(text + "gap - fc 3 - softmax") < 1e-6
