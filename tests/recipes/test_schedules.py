"""Schedules at the points where their formulas are easy."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnndsl.recipes.schedules import (
    SCHEDULES,
    Constant,
    Cosine,
    Linear,
    Plateau,
    Position,
    Schedule,
    Step,
    Steps,
)


def at(epoch: int, step: int = 0, losses: tuple[float, ...] = ()) -> Position:
    return Position(epoch, step, steps_per_epoch=10, epochs=20, losses=losses)


@pytest.mark.parametrize(
    ("schedule", "position", "rate"),
    [
        (Constant(), at(7), 1.0),
        (Step(every=5, by=0.5), at(4), 1.0),
        (Step(every=5, by=0.5), at(5), 0.5),
        (Step(every=5, by=0.5), at(14), 0.25),
        (Steps(((0, 0.3), (5, 0.2))), at(4), 0.3),
        (Steps(((5, 0.2),)), at(4), 1.0),
        (Steps(((5, 0.2),)), at(5), 0.2),
        (Cosine(), at(0), 1.0),
        (Cosine(), at(10), 0.5),
        (Cosine(), at(20), 0.0),
        (Cosine(to=0.1), at(20), 0.1),
        (Cosine(warmup=1), at(0), 0.1),
        (Cosine(warmup=1), at(0, 9), 1.0),
        (Linear(), at(0), 1.0),
        (Linear(), at(5), 0.75),
        (Linear(start=10, end=20), at(10), 1.0),
        (Linear(start=10, end=20), at(15), 0.5),
        (Linear(start=10, end=20, floor=0.2), at(20), 0.2),
        (Plateau(patience=2), at(3, losses=(3.0, 2.0, 1.0)), 1.0),
        (Plateau(patience=2), at(3, losses=(1.0, 2.0, 1.0)), 0.1),
        (Plateau(patience=2, by=0.5), at(5, losses=(1.0, 2.0, 1.0, 1.0, 1.0)), 0.25),
        (Plateau(patience=2), at(4, losses=(1.0, 2.0, 0.5, 0.6)), 1.0),
    ],
)
def test_rates(schedule: Schedule, position: Position, rate: float) -> None:
    assert schedule.rate(1.0, position) == pytest.approx(rate, abs=1e-12)


@given(st.sampled_from(sorted(SCHEDULES)), st.integers(0, 19), st.integers(0, 9))
def test_rates_scale_with_the_base_rate_and_never_exceed_it(name: str, epoch: int, k: int) -> None:
    schedule = SCHEDULES[name]()
    rate = schedule.rate(2.0, at(epoch, k, losses=(1.0,) * epoch))
    assert 0.0 <= rate <= 2.0
    assert rate == pytest.approx(2 * schedule.rate(1.0, at(epoch, k, losses=(1.0,) * epoch)))
