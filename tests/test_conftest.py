"""The golden fixture itself: equal text passes, other text and a missing file do not."""

from __future__ import annotations

from collections.abc import Callable

import pytest


def test_equal_text_passes(golden: Callable[[str], None]) -> None:
    golden("as written\n")
    golden("as written")


def test_other_text_does_not_pass(
    golden: Callable[[str], None],
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    golden("the golden text")
    monkeypatch.setattr(request.config.option, "update_golden", False)
    with pytest.raises(AssertionError):
        golden("something else")


def test_missing_text_is_not_made_up(
    golden: Callable[[str], None],
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(request.config.option, "update_golden", False)
    with pytest.raises(AssertionError, match="pass --update-golden to write it"):
        golden("nothing")
