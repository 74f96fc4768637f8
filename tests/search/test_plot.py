from __future__ import annotations

import xml.etree.ElementTree as ET

from cnndsl.search.plot import plot
from cnndsl.search.trial import Trial

NS = "{http://www.w3.org/2000/svg}"


def trial(number: int, accuracy: float | None, params: int) -> Trial:
    return Trial(number, {"c": number}, 1, accuracy, params, 9, 3)


def test_points() -> None:
    trials = [trial(1, 0.5, 1_000), trial(2, 0.9, 50_000), trial(3, 0.4, 2_000), trial(4, None, 5)]
    root = ET.fromstring(plot(trials, title="a & b"))
    points = {}
    for group in root.iter(f"{NS}g"):
        title, rect = group.findtext(f"{NS}title") or "", group.find(f"{NS}rect")
        assert rect is not None
        points[int(title.split(":")[0])] = (float(rect.attrib["x"]), float(rect.attrib["y"]))
    assert set(points) == {1, 2, 3}
    assert points[1][0] < points[3][0] < points[2][0]
    assert points[2][1] < points[1][1] < points[3][1]
    numbers = [text.text for text in root.iter(f"{NS}text") if text.attrib.get("font-weight")]
    assert numbers == ["a & b", "1", "2"]


def test_nothing_to_show() -> None:
    assert "no variant was trained" in plot([trial(1, None, 5)], title="none")


def test_one_point() -> None:
    assert ET.fromstring(plot([trial(1, 1.0, 100)], title="one")).findall(f"{NS}g")
