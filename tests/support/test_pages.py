"""Every code has a page, and the example on it has the code."""

from __future__ import annotations

from pathlib import Path

import pytest

from cnndsl.frontend.check import check
from cnndsl.support.codes import CODES
from cnndsl.support.pages import page_of

PROGRAMS = [code for code in CODES if page_of(code).is_program]

NEEDS_FILES = {"E0601", "E0605", "N0006"}
"""Codes whose example imports files; tests/frontend/errors has them."""

NEEDS_MORE = {"E0604"}
"""Codes whose example would be too long for a page; tests/frontend has it."""


def test_every_code_has_a_page() -> None:
    assert len(CODES) >= 60
    for code in CODES:
        page = page_of(code.lower())
        assert page.title == CODES[code]
        assert page.cause.endswith(".")
        assert page.example
        assert page.fix.startswith("Fix: ")
        assert page.fix.endswith((".", "`"))
        assert page.text().startswith(f"{code}: ")
        assert max(map(len, page.text().splitlines())) <= 80


@pytest.mark.parametrize("code", [c for c in PROGRAMS if c not in NEEDS_FILES | NEEDS_MORE])
def test_the_example_has_the_code(code: str, tmp_path: Path) -> None:
    found = check(page_of(code).example, base_dir=tmp_path)
    assert code in {diagnostic.code for diagnostic in found}


def test_no_page_for_what_is_no_code() -> None:
    with pytest.raises(KeyError):
        page_of("E9999")
