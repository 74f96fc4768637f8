"""The result of a search as a picture: accuracy against parameters."""

from __future__ import annotations

import math
from collections.abc import Sequence

from cnndsl.draw.svg import QUIET, Canvas, move, straight
from cnndsl.search.trial import Trial, front

WIDTH, HEIGHT = 640.0, 420.0
"""Of the picture."""
LEFT, RIGHT, TOP, BOTTOM = 64.0, 28.0, 64.0, 52.0
"""Margins."""
BEST, OTHER = "#2f6ea5", "#a9c9e6"
"""Colours of those that no other beats, and of the rest."""


def plot(trials: Sequence[Trial], *, title: str) -> str:
    """Draw trials as points: parameters to the right, by tens; accuracy upwards.

    Those that no other beats are joined by a line and carry their numbers.
    """
    shown = [trial for trial in trials if trial.accuracy is not None]
    canvas = Canvas()
    canvas.text(WIDTH / 2, 22, title, size=13, bold=True)
    if not shown:
        canvas.text(WIDTH / 2, HEIGHT / 2, "no variant was trained", size=12, fill=QUIET)
        return canvas.document(WIDTH, HEIGHT, title=title, desc="Nothing to show.")
    low, high = _decades([trial.params for trial in shown])
    floor = math.floor(10 * min(trial.accuracy or 0.0 for trial in shown)) / 10
    floor = min(floor, 0.9)

    def place(params: float, accuracy: float) -> tuple[float, float]:
        across = (math.log10(max(params, 1)) - low) / (high - low)
        upwards = (accuracy - floor) / (1 - floor)
        return (
            LEFT + across * (WIDTH - LEFT - RIGHT),
            HEIGHT - BOTTOM - upwards * (HEIGHT - TOP - BOTTOM),
        )

    for decade in range(low, high + 1):
        x, _ = place(10**decade, floor)
        canvas.path(move(x, TOP) + straight(x, HEIGHT - BOTTOM), stroke="#e4e8ec")
        canvas.text(x, HEIGHT - BOTTOM + 16, _short(10**decade), size=10, fill=QUIET)
    for tenth in range(round(floor * 10), 11):
        _, y = place(1, tenth / 10)
        canvas.path(move(LEFT, y) + straight(WIDTH - RIGHT, y), stroke="#e4e8ec")
        canvas.text(LEFT - 8, y + 3.5, f"{10 * tenth} %", size=10, fill=QUIET, anchor="end")
    canvas.text(WIDTH / 2, HEIGHT - 14, "parameters", size=11)
    canvas.text(16, TOP - 20, "validation accuracy", size=11, anchor="start")
    best = front(shown)
    line = sorted(place(t.params, t.accuracy or 0.0) for t in shown if t.number in best)
    canvas.path(
        "".join(straight(*p) if i else move(*p) for i, p in enumerate(line)), stroke=BEST, line=1.2
    )
    for trial in sorted(shown, key=lambda t: t.number in best):
        x, y = place(trial.params, trial.accuracy or 0.0)
        mine = trial.number in best
        words = " ".join(f"{name}={value}" for name, value in trial.settings.items())
        about = (
            f"{trial.number}: {100 * (trial.accuracy or 0.0):.2f} %\n{trial.params:,} parameters"
        )
        with canvas.group(f"{about}\n{words}"):
            canvas.rect(x - 4, y - 4, 8, 8, radius=4, fill=BEST if mine else OTHER)
            if mine:
                canvas.text(x, y - 8, str(trial.number), size=10, bold=True)
    return canvas.document(
        WIDTH, HEIGHT, title=title, desc=f"Accuracy of {len(shown)} variants against their size."
    )


def _decades(values: Sequence[int]) -> tuple[int, int]:
    """Give the powers of ten around some numbers."""
    logs = [math.log10(max(value, 1)) for value in values]
    low = math.floor(min(logs))
    return low, max(math.ceil(max(logs)), low + 1)


def _short(number: int) -> str:
    """Write a power of ten short.

    >>> _short(100), _short(10_000), _short(10**6)
    ('100', '10k', '1M')
    """
    for unit, size in (("G", 10**9), ("M", 10**6), ("k", 10**3)):
        if number >= size:
            return f"{number // size}{unit}"
    return str(number)
