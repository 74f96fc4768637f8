"""Crews of threads: each unit is done once, in the order of rows, whoever is late."""

from __future__ import annotations

import ctypes
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import numpy.typing as npt
import pytest

from cnndsl.backends.cpu import crew_code as code
from cnndsl.backends.cpu.target import host_target
from cnndsl.backends.cpu.threads import Crew
from tests.backends.cpu.machine import needs_jit

pytestmark = needs_jit

I64 = ctypes.c_int64
Work = Callable[[int, int, int, int], None]
"""What a row does, given its number, the first unit, the end unit and the thread."""


class Table:
    """A table whose kernels are functions of Python."""

    def __init__(self, rows: Sequence[tuple[int, int, int]], work: Work) -> None:
        """Make a row for each (units, threads, units at once)."""
        prototype = ctypes.CFUNCTYPE(None, ctypes.c_void_p, I64, I64, I64)
        self._kernels = []
        self.words: npt.NDArray[np.int64] = np.zeros((len(rows), code.ROW), np.int64)
        for number, (units, threads, piece) in enumerate(rows):

            def kernel(_: int, first: int, stop: int, thread: int, row: int = number) -> None:
                work(row, first, stop, thread)

            self._kernels.append(prototype(kernel))
            address = ctypes.cast(self._kernels[-1], ctypes.c_void_p).value
            assert address is not None
            pieces = -(-units // piece)
            self.words[number, :6] = (address, 0, units, threads, piece, pieces)

    def run(self, crew: Crew, *, threads: int) -> None:
        crew.run(self.words.ctypes.data, 0, len(self.words), threads=threads)


@pytest.fixture
def crew() -> Iterator[Crew]:
    found = Crew(host_target())
    yield found
    found.stop()


ROWS = [(100, 4, 1), (5, 1, 1), (33, 2, 4), (0, 1, 1), (1000, 4, 70), (3, 4, 1)]


@pytest.mark.parametrize("threads", [1, 2, 3, 4, 8])
def test_each_unit_is_done_once_and_rows_follow_one_another(crew: Crew, threads: int) -> None:
    done: list[tuple[int, int]] = []
    uninvited: list[tuple[int, int]] = []

    def work(row: int, first: int, stop: int, thread: int) -> None:
        if ROWS[row][1] > 1 and thread >= min(threads, ROWS[row][1]):
            uninvited.append((row, thread))
        done.extend((row, unit) for unit in range(first, stop))

    table = Table(ROWS, work)
    for _ in range(20):
        done.clear()
        table.run(crew, threads=threads)
        expected = [(row, unit) for row, (units, *_) in enumerate(ROWS) for unit in range(units)]
        assert sorted(done) == expected
        assert [row for row, _ in done] == [row for row, _ in expected]
    assert not uninvited


def test_who_is_late_holds_up_what_it_has_begun_and_no_more(crew: Crew) -> None:
    """One thread sleeps over its first piece; the other does all that is left."""
    counts = {0: 0, 1: 0}
    slept = threading.Event()

    def work(row: int, first: int, stop: int, thread: int) -> None:
        counts[thread] += stop - first
        if thread == 0 and not slept.is_set():
            deadline = time.monotonic() + 30
            while counts[1] < 63 and time.monotonic() < deadline:
                time.sleep(1e-3)
            slept.set()

    Table([(64, 2, 1)], work).run(crew, threads=2)
    assert counts == {0: 1, 1: 63}


def test_no_more_threads_than_a_job_allows_take_part(crew: Crew) -> None:
    """Workers of a large job are still looking for work when a small one comes."""
    seen: set[int] = set()
    Table([(64, 8, 1)], lambda row, first, stop, thread: None).run(crew, threads=8)
    small = Table([(64, 8, 1)], lambda row, first, stop, thread: seen.add(thread))
    for _ in range(20):
        small.run(crew, threads=2)
    assert seen <= {0, 1}


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="threads are pinned on Linux")
@pytest.mark.parametrize(("processors", "own"), [(2, True), (3, False), (64, False)])
def test_workers_have_a_processor_of_their_own_where_the_crew_takes_all(
    crew: Crew, monkeypatch: pytest.MonkeyPatch, processors: int, own: bool
) -> None:
    """Fewer would be the same ones in every process, whatever else is idle."""
    able, before = os.sched_getaffinity(0), set(threading.enumerate())
    monkeypatch.setattr("cnndsl.backends.cpu.threads.usable_processors", lambda: processors)
    Table([(64, 2, 1)], lambda row, first, stop, thread: time.sleep(1e-4)).run(crew, threads=2)
    (worker,) = set(threading.enumerate()) - before
    assert worker.native_id is not None
    found = os.sched_getaffinity(worker.native_id)
    assert found == ({sorted(able)[1]} if own and len(able) > 1 else able)
    assert os.sched_getaffinity(0) == able
