"""Python's collector of circular garbage, paused while large trees are built."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def paused_collector() -> Iterator[None]:
    """Pause the collector: it would walk a growing tree again and again, and find nothing.

    Reading 100,000 words and signs takes half the time without it. What is bounded by `Limits`
    may be built so; whoever has switched the collector off finds it off afterwards.
    """
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
