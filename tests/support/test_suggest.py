"""Nearest names."""

from __future__ import annotations

from cnndsl.support.suggest import nearest


def test_best_first_in_any_case() -> None:
    assert nearest("MAXPOL", ["conv", "maxpool", "avgpool"])[0] == "maxpool"
    assert nearest("maxpool", ["MaxPool"]) == ["MaxPool"]


def test_nothing_near() -> None:
    assert nearest("zebra", ["conv", "fc"]) == []
    assert nearest("", ["conv"]) == []


def test_limit() -> None:
    known = [f"conv{i}" for i in range(10)]
    assert len(nearest("conv", known)) == 3
    assert len(nearest("conv", known, limit=1)) == 1
