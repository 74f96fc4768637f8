"""The formulas of the seeds hold for what the analysis and the operators compute."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from cnndsl.frontend.elaborate import elaborate
from cnndsl.frontend.parse import parse
from cnndsl.layers.analysis import LayerReport, analyse
from cnndsl.support.diagnostics import DiagnosticError
from tests.acceptance.running import run

sides = st.integers(3, 40)
windows = st.integers(1, 9)
strides = st.integers(1, 4)
pads = st.integers(0, 4)


def last(program: str) -> LayerReport:
    return analyse(elaborate(parse(program)).network).layers[-1]


@given(sides, sides, windows, windows)
def test_sizes_of_cross_correlation(nh: int, nw: int, kh: int, kw: int) -> None:
    """N-19: Y is (n_h - k_h + 1) x (n_w - k_w + 1), c_o deep."""
    assume(kh <= nh and kw <= nw)
    made = last(f"input [{nh}x{nw}x2]; conv 5 {kh}x{kw}")
    assert made.output == (nh - kh + 1, nw - kw + 1, 5)
    assert made.weights == 5 * 2 * kh * kw


@given(sides, windows, strides, pads)
def test_output_size_with_padding(n: int, f: int, s: int, p: int) -> None:
    """N-79: (N + 2P - F)/stride + 1, and an error where it is not whole."""
    assume(n + 2 * p >= f)
    text = f"input [{n}x{n}x1]; conv 1 {f}x{f} stride {s}, pad {p}"
    if (n + 2 * p - f) % s:
        with pytest.raises(DiagnosticError, match="E0301"):
            last(text)
    else:
        assert last(text).output[0] == (n + 2 * p - f) // s + 1


@given(sides, windows)
def test_total_padding(n: int, k: int) -> None:
    """N-81: p = k - 1 keeps the size; an even k pads ceil(p/2) above and floor(p/2) below."""
    assume(k <= n)
    p = k - 1
    above, below = math.ceil(p / 2), p // 2
    padded = f"conv(1, {k}x{k}, pad=[{above}, {below}, {above}, {below}])"
    assert last(f"input [{n}x{n}x1]; {padded}").output == (n, n, 1)
    twice = f"conv(1, {k}x{k}, pad=[{above}, {above}, {above}, {above}])"
    grown = last(f"input [{n}x{n}x1]; {twice}").output[0] - n
    assert grown == p % 2  # two ceilings, as the slide has it, pad a row too many


@given(sides, windows, strides)
def test_floor_with_stride(n: int, k: int, s: int) -> None:
    """N-82: floor((n - k + p + s)/s); with p = k - 1, floor((n + s - 1)/s) = ceil(n/s)."""
    assume(k <= n)
    plain = last(f"input [{n}x{n}x1]; conv 1 {k}x{k} stride {s} floor")
    assert plain.output[0] == (n - k + s) // s
    same = last(f"input [{n}x{n}x1]; conv 1 {k}x{k} stride {s} same")
    assert same.output[0] == (n + s - 1) // s


@given(st.integers(1, 6), st.integers(1, 7))
def test_receptive_field(layers: int, k: int) -> None:
    """N-83: 1 + L*(K - 1)."""
    made = last(f"input [64x64x1]; conv 1 {k}x{k} * {layers}")
    assert made.receptive_field == (1 + layers * (k - 1),) * 2


def test_global_average() -> None:
    """N-56: h x w x d becomes 1 x 1 x d, the average of all hw values."""
    image = np.random.default_rng(0).normal(size=(5, 7, 3))
    made = run("input [5x7x3]; gap", image)
    np.testing.assert_allclose(made, image.mean(axis=(0, 1)))
    assert last("input [5x7x3]; gap").output == (3,)


def test_conv2d_as_documented() -> None:
    """N-77: stride, padding on both sides, dilation, groups; tuples are height, then width."""
    image = np.random.default_rng(1).normal(size=(9, 11, 4))
    text = "input [9x11x4]; conv 6 3x2 stride 2x3, pad 1x2, dilation 2x1, groups 2, floor"
    network = elaborate(parse(text)).network
    weight = np.random.default_rng(2).normal(size=(6, 2, 3, 2))
    bias = np.arange(6.0)
    name = network.layers[0].name
    made = run(text, image, {f"{name}.weight": weight, f"{name}.bias": bias})
    padded = np.pad(image, ((1, 1), (2, 2), (0, 0)))
    height, width = (9 + 2 - 5) // 2 + 1, (11 + 4 - 2) // 3 + 1
    assert made.shape == (height, width, 6)
    for j in range(6):
        group = padded[:, :, 2 * (j // 3) : 2 * (j // 3) + 2]
        for y in range(height):
            for x in range(width):
                window = group[2 * y : 2 * y + 5 : 2, 3 * x : 3 * x + 2]
                value = np.einsum("hwc,chw->", window, weight[j]) + bias[j]
                assert made[y, x, j] == pytest.approx(value)


def test_layers_do_not_flip() -> None:
    """N-84, E-42: a filter and its mirror image give different results, unlike f * g = g * f."""
    image = np.array([[1.0, 2.0, 4.0]])
    made = run("input [1x3x1]; conv(1, weights=[[1, 10]])", image)
    np.testing.assert_array_equal(made, [1 + 20, 2 + 40])
    np.testing.assert_array_equal(np.convolve(image[0], [1, 10], "valid"), [10 + 2, 20 + 4])


def test_activations() -> None:
    """N-85: the six of the slide."""
    x = np.linspace(-3, 3, 25)
    expected = {
        "sigmoid": 1 / (1 + np.exp(-x)),
        "leaky 0.1": np.maximum(0.1 * x, x),
        "tanh": np.tanh(x),
        "relu": np.maximum(0, x),
        "elu": np.where(x >= 0, x, np.exp(x) - 1),
    }
    for words, values in expected.items():
        np.testing.assert_allclose(run(f"input [25]; {words}", x), values, atol=1e-12)
    pieces = run("input [2]; maxout 2", [0.5, -1.0])
    assert pieces == 0.5


def test_batch_norm() -> None:
    """N-86, E-46: zero mean and unit variance, with an epsilon that bears zero variance."""
    image = np.random.default_rng(4).normal(3.0, 5.0, size=(8, 8, 1))
    made = run("input [8x8x1]; bn", image, training=True)
    assert made.mean() == pytest.approx(0, abs=1e-12)
    assert made.var() == pytest.approx(1, rel=1e-4)
    constant = run("input [4x4x1]; bn", np.full((4, 4), 3.0), training=True)
    np.testing.assert_allclose(constant, 0.0, atol=1e-9)
