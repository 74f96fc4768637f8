"""Limits: every one is there, positive, and can be replaced."""

from __future__ import annotations

from dataclasses import astuple, replace

from cnndsl.support.limits import DEFAULT_LIMITS, Limits, Watch


def test_defaults_are_positive() -> None:
    assert Limits() == DEFAULT_LIMITS
    said = [limit for limit in astuple(DEFAULT_LIMITS) if limit is not None]
    assert all(isinstance(limit, int) and limit > 0 for limit in said)
    assert (DEFAULT_LIMITS.seconds, DEFAULT_LIMITS.memory_bytes) == (None, None)


def test_a_watch_tells_when_time_is_over() -> None:
    assert not Watch(DEFAULT_LIMITS).is_over
    assert not Watch(Limits(seconds=1000)).is_over
    assert Watch(Limits(seconds=0)).is_over


def test_one_can_be_replaced() -> None:
    assert replace(DEFAULT_LIMITS, tokens=10).tokens == 10
    assert DEFAULT_LIMITS.tokens == 40_000
