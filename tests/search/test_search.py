from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cnndsl.search.folder import SearchFolder
from cnndsl.search.search import Plan
from cnndsl.support.diagnostics import DiagnosticError, StoppedError
from cnndsl.train.checkpoint import load_state
from tests.search.searches import claimed, made, stopping


def test_random(tmp_path: Path) -> None:
    folder, trials = claimed(made(Plan(3, epochs=1)), tmp_path)
    assert sorted(t.number for t in trials) == [1, 2, 3]
    assert len({tuple(t.settings.items()) for t in trials}) == 3
    assert all(t.epochs == 1 and t.accuracy is not None for t in trials)
    assert [t.test is not None for t in trials] == [True, False, False]
    assert folder.read() == sorted(trials, key=lambda t: t.number)
    for trial in trials:
        assert folder.run(trial.number).best.exists()
        record = json.loads(folder.run(trial.number).resolved.read_text())
        assert record["choices"]["params"] == dict(trial.settings)


def test_small_families_are_tried_as_a_whole(tmp_path: Path) -> None:
    search = made(Plan(50, epochs=1))
    candidates = search.candidates()
    assert len(candidates) == 8
    assert search.rejected == 0
    assert len(made(Plan(50), c=3).candidates()) == 2


def test_halving_keeps_the_better_half(tmp_path: Path) -> None:
    _, trials = claimed(made(Plan(4, "halving", epochs=4)), tmp_path)
    assert sorted(t.epochs for t in trials) == [1, 1, 2, 4]
    once = {t.number: t for t in claimed(made(Plan(4, epochs=1)), tmp_path)[1]}
    order = sorted(once, key=lambda n: (-(once[n].accuracy or 0), once[n].params, once[n].macs, n))
    assert {t.number for t in trials if t.epochs > 1} == set(order[:2])


def test_same_seed_same_result(tmp_path: Path) -> None:
    plan = Plan(3, "halving", epochs=2, seed=7)
    (one, first), (two, second) = (claimed(made(plan), tmp_path) for _ in range(2))
    assert first == second
    assert one.path != two.path
    other = made(replace(plan, seed=8)).candidates()
    drawn = [tuple(c.settings.items()) for c in other]
    assert drawn != [tuple(c.settings.items()) for c in made(plan).candidates()]


@pytest.mark.parametrize("after", [1, 3, 6, 11])
def test_a_search_that_was_stopped_goes_on_bit_for_bit(tmp_path: Path, after: int) -> None:
    plan = Plan(3, "halving", epochs=2)
    whole, expected = claimed(made(plan), tmp_path)
    search = made(plan)
    candidates = search.candidates()
    search.stop = stopping(after)
    folder = SearchFolder.claim(tmp_path, "tiny", program="", record=search.record(candidates))
    with pytest.raises(StoppedError):
        search.run(folder, candidates)
    again = made(plan)
    assert again.run(folder, again.candidates()) == expected
    for number in (1, 2, 3):
        one, _ = load_state(whole.run(number).best)
        two, _ = load_state(folder.run(number).best)
        assert all(np.array_equal(one[name], two[name]) for name in one)


def test_limits(tmp_path: Path) -> None:
    search = made(Plan(50, max_params=200))
    candidates = search.candidates()
    assert [c.settings["c"] for c in candidates] == ["1", "1"]
    assert search.rejected == 6
    assert len(made(Plan(50, max_macs=10**9)).candidates()) == 8


def test_what_does_not_fit_is_left_out() -> None:
    text = "param f in [3, 9, 11]\ninput [8x8x1]\nconv(2, f) - fc 10 - softmax\n"
    search = made(Plan(5), text=text.replace("conv(2, f)", "conv(2, 3x3, stride=f, floor=true)"))
    assert len(search.candidates()) == 3
    with pytest.raises(DiagnosticError) as none:
        made(Plan(5), text="param c in [3, 4]\ninput [8x8x1]\nfc c - softmax\n").candidates()
    assert none.value.diagnostics[0].code == "E0925"
    assert "10 classes" in str(none.value)


def test_a_loss_that_is_no_number_is_ranked_last(tmp_path: Path) -> None:
    text = "param c in [1, 2]\ninput [8x8x1]\nfc(c * 5) - relu - fc 10 - softmax\n"
    text += "train {\n  optimizer: sgd(lr=1e15)\n}\n"
    _, trials = claimed(made(Plan(2, epochs=2), text=text), tmp_path)
    assert trials[-1].accuracy is None
    assert trials[-1].test is None
    assert (trials[0].test is None) == (trials[0].accuracy is None)
