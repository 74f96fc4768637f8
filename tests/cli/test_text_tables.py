from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from cnndsl.cli.text_tables import Column, text_table, wrapped

CELLS = st.text(st.sampled_from("ab c._/"), max_size=30).map(lambda text: " ".join(text.split()))
COLUMNS = (Column("name", wraps=True), Column("size"), Column("count", right=True))


def test_columns_are_as_wide_as_their_cells() -> None:
    rows = [("conv1", "28x28x6", "156"), ("a long name", "10", "1,000,000")]
    assert text_table(COLUMNS, rows, width=80).split("\n") == [
        "name         size         count",
        "conv1        28x28x6        156",
        "a long name  10       1,000,000",
    ]


def test_long_words_go_on_in_the_next_line() -> None:
    rows = [("conv 64 3x3 half, relu of concat_1", "28x28x64", "156")]
    assert text_table(COLUMNS, rows, width=40).split("\n") == [
        "name                     size      count",
        "conv 64 3x3 half, relu   28x28x64    156",
        " of concat_1",
    ]


@given(st.lists(st.tuples(CELLS, st.just("224x224x64"), st.just("1,234")), min_size=1))
def test_tables_fit_and_lose_nothing(rows: list[tuple[str, str, str]]) -> None:
    text = text_table(COLUMNS, rows, width=40)
    lines = text.split("\n")
    assert max(map(len, lines)) <= 40
    assert text.count("224x224x64") == len(rows)
    assert text.replace(" ", "").count("a") == sum(row[0].count("a") for row in rows) + 1


@given(CELLS, st.integers(1, 20))
def test_wrapping_keeps_every_letter(cell: str, size: int) -> None:
    lines = wrapped(cell, size)
    assert max(map(len, lines)) <= size
    assert "".join(lines).replace(" ", "") == cell.replace(" ", "")


def test_unbreakable_cells_are_never_cut() -> None:
    assert "224x224x64" in text_table(COLUMNS, [("n", "224x224x64", "1")], width=10)
