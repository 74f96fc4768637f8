"""What is assumed of caches and memory: sizes, and bytes a cycle of one core."""

from __future__ import annotations

OWN_SIZE = 512 << 10
"""Bytes of weights that may stay in a core's own cache."""
SHARED_SIZE = 16 << 20
"""Bytes of weights that may stay in the cache that all cores share."""
SHARED_BYTES = 20.0
"""Bytes a cycle from the shared cache."""
MEMORY_BYTES = 10.0
"""Bytes a cycle from memory."""


def reading_cycles(nbytes: float) -> float:
    """Give the cycles of reading weights that no core's own cache holds.

    >>> reading_cycles(SHARED_SIZE), reading_cycles(2 * SHARED_SIZE)
    (838860.8, 3355443.2)
    """
    return nbytes / (SHARED_BYTES if nbytes <= SHARED_SIZE else MEMORY_BYTES)
