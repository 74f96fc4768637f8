"""What the words of one layer say: its kind, the given settings, and where they stand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from cnndsl.frontend import ast
from cnndsl.frontend.flow import Flow
from cnndsl.frontend.values import ShapeValue, SizeValue, Value, kind_of, show
from cnndsl.layers.base import (
    Clause,
    Hwc,
    LayerError,
    LayerKind,
    LayerSpec,
    ParameterSpec,
    SettingValue,
    Takes,
)
from cnndsl.support.diagnostics import DiagnosticError, Label, error
from cnndsl.support.source import Span

MOST_TAPS = 4096
"""Numbers of a filter that a program may write out."""


@dataclass(frozen=True, slots=True)
class Sized:
    """A layer on inputs of certain sizes."""

    spec: LayerSpec
    """Its kind and settings."""
    output: Hwc
    """The size of its result."""
    unrolled: int
    """How many layers it counts as."""
    parameters: tuple[ParameterSpec, ...]
    """Its arrays."""


@dataclass(frozen=True, slots=True)
class Completed:
    """All settings of a layer, and what it makes of inputs that it was given."""

    settings: Mapping[str, SettingValue]
    """The settings."""
    sized: dict[tuple[Hwc, ...], Sized] = field(default_factory=dict)
    """By the sizes of its inputs."""


@dataclass(slots=True)
class Reading:
    """One layer's words, read."""

    kind: LayerKind
    """The kind."""
    head: Span
    """The words that name it."""
    given: dict[str, SettingValue] = field(default_factory=dict)
    """The settings that were said, by clause."""
    spans: dict[str, Span] = field(default_factory=dict)
    """Where each of them stands."""
    activation: Reading | None = None
    """The activation behind it."""
    streams: list[tuple[Flow, Span]] = field(default_factory=list)
    """Streams that were named as further inputs."""
    shapes: list[ast.ShapeLiteral] = field(default_factory=list)
    """Sizes in brackets among the words: what the layer must make."""
    sized: bool = False
    """Whether the shorthand with a hyphen gave settings."""
    completed: dict[tuple[bool, int], Completed] = field(default_factory=dict)
    """All settings that follow from the given ones, by what else decides: see `complete`."""

    def said(self, name: str, text: str = "") -> tuple[Label, ...]:
        """Point to a setting, if it stands in the source."""
        return (Label(self.spans[name], text),) if name in self.spans else ()

    @property
    def bare(self) -> bool:
        """Whether nothing but a shorthand was written."""
        return self.sized or not self.given


def read_setting(kind: LayerKind, clause: Clause, value: Value, span: Span) -> SettingValue:
    """Turn a value into what a clause takes; raises `DiagnosticError` E0207."""
    found = _converted(clause, value)
    if found is None:
        wanted = {
            Takes.COUNT: "a whole number",
            Takes.WHOLE: "a whole number",
            Takes.NUMBER: "a number",
            Takes.SIZE: "a size such as 3x3, or a number",
            Takes.MARGIN: "a number, or one for each side",
            Takes.FLAG: "true or false",
            Takes.WORD: f"one of {', '.join(clause.words)}",
            Takes.SHAPE: "a size in brackets",
            Takes.STREAM: "the name of a stream",
            Takes.ROWS: "rows of numbers such as [[0, 1], [2, 3]]",
        }[clause.takes]
        helps: tuple[str, ...] = ()
        if isinstance(value, float) and clause.takes in (Takes.COUNT, Takes.WHOLE):
            helps = ("`round(..)`, `floor(..)` or `ceil(..)` make it whole",)
        raise DiagnosticError(
            error(
                "E0207",
                f"`{clause.name}` of `{kind.name}` is {wanted}, not {kind_of(value)}",
                span,
                label=clause.doc,
                helps=helps,
            )
        )
    return found


def wanted(clause: Clause) -> str:
    """Say what a clause takes, for a message about its lack."""
    match clause.takes:
        case Takes.SIZE:
            return "a size such as 3x3 or a number"
        case Takes.WORD:
            return f"one of {', '.join(clause.words)}"
        case Takes.SHAPE:
            return "a size in brackets"
        case Takes.STREAM:
            return "the name of a stream"
        case _:
            return "a number"


def serves(clause: Clause, value: Value) -> bool:
    """Tell whether a value is of the kind that a clause takes."""
    plain = SizeValue(value.dims) if isinstance(value, SizeValue) else value
    return _converted(clause, plain) is not None


def _converted(clause: Clause, value: Value) -> SettingValue | None:
    match clause.takes:
        case Takes.COUNT | Takes.WHOLE:
            return _whole(value)
        case Takes.NUMBER:
            return _number(value)
        case Takes.SIZE:
            return _pair(value)
        case Takes.MARGIN:
            whole = _whole(value)
            return whole if whole is not None else _several(value, (2, 4))
        case Takes.FLAG:
            return value if isinstance(value, bool) else None
        case Takes.WORD:
            word = str(value).casefold() if isinstance(value, str) else None
            return word if word in clause.words else None
        case Takes.SHAPE:
            return _several(value, (1, 2, 3))
        case Takes.STREAM:
            return show(value) if isinstance(value, str) else None
        case Takes.ROWS:
            return _rows(value)


def _rows(value: Value) -> str | None:
    """Write rows of numbers of one length, in brackets; nothing for anything else."""
    rows = value if isinstance(value, tuple) else ()
    lengths = {len(row) if isinstance(row, tuple) else 0 for row in rows}
    if len(lengths) != 1 or 0 in lengths:
        return None
    numbers = [n for row in rows if isinstance(row, tuple) for n in row]
    if any(_number(n) is None for n in numbers) or len(numbers) > MOST_TAPS:
        return None
    return f"[{', '.join(_row(row) for row in rows)}]"


def _row(row: Value) -> str:
    assert isinstance(row, tuple)
    return f"[{', '.join(map(show, row))}]"


def _whole(value: Value) -> int | None:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _number(value: Value) -> int | float | None:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _pair(value: Value) -> tuple[int, ...] | None:
    whole = _whole(value)
    return (whole, whole) if whole is not None else _several(value, (2,))


def _several(value: Value, lengths: tuple[int, ...]) -> tuple[int, ...] | None:
    items: tuple[Value | None, ...]
    match value:
        case SizeValue(dims=dims, stride=None):
            items = dims
        case ShapeValue(size=size):
            items = size
        case tuple():
            items = value
        case _:
            return None
    if len(items) not in lengths:
        return None
    found = [-1 if item is None else _whole(item) for item in items]
    return tuple(n for n in found if n is not None) if None not in found else None


def layer_error(problem: LayerError, reading: Reading, span: Span) -> DiagnosticError:
    """Make a diagnostic of what a layer complains about while its settings are read."""
    at = reading.spans.get(problem.at or "", span)
    return DiagnosticError(
        error(
            problem.code,
            problem.message,
            at,
            label=problem.label,
            related=tuple(
                label for name, text in problem.also.items() for label in reading.said(name, text)
            ),
            notes=problem.notes,
            helps=problem.helps,
        )
    )
