"""Every optimizer against its formula, written out in plain NumPy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields

import numpy as np
import pytest

from cnndsl.ir.builder import Builder
from cnndsl.ir.graph import Graph, NodeId
from cnndsl.ir.types import DType, TensorType
from cnndsl.ops.evaluate import evaluate
from cnndsl.ops.rules import Array
from cnndsl.ops.structural import InputAttrs, ParameterAttrs, input_, parameter
from cnndsl.recipes.optimizers import (
    OPTIMIZERS,
    SGD,
    STATE_PREFIX,
    Adadelta,
    Adagrad,
    Adam,
    AdamW,
    Optimizer,
    RMSprop,
)

KIND = TensorType(DType.F64, (3,))
START = np.array([1.0, -2.0, 0.5])
GRADS = [np.array([0.3, -0.1, 0.7]), np.array([-0.2, 0.4, 0.1]), np.array([0.5, 0.5, -0.9])]


def trained(optimizer: Optimizer, *, decay: bool = True, lr: float = 0.1) -> Array:
    """Run the optimizer's graph over GRADS and give the parameter."""
    graph = Graph("step")
    b = Builder(graph)
    p = b.emit(parameter, attrs=ParameterAttrs(KIND, decay=decay), name="p")
    g = b.emit(input_, attrs=InputAttrs(KIND), name="g")
    rate = b.emit(input_, attrs=InputAttrs(TensorType(DType.F64, ())), name="rate")
    graph.updates[p.node] = optimizer.update(b, p, g, rate)
    state: dict[str, Array] = {
        node.id: np.zeros(node.type.shape) for node in graph.nodes() if node.op is parameter
    }
    state["p"] = START
    for grad in GRADS:
        probe = graph.copy()
        probe.outputs = {str(name): value for name, value in graph.updates.items()}
        feeds: dict[str | NodeId, Array] = {**state, "g": grad, "rate": np.array(lr)}
        state.update(evaluate(probe, feeds))
    return state["p"]


def loop(step: Callable[[Array, Array, int], Array]) -> Array:
    p = START.copy()
    for t, g in enumerate(GRADS, start=1):
        p = step(p, g, t)
    return p


def test_sgd() -> None:
    expected = loop(lambda p, g, t: p - 0.1 * g)
    np.testing.assert_allclose(trained(SGD()), expected, rtol=1e-14)


@pytest.mark.parametrize("nesterov", [False, True])
def test_sgd_with_momentum(nesterov: bool) -> None:
    v = np.zeros(3)

    def step(p: Array, g: Array, t: int) -> Array:
        nonlocal v
        v = 0.9 * v + g
        return p - 0.1 * (g + 0.9 * v if nesterov else v)

    ours = trained(SGD(momentum=0.9, nesterov=nesterov))
    np.testing.assert_allclose(ours, loop(step), rtol=1e-14)


@pytest.mark.parametrize("decoupled", [False, True])
def test_adam_and_adamw(decoupled: bool) -> None:
    m, v = np.zeros(3), np.zeros(3)

    def step(p: Array, g: Array, t: int) -> Array:
        nonlocal m, v
        if decoupled:
            p = p - 0.1 * 0.05 * p
        else:
            g = g + 0.05 * p
        m = 0.8 * m + 0.2 * g
        v = 0.99 * v + 0.01 * g * g
        return p - 0.1 * (m / (1 - 0.8**t)) / (np.sqrt(v / (1 - 0.99**t)) + 1e-8)

    options = {"beta1": 0.8, "beta2": 0.99, "decay": 0.05}
    optimizer = AdamW(**options) if decoupled else Adam(**options)
    np.testing.assert_allclose(trained(optimizer), loop(step), rtol=1e-12)


@pytest.mark.parametrize("momentum", [0.0, 0.5])
def test_rmsprop(momentum: float) -> None:
    v, m = np.zeros(3), np.zeros(3)

    def step(p: Array, g: Array, t: int) -> Array:
        nonlocal v, m
        v = 0.9 * v + 0.1 * g * g
        m = momentum * m + g / (np.sqrt(v) + 1e-7)
        return p - 0.1 * m

    np.testing.assert_allclose(trained(RMSprop(momentum=momentum)), loop(step), rtol=1e-13)


def test_adagrad() -> None:
    s = np.zeros(3)

    def step(p: Array, g: Array, t: int) -> Array:
        nonlocal s
        s = s + g * g
        return np.asarray(p - 0.1 * g / (np.sqrt(s) + 1e-10))

    np.testing.assert_allclose(trained(Adagrad()), loop(step), rtol=1e-13)


def test_adadelta() -> None:
    s, u = np.zeros(3), np.zeros(3)

    def step(p: Array, g: Array, t: int) -> Array:
        nonlocal s, u
        s = 0.95 * s + 0.05 * g * g
        d = np.sqrt(u + 1e-6) / np.sqrt(s + 1e-6) * g
        u = 0.95 * u + 0.05 * d * d
        return np.asarray(p - 0.1 * d)

    np.testing.assert_allclose(trained(Adadelta()), loop(step), rtol=1e-12)


def test_weight_decay_spares_parameters_that_ask_for_it() -> None:
    with_decay = trained(SGD(decay=0.5))
    expected = loop(lambda p, g, t: p - 0.1 * (g + 0.5 * p))
    np.testing.assert_allclose(with_decay, expected, rtol=1e-14)
    np.testing.assert_array_equal(trained(SGD(decay=0.5), decay=False), trained(SGD()))


def test_every_optimizer_is_tested_here_and_documents_its_options() -> None:
    assert set(OPTIMIZERS) == {"sgd", "adam", "adamw", "rmsprop", "adagrad", "adadelta"}
    for kind in OPTIMIZERS.values():
        assert kind.__doc__
        assert {"lr", "decay"} <= {f.name for f in fields(kind)}


def test_state_can_be_told_from_weights_by_its_name() -> None:
    graph = Graph("step")
    b = Builder(graph)
    p = b.emit(parameter, attrs=ParameterAttrs(KIND), name="p")
    rate = b.emit(input_, attrs=InputAttrs(TensorType(DType.F64, ())), name="rate")
    graph.updates[p.node] = Adam().update(b, p, p, rate)
    names = {node.id for node in graph.nodes() if node.op is parameter} - {"p"}
    assert len(names) == 3
    assert all(name.startswith(STATE_PREFIX) for name in names)
