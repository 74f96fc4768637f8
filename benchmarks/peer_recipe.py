"""What the peers' processes share: the network as it was written down, and how runs are timed."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

RATE, MOMENTUM = 0.001, 0.9
"""Of the training step; so small that losses of two steps differ by little but rounding."""
Ways = dict[str, Callable[[], Callable[[], Any]]]
"""Name to what builds the network in one way and gives what runs it once."""


def timed(once: Callable[[], object], seconds: float) -> tuple[float, float]:
    """Run until `seconds` have passed; the median and the fastest of the runs."""
    times: list[float] = []
    begin = time.perf_counter()
    while not times or time.perf_counter() - begin < seconds:
        since = time.perf_counter()
        once()
        times.append(time.perf_counter() - since)
    return median(times), min(times)


def peak_bytes() -> int:
    """Give the most memory that this process has had; Linux alone tells it.

    The system's account of a process's resources begins with what its parent had.
    """
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("this system does not tell how much memory a process has had")


class Recipe:
    """A network as it was written down."""

    def __init__(self, folder: Path) -> None:
        found = json.loads((folder / "recipe.json").read_text())
        self.steps, self.input, self.scores = found["steps"], found["input"], found["scores"]
        self.size, self.has_dropout = found["size"], found["has_dropout"]
        with np.load(folder / "weights.npz") as arrays:
            self.weights = {name: arrays[name] for name in arrays.files}
        if (folder / "statistics.npz").exists():
            with np.load(folder / "statistics.npz") as arrays:
                self.weights.update({name: arrays[name] for name in arrays.files})
