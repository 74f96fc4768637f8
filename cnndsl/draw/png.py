"""SVG to PNG, by the extra `draw`: resvg, which needs nothing that is not in its wheel."""

from __future__ import annotations

import re

from cnndsl.support.diagnostics import BackendError

MOST_PIXELS = 100_000_000
"""The largest picture that is made."""


def to_png(svg: str, *, scale: float = 2.0) -> bytes:
    """Render a picture of this room, `scale` times as large.

    Raises `BackendError` if the extra is not installed. A picture that would be larger than
    `MOST_PIXELS` is scaled down to it.
    """
    try:
        import resvg_py
    except ImportError:
        raise BackendError(
            "PNG needs the extra `draw`, which is not installed\n"
            "help: `pip install 'cnndsl[draw]'`, or write .svg, which needs nothing"
        ) from None
    size = re.search(r'viewBox="0 0 ([0-9.]+) ([0-9.]+)"', svg)
    assert size is not None, "pictures say how large they are"
    width, height = float(size[1]), float(size[2])
    fitting = (MOST_PIXELS / (width * height)) ** 0.5
    return bytes(resvg_py.svg_to_bytes(svg_string=svg, zoom=min(scale, fitting)))
