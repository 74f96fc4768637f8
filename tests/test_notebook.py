"""What a notebook shows for the library's objects: HTML without script."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Callable

import pytest

import cnndsl
from cnndsl.frontend.lower import lower

MODEL = cnndsl.load("lenet")


@pytest.mark.parametrize(
    "shown",
    [MODEL, MODEL.network, lower(MODEL.network, batch=2)],
    ids=["model", "network", "graph"],
)
def test_html(shown: object) -> None:
    text = shown._repr_html_()  # type: ignore[attr-defined]
    root = ET.fromstring(f"<root>{text}</root>")
    assert not [e for e in root.iter() if e.tag.endswith("script") or "onclick" in e.attrib]
    assert "lenet" in text
    assert "28x28x6" in text or "6,28,28" in text


def test_network_table_has_every_layer_and_the_total() -> None:
    root = ET.fromstring(MODEL.network._repr_html_())
    cells = [cell.text for cell in root.iter("td")]
    assert {layer.name for layer in MODEL.network.layers} <= set(cells)
    assert "61,706" in cells


def test_model_shows_picture_and_table() -> None:
    text = MODEL._repr_html_()
    assert MODEL.draw(style="blocks") in text
    assert MODEL.draw().startswith("<svg ")
    assert "<details>" in text


def test_network_html(golden: Callable[[str], None]) -> None:
    golden(MODEL.network._repr_html_().replace("<tr", "\n<tr"))
