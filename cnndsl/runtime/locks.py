"""A lock that many readers share and one writer holds alone."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager


class SharedLock:
    """Many may hold it shared, or one alone; one who waits to be alone lets no newcomer in."""

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._free = threading.Condition(self._mutex)
        self._sharing = 0
        self._alone = False
        self._waiting = 0
        self._holding = _Shared(self)

    def shared(self) -> AbstractContextManager[None]:
        """Hold the lock together with others."""
        return self._holding

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Hold the lock with nobody else."""
        with self._mutex:
            self._waiting += 1
            try:
                while self._alone or self._sharing:
                    self._free.wait()
            finally:
                self._waiting -= 1
                self._free.notify_all()
            self._alone = True
        try:
            yield
        finally:
            with self._mutex:
                self._alone = False
                self._free.notify_all()


class _Shared:
    """Holding a lock together with others; knows nothing of who holds it, so one serves all.

    Written out, for a run of a small network takes but ten times as long as a generator's manager.
    """

    __slots__ = ("_lock",)

    def __init__(self, lock: SharedLock) -> None:
        self._lock = lock

    def __enter__(self) -> None:
        lock = self._lock
        with lock._mutex:
            while lock._alone or lock._waiting:
                lock._free.wait()
            lock._sharing += 1

    def __exit__(self, *_: object) -> None:
        lock = self._lock
        with lock._mutex:
            lock._sharing -= 1
            if not lock._sharing and lock._waiting:
                lock._free.notify_all()
