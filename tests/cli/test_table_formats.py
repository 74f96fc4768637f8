from __future__ import annotations

from cnndsl.cli.table_formats import table_text
from cnndsl.cli.text_tables import Column

COLUMNS = (Column("layer", wraps=True), Column("n", right=True))
ROWS = (("a_b|c", "1"), ("50% & more", "1,000"))


def test_text() -> None:
    assert table_text(COLUMNS, ROWS, total=("total", "1,001")).split("\n") == [
        "layer           n",
        "-----------------",
        "a_b|c           1",
        "50% & more  1,000",
        "-----------------",
        "total       1,001",
    ]


def test_markdown() -> None:
    assert table_text(COLUMNS, ROWS, total=("total", ""), form="markdown").split("\n") == [
        "| layer      |     n |",
        "| ---------- | ----: |",
        r"| a\_b\|c    |     1 |",
        "| 50% & more | 1,000 |",
        "| **total**  |       |",
    ]


def test_latex() -> None:
    assert table_text(COLUMNS, ROWS, total=("total", "1"), form="latex").split("\n") == [
        r"\begin{tabular}{lr}",
        r"\hline",
        r"layer & n \\",
        r"\hline",
        r"a\_b|c & 1 \\",
        r"50\% \& more & 1,000 \\",
        r"\hline",
        r"total & 1 \\",
        r"\hline",
        r"\end{tabular}",
    ]


def test_latex_signs() -> None:
    text = table_text((Column("~^\\<>"),), (("{x}$#",),), form="latex")
    assert r"\textasciitilde{}\^{}\textbackslash{}\textless{}\textgreater{}" in text
    assert r"\{x\}\$\#" in text
