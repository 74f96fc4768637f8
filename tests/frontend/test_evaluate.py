from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnndsl.frontend import ast
from cnndsl.frontend.evaluate import FUNCTIONS, Evaluator
from cnndsl.frontend.parse import parse
from cnndsl.frontend.scope import Scope
from cnndsl.frontend.values import RangeValue, ShapeValue, SizeValue, Symbol, Value
from cnndsl.support.diagnostics import DiagnosticError
from cnndsl.support.limits import Limits
from cnndsl.support.source import Span


def worked_out(text: str, **names: Value) -> Value:
    (statement,) = parse(f"let x = {text}").statements
    assert isinstance(statement, ast.Let)
    scope = Scope()
    for name, value in names.items():
        scope.bind(name, value, Span("t", 1, 1, 1, 1))
    special = {"shape": lambda: ShapeValue((14, 12, 64))}
    return Evaluator(scope, {"A", "D"}, special).value(statement.value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2 + 3 * 4", 14),
        ("64 / 2", 32),
        ("65 / 2", 32.5),
        ("7 % 4", 3),
        ("64 * 2^3", 512),
        ("2^-1", 0.5),
        ("-2^2", -4),
        ("40%", 0.4),
        ("35K", 35_000),
        ("round(2.5)", 3),
        ("round(-2.5)", -3),
        ("floor(7 / 2)", 3),
        ("ceil(7 / 2)", 4),
        ("min(3, 1, 2)", 1),
        ("max([3, 9, 2])", 9),
        ("sum(1..4)", 10),
        ("len([1: 2, 3: 4])", 2),
        ("len(0..9)", 10),
        ("abs(-3)", 3),
        ("log2(64)", 6),
        ("sqrt(9)", 3.0),
        ("1 < 2 <= 2", True),
        ("3 in 1..5", True),
        ("v in [A, D]", True),
        ("v == D and not (v == A)", True),
        ("1 if v == D else 2", 1),
        ("[3, 4, 6][1]", 4),
        ("[18: [2, 2], 34: [3, 4]][34][0]", 3),
        ("3x3", SizeValue((3, 3))),
        ("7x7/2", SizeValue((7, 7), 2)),
        ("1..5", RangeValue(1, 5)),
        ("64..512 by 64", RangeValue(64, 512, 64)),
        ("shape.c / 2", 32),
        ("shape.h + shape.w", 26),
        ("A", Symbol("A")),
        ('"a b"', "a b"),
        ("true or 1/0 == 1", True),
    ],
)
def test_expressions(text: str, value: Value) -> None:
    found = worked_out(text, v=Symbol("D"))
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        ("1 / 0", "E0505", "1 cannot be divided by 0"),
        ("5 % 0", "E0505", "5 cannot be divided by 0"),
        ("0^-1", "E0505", "0 cannot be divided by"),
        ("(-2)^0.5", "E0505", "-2 has no power 0.5"),
        ("1 + 3x3", "E0505", "a number belongs here, not the size 3x3"),
        ("true + 1", "E0505", "a number belongs here, not true"),
        ("1 if 2 else 3", "E0505", "a condition is true or false, not the number 2"),
        ("1 and true", "E0505", "a condition is true or false, not the number 1"),
        ("[1, 2][2]", "E0505", "the list has no item 2: its items are 0 to 1"),
        ("[1, 2][0.5]", "E0505", "an index is a whole number, not 0.5"),
        ("[1, 2][-1]", "E0505", "the list has no item -1: its items are 0 to 1"),
        ("[1: 2][5]", "E0505", "the map has no 5; it has 1"),
        ("3[0]", "E0505", "the number 3 has no items"),
        ("shape.q", "E0505", "the size [14x12x64] has h, w and c"),
        ("n.c", "E0505", "the number 7 has no `c`"),
        ("1 in 2", "E0505", "the number 2 holds nothing"),
        ("1..5 by 0", "E0505", "the step of a range is not 0"),
        ("log2(0)", "E0505", "`log2(0)` has no value"),
        ("round(1, 2)", "E0505", "`round(1, 2)` has no value"),
        ("max(true)", "E0505", "`max(true)` has no value"),
        ("round(x=1)", "E0505", "the arguments of `round` have no names"),
        ("nothing", "E0208", "`nothing` has no value here"),
        ("rnd(1)", "E0208", "there is no function `rnd`"),
        ("2^60", "E0617", "the result is larger than 2^53"),
        ("2^64", "E0617", "an exponent is at most 63"),
        ("2^2^10^10", "E0617", "an exponent is at most 63"),
        ("9000000000000 * 9000000000000", "E0617", "the result is larger than 2^53"),
        ("1..100001", "E0617", "a list has at most 100,000 items, not 100,001"),
        ("exp(1000)", "E0505", "`exp(1000)` has no value"),
    ],
)
def test_mistakes(text: str, code: str, said: str) -> None:
    with pytest.raises(DiagnosticError) as caught:
        worked_out(text, n=7)
    (found,) = caught.value.diagnostics
    assert (found.code, found.message) == (code, said)
    assert found.span is not None


def test_unknown_names_get_a_suggestion() -> None:
    with pytest.raises(DiagnosticError) as caught:
        worked_out("2 * widht", width=3)
    assert caught.value.diagnostics[0].label == "did you mean `width`?"


def test_the_limit_of_lists_is_the_embedders() -> None:
    (statement,) = parse("let x = [1, 2, 3]").statements
    assert isinstance(statement, ast.Let)
    with pytest.raises(DiagnosticError):
        Evaluator(Scope(), limits=Limits(list_items=2)).value(statement.value)


@given(st.integers(-(10**6), 10**6), st.integers(1, 10**6))
def test_whole_numbers_stay_whole(a: int, b: int) -> None:
    assert worked_out(f"({a}) * {b} / {b}") == a
    assert isinstance(worked_out(f"({a}) * {b} / {b}"), int)
    assert worked_out(f"({a}) % {b}") == a % b


@given(st.floats(-1e6, 1e6).map(lambda x: round(x, 3)))
def test_rounding_goes_away_from_zero(x: float) -> None:
    found = worked_out(f"round({x:.3f})" if x >= 0 else f"round(-{-x:.3f})")
    assert isinstance(found, int)
    assert abs(found - x) <= 0.5


def test_every_function_refuses_a_text() -> None:
    for name in FUNCTIONS:
        with pytest.raises(DiagnosticError):
            worked_out(f'{name}("text")')
