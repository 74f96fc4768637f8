"""A lock that many readers share and one writer holds alone."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class SharedLock:
    """Many may hold it shared, or one alone; one who waits to be alone lets no newcomer in."""

    def __init__(self) -> None:
        self._free = threading.Condition(threading.Lock())
        self._sharing = 0
        self._alone = False
        self._waiting = 0

    @contextmanager
    def shared(self) -> Iterator[None]:
        """Hold the lock together with others."""
        with self._free:
            while self._alone or self._waiting:
                self._free.wait()
            self._sharing += 1
        try:
            yield
        finally:
            with self._free:
                self._sharing -= 1
                if not self._sharing:
                    self._free.notify_all()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Hold the lock with nobody else."""
        with self._free:
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
            with self._free:
                self._alone = False
                self._free.notify_all()
