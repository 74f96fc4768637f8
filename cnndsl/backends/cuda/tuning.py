"""The ways of a step, timed on the device; none is taken whose result is not our own kernel's.

Each way is recorded as many launches over buffers that are together larger than the device's
cache, so that one run does not find there what the last one left. Ways take turns, so that what
slows the device for a while slows all of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import ceil, sqrt
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np

from cnndsl.backends.base import Measurement
from cnndsl.backends.cuda.choices import OWN, Choice, Choices, question
from cnndsl.backends.cuda.driver import Command, Driver, Fill, Recording, Stretch
from cnndsl.backends.cuda.halves import from_halves, to_halves
from cnndsl.backends.cuda.kernel import ALIGNMENT, Argument, Kernel, Key, Place
from cnndsl.backends.cuda.program import POISON, bind, key_of, launches_of, write_kernel
from cnndsl.backends.cuda.providers.base import Provider, Rules, Way
from cnndsl.backends.cuda.providers.problem import convolution_of, product_of
from cnndsl.ir.types import TensorType
from cnndsl.ops.rules import Array
from cnndsl.plan.plan import Plan, Step
from cnndsl.support.diagnostics import BackendError

RUNS = 20
"""Launches of a recording."""
ROUNDS = 5
"""How often each recording is replayed."""
MOST_COPIES = 32
"""Of the buffers."""
NOISE = 1.02
"""Times this much are the same time."""
UNITS = {"fp32": 2.0**-24, "tf32": 2.0**-11, "bf16": 2.0**-8, "fp16": 2.0**-11}
"""Half a unit in the last place of a factor, by precision."""
SLACK = 16.0
"""Two sums of K products differ by about u sqrt(K) of the largest; so many times that is refused.

A wrong index or a factor left out makes differences near 1.
"""


def depth_of(key: Key, rules: Rules) -> int:
    """Give the length of a step's sums."""
    told: dict[str, Any] = {"rounded": rules.rounded, "half": rules.policy.half}
    found = convolution_of(key, **told) or product_of(key, **told)
    assert found is not None, "libraries have ways for these alone"
    return found.depth


def bound_of(key: Key, rules: Rules) -> float:
    """Give the largest difference from our own kernel's result that rounding explains."""
    return SLACK * UNITS[rules.policy.precision] * sqrt(depth_of(key, rules))


class Trial:
    """Memory for one step on a device, several times over, with random numbers for operands."""

    def __init__(
        self, driver: Driver, key: Key, kernels: Sequence[Kernel], half: str | None = None
    ) -> None:
        """Take the memory and fill the operands; raises `BackendError` where there is not enough.

        Scratch and reports are there once. `half` is the type of what has two bytes an element.
        """
        self._driver = driver
        self._key = key
        self._half = half or ""
        self._places: list[int] = []
        top = 0
        places = [(Place.OPERAND, i) for i in range(len(key.operands))]
        for place, index in (*places, (Place.RESULT, 0)):
            self._places.append(top)
            top += -(-max(key.nbytes(place, index), 1) // ALIGNMENT) * ALIGNMENT
        self._one = top
        wished = ceil(2 * driver.cache_bytes / top)
        self._copies = max(1, min(wished, MOST_COPIES, RUNS))
        self._scratch = top * self._copies
        own = max(kernel.scratch_bytes for kernel in kernels)
        self._base = driver.allocate(self._scratch + own + ALIGNMENT)
        self._report = self._scratch + own
        rng = np.random.default_rng(0)
        for copy in range(self._copies):
            for index, kind in enumerate(key.operands):
                array = _random(kind, rng)
                if key.is_half(Place.OPERAND, index):
                    array = to_halves(array, self._half)
                driver.write(self._base + copy * top + self._places[index], array)

    def close(self) -> None:
        """Give the memory back."""
        self._driver.release(self._base)

    def commands(self, kernel: Kernel, copy: int) -> list[Command]:
        """Give a kernel's commands on one copy of the memory."""
        return [
            bind(part, tuple(self._stretch(a, copy) for a in part.arguments))
            for part in kernel.launches
        ]

    def _stretch(self, argument: Argument, copy: int) -> Stretch:
        first = self._base + copy * self._one
        match argument.place:
            case Place.OPERAND:
                address = first + self._places[argument.index]
            case Place.RESULT:
                address = first + self._places[len(self._key.operands) + argument.index]
            case Place.SCRATCH:
                address = self._base + self._scratch + argument.index
            case Place.REPORT:
                address = self._base + self._report
        return Stretch(address, argument.nbytes, argument.access)

    def result(self, kernel: Kernel) -> Array:
        """Run a kernel once on memory full of NaN, and give its result."""
        kind = self._key.results[0]
        address = self._base + self._places[len(self._key.operands)]
        fill = Fill(address, self._key.nbytes(Place.RESULT, 0), POISON)
        self._driver.do([fill, *self.commands(kernel, 0)])
        halved = self._key.is_half(Place.RESULT, 0)
        array = np.empty(kind.shape, np.uint16 if halved else kind.dtype.numpy)
        self._driver.read(address, array)
        return from_halves(array, self._half) if halved else array

    def record(self, kernel: Kernel) -> Recording:
        """Record many runs of a kernel, each on the next copy of the memory."""
        found: list[Command] = []
        for run in range(RUNS):
            found += self.commands(kernel, run % self._copies)
        return self._driver.record(found)

    def seconds(self, recording: Recording) -> float:
        """Replay a recording and give the seconds of one run."""
        word = np.empty(1, np.uint8)
        begin = perf_counter()
        recording.replay()
        self._driver.read(self._base, word)
        return (perf_counter() - begin) / RUNS


def _random(kind: TensorType, rng: np.random.Generator) -> Array:
    return rng.standard_normal(kind.shape).astype(kind.dtype.numpy)


@dataclass(frozen=True, slots=True)
class Timed:
    """The ways of a step that are right, with their times, and the others with what is wrong."""

    seconds: Mapping[str, tuple[float, ...]]
    """Way to its times."""
    refused: Mapping[str, str]
    """Way to words."""

    def choice(self) -> Choice:
        """Give the fastest; our own kernel where it is as fast, but for noise."""
        medians = {name: median(times) for name, times in self.seconds.items()}
        best = min(medians, key=medians.__getitem__)
        if medians[OWN] <= NOISE * medians[best]:
            best = OWN
        times = self.seconds[best]
        return Choice(best, medians[best], max(times) - min(times), medians[OWN])


def measure(
    driver: Driver,
    key: Key,
    own: Kernel,
    ways: Sequence[Way],
    *,
    bound: float,
    half: str | None = None,
) -> Timed:
    """Hold each way to our own kernel, and time those that give the same."""
    trial = Trial(driver, key, [own, *(way.kernel for way in ways)], half)
    try:
        driver.load(launches_of([own, *(way.kernel for way in ways)]))
        wanted = trial.result(own)
        recordings, refused = {OWN: trial.record(own)}, {}
        for way in ways:
            fault = _fault(trial, way, wanted, bound)
            if fault is not None:
                refused[way.name] = fault
                continue
            try:
                recordings[way.name] = trial.record(way.kernel)
            except BackendError as error:
                refused[way.name] = str(error)
        for recording in recordings.values():
            trial.seconds(recording)
        times: dict[str, list[float]] = {name: [] for name in recordings}
        for _ in range(ROUNDS):
            for name, recording in recordings.items():
                times[name].append(trial.seconds(recording))
        return Timed({name: tuple(found) for name, found in times.items()}, refused)
    finally:
        trial.close()


def _fault(trial: Trial, way: Way, wanted: Array, bound: float) -> str | None:
    """Say what is wrong with a way, or nothing if it gives what our own kernel gives."""
    try:
        found = trial.result(way.kernel)
    except BackendError as error:
        return str(error)
    lost = int(np.count_nonzero(~np.isfinite(found)))
    if lost:
        return f"{lost:,} of {found.size:,} numbers are none"
    scale = float(np.max(np.abs(wanted))) or 1.0
    gap = float(np.max(np.abs(found - wanted))) / scale
    if gap <= bound:
        return None
    return f"it differs from our own kernel by {gap:.2g} of the largest; {bound:.2g} is rounding"


def tune(
    plan: Plan, driver: Driver, libraries: Sequence[Provider], rules: Rules, choices: Choices
) -> Iterator[Measurement]:
    """Time the ways of every step of a plan that libraries have ways for; keep the fastest."""
    groups: dict[Key, list[Step]] = {}
    for step in (*plan.prepare, *plan.steps):
        groups.setdefault(key_of(step), []).append(step)
    for key, steps in groups.items():
        ways = [way for library in libraries for way in library.ways(key, rules)]
        if not ways:
            continue
        own = write_kernel(steps[0], key, rules.policy)
        asked = question(key, rules)
        bound, half = bound_of(key, rules), rules.policy.half
        timed = measure(driver, key, own, ways, bound=bound, half=half)
        choice = timed.choice()
        choices.put(asked, choice)
        yield Measurement(
            tuple(step.node.id for step in steps),
            key.op.name,
            asked,
            {name: median(times) for name, times in timed.seconds.items()},
            OWN,
            choice.way,
            timed.refused,
        )
