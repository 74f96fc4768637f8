"""Feeds that lie on the device already: which they are, where they are read, when they may go."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any

import numpy as np

from cnndsl.backends.cuda.driver import Command, Driver, Mark, Move, Recording
from cnndsl.backends.cuda.kernel import ALIGNMENT
from cnndsl.backends.cuda.program import Program
from cnndsl.ir.graph import NodeId, Value
from cnndsl.ir.types import TensorType
from cnndsl.plan.plan import Plan
from cnndsl.runtime.feeds import misfits, unfit
from cnndsl.runtime.foreign import ON_HOST, ForeignArray, ForeignError, device_of

MOST_RECORDINGS = 8
"""Of one program, for feeds at different addresses; the one not replayed for longest goes."""

Borrowed = Mapping[str, ForeignArray]
"""Arrays of other libraries, by the input that they feed."""


def borrow(
    driver: Driver,
    inputs: Mapping[str, Any],
    expected: Mapping[str, TensorType],
    *,
    program: str,
    host: bool,
) -> dict[str, ForeignArray]:
    """Give those of `inputs` that are read where they lie; NumPy's only with `host`.

    Raises `DiagnosticError` E0910 that lists all that lie on another device or do not fit.
    """
    found: dict[str, ForeignArray] = {}
    wrong: list[str] = []
    for name, given in inputs.items():
        if name not in expected or (isinstance(given, np.ndarray) and not host):
            continue
        device = device_of(given)
        if device is None or (device[0] in ON_HOST and driver.device[0] not in ON_HOST):
            continue
        try:
            if isinstance(given, np.ndarray) and not given.flags.c_contiguous:
                continue
            array = driver.borrow(given)
        except ForeignError as why:
            wrong.append(f"{name} {why}")
            continue
        wrong += misfits(name, array.shape, array.dtype, expected[name], batched=True)
        found[name] = array
    if wrong:
        raise unfit("E0910", wrong, expected, what="input", program=program)
    return found


def place(
    program: Program, plan: Plan, borrowed: Borrowed
) -> tuple[dict[NodeId, int], list[Command]]:
    """Give the inputs that a run reads where they lie, and copies of the others to their places.

    Kernels take every address to be aligned, and joined updates have addresses in tables: an array
    that lies at another place, or that an update reads, is copied within the device.
    """
    bound: dict[NodeId, int] = {}
    copies: list[Command] = []
    for name, found in borrowed.items():
        node = NodeId(name)
        if program.bindable(node) and found.address % ALIGNMENT == 0:
            bound[node] = found.address
            continue
        nbytes = plan.slots[Value(node)].nbytes
        if nbytes:
            copies.append(Move(found.address, program.feed(name), nbytes))
    return bound, copies


class Kept:
    """What must stay until the device is done with it: arrays of others, recordings."""

    def __init__(self, driver: Driver) -> None:
        """Keep for the queue of `driver`."""
        self._driver = driver
        self._waiting: deque[tuple[Mark, object]] = deque()

    def until_now(self, things: object) -> None:
        """Keep things until all is done that is queued so far; let go of what is done."""
        self._waiting.append((self._driver.mark(), things))
        while self._waiting and self._waiting[0][0].done:
            self._waiting.popleft()

    def __len__(self) -> int:
        return len(self._waiting)


class Recordings:
    """The recordings of one program, by the addresses of the feeds that it reads elsewhere."""

    def __init__(self, driver: Driver, kept: Kept) -> None:
        """Record on `driver`; what goes is `kept` until its last replay is done."""
        self._driver = driver
        self._kept = kept
        self._known: dict[tuple[tuple[NodeId, int], ...], Recording] = {}
        self.last: Recording | None = None
        """The one replayed last."""

    def replay(self, program: Program, bound: Mapping[NodeId, int]) -> None:
        """Replay the run of a program bound to these addresses; the first time it is recorded."""
        key = tuple(sorted(bound.items()))
        found = self._known.pop(key, None)
        if found is None:
            found = self._driver.record(tuple(program.run()))
            if len(self._known) >= MOST_RECORDINGS:
                self._kept.until_now(self._known.pop(next(iter(self._known))))
        self._known[key] = self.last = found
        found.replay()

    def __len__(self) -> int:
        return len(self._known)
