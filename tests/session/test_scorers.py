"""Compiled networks take their weights once, and again only when those are others."""

from __future__ import annotations

import threading
from collections.abc import Mapping

import numpy as np
import pytest

from cnndsl.frontend.parse import parse
from cnndsl.layers.initializers import initial_state
from cnndsl.ops.rules import Array
from cnndsl.runtime.executable import Executable
from cnndsl.session import Choices, Scorers, frozen, plain_elaboration

TEXT = "input [6x6x1]\nconv 3 3x3, relu\nfc 4 - softmax\n"
THREADS = 8


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Note every load of a state that has parameters."""
    seen: list[str] = []
    plain = Executable.load_state

    def noting(self: Executable, state: Mapping[str, Array]) -> None:
        if state:
            seen.append(self.plan.graph.name)
        plain(self, state)

    monkeypatch.setattr(Executable, "load_state", noting)
    return seen


def scorers() -> Scorers:
    program, choices = parse(TEXT), Choices()
    return Scorers(plain_elaboration(program, choices, base_dir=None).network, choices)


def weights(made: Scorers, seed: int = 0) -> dict[str, Array]:
    return initial_state(made.get(1).plan.graph, seed)


def images(count: int) -> Array:
    return np.random.default_rng(1).random((count, 1, 6, 6), np.float32)


def scores(made: Scorers, state: Mapping[str, Array], count: int = 2) -> Array:
    (result,) = made.with_weights(count, state).run({"input": images(count)}).values()
    return result


def test_the_same_arrays_are_loaded_once_for_each_number_of_images(loads: list[str]) -> None:
    made = scorers()
    state = frozen(weights(made))
    first = scores(made, state)
    assert len(loads) == 1
    assert scores(made, dict(state)).tobytes() == first.tobytes()
    assert len(loads) == 1
    scores(made, state, count=3)
    scores(made, state, count=2)
    assert len(loads) == 2


def test_other_arrays_are_loaded_again(loads: list[str]) -> None:
    made = scorers()
    state = frozen(weights(made))
    first = scores(made, state)
    state["conv1.bias"] = state["conv1.bias"] + np.float32(1)
    changed = scores(made, state)
    assert len(loads) == 2
    assert changed.tobytes() != first.tobytes()
    scores(made, frozen(weights(made)))
    assert len(loads) == 3


def test_what_can_be_written_to_is_loaded_each_time(loads: list[str]) -> None:
    made = scorers()
    state = weights(made)
    first = scores(made, state)
    state["conv1.bias"] += np.float32(1)
    assert scores(made, state).tobytes() != first.tobytes()
    assert len(loads) == 2


def test_a_state_that_does_not_fit_leaves_none_behind(loads: list[str]) -> None:
    made = scorers()
    state = frozen(weights(made))
    first = scores(made, state)
    wrong = state | frozen({"conv1.bias": np.zeros(9, np.float32)})
    with pytest.raises(Exception, match="E0911"):
        made.with_weights(2, wrong)
    assert scores(made, state).tobytes() == first.tobytes()


def test_threads_share_one_executable_and_get_the_same_bits(loads: list[str]) -> None:
    made = scorers()
    state = frozen(weights(made))
    alone = scores(made, state, count=4)
    found: list[bytes] = []

    def work() -> None:
        found.extend(scores(made, state, count=4).tobytes() for _ in range(20))

    threads = [threading.Thread(target=work) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(found) == {alone.tobytes()}
    assert len(found) == THREADS * 20
    assert len(loads) == 1
