"""How a size came about: the layers on the way from the input, with their formulas."""

from __future__ import annotations

from collections.abc import Mapping

from cnndsl.frontend.flow import Stream
from cnndsl.frontend.records import Entry, Record, Source
from cnndsl.layers.base import LayerKind, SettingValue, show_size
from cnndsl.support.source import Span

MOST_ROWS = 12
"""Rows of a derivation; what lies before them is left out."""


def way_to(source: Source) -> list[Source]:
    """Give what lies on the way from an input to `source`, along the first stream of joins."""
    way: list[Source] = [source]
    while isinstance(way[-1], Record) and way[-1].inputs:
        way.append(way[-1].inputs[0])
    return way[::-1]


def derivation(record: Record) -> str:
    """Write the table of sizes from the input to a layer."""
    way = [s for s in way_to(record) if s is record or isinstance(s, Entry) or _changes(s)]
    rows = [_row(source) for source in way]
    if len(rows) > MOST_ROWS:
        rows = [rows[0], ("..", "", "", "", ""), *rows[-MOST_ROWS + 2 :]]
    widths = [max(len(row[i]) for row in rows) for i in range(4)]
    lines = []
    for size, name, window, line, formula in rows:
        text = f"{size:<{widths[0] + 3}}{name:<{widths[1] + 3}}"
        text += f"{window:<{widths[2] + 2}}" if widths[2] else ""
        lines.append(f"  {text}{line:<{widths[3] + 3}}{formula}".rstrip())
    return "\n".join(lines)


def _changes(source: Source) -> bool:
    return isinstance(source, Record) and source.sizes[:1] != (source.size,)


def _row(source: Source) -> tuple[str, str, str, str, str]:
    line = f"line {source.span.line}"
    if isinstance(source, Entry):
        return show_size(source.size), source.label, "", line, ""
    return show_size(source.size), source.name, window_of(source), line, source.formula


def window_of(record: Record) -> str:
    """Write window and stride as the papers' tables do: `11x11/4`."""
    window = record.spec.settings.get("window")
    stride = record.spec.settings.get("stride")
    if not isinstance(window, tuple):
        return ""
    text = "x".join(map(str, window))
    if isinstance(stride, tuple):
        text += f"/{stride[0]}" if len(set(stride)) == 1 else f"/{'x'.join(map(str, stride))}"
    return text


def origin(stream: Stream) -> str:
    """Say where a stream comes from: `from line 3`."""
    return f"from line {stream.source.span.line}"


def chain_of_sizes(record: Record, kind: LayerKind, given: Mapping[str, SettingValue]) -> str:
    """Write the heights on the way: `28 -(conv 5x5)-> 24 -(pool)-> 12`."""
    text = ""
    for source in way_to(record):
        if isinstance(source, Entry):
            text = _side(source.size)
        elif _changes(source):
            text += f" -({_short(source)})-> {_side(source.size)}"
    return text


def _side(size: tuple[int, ...]) -> str:
    return str(size[0]) if len(set(size[:2])) == 1 or len(size) == 1 else f"{size[0]}x{size[1]}"


def _short(record: Record) -> str:
    kind = record.spec.kind.name
    if kind in ("maxpool", "avgpool"):
        return "pool"
    window = record.spec.settings.get("window")
    return f"{kind} {'x'.join(map(str, window))}" if isinstance(window, tuple) else kind


def rounded_at(source: Source) -> tuple[Span, str] | None:
    """Find the last place on the way where a size was rounded, and say how."""
    for at in reversed(way_to(source)):
        if not isinstance(at, Record) or len(at.size) != 3 or len(at.sizes[0]) != 3:
            continue
        for word in ("floor", "ceil"):
            if at.spec.settings.get(word) and f"{word}(" in at.formula:
                before, after = at.sizes[0][0], at.size[0]
                side = "down" if word == "floor" else "up"
                span = at.spec.spans.get(word, at.span)
                return span, f"{before} was rounded {side} to {after} here"
    return None


def strides_before(source: Source) -> tuple[list[int], int]:
    """Give the heights on the way, as long as they fall, and the product of the strides."""
    heights: list[int] = []
    factor = 1
    for at in way_to(source):
        if isinstance(at, Entry):
            heights = [at.size[0]]
            continue
        stride = at.spec.settings.get("stride")
        if isinstance(stride, tuple) and stride[0] > 1 and not at.spec.kind.spreads:
            factor *= stride[0]
            heights.append(at.size[0])
    return heights, factor
