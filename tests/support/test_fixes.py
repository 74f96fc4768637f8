"""Changes that remove diagnostics."""

from __future__ import annotations

from cnndsl.frontend.check import examine
from cnndsl.support.diagnostics import Diagnostic, Fix, Severity, error, note
from cnndsl.support.fixes import apply_fixes, fixes_of
from cnndsl.support.source import Span


def place(line: int, column: int, end: int) -> Span:
    return Span("a.cnn", line, column, line, end)


def test_the_name_that_was_meant() -> None:
    found = error("E0201", "no", place(1, 1, 5), label="did you mean `relu`?")
    assert fixes_of(found) == (Fix("write `relu`", place(1, 1, 5), "relu"),)


def test_a_stride_that_fits_where_a_stride_stands() -> None:
    (found,) = examine("input [7x7x3]\nconv 10 3x3 stride 3").diagnostics
    (fix,) = fixes_of(found, "input [7x7x3]\nconv 10 3x3 stride 3")
    assert (fix.title, fix.text) == ("write `stride 2`", "stride 2")
    assert fixes_of(found, "input [7x7x3]\nconv 10 3x3/3        ") == ()


def test_a_wrong_figure_carries_the_right_one() -> None:
    text = "input [224x224x3]\nCONV3-64: [224x224x64]  memory: 224*224*64=4.1M"
    (found,) = examine(text).diagnostics
    made = apply_fixes(text, fixes_of(found, text))
    assert made.text.endswith("memory: 224*224*64=3.2M")
    assert not examine(made.text).diagnostics


def test_what_has_no_place_or_is_no_error_has_no_fix() -> None:
    assert fixes_of(error("E0201", "no", label="did you mean `relu`?")) == ()
    assert fixes_of(note("N0001", "so", place(1, 1, 2), label="did you mean `x`?")) == ()
    assert fixes_of(Diagnostic(Severity.ERROR, "E0301", "no", place(1, 1, 2))) == ()


def test_changes_on_one_line_and_over_each_other() -> None:
    text = "rleu - maxpol 2x2\nrleu"
    fixes = [
        Fix("one", place(1, 8, 14), "maxpool"),
        Fix("two", place(1, 1, 5), "relu"),
        Fix("over one", place(1, 10, 15), "?"),
        Fix("three", place(2, 1, 5), "relu"),
    ]
    made = apply_fixes(text, fixes)
    assert made.text == "relu - maxpool 2x2\nrelu"
    assert [fix.title for fix in made.applied] == ["two", "one", "three"]
