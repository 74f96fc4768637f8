"""Recurrent layers, one number by hand: the steps up to it, and the last one written out."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from cnndsl.layers.element_parts import Element, Floats, Place, Plane, Seen, Step, show
from cnndsl.layers.recurrent import phi_of


def _sigmoid(x: Floats) -> Floats:
    return 0.5 * (1.0 + np.tanh(0.5 * x))


_BENDS: Mapping[str, Callable[[Floats], Floats]] = {
    "tanh": np.tanh,
    "relu": lambda x: np.asarray(np.maximum(x, 0.0), np.float64),
    "sigmoid": _sigmoid,
    "linear": lambda x: x,
}


def worked_recurrence(seen: Seen, at: Place) -> Element:
    """Run the recurrence up to the step that `at` names, and write that step out."""
    image = seen.inputs[0]
    rows = image.transpose(1, 0, 2).reshape(image.shape[1], -1)
    neuron = at[-1]
    last = at[0] if len(at) == 3 else len(rows) - 1
    count = seen.spec.count("neurons")
    state = seen.inputs[1] if len(seen.inputs) > 1 else np.zeros(count)
    memory = np.zeros(count)
    steps: list[Step] = []
    for row in rows[: last + 1]:
        before = state
        state, memory, steps = _RUN[seen.layer.kind](seen, row, state, memory, neuron)
    planes = (
        Plane(f"row {last} of the input", rows[last]),
        Plane("the state before it", before),
    )
    return Element(at, steps[-1].value, tuple(steps), planes, ((0, last), (0, image.shape[2] - 1)))


def _arriving(seen: Seen, row: Floats) -> Floats:
    bias = seen.parameters.get("bias", np.zeros(1))
    return np.asarray(seen.parameters["input_weight"] @ row + bias, np.float64)


_Run = tuple[Floats, Floats, list[Step]]


def _rnn(seen: Seen, row: Floats, state: Floats, memory: Floats, neuron: int) -> _Run:
    total = _arriving(seen, row) + seen.parameters["hidden_weight"] @ state
    word = phi_of(seen.spec)
    bent = _BENDS[word](total)
    x = float(total[neuron])
    steps = [
        Step("W_hx x + b + W_hh h", x),
        Step(f"{word}({show(x)})", float(bent[neuron])),
    ]
    return bent, memory, steps


def _lstm(seen: Seen, row: Floats, state: Floats, memory: Floats, neuron: int) -> _Run:
    total = _arriving(seen, row) + seen.parameters["hidden_weight"] @ state
    holes = seen.parameters.get("peephole", np.zeros((3, 1)))
    write, keep, new, read = total.reshape(4, -1)
    write, keep = _sigmoid(write + holes[0] * memory), _sigmoid(keep + holes[1] * memory)
    new = np.tanh(new)
    fresh = keep * memory + write * new
    read = _sigmoid(read + holes[2] * fresh)
    result = read * np.tanh(fresh)
    f, i, g, o, c = (float(x[neuron]) for x in (keep, write, new, read, fresh))
    steps = [
        Step("forget gate f", f),
        Step("input gate i", i),
        Step("new memory g", g),
        Step(f"memory c = f*{show(float(memory[neuron]))} + i*g", c),
        Step("output gate o", o),
        Step(f"o*tanh({show(c)})", float(result[neuron])),
    ]
    return result, fresh, steps


def _gru(seen: Seen, row: Floats, state: Floats, memory: Floats, neuron: int) -> _Run:
    weight = seen.parameters["hidden_weight"]
    count = len(state)
    x_reset, x_update, x_new = _arriving(seen, row).reshape(3, -1)
    bias = seen.parameters.get("hidden_bias", np.zeros(3 * count))
    h_reset, h_update, h_new = (weight @ state + bias).reshape(3, -1)
    reset, update = _sigmoid(x_reset + h_reset), _sigmoid(x_update + h_update)
    kept = reset * h_new
    if seen.spec.flag("reset_before"):
        kept = weight[2 * count :] @ (reset * state)
    new = np.tanh(x_new + kept)
    result = update * state + (1.0 - update) * new
    r, z, n = (float(x[neuron]) for x in (reset, update, new))
    steps = [
        Step("reset gate r", r),
        Step("update gate z", z),
        Step("new state n", n),
        Step(f"z*{show(float(state[neuron]))} + (1 - z)*n", float(result[neuron])),
    ]
    return result, memory, steps


_RUN = {"rnn": _rnn, "lstm": _lstm, "gru": _gru}
