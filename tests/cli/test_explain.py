"""`cnndsl explain`."""

from __future__ import annotations

from collections.abc import Callable

from tests.cli.runner import run, run_json


def test_a_page(golden: Callable[[str], None]) -> None:
    result = run("explain", "E0301")
    assert (result.code, result.err) == (0, "")
    golden(result.out)


def test_codes_in_any_case_and_as_json() -> None:
    assert run("explain", "n0001").out == run("explain", "N0001").out
    page = run_json("explain", "E0301")
    assert page["code"] == "E0301"
    assert page["title"] == "a window that does not fit"
    assert page["example"].startswith("input [7x7x3]")


def test_no_such_code() -> None:
    result = run("explain", "E0310x")
    assert result.code == 2
    assert "there is no code 'E0310X'. Did you mean E0310" in result.err
