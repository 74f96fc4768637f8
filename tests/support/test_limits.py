"""Limits: every one is there, positive, and can be replaced."""

from __future__ import annotations

from dataclasses import astuple, replace

from cnndsl.support.limits import DEFAULT_LIMITS, Limits


def test_defaults_are_positive() -> None:
    assert Limits() == DEFAULT_LIMITS
    assert all(isinstance(limit, int) and limit > 0 for limit in astuple(DEFAULT_LIMITS))


def test_one_can_be_replaced() -> None:
    assert replace(DEFAULT_LIMITS, tokens=10).tokens == 10
    assert DEFAULT_LIMITS.tokens == 200_000
