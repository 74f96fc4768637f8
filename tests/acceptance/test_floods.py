"""What a line costs does not depend on how many lines there are."""

from __future__ import annotations

import sys
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from cnndsl.frontend.check import check
from cnndsl.support.limits import DEFAULT_LIMITS
from tests.acceptance.floods import FAMILIES, filled, words

FEW = 100
"""Lines of the shorter text."""
GROWTH = 2.15
"""How often the instructions of the shorter text the one of twice its lines takes, at most.

Twice for what is linear; what looks at every other line for each line takes four times.
"""


def instructions(text: str) -> int:
    """Count the instructions of Python that checking a text takes."""
    count = 0

    def traced(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal count
        if event == "call":
            frame.f_trace_opcodes, frame.f_trace_lines = True, False
        elif event == "opcode":
            count += 1
        return traced

    before = sys.gettrace()
    sys.settrace(traced)
    try:
        check(text, base_dir=Path("/nowhere"))
    finally:
        sys.settrace(before)
    return count


@pytest.mark.slow
@pytest.mark.parametrize("name", FAMILIES)
def test_the_work_grows_with_the_text(name: str) -> None:
    family = FAMILIES[name]
    check(family(4), base_dir=Path("/nowhere"))  # tables are loaded
    once, twice = instructions(family(FEW)), instructions(family(2 * FEW))
    assert 0 < once <= twice <= GROWTH * once


def test_a_filled_text_is_within_the_limits() -> None:
    text = filled(FAMILIES["layers"])
    assert 0.95 * DEFAULT_LIMITS.tokens < words(text) <= DEFAULT_LIMITS.tokens
