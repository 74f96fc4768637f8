"""Compiled kernels of these tests are kept apart from the user's."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def no_store(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compile everything; the tests of the store make one of their own."""
    monkeypatch.setenv("CNNDSL_KERNELS", "off")
