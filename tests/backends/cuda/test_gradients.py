"""Training steps on the emulated device against differences of the loss that it computes itself."""

from __future__ import annotations

import numpy as np
import pytest

from cnndsl.backends.cuda.backend import CudaBackend
from cnndsl.backends.cuda.kernels import norm_grad, pool
from cnndsl.backends.cuda.kernels.conv_window import Window
from cnndsl.ir.types import DType
from cnndsl.ops.rules import Array
from cnndsl.plan.memory import make_plan
from cnndsl.train.step import RATE
from tests.backends.cuda.emulation import driver, needs_emulator
from tests.backends.cuda.test_networks import begin, training_graph
from tests.zoo.networks import feeds

pytestmark = needs_emulator

NETWORKS = ("lenet", "residual", "inception", "separable")
STEP = 1e-5
BOUND = 2e-7
"""Largest difference from a slope, relative to the length of the gradient.

Truncation makes about STEP squared, rounding of double precision about 1e-16/STEP; it was 6e-9 at
most. A term left out of a gradient makes a difference near 1.
"""


def slopes(name: str) -> dict[str, tuple[float, float, float]]:
    """Give, for each trained parameter, slope, what the gradient says, and the gradient's length.

    A step of gradient descent takes `RATE` times the gradient away, so the gradient is what the
    step changed. The loss is differenced along a random direction of each parameter, by the
    same executable: nothing but kernels of the device is compared.
    """
    graph = training_graph(name, batch=3, dtype=DType.F64)
    given = {**feeds(graph), RATE: np.array(1.0)}
    machine = driver()
    executable = CudaBackend(lambda: machine, poison=True).compile(make_plan(graph, alignment=256))
    rng = np.random.default_rng(0)
    # Away from where it began: with biases of zero, windows over nothing lie on the kink of a ReLU.
    state = {
        key: array + 0.1 * rng.standard_normal(array.shape) if key.endswith("bias") else array
        for key, array in begin(graph, DType.F64).items()
    }

    def loss(changed: dict[str, Array]) -> float:
        executable.load_state({**state, **changed})
        return float(executable.run(given)["loss"])

    loss({})
    after = executable.read_state()
    trained = {str(node) for node in graph.updates} - statistics(after)
    found = {}
    for key in sorted(trained):
        gradient = state[key] - after[key]
        along = rng.standard_normal(gradient.shape)
        along /= np.linalg.norm(along)
        ahead = loss({key: state[key] + STEP * along})
        behind = loss({key: state[key] - STEP * along})
        slope = (ahead - behind) / (2 * STEP)
        told = float(np.sum(gradient * along))
        found[key] = slope, told, float(np.linalg.norm(gradient))
    return found


def statistics(state: dict[str, Array]) -> set[str]:
    """Name what a step updates without a gradient: the running statistics of batch norms."""
    return {key for key in state if key.rpartition(".")[2] in ("mean", "variance")}


def worst(name: str) -> float:
    found = slopes(name)
    assert len(found) >= 6
    assert max(length for *_, length in found.values()) > 1e-3
    return max(abs(a - b) / max(length, 1e-3) for a, b, length in found.values())


@pytest.mark.parametrize("name", NETWORKS)
def test_gradients_are_the_slopes_of_the_loss(name: str) -> None:
    assert worst(name) < BOUND


@pytest.mark.parametrize("fault", ["convolution", "batch norm", "pooling"])
def test_a_wrong_gradient_is_found(monkeypatch: pytest.MonkeyPatch, fault: str) -> None:
    name = "residual"
    if fault == "convolution":
        right = Window.over
        monkeypatch.setattr(Window, "over", lambda w, p, t: right(w, p, t).replace(" - ", " + "))
    elif fault == "batch norm":
        text = norm_grad._SPREAD
        assert "level.at[v]" in text
        monkeypatch.setattr(norm_grad, "_SPREAD", text.replace("level.at[v]", "level.at[0]"))
    else:
        text = pool._SCATTER
        assert "taps.at[j] == here" in text
        wrong = text.replace("taps.at[j] == here", "taps.at[j] != here")
        monkeypatch.setattr(pool, "_SCATTER", wrong)
    assert not worst(name) < 100 * BOUND
