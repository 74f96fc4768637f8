from __future__ import annotations

import xml.etree.ElementTree as ET

from cnndsl.support import html
from cnndsl.support.html import html_table

COLUMNS = (("layer", False), ("n", True))


def test_table() -> None:
    root = ET.fromstring(
        html_table(COLUMNS, [("<b>&", "1")], caption='"a" < b', total=("total", "1"))
    )
    assert root.findtext("caption") == '"a" < b'
    assert [cell.text for cell in root.iter("th")] == ["layer", "n"]
    assert [cell.text for cell in root.iter("td")] == ["<b>&", "1", "total", "1"]


def test_numbers_stand_at_the_right() -> None:
    root = ET.fromstring(html_table(COLUMNS, [("a", "1")], caption=""))
    sides = [cell.attrib["style"].rpartition(":")[2] for cell in root.iter("td")]
    assert sides == ["left", "right"]


def test_long_tables_are_cut_and_say_so() -> None:
    rows = [("x", "1")] * (html.MOST_ROWS + 1234)
    text = html_table(COLUMNS, rows, caption="")
    assert text.count("<tr") == html.MOST_ROWS + 2
    assert "and 1,234 more" in text
