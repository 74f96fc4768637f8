"""Printed figures: what they stand for, and how they relate to a number."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnndsl.frontend import ast
from cnndsl.frontend.figures import Counting, Verdict, figure_of, in_units_of, is_bytes, is_rounded
from cnndsl.frontend.parse import parse


def number(text: str) -> ast.Number:
    (statement,) = parse(f"let n = {text}").statements
    assert isinstance(statement, ast.Let)
    assert isinstance(statement.value, ast.Number)
    return statement.value


@pytest.mark.parametrize(
    ("shown", "actual", "verdict"),
    [
        ("35K", 34_848, Verdict.ROUNDED),
        ("614K", 614_400, Verdict.ROUNDED),
        ("62.3M", 62_378_344, Verdict.CUT),
        ("62.4M", 62_378_344, Verdict.ROUNDED),
        ("62.2M", 62_378_344, Verdict.WRONG),
        ("102M", 102_760_448, Verdict.CUT),
        ("400K", 401_408, Verdict.ROUNDED),
        ("400K", 405_000, Verdict.WRONG),
        ("2.7K", 9_408, Verdict.WRONG),
        ("2.33", 7 / 3, Verdict.ROUNDED),
        ("95%", 0.9399, Verdict.WRONG),
        ("94%", 0.9399, Verdict.ROUNDED),
        ("4096", 4_096, Verdict.EXACT),
        ("4096", 4_097, Verdict.WRONG),
        ("1e-2", 0.01, Verdict.EXACT),
        ("93MB", 60_950_432, Verdict.WRONG),
        ("58.1MiB", 60_950_432, Verdict.ROUNDED),
    ],
)
def test_judgements(shown: str, actual: float, verdict: Verdict) -> None:
    assert figure_of(number(shown)).judge(actual) is verdict


def test_conventions() -> None:
    kibi = Counting(kilo=1024, digits=True)
    assert figure_of(number("112K"), counting=kibi).judge(114_688) is Verdict.EXACT
    assert figure_of(number("159K"), counting=kibi).judge(163_328) is Verdict.CUT
    assert figure_of(number("840K"), counting=kibi).judge(867_328) is Verdict.WRONG
    assert figure_of(number("360M"), counting=kibi).judge(359_661_568) is Verdict.ROUNDED


@given(st.integers(1, 10**9))
def test_a_number_rounds_to_its_own_figure(value: int) -> None:
    millions = f"{value / 10**6:.3f}M"
    assert figure_of(number(millions)).judge(value) is not Verdict.WRONG
    assert figure_of(number(str(value))).judge(value) is Verdict.EXACT
    assert figure_of(number(str(value))).judge(value + 1) is Verdict.WRONG


def test_units() -> None:
    assert in_units_of(15_237_608, number("24M")) == "15.2M"
    assert in_units_of(48_000, number("0.48M")) == "0.048M"
    assert in_units_of(12, number("24M")) == ""
    assert in_units_of(12, number("24")) == ""
    assert is_bytes(number("93MB"))
    assert not is_bytes(number("93M"))
    assert is_rounded(number("93M"))
    assert not is_rounded(number("93"))
