from __future__ import annotations

import sys
import types

import pytest

from cnndsl.draw import png
from cnndsl.draw.picture import to_svg
from cnndsl.draw.png import to_png
from cnndsl.support.diagnostics import BackendError
from tests.draw.networks import network

SVG = to_svg(network("input [8x8x1]\nfc 3\n"))


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "resvg_py", None)
    with pytest.raises(BackendError, match=r"cnndsl\[draw\]"):
        to_png(SVG)


def test_scale(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, float]] = []

    def svg_to_bytes(*, svg_string: str, zoom: float) -> bytes:
        asked.append((svg_string, zoom))
        return b"\x89PNG"

    double = types.ModuleType("resvg_py")
    double.svg_to_bytes = svg_to_bytes  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "resvg_py", double)
    assert to_png(SVG) == b"\x89PNG"
    monkeypatch.setattr(png, "MOST_PIXELS", 100)
    to_png(SVG)
    assert asked[0] == (SVG, 2.0)
    assert asked[1][1] < 0.1


def test_with_the_extra() -> None:
    pytest.importorskip("resvg_py")
    assert to_png(SVG)[:8] == b"\x89PNG\r\n\x1a\n"
