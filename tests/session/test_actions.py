"""What a program says happens at epochs: layers freeze and thaw, rates change."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from cnndsl.frontend.parse import parse
from cnndsl.session import Choices, Session, open_session
from cnndsl.support.diagnostics import DiagnosticError
from cnndsl.train.loop import RunInterruptedError, load_checkpoint
from cnndsl.train.runs import RunFolder

PROGRAM = """
input [8x8x1]
C1: conv 4 3x3, relu
F2: fc 10
softmax
freeze C1
train {
  data:      digits
  optimizer: adam(lr=1e-2)
  init:      normal 0.05
  batch:     20
  epochs:    3
  at 2: unfreeze C1, lr 1e-3
  at 3: freeze F2
}
"""


def session(text: str = PROGRAM, **choices: object) -> Session:
    return open_session(parse(text), Choices(limit=100, **choices), base_dir=None)  # type: ignore[arg-type]


@dataclass
class Countdown:
    """Says stop after so many steps."""

    left: int

    def __call__(self) -> bool:
        self.left -= 1
        return self.left <= 0


def test_layers_freeze_and_thaw_at_their_epochs() -> None:
    opened = session()
    trained = [
        [
            layer.name
            for layer in opened.network_at(epoch).layers
            if layer.parameters and layer.trainable
        ]
        for epoch in range(3)
    ]
    assert trained == [["F2"], ["C1", "F2"], ["C1"]]
    trainer = opened.trainer()
    before = trainer.state
    seen = []
    trainer._observe = lambda event: seen.append(trainer.state)
    trainer.fit()
    ends = [seen[i] for i in range(len(seen)) if (i + 1) % 6 == 0]
    moved = [
        {n for n in ("C1.weight", "F2.weight") if not np.array_equal(first[n], second[n])}
        for first, second in zip([before, *ends], ends, strict=False)
    ]
    assert moved == [{"F2.weight"}, {"C1.weight", "F2.weight"}, {"C1.weight"}]
    assert [row["lr"] for row in trainer.progress.rows] == [1e-2, 1e-3, 1e-3]


def test_a_run_with_actions_resumes_bit_for_bit(tmp_path: Path) -> None:
    whole = session().trainer()
    whole.fit()
    for stop_after in (4, 5, 7, 10, 12):
        folder = RunFolder.claim(tmp_path, "actions")
        first = session().trainer(folder=folder, stop=Countdown(stop_after))
        with pytest.raises(RunInterruptedError):
            first.fit()
        state, progress = load_checkpoint(folder)
        again = session().trainer(state=state, progress=progress)
        again.fit()
        assert set(again.state) == set(whole.state)
        for name, array in whole.state.items():
            np.testing.assert_array_equal(again.state[name], array)


def test_the_start_that_train_says_holds_for_layers_that_say_none() -> None:
    state = session().first_state()
    assert 0.04 < state["F2.weight"].std() < 0.06
    text = PROGRAM.replace("F2: fc 10", "F2: fc 10 init zeros")
    state = session(text).first_state()
    assert not state["F2.weight"].any()
    assert state["C1.weight"].any()


def test_a_start_that_there_is_not_is_refused() -> None:
    with pytest.raises(DiagnosticError, match="no start called `nromal`") as refused:
        session(PROGRAM.replace("normal 0.05", "nromal"))
    assert "12 |   init:      nromal" in str(refused.value).replace("10 |", "12 |")


def test_the_steps_of_a_program_become_epochs() -> None:
    opened = session(PROGRAM.replace("epochs:    3", "steps: 13"))
    assert opened.settings.epochs == 3  # 100 images make 5 batches of 20
    assert "13 steps are 3 epochs of 5" in opened.notes


def test_wrong_settings_point_into_the_program() -> None:
    for wrong, message in [
        ("adm(lr=1e-2)", "no optimizer called `adm`"),
        ("adam(l=1e-2)", "has no option `l`"),
        ("adam(lr=true)", "cannot be True"),
    ]:
        with pytest.raises(DiagnosticError, match=message.replace("(", r"\(")) as refused:
            session(PROGRAM.replace("adam(lr=1e-2)", wrong))
        assert f"  optimizer: {wrong}" in str(refused.value)
