"""Values of clauses: what is taken, what is refused, and in which words."""

from __future__ import annotations

import math

import pytest

from cnndsl.layers.base import LAYERS
from cnndsl.layers.clauses import (
    LARGEST,
    Clause,
    LayerError,
    SettingValue,
    Takes,
    check_settings,
    fold_words,
    merge_settings,
    show_value,
    wrong_value,
)

RATE = Clause("rate", Takes.NUMBER, low=0.0, below=1.0)


@pytest.mark.parametrize(
    ("clause", "good", "bad"),
    [
        (Clause("c", Takes.COUNT), [1, 64, LARGEST], [0, -1, LARGEST + 1, 1.5, True, "a", (1, 2)]),
        (Clause("c", Takes.WHOLE), [0, 7], [-1, 2.0, False]),
        (RATE, [0, 0.0, 0.5, 0.999], [-0.1, 1, 1.0, math.nan, math.inf, True, "half"]),
        (Clause("c", Takes.NUMBER), [-3.5, 1e20], [math.inf, -math.inf, math.nan, 1e300]),
        (Clause("c", Takes.SIZE), [(1, 1), (3, 5)], [3, (0, 3), (3,), (3, 3, 3), (3, LARGEST + 1)]),
        (Clause("c", Takes.MARGIN), [0, 2, (0, 1), (1, 2, 3, 4)], [-1, (1,), (1, 2, 3), (1, -2)]),
        (Clause("c", Takes.SHAPE), [(7,), (7, 7), (7, -1, 30)], [7, (1, 2, 3, 4), (-2,)]),
        (Clause("c", Takes.FLAG), [True, False], [1, "yes"]),
        (Clause("c", Takes.WORD, words=("he", "zeros")), ["he"], ["she", 3]),
        (Clause("c", Takes.STREAM), ["e4"], [4]),
    ],
)
def test_values_inside_and_outside_the_range(
    clause: Clause, good: list[SettingValue], bad: list[SettingValue]
) -> None:
    assert [v for v in good if wrong_value(clause, v)] == []
    assert [v for v in bad if not wrong_value(clause, v)] == []


def complaint(settings: dict[str, SettingValue]) -> LayerError:
    clauses = (
        Clause("filters", Takes.COUNT, doc="how many filters", required=True),
        RATE,
        Clause("pad", Takes.MARGIN, group="the border"),
        Clause("same", Takes.FLAG, group="the border"),
    )
    with pytest.raises(LayerError) as caught:
        check_settings("conv", clauses, settings)
    return caught.value


def test_each_wrong_setting_has_its_code_and_sentence() -> None:
    unknown = complaint({"filters": 1, "speed": 3})
    assert (unknown.code, unknown.at) == ("E0204", "speed")
    assert unknown.message == "`conv` has no `speed`"
    assert unknown.notes == ("`conv` takes: filters, rate, pad, same",)
    missing = complaint({})
    assert (missing.code, missing.at) == ("E0205", None)
    assert missing.message == "`conv` does not say its `filters`"
    both = complaint({"filters": 1, "pad": 1, "same": True})
    assert (both.code, both.at, both.also) == ("E0206", "same", {"pad": ""})
    assert both.message == "`pad` and `same` say two different things"
    outside = complaint({"filters": 0})
    assert (outside.code, outside.at, outside.label) == ("E0207", "filters", "how many filters")
    assert outside.message == (
        "`filters` of `conv` is 0; it is a whole number from 1 to 2,147,483,647"
    )
    assert complaint({"filters": 1, "rate": 1.0}).message == (
        "`rate` of `conv` is 1; it is at least 0 and below 1"
    )


def test_a_flag_that_is_off_contradicts_nothing() -> None:
    clauses = LAYERS["conv"].clauses
    check_settings("conv", clauses, {"filters": 1, "pad": 1, "same": False})


def test_what_a_layer_says_displaces_the_defaults_of_its_group() -> None:
    clauses = LAYERS["conv"].clauses
    defaults: dict[str, SettingValue] = {"half": True, "floor": True, "nobias": True}
    assert merge_settings(clauses, {"pad": 1}, defaults) == {
        "floor": True, "nobias": True, "pad": 1,
    }  # fmt: skip
    assert merge_settings(clauses, {"ceil": True}, defaults) == {
        "half": True, "nobias": True, "ceil": True,
    }  # fmt: skip
    assert merge_settings(clauses, {}, defaults) == defaults
    assert merge_settings(clauses, {"stride": (2, 2)}, {"stride": (3, 3)}) == {"stride": (2, 2)}


@pytest.mark.parametrize(
    ("text", "folded"),
    [("Max-Pool", "max pool"), ("MAX_POOL", "max pool"), ("  soft   Max ", "soft max")],
)
def test_spellings_are_compared_without_case_and_hyphens(text: str, folded: str) -> None:
    assert fold_words(text) == folded


@pytest.mark.parametrize(
    ("value", "text"),
    [((3, 3), "3x3"), ((7, -1, 30), "7x?x30"), ((0, 1, 0, 1), "[0, 1, 0, 1]"), (0.5, "0.5"),
     (1e-5, "1e-05"), (64, "64"), ("he", "he")],
)  # fmt: skip
def test_values_are_shown_as_a_program_writes_them(value: SettingValue, text: str) -> None:
    assert show_value(value) == text
