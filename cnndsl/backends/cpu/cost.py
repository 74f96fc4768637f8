"""How long a phase takes, roughly, and how many threads it deserves."""

from __future__ import annotations

from collections.abc import Iterable

from cnndsl.backends.cpu.kernel import Phase

FLOPS_PER_NS = 60.0
"""What one thread computes."""
BYTES_PER_NS = 12.0
"""What one thread moves, between the cache and memory."""
NS_PER_THREAD = 3_000.0
"""Work that is worth one more thread: several times what opening a phase to others takes."""

NS_AT_ONCE = 2_000.0
"""Work that is taken at once, if units are smaller: many times what taking it costs."""
MOST_TAKEN = 32
"""How often a thread takes work of a phase, at most, if nobody helps it."""

LEAST_PROGRAM = 27
"""Times the work that is worth a thread: what a program must have that is worth any. Workers that
sleep take far longer to wake than a phase takes to be opened, and help with the end of it alone.
"""


def nanoseconds(phase: Phase) -> float:
    """Estimate the time of a phase on one thread."""
    return max(phase.flops / FLOPS_PER_NS, phase.nbytes / BYTES_PER_NS)


def deserved_threads(phase: Phase, most: int) -> int:
    """Give the number of threads, from 1 to `most`, that share a phase.

    >>> deserved_threads(Phase("x", 100, 1e9, 0, False), 8)
    8
    >>> deserved_threads(Phase("x", 3, 1e9, 0, False), 8)
    3
    >>> deserved_threads(Phase("x", 100, 1e3, 0, False), 8)
    1
    """
    return max(1, min(most, phase.units, int(nanoseconds(phase) / NS_PER_THREAD)))


def deserved_crew(phases: Iterable[Phase], most: int) -> int:
    """Give the number of threads that a program of such phases may use: 1, or `most`.

    >>> deserved_crew([Phase("x", 100, 1e6, 0, False)] * 2, 8)
    1
    >>> deserved_crew([Phase("x", 100, 1e6, 0, False)] * 6, 8)
    8
    """
    total = sum(nanoseconds(phase) for phase in phases)
    return most if total >= LEAST_PROGRAM * NS_PER_THREAD else 1


def units_at_once(phase: Phase, crew: int) -> int:
    """Give how many units a thread of a crew takes at once: all threads take it equally often.

    >>> units_at_once(Phase("x", 1000, 1e9, 0, False), 2)
    16
    >>> units_at_once(Phase("x", 40, 1e9, 0, False), 2)
    1
    >>> units_at_once(Phase("x", 1000, 60e3 * 16, 0, False), 2)
    125
    >>> units_at_once(Phase("x", 28, 60e3 * 6, 0, False), 2)
    7
    """
    rounds = max(1, -(-int(nanoseconds(phase) / NS_AT_ONCE) // crew))
    return max(1, -(-phase.units // (crew * min(MOST_TAKEN, rounds))))
