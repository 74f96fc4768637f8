"""Complaints about sizes: where the numbers came from, and what would fit."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

from cnndsl.frontend import ast
from cnndsl.frontend.core import Env, Instance
from cnndsl.frontend.derivation import (
    chain_of_sizes,
    derivation,
    origin,
    rounded_at,
    strides_before,
)
from cnndsl.frontend.flow import Flow, Stream
from cnndsl.frontend.format_columns import FLAT
from cnndsl.frontend.format_values import shape as shape_text
from cnndsl.frontend.readings import Reading
from cnndsl.frontend.records import Record
from cnndsl.layers.base import Hwc, LayerError, LayerSpec, SettingValue, show_size
from cnndsl.support.diagnostics import DiagnosticError, Label, error
from cnndsl.support.source import Span

COUNTS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


def counted(number: int, word: str) -> str:
    """Write a small number of things.

    >>> counted(2, "stream"), counted(1, "stream")
    ('two streams', 'one stream')
    """
    text = COUNTS[number] if number < len(COUNTS) else f"{number:,}"
    return f"{text} {word}" if number == 1 else f"{text} {word}s"


def explain(
    problem: LayerError,
    reading: Reading,
    env: Env,
    streams: Sequence[Stream],
    at: Span,
    cut: Callable[[Span], str],
) -> DiagnosticError:
    """Turn a layer's complaint into a diagnostic with its place and its history.

    `at` are the words of the layer; `cut` gives the text of a place.
    """
    span = reading.spans.get(problem.at or "", at)
    related, notes, helps = [], list(problem.notes), list(problem.helps)
    for name, text in problem.also.items():
        if name.isdigit():
            place = streams[int(name)].span if int(name) < len(streams) else span
            related.append(Label(place, text))
        else:
            related += reading.said(name, text)
    message = problem.message
    label = problem.label
    match problem.code:
        case "E0301" if streams:
            notes.append(f"the input here is {show_size(streams[0].size)}, {origin(streams[0])}")
        case "E0305" if streams and isinstance(streams[0].source, Record):
            notes.append(chain_of_sizes(streams[0].source, reading.kind, reading.given))
            helps += _fewer_pools(streams[0].source)
        case "E0304" if len({len(s.size) for s in streams}) == 1:
            related = _rounding_marks(streams)
            notes[:0] = _sides(streams, cut)
            more_notes, more_helps = _divisible(streams)
            notes += more_notes
            helps = [*more_helps, f"or crop the larger side: `{cut(at)} crop`"]
        case "E0303" if len(streams) == 2:
            helps = _projection(streams, cut) or helps
    notes += used_at(env.instance)
    related = [mark for mark in related if mark.span != span and mark.span.file == span.file]
    return DiagnosticError(
        error(
            problem.code,
            message,
            span,
            label=label,
            related=tuple(related),
            notes=tuple(notes),
            helps=tuple(helps),
        )
    )


def used_at(instance: Instance | None) -> list[str]:
    """Say in which use of a block something went wrong."""
    if instance is None:
        return []
    text = f"in `{instance.text}`, used at line {instance.span.line}"
    if instance.values:
        text += ", where " + ", ".join(f"{name} = {value}" for name, value in instance.values)
    return [text]


def several_streams(reading: Reading, streams: Sequence[Stream], flow: Flow) -> DiagnosticError:
    """Say that a layer takes fewer streams than arrive: E0401."""
    least, most = reading.kind.inputs
    takes = counted(most if most is not None else least, "stream")
    sizes = [s.size for s in streams]
    shown = f"{', '.join(map(show_size, sizes[:-1]))} and {show_size(sizes[-1])}"
    related: tuple[Label, ...] = ()
    if flow.span is not None and flow.span != reading.head:
        related = (Label(flow.span, shown),)
    return DiagnosticError(
        error(
            "E0401",
            f"`{reading.kind.name}` takes {takes} and was given "
            f"{COUNTS[len(streams)] if len(streams) < len(COUNTS) else len(streams)}",
            reading.head,
            label=f"{counted(len(streams), 'stream')} arrive here",
            related=related,
            helps=tuple(_joins(reading.kind.name, sizes)),
        )
    )


def _joins(kind: str, sizes: Sequence[Hwc]) -> list[str]:
    helps = []
    sides = {size[:-1] for size in sizes}
    if len(sides) == 1:
        joined = (*sizes[0][:-1], sum(size[-1] for size in sizes))
        helps.append(f"join them first: `(..) -> concat -> {kind}` gives {show_size(joined)}")
    if len(set(sizes)) == 1:
        helps.append(f"or add them: `(..) -> add -> {kind}` gives {show_size(sizes[0])}")
    elif len(sides) == 1:
        channels = [str(size[-1]) for size in sizes]
        listed = f"{', '.join(channels[:-1])} and {channels[-1]}"
        helps.append(f"`add` cannot: the channels differ, {listed}")
    else:
        helps.append("their sizes differ, so neither `concat` nor `add` can join them")
    return helps


def too_few_streams(reading: Reading, streams: Sequence[Stream]) -> DiagnosticError:
    """Say that a layer needs more streams than arrive: E0402."""
    name = reading.kind.name
    least = reading.kind.inputs[0]
    return DiagnosticError(
        error(
            "E0402",
            f"`{name}` takes {counted(least, 'stream')} or more and was given "
            f"{COUNTS[len(streams)]}",
            reading.head,
            label=f"{counted(len(streams), 'stream')} arrives here"
            if len(streams) == 1
            else "no stream arrives here",
            helps=(
                f"name the other one: `{name} x`",
                f"or branch before it: `(.. | ..) -> {name}`",
            ),
        )
    )


def _fewer_pools(record: Record) -> list[str]:
    at: Record | None = record
    while at is not None:
        if at.spec.kind.name in ("maxpool", "avgpool"):
            return [f"or leave out a `{at.spec.kind.name}`"]
        at = next((s for s in at.inputs[:1] if isinstance(s, Record)), None)
    return []


def _rounding_marks(streams: Sequence[Stream]) -> list[Label]:
    """Point to where a size was rounded on the way to the streams."""
    for stream in streams:
        found = rounded_at(stream.source)
        if found is not None:
            span, text = found
            return [Label(span, text)]
    return []


def _sides(streams: Sequence[Stream], cut: Callable[[Span], str]) -> list[str]:
    names = ["this side:", *(f"{cut(s.span) or 'the other'}:" for s in streams[1:])]
    width = max(map(len, names)) + 2
    rows = [
        f"{name:<{width}}{show_size(stream.size)}{made}"
        for name, stream, made in zip(
            names, streams, [_made_by(streams[0]), *map(_from, streams[1:])], strict=True
        )
    ]
    return ["\n".join(rows)]


def _made_by(stream: Stream) -> str:
    source = stream.source
    if not isinstance(source, Record):
        return ", the input"
    return f" = {source.spec.kind.words(source.spec)} of {show_size(source.sizes[0])}"


def _from(stream: Stream) -> str:
    source = stream.source
    text = f", from line {source.span.line}"
    turns = source.turns if isinstance(source, Record) else ()
    return text + "".join(f" with {name} = {value}" for name, value in turns[-1:])


def _projection(streams: Sequence[Stream], cut: Callable[[Span], str]) -> list[str]:
    """Say what to write instead of an `id` whose channels differ."""
    long, short = streams
    if cut(short.span) != "id" or long.size[:-1] != short.size[:-1]:
        return []
    source, text = long.source, cut(long.span)
    settings = source.spec.settings if isinstance(source, Record) else {}
    if settings.get("window") != (1, 1) or "conv" not in text:
        text = f"conv {long.size[-1]} 1x1"
    return [f"project the shortcut: replace `id` by `{text}`"]


def _divisible(streams: Sequence[Stream]) -> tuple[list[str], list[str]]:
    """Say which inputs every halving on the way would divide."""
    for stream in streams:
        if rounded_at(stream.source) is None:
            continue
        heights, factor = strides_before(stream.source)
        if factor <= 1 or len(heights) < 2:
            continue
        low = heights[0] // factor * factor
        halvings = int(math.log2(factor)) if factor & (factor - 1) == 0 else 0
        steps = counted(halvings, "halving") if halvings else f"a reduction by {factor}"
        verb = "need" if halvings != 1 and halvings else "needs"
        chain = " -> ".join(map(str, heights))
        sizes = [f"{side}x{side}" for side in (low, low + factor) if side > 0]
        return (
            [f"{chain}: {steps} {verb} an input divisible by {factor}"],
            [f"make the input {' or '.join(sizes)}"],
        )
    return [], []


def wrong_size(
    stream: Stream, wanted: Sequence[int | str | None], literal: ast.ShapeLiteral, env: Env
) -> DiagnosticError:
    """Say that a size is not the one that the program states: E0302."""
    source = stream.source
    said = shape_text(literal).translate(FLAT)
    worked = "x".join("?" if d is None else str(d) for d in wanted)
    what = "this" if not isinstance(source, Record) else _named(source)
    related: tuple[Label, ...] = ()
    notes: list[str] = []
    helps: list[str] = []
    culprit = _shaper(source) if isinstance(source, Record) else None
    if culprit is not None:
        place, text = _cause(culprit, tuple(wanted))
        if place is not None and place != literal.span and place.file == literal.span.file:
            related = (Label(place, text),)
        notes.append("how the size came about:\n" + derivation(culprit))
        numbers = tuple(d for d in wanted if isinstance(d, int))
        if len(numbers) == len(wanted) and culprit.size == stream.size:
            helps += _fitting(culprit, numbers)
    notes += used_at(env.instance)
    return DiagnosticError(
        error(
            "E0302",
            f"{what} makes {show_size(stream.size)}, not the {said} written here",
            literal.span,
            label="" if f"[{worked}]" == said.replace(" ", "") else f"this is [{worked}]",
            related=related,
            notes=tuple(notes),
            helps=tuple(helps),
        )
    )


def _named(record: Record) -> str:
    """Name the layer that a size belongs to: the nearest one that may change it."""
    at = _shaper(record)
    return at.name if at.labelled else f"`{at.spec.kind.words(at.spec)}`"


def _shaper(record: Record) -> Record:
    """Go back over layers that keep the size, as activations do."""
    at = record
    while at.inputs and isinstance(at.inputs[0], Record) and at.sizes[0] == at.size:
        if at.labelled or at.spec.kind.field(at.spec, at.sizes) != ((1, 1), (1, 1)):
            break
        at = at.inputs[0]
    return at


def _cause(record: Record, wanted: tuple[int | str | None, ...]) -> tuple[Span | None, str]:
    """Point to the words that made a size, and say how: the channels' count, or the formula."""
    first = record.spec.kind.order[0] if record.spec.kind.order else ""
    channels = record.size[-1]
    if record.size[:-1] == wanted[:-1] and first in ("filters", "neurons"):
        return record.spec.spans.get(first), f"{channels} {first}"
    return _clause_span(record), record.formula or show_size(record.size)


def _clause_span(record: Record) -> Span | None:
    for clause in ("pad", "half", "same", "floor", "ceil", "stride", "window"):
        if clause in record.spec.spans:
            return record.spec.spans[clause]
    return next(iter(record.spec.spans.values()), record.span)


def _fitting(record: Record, wanted: tuple[int, ...]) -> list[str]:
    """Find single changes of a layer that give the wanted size."""
    size = (*wanted, 1) if len(wanted) == 2 and len(record.size) == 3 else wanted
    kind = record.spec.kind
    found: list[str] = []
    window = record.spec.settings.get("window")
    most = max(window) if isinstance(window, tuple) else 0
    trials: list[tuple[str, dict[str, SettingValue]]] = []
    if kind.clause("pad"):
        trials += [(f"pad {n}", {"pad": n}) for n in range(most + 1)]
        trials += [(word, {word: True}) for word in ("half", "same")]
    if kind.clause("stride"):
        trials += [(f"stride {n}", {"stride": (n, n)}) for n in range(1, 9)]
    first = kind.order[:1]
    if first and first[0] in ("filters", "neurons"):
        trials.append((f"{first[0]} {size[-1]}", {first[0]: size[-1]}))
    border = {c.name for c in kind.clauses if c.group == "the border"}
    for text, change in trials:
        kept = record.spec.settings
        if border & change.keys():
            kept = {name: v for name, v in kept.items() if name not in border}
        spec = replace(record.spec, settings={**kept, **change})
        if _gives(spec, record.sizes, size):
            found.append(f"`{text}` makes it {show_size(size)}")
    return found[:1]


def _gives(spec: LayerSpec, sizes: Sequence[Hwc], wanted: Hwc) -> bool:
    try:
        return spec.kind.output(spec, sizes) == wanted
    except LayerError:
        return False
