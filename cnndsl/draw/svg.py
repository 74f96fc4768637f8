"""SVG text: shapes are collected, with escaped words and rounded numbers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from html import escape

FONT = "Helvetica, Arial, 'DejaVu Sans', sans-serif"
"""Fonts; `metrics` allows for the widest of them."""
INK = "#1f2933"
"""Colour of words and outlines."""
QUIET = "#66727f"
"""Colour of what is said beside."""


class Canvas:
    """Collects shapes; coordinates are pixels from the top left corner."""

    def __init__(self) -> None:
        self._shapes: list[str] = []

    def rect(
        self,
        x: float,
        y: float,
        width: float,
        height: float,
        *,
        radius: float = 0.0,
        fill: str = "none",
        stroke: str = "none",
        dashes: str = "",
        line: float = 1.0,
    ) -> None:
        """Draw a rectangle."""
        look = _look(fill, stroke, line, dashes)
        rounded = f' rx="{_n(radius)}"' if radius else ""
        self._add(
            f'<rect x="{_n(x)}" y="{_n(y)}" width="{_n(width)}" height="{_n(height)}"'
            f"{rounded}{look}/>"
        )

    def path(
        self, commands: str, *, fill: str = "none", stroke: str = "none", line: float = 1.0
    ) -> None:
        """Draw a path, given in SVG's own commands."""
        self._add(f'<path d="{commands}"{_look(fill, stroke, line, "")}/>')

    def polygon(
        self,
        points: Sequence[tuple[float, float]],
        *,
        fill: str,
        stroke: str = "none",
        line: float = 1.0,
    ) -> None:
        """Draw a closed polygon."""
        corners = " ".join(f"{_n(x)},{_n(y)}" for x, y in points)
        self._add(
            f'<polygon points="{corners}" stroke-linejoin="round"{_look(fill, stroke, line, "")}/>'
        )

    def text(
        self,
        x: float,
        y: float,
        words: str,
        *,
        size: float,
        bold: bool = False,
        fill: str = INK,
        anchor: str = "middle",
    ) -> None:
        """Write words; `y` is their base line."""
        weight = ' font-weight="bold"' if bold else ""
        place = f' text-anchor="{anchor}"' if anchor != "start" else ""
        self._add(
            f'<text x="{_n(x)}" y="{_n(y)}" font-size="{_n(size)}"{weight} fill="{fill}"{place}>'
            f"{escape(words, quote=False)}</text>"
        )

    @contextmanager
    def group(self, title: str, name: str = "") -> Iterator[None]:
        """Put what is drawn within into a group, whose title a viewer shows on hovering."""
        mark = f' data-layer="{escape(name)}"' if name else ""
        self._add(f"<g{mark}><title>{escape(title, quote=False)}</title>")
        yield
        self._add("</g>")

    def _add(self, shape: str) -> None:
        self._shapes.append(shape)

    def document(self, width: float, height: float, *, title: str, desc: str) -> str:
        """Give the whole picture."""
        size = f"{_n(width)} {_n(height)}"
        head = (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{_n(width)}" height="{_n(height)}" '
            f'viewBox="0 0 {size}" role="img" font-family="{FONT}">'
        )
        words = (
            f"<title>{escape(title, quote=False)}</title>",
            f"<desc>{escape(desc, quote=False)}</desc>",
        )
        ground = f'<rect width="{_n(width)}" height="{_n(height)}" fill="#ffffff"/>'
        return "\n".join((head, *words, ground, *self._shapes, "</svg>")) + "\n"


def _look(fill: str, stroke: str, line: float, dashes: str) -> str:
    outline = ""
    if stroke != "none":
        outline = f' stroke="{stroke}"'
        outline += f' stroke-width="{_n(line)}"' if line != 1.0 else ""
        outline += f' stroke-dasharray="{dashes}"' if dashes else ""
    return f' fill="{fill}"{outline}'


def _n(number: float) -> str:
    """Write a number short.

    >>> _n(3.0), _n(2.349), _n(-0.01)
    ('3', '2.3', '0')
    """
    text = f"{number:.1f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def move(x: float, y: float) -> str:
    """Give the command that begins a path."""
    return f"M{_n(x)} {_n(y)}"


def straight(x: float, y: float) -> str:
    """Give the command of a straight line."""
    return f"L{_n(x)} {_n(y)}"


def curve(x1: float, y1: float, x2: float, y2: float, x: float, y: float) -> str:
    """Give the command of a cubic curve with its two handles and its end."""
    return f"C{_n(x1)} {_n(y1)} {_n(x2)} {_n(y2)} {_n(x)} {_n(y)}"
