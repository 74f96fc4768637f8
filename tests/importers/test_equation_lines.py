"""Recurrences, compositions and sizes with letters, as programs."""

from __future__ import annotations

import pytest

from cnndsl.frontend.check import examine
from cnndsl.frontend.elaborate import elaborate
from cnndsl.frontend.parse import parse
from cnndsl.importers.sheet import Options
from cnndsl.importers.slide import read_slide
from cnndsl.support.diagnostics import Severity


def programs(text: str, *, layout: str = "hwc") -> tuple[str, ...]:
    return read_slide(text, options=Options(layout=layout)).programs


@pytest.mark.parametrize(
    ("equation", "layer"),
    [
        (r"h_t = \phi(W_{hh} h_{t-1} + W_{hx} x_t + b_h)", "h: rnn H phi all"),
        (r"s_t = φ(W_{ss}s_{t-1} + W_{su}u_t)", "s: rnn S phi all nobias"),
        (r"y_t = \phi(W_{yx} x_t + b_y)", "y: conv Y 1x1 phi"),
    ],
)
def test_an_equation_is_a_layer(equation: str, layer: str) -> None:
    (program,) = programs(equation)
    assert layer in program.splitlines()
    assert not [d for d in examine(program).diagnostics if d.severity is Severity.ERROR]


@pytest.mark.parametrize(
    "equation",
    [
        r"h_t = \phi(W_{hh} h_{t-1} + W_{hx} x_t + b_o)",
        r"h_t = \phi(W_{hh} h_{t-1} + 3)",
        r"h_t = \phi(W_{hx} x_{t-1} + b_h)",
        r"h_t = \phi(W_{hx} x_t + W_{hz} z_t)",
        r"h_t = \phi(b_h)",
    ],
)
def test_other_equations_stay_remarks(equation: str) -> None:
    assert programs(equation) == ()


@pytest.mark.parametrize(
    ("down", "up", "words"),
    [
        ("Pooling, strided convolution", "Unpooling", "maxpool 4x4/4 => [H/4 x W/4 x K]"),
        ("strided convolution", "Strided transpose convolution",
         "conv(K, 4x4, stride=4) => [H/4 x W/4 x K]"),
    ],
)  # fmt: skip
def test_down_and_up_again(down: str, up: str, words: str) -> None:
    text = f"Downsampling: {down}\n{up}\nInput: 3 x H x W\nLow-res: K x H/4 x W/4\nOut: 5 x H x W"
    (program,) = programs(text, layout="chw")
    assert words in program
    network = elaborate(parse(program), params={"H": "32", "W": "16"}).network
    assert network.layers[-1].output == (32, 16, 5)
    assert network.layers[-2].kind == ("unpool" if up == "Unpooling" else "upconv")


def test_sizes_with_letters_mean_nothing_by_themselves() -> None:
    assert programs("High-res: K x H/4 x W/4") == ()
    assert programs("Input: 3 x H x W\nHigh-res: K x H/2 x W/4", layout="chw")[0].count("conv") == 0
