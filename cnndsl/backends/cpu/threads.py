"""Worker threads: started once, asleep between runs, in step with the caller during one."""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import os
import sys
import threading
from typing import ClassVar

import numpy as np

from cnndsl.backends.cpu import crew_code as code
from cnndsl.backends.cpu.compile import images
from cnndsl.backends.cpu.jit import Library
from cnndsl.backends.cpu.objects import ObjectStore
from cnndsl.backends.cpu.target import CpuTarget, host_target

MOST_THREADS = 256
"""Most threads of a crew."""

_I64 = ctypes.c_int64
_POINTER = ctypes.c_void_p


def usable_processors() -> int:
    """Give how many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class Crew:
    """The threads of this process that run programs; one job at a time.

    Whoever comes while the crew is busy runs alone: the result is the same to the bit, and there
    are never more busy threads than callers and workers.
    """

    _shared: ClassVar[dict[int, Crew]] = {}
    """The crew of this process, by its number: a forked child makes its own."""
    _making: ClassVar[threading.Lock] = threading.Lock()

    @classmethod
    def shared(cls, store: ObjectStore | None = None) -> Crew:
        """Give this process's crew; whoever asks first may have a `store` of compiled code."""
        here = os.getpid()
        known = cls._shared.get(here)
        if known is not None:  # the usual case: a run may take no longer than a lock
            return known
        with cls._making:
            if here not in cls._shared:
                cls._shared[here] = cls(host_target(), store)
                atexit.register(cls._shared[here].stop)
            return cls._shared[here]

    @classmethod
    def forget(cls) -> None:
        """Begin anew in a forked child, which has none of the workers, and locks in any state."""
        cls._shared, cls._making = {}, threading.Lock()

    def __init__(self, target: CpuTarget, store: ObjectStore | None = None) -> None:
        """Make a crew without workers; they are started when a job first needs them.

        Its code is taken from the store if it is there.
        """
        self._process = os.getpid()
        names = (code.EXECUTE, code.LEAD, code.SERVE)
        self._library = Library(images([str(code.crew_module(target))], target, store), names)
        function = self._library.address
        self._execute = ctypes.CFUNCTYPE(None, _POINTER, _I64, _I64)(function(code.EXECUTE))
        self._lead = ctypes.CFUNCTYPE(None, _POINTER, _POINTER, _I64, _I64, _I64, _I64)(
            function(code.LEAD)
        )
        self._serve = ctypes.CFUNCTYPE(None, _POINTER, _I64)(function(code.SERVE))
        words = np.zeros(code.RANGES + code.LINE * (MOST_THREADS + 1), np.int64)
        self._job = words[-(words.ctypes.data // 8) % code.LINE :]
        self._place = self._job.ctypes.data
        self._job[code.REST] = _rest_address()
        self._busy = threading.Lock()
        self._wake = threading.Condition(threading.Lock())
        self._asleep = 0
        self._number = 0
        self._workers: list[threading.Thread] = []
        self._taken: set[int] = set()

    def run(self, table: int, begin: int, end: int, *, threads: int) -> None:
        """Run rows [begin, end) of the table at an address with up to `threads` threads."""
        alone = threads <= 1 or end > code.MOST_ROWS
        if alone or not self._busy.acquire(blocking=False):
            self._execute(table, begin, end)
            return
        try:
            if len(self._workers) < threads - 1:
                self._start(threads - 1)
            self._make_way()
            self._number += 1
            if self._asleep:
                with self._wake:
                    self._wake.notify_all()
            self._lead(self._place, table, begin, end, threads, self._number)
        finally:
            self._busy.release()

    def _start(self, workers: int) -> None:
        """See to it that there are so many workers.

        Those of a crew that takes all processors get one each. Fewer are left to the system: crews
        of several processes would settle on the same ones, and leave the others idle.
        """
        settled = workers + 1 >= usable_processors()
        while len(self._workers) < workers:
            index = len(self._workers) + 1
            thread = threading.Thread(
                target=self._work,
                args=(index,),
                kwargs={"settled": settled},
                name=f"cnndsl-{index}",
                daemon=True,
            )
            self._workers.append(thread)
            thread.start()

    def _make_way(self) -> None:
        """Leave a processor that belongs to a worker, if there is one that does not."""
        if not self._taken or _processor() not in self._taken:
            return
        able = os.sched_getaffinity(0)
        if able - self._taken:
            with contextlib.suppress(OSError):
                os.sched_setaffinity(0, able - self._taken)
                os.sched_setaffinity(0, able)

    def _settle(self, index: int) -> None:
        """Give a worker a processor of its own, if there is one for each thread so far.

        Systems that balance what runs on each processor leave two threads of a crew on one of them
        for a long time when other programs keep the others busy.
        """
        if hasattr(os, "sched_setaffinity"):
            able = sorted(os.sched_getaffinity(0))
            if index < len(able):
                with contextlib.suppress(OSError):
                    os.sched_setaffinity(0, {able[index]})
                    self._taken.add(able[index])

    def _work(self, index: int, *, settled: bool) -> None:
        """Serve jobs; sleep when none come."""
        if settled:
            self._settle(index)
        while not self._job[code.STOP]:
            seen = self._number
            self._serve(self._place, index)
            with self._wake:
                self._asleep += 1
                # A job that came meanwhile may not have been seen while it lasted.
                while self._number == seen and not self._job[code.STOP]:
                    self._wake.wait()
                self._asleep -= 1

    def stop(self) -> None:
        """End the workers and wait for them."""
        if self._process != os.getpid():
            return  # They belong to the process that this one was forked from.
        with self._busy:
            self._job[code.STOP] = 1
            with self._wake:
                self._wake.notify_all()
            for thread in self._workers:
                thread.join()
            self._workers.clear()
            self._taken.clear()
            self._job[code.STOP] = 0


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=Crew.forget)


def _processor() -> int:
    """Give the number of the processor that runs the caller, or -1."""
    return int(_SCHED_GETCPU()) if _SCHED_GETCPU is not None else -1


_SCHED_GETCPU = (
    ctypes.CFUNCTYPE(ctypes.c_int)(("sched_getcpu", ctypes.CDLL(None)))
    if sys.platform == "linux"
    else None
)


def _rest_address() -> int:
    """Give the address of the system's `usleep`, or of what stands for it."""
    if sys.platform == "win32":
        function = ctypes.WinDLL("kernel32").SwitchToThread
    else:
        function = ctypes.CDLL(None).usleep
    address = ctypes.cast(function, _POINTER).value
    assert address is not None, "every system lets threads rest"
    return address
