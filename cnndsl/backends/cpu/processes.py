"""Modules compiled by several processes: LLVM's binding holds one lock in each.

The processes are fresh ones that run `jit.py` alone, neither forked from this one nor importing its
main program. They live as long as one call, and end by themselves when this process ends. Where
none can be started, or one fails, this process compiles alone: there is no error in that.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path

from cnndsl.backends.cpu import jit
from cnndsl.backends.cpu.target import CpuTarget

SECONDS_PER_BYTE = 0.4e-6
"""What compiling a byte of text takes, roughly."""
SECONDS_PER_MODULE = 2.5e-3
"""What each module takes beside that."""
WORTH_SECONDS = 0.5
"""Work that is worth a process: several times what it takes to start."""
MOST_PROCESSES = 8
"""Most that are started: beyond, what one process does alone is longer than the rest."""

Keep = Callable[[int, bytes], None]
"""Takes the number of a module and its object code, at once, from any thread."""


def deserved_processes(texts: Sequence[str], most: int) -> int:
    """Give how many processes are worth starting beside this one, below `most`.

    >>> deserved_processes(["x" * 1000] * 10, 8), deserved_processes(["x" * 200_000] * 10, 8)
    (0, 0)
    >>> deserved_processes(["x" * 200_000] * 20, 8), deserved_processes(["x" * 200_000] * 20, 2)
    (2, 1)
    """
    total = sum(len(text) * SECONDS_PER_BYTE + SECONDS_PER_MODULE for text in texts)
    return max(0, min(most, MOST_PROCESSES, int(total / WORTH_SECONDS)) - 1)


def can_start() -> bool:
    """Tell whether a fresh interpreter can be started here.

    A daemon of `multiprocessing` must not have children; in a program that embeds Python, or is
    frozen, there is no interpreter to start.
    """
    process = sys.modules.get("multiprocessing.process")
    if process is not None and process.current_process().daemon:
        return False
    named = Path(sys.executable or "").name.lower()
    return (
        named.startswith(("python", "pypy"))
        and not getattr(sys, "frozen", False)
        and Path(jit.__file__).is_file()
    )


def compile_all(texts: Sequence[str], target: CpuTarget, *, most: int, keep: Keep) -> None:
    """Compile modules on up to `most` processes; each object is handed to `keep` when it is made.

    Raises what LLVM raises for a module that is wrong.
    """
    order = sorted(range(len(texts)), key=lambda index: -len(texts[index]))
    waiting = deque(order)
    count = deserved_processes(texts, most) if can_start() else 0
    workers: list[Worker] = []
    try:
        workers.extend(Worker(target, texts, waiting, keep) for _ in range(count))
        while waiting:
            _compile_here(texts, waiting, target, keep)
            for worker in workers:
                worker.join()
            # What a process failed at is waiting again.
    finally:
        waiting.clear()
        for worker in workers:
            worker.stop()


def _compile_here(texts: Sequence[str], waiting: deque[int], target: CpuTarget, keep: Keep) -> None:
    while True:
        try:
            index = waiting.popleft()
        except IndexError:
            return
        keep(index, jit.compile_object(texts[index], target))


class Worker:
    """A process that compiles what waits, and the thread that talks to it."""

    def __init__(
        self, target: CpuTarget, texts: Sequence[str], waiting: deque[int], keep: Keep
    ) -> None:
        """Start the process, if that is possible."""
        self._process: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(
            target=self._work, args=(target, texts, waiting, keep), daemon=True
        )
        # What this process finds, the other one must find too, and nothing of the current folder.
        paths = os.pathsep.join(path for path in sys.path if path)
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-P", str(Path(jit.__file__))],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env={**os.environ, "PYTHONPATH": paths},
            )
        except OSError:
            return
        self._thread.start()

    def _work(
        self, target: CpuTarget, texts: Sequence[str], waiting: deque[int], keep: Keep
    ) -> None:
        """Have modules compiled until none waits; what fails is put back."""
        assert self._process is not None, "it was started before this thread"
        requests, answers = self._process.stdin, self._process.stdout
        assert requests is not None, "it has pipes"
        assert answers is not None, "it has pipes"
        index: int | None = None
        try:
            if jit.read_message(answers) != jit.llvm_version().encode():
                return
            jit.write_message(requests, "\n".join(jit.Processor.of(target)).encode())
            while waiting:
                index = waiting.popleft()
                jit.write_message(requests, texts[index].encode())
                image = jit.read_message(answers)
                if image is None:
                    break
                keep(index, image)
                index = None
        except (OSError, ValueError, IndexError):
            # It has ended, or another took the last module.
            pass
        if index is not None:
            waiting.append(index)

    def join(self) -> None:
        """Wait until it has no more to do."""
        if self._thread.ident is not None:
            self._thread.join()

    def stop(self) -> None:
        """End the process at once, and wait for it: what it made was handed on."""
        if self._process is None:
            return
        self._process.kill()
        self._process.wait()
        self.join()
        for stream in (self._process.stdin, self._process.stdout):
            # What could not be written to it any more does not matter.
            with contextlib.suppress(OSError):
                if stream is not None:
                    stream.close()
