from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator

import pytest

from cnndsl.draw.metrics import text_width
from cnndsl.draw.picture import MOST_BOXES, Style, arrange, svg_of, to_dot, to_mermaid, to_svg
from tests.draw.networks import DRAWN, RESIDUAL, network, program

NS = "{http://www.w3.org/2000/svg}"
STYLES: tuple[Style, ...] = ("graph", "blocks")


def numbers(element: ET.Element) -> list[tuple[float, float]]:
    """Give the corners of a shape; for a path, of its points and handles."""
    get = element.attrib
    if element.tag == f"{NS}rect":
        x, y = float(get.get("x", 0)), float(get.get("y", 0))
        return [(x, y), (x + float(get["width"]), y + float(get["height"]))]
    found = [float(n) for n in re.findall(r"-?[0-9.]+", get.get("points") or get.get("d") or "")]
    return list(zip(found[::2], found[1::2], strict=True))


def texts(root: ET.Element) -> Iterator[tuple[str, float, float, float, float]]:
    """Give every text with the box it takes: (words, left, right, top, bottom)."""
    for element in root.iter(f"{NS}text"):
        get = element.attrib
        words, size = element.text or "", float(get["font-size"])
        width = text_width(words, size, bold=get.get("font-weight") == "bold")
        x, y = float(get["x"]), float(get["y"])
        left = x - width / 2 if get.get("text-anchor") == "middle" else x
        yield words, left, left + width, y - 0.72 * size, y + 0.2 * size


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("name", DRAWN)
def test_nothing_is_cut_and_no_words_overlap(name: str, style: Style) -> None:
    root = ET.fromstring(to_svg(program(name), style=style))
    _, _, width, height = map(float, root.attrib["viewBox"].split())
    assert (float(root.attrib["width"]), float(root.attrib["height"])) == (width, height)
    for element in root.iter():
        for x, y in numbers(element):
            assert -0.5 <= x <= width + 0.5
            assert -0.5 <= y <= height + 0.5
    written = list(texts(root))
    for _, left, right, top, bottom in written:
        assert left >= 0
        assert right <= width
        assert top >= 0
        assert bottom <= height
    written.sort(key=lambda text: text[3])
    for index, (words, left, right, _, bottom) in enumerate(written):
        for others, other_left, other_right, other_top, _ in written[index + 1 :]:
            if other_top >= bottom:
                break
            assert right <= other_left or other_right <= left, (words, others)


@pytest.mark.parametrize("style", STYLES)
def test_pictures(style: Style, golden: Callable[[str], None]) -> None:
    golden(to_svg(network(RESIDUAL), style=style))


def test_dot(golden: Callable[[str], None]) -> None:
    golden(to_dot(arrange(network(RESIDUAL))))


def test_mermaid(golden: Callable[[str], None]) -> None:
    golden(to_mermaid(arrange(network(RESIDUAL))))


def test_signs_of_the_formats_are_escaped() -> None:
    built = network("input [8x8x1]\nconv 2 3x3 as a\n")
    scene = arrange(built)
    odd = scene.__class__('<&"quoted"\\>', scene.items)
    assert ET.fromstring(svg_of(odd, "graph")).findtext(f"{NS}title") == '<&"quoted"\\>'
    assert '"<&\\"quoted\\"\\\\>"' in to_dot(odd)


def test_depth_is_as_large_as_the_picture_stays_clear() -> None:
    googlenet = program("googlenet")
    assert len(arrange(googlenet).boxes) > 60
    assert len(arrange(googlenet, style="blocks").boxes) <= MOST_BOXES["blocks"]
    assert len(arrange(googlenet, style="blocks", depth=9).boxes) > MOST_BOXES["blocks"]


def test_drawing_twice_gives_the_same() -> None:
    assert to_svg(program("googlenet")) == to_svg(program("googlenet"))


def test_long_networks_are_drawn() -> None:
    text = "input [8x8x3]\nrepeat i in 1..600 { conv(4 + i % 7 + i % 11, 3x3, pad=1) as a[i] }\n"
    scene = arrange(network(text))
    assert len(scene.boxes) == 601
    assert svg_of(scene, "graph").count("<text") > 1200
