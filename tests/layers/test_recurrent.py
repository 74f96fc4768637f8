"""Recurrent layers: sizes, parameters, what they compute, limits, gradients."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np
import pytest

from cnndsl.frontend.check import check, examine
from cnndsl.layers.analysis import analyse
from cnndsl.layers.base import Hwc, SettingValue
from cnndsl.layers.initializers import initial_state
from cnndsl.model import Model
from cnndsl.ops.rules import Array
from cnndsl.support.limits import Limits
from tests.layers.gradients import worst_gradient

if TYPE_CHECKING:
    from tests.layers.conftest import Bench


@pytest.mark.parametrize(
    ("given", "size", "expected"),
    [
        ({"neurons": 64}, (28, 28, 1), (64,)),
        ({"neurons": 64, "all": True}, (28, 28, 1), (28, 1, 64)),
        ({"neurons": 64, "last": True}, (7, 7, 512), (64,)),
    ],
)
@pytest.mark.parametrize("kind", ["rnn", "lstm", "gru"])
def test_sizes(
    bench: Bench, kind: str, given: Mapping[str, SettingValue], size: Hwc, expected: Hwc
) -> None:
    assert bench.output(kind, given, size) == expected
    assert bench.formula(kind, given, size) == f"{size[0]} steps of {size[1] * size[2]}"


@pytest.mark.parametrize(
    ("words", "params"),
    [
        ("rnn 64", 64 * 28 + 64 * 64 + 64),  # Keras: SimpleRNN(64) 5,952
        ("lstm 64", 4 * (64 * 28 + 64 * 64 + 64)),  # Keras: LSTM(64) 23,808
        ("gru 64", 3 * (64 * 28 + 64 * 64 + 2 * 64)),  # Keras: GRU(64) 18,048
        ("gru 64 reset before", 3 * (64 * 28 + 64 * 64 + 64)),
        ("lstm 64 peephole", 4 * (64 * 28 + 64 * 64 + 64) + 3 * 64),
        ("rnn 64 nobias", 64 * 28 + 64 * 64),
    ],
)
def test_parameters_are_those_of_the_equations(words: str, params: int) -> None:
    report = analyse(Model.from_text(f"input [28x28]\nL: {words}\n").network)["L"]
    assert report.params == params


def test_multiply_adds_are_the_weights_at_each_step() -> None:
    report = analyse(Model.from_text("input [9x5x2]\nL: lstm 3 all\n").network)["L"]
    assert report.macs == 9 * report.weights == 9 * 4 * 3 * (10 + 3)
    assert check("input [9x5x2]\nL: lstm 3\nassert L.macs == 9*4*3*(10 + 3)\n") == ()


def logistic(t: Array) -> Array:
    return np.asarray(1 / (1 + np.exp(-t)))


BENDS: Mapping[str, Callable[[Array], Array]] = {
    "tanh": np.tanh,
    "relu": lambda t: np.asarray(np.maximum(t, 0)),
    "sigmoid": logistic,
    "linear": lambda t: t,
}


def rows_of(x: Array) -> Array:
    """Give images [N,C,H,W] as sequences [H,N,C*W]."""
    return x.transpose(2, 0, 1, 3).reshape(x.shape[2], x.shape[0], -1)


def arrays(rng: np.random.Generator, gates: int, each: int) -> dict[str, Array]:
    return {
        "input_weight": rng.normal(size=(gates * 4, each)),
        "hidden_weight": rng.normal(size=(gates * 4, 4)),
        "bias": rng.normal(size=gates * 4),
    }


@pytest.mark.parametrize("phi", ["", "tanh", "relu", "sigmoid", "linear"])
def test_the_equation_of_the_slide(bench: Bench, phi: str) -> None:
    rng = np.random.default_rng(1)
    x = rng.normal(size=(3, 2, 5, 3))
    given = arrays(rng, 1, 6)
    bend = BENDS[phi or "tanh"]
    h = np.zeros((3, 4))
    states = []
    for step in rows_of(x):
        h = bend(h @ given["hidden_weight"].T + step @ given["input_weight"].T + given["bias"])
        states.append(h)
    words: dict[str, SettingValue] = {"neurons": 4, **({phi: True} if phi else {})}
    last = bench.emit("rnn", words, (5, 3, 2)).run(x, step=0, **given)
    every = bench.emit("rnn", {**words, "all": True}, (5, 3, 2)).run(x, step=0, **given)
    np.testing.assert_allclose(last, h, rtol=1e-4)
    assert every.shape == (3, 4, 5, 1)
    np.testing.assert_allclose(every[..., 0].transpose(2, 0, 1), states, rtol=1e-4)


@pytest.mark.parametrize("kind", ["rnn", "lstm", "gru"])
def test_the_state_that_it_begins_with(bench: Bench, kind: str) -> None:
    """Two halves, the second begun with the state of the first, are the whole: but for memory."""
    rng = np.random.default_rng(2)
    gates = {"rnn": 1, "lstm": 4, "gru": 3}[kind]
    x, given = rng.normal(size=(3, 1, 6, 5)), arrays(rng, gates, 5)
    if kind == "gru":
        given["hidden_bias"] = rng.normal(size=12)
    words: dict[str, SettingValue] = {"neurons": 4}
    whole = bench.emit(kind, words, (6, 5, 1)).run(x, step=0, **given)
    first = bench.emit(kind, words, (3, 5, 1)).run(x[:, :, :3], step=0, **given)
    then = bench.emit(kind, words, (3, 5, 1), (4,)).run(x[:, :, 3:], first, step=0, **given)
    assert np.allclose(then, whole, rtol=1e-4) == (kind != "lstm")
    again = bench.emit(kind, words, (3, 5, 1), (4,)).run(x[:, :, :3], first * 0, step=0, **given)
    np.testing.assert_allclose(again, first, rtol=1e-6)


def test_the_forget_gate_begins_open() -> None:
    model = Model.from_text("input [4x4]\nlstm 3\n")
    model.initialize()
    assert model.state is not None
    assert model.state["lstm1.bias"].tolist() == [0, 0, 0, 1, 1, 1, 0, 0, 0, 0, 0, 0]


def test_peepholes_matter_as_soon_as_they_are_not_zero(bench: Bench) -> None:
    rng = np.random.default_rng(3)
    x, given = rng.normal(size=(3, 1, 6, 5)), arrays(rng, 4, 5)
    plain = bench.emit("lstm", {"neurons": 4}, (6, 5, 1)).run(x, step=0, **given)
    made = bench.emit("lstm", {"neurons": 4, "peephole": True}, (6, 5, 1))
    assert np.allclose(made.run(x, step=0, peephole=np.zeros((3, 4)), **given), plain)
    assert not np.allclose(made.run(x, step=0, peephole=rng.normal(size=(3, 4)), **given), plain)


def test_initial_weights_have_the_spread_of_one_gate(bench: Bench) -> None:
    made = bench.emit("lstm", {"neurons": 32}, (4, 32, 1))
    state = initial_state(made.graph, seed=0)
    for name in ("layer.input_weight", "layer.hidden_weight"):
        assert np.abs(state[name]).max() <= (6 / 64) ** 0.5
        assert np.abs(state[name]).max() > 0.9 * (6 / 64) ** 0.5


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ("input [100]\nlstm 8", "E0307", "`lstm` reads a sequence row by row"),
        ("input [1001x4]\ngru 8", "E0602", "1,001 steps; the limit is 1,000"),
        ("input a [8x4]\ninput b [5]\nfrom a - rnn 8 b", "E0307", "a state of 8 numbers"),
        ("input [8x4]\nrnn 8 relu tanh", "E0206", "two different things"),
        ("input [8x4]\nrnn 8 all last", "E0206", "two different things"),
        ("input [8x4]\nrnn", "E0205", "`neurons`"),
        ("input [8x4]\nlstm 8 relu", "E0204", "`relu` is a layer of its own"),
        ("input [8x4]\nrnn 8 tahn", "E0204", "did you mean `tanh`?"),
        ("input [8x4]\nlstm 8 begin", "E0202", "no stream is called `begin`"),
        ("input [8x4]\nlstm 8 3x3", "E0204", "`lstm` has no place for the size 3x3"),
    ],
)
def test_complaints(words: str, code: str, said: str) -> None:
    text = str(examine(f"{words}\n"))
    assert f"error[{code}]" in text
    assert said in text


def test_steps_count_as_layers_where_the_size_is_limited() -> None:
    text = "input [300x4]\nrnn 4 all\nrnn 4\n"
    assert check(text, limits=Limits(max_layers=600)) == ()
    (found,) = check(text, limits=Limits(max_layers=599))
    assert found.code == "E0602"
    assert check(text, limits=Limits(recurrent_steps=300)) == ()
    (found,) = check(text, limits=Limits(recurrent_steps=299))
    assert found.code == "E0602"
    many = "input [1000x1]\nrnn 1 all * 90000\n"
    assert [d.code for d in check(many)] == ["E0602"]


@pytest.mark.parametrize(
    "words",
    [
        "rnn 3",
        "rnn 3 sigmoid all - conv 2 1x1 - rnn 2",
        "lstm 2 peephole",
        "gru 2",
        "gru 2 reset before all - gap",
        "fc 3 tanh as s - reshape [3x1x1] - lstm 3 s",
    ],
)
def test_gradients_agree_with_differences(words: str) -> None:
    text = f"input [4x3x2]\n{words} - fc 3 - softmax\n"
    assert worst_gradient(text) < 1e-6


def test_two_uses_of_a_net_share_their_weights() -> None:
    network = Model.from_text(
        "net reader { input [6x4]; lstm 5 }\n"
        "input a [6x4]\ninput b [6x4]\n(from a - reader | from b - reader) - concat - fc 2\n"
    ).network
    assert analyse(network).params == 4 * 5 * (4 + 5 + 1) + 10 * 2 + 2
