"""Every number of the seeds is reproduced by the analysis, and a wrong figure is refused."""

from __future__ import annotations

import pytest

from cnndsl.frontend.figures import Verdict
from tests.acceptance.numbers import Row, failures, rows, verdict_of


@pytest.mark.parametrize("row", rows(), ids=lambda row: f"{row.id}-{row.asked}")
def test_the_right_value_comes_out(row: Row) -> None:
    assert row.assertion not in failures(row.program)


@pytest.mark.parametrize(
    "row", [r for r in rows() if r.figure], ids=lambda row: f"{row.id}-{row.asked}"
)
def test_the_slides_figure_is_judged(row: Row) -> None:
    assert verdict_of(row).value == row.verdict
    refused = row.claim in failures(row.program)
    assert refused == (row.verdict == Verdict.WRONG.value)
