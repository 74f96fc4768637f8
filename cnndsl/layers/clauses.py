"""Clauses: the settings of a kind of layer, what they take, and what is said if they do not fit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from functools import lru_cache
from typing import TypeAlias

from cnndsl.support.diagnostics import CnnDslError

LARGEST = 2**31 - 1
"""The largest count, side of a window, or stride that a clause takes."""


class Takes(Enum):
    """What a clause word takes as its value."""

    COUNT = auto()
    """A whole number, at least 1: `groups 32`."""
    WHOLE = auto()
    """A whole number, at least 0."""
    NUMBER = auto()
    """A number: `rate 0.5`."""
    SIZE = auto()
    """`3x3`, or a number for both axes: `window 3x3`, `stride 2`; the value is (height, width)."""
    MARGIN = auto()
    """Rows and columns beside the image: `pad 2` on every side, `pad 1x2` above and below times
    left and right, in the call form `pad=[0, 1, 0, 1]` for top, bottom, left, right. The value is
    a number, a pair or four numbers; `LayerSpec.margin` reads all of them."""
    FLAG = auto()
    """Nothing: the word is the value, `same`."""
    WORD = auto()
    """One of a few words, listed in `Clause.words`."""
    SHAPE = auto()
    """A size in brackets, `reshape [7x7x30]`; the value is a tuple of numbers, -1 for `?`."""
    ROWS = auto()
    """Rows of numbers, `weights=[[0, -1, 0], [-1, 5, -1], [0, -1, 0]]`; the value is their text."""
    STREAM = auto()
    """The name of a stream; it becomes one more input of the layer."""


SettingValue: TypeAlias = bool | int | float | str | tuple[int, ...]
"""The value of a clause."""


@dataclass(frozen=True, slots=True)
class Clause:
    """One setting of a kind of layer."""

    name: str
    """The word that stands before the value, and the argument's name in the call form."""
    takes: Takes
    """What follows the word."""
    default: SettingValue | None = None
    """The value when it is not said; nothing if it must be said or is worked out."""
    doc: str = ""
    """What it means, in half a sentence."""
    names: tuple[str, ...] = ()
    """Other spellings; may hold spaces: `same lower`, `bias per position`."""
    words: tuple[str, ...] = ()
    """The choices of a clause that takes a WORD."""
    required: bool = False
    """Whether the layer means nothing without it."""
    group: str = ""
    """Clauses of one group exclude each other: `pad 1` and `same`."""
    low: float | None = None
    """The least value of a NUMBER; nothing if there is none."""
    below: float | None = None
    """What a NUMBER must stay below; nothing if there is no bound."""
    most: float | None = None
    """The largest value of a NUMBER; nothing if there is none."""


class LayerError(CnnDslError):
    """A layer cannot do what it is asked; the frontend turns this into a diagnostic with spans."""

    def __init__(
        self,
        code: str,
        message: str,
        *,
        at: str | None = None,
        label: str = "",
        also: Mapping[str, str] | None = None,
        notes: Sequence[str] = (),
        helps: Sequence[str] = (),
    ) -> None:
        """Complain.

        `at` names the clause that gets the carets (nothing: the whole layer), `label` is the text
        behind them, `also` maps further clauses to the text under their dashes; "0", "1", .. stand
        there for what brings the layer's inputs.
        """
        super().__init__(message)
        self.code = code
        self.message = message
        self.at = at
        self.label = label
        self.also = dict(also or {})
        self.notes = tuple(notes)
        self.helps = tuple(helps)


@lru_cache(maxsize=4096)
def fold_words(text: str) -> str:
    """Bring a spelling into the form in which spellings are compared.

    >>> fold_words("Max-Pool"), fold_words("same_lower"), fold_words("Batch  norm")
    ('max pool', 'same lower', 'batch norm')
    """
    return " ".join(text.casefold().replace("-", " ").replace("_", " ").split())


def merge_settings(
    clauses: Iterable[Clause],
    own: Mapping[str, SettingValue],
    defaults: Mapping[str, SettingValue],
) -> dict[str, SettingValue]:
    """Add the settings of `default conv: ..` to a layer's own ones.

    What the layer says wins, over the clause of the same name and over those of its group: `pad 1`
    displaces a default `same`.
    """
    groups = {c.name: c.group for c in clauses}
    said = {groups[name] for name in own if groups.get(name)}
    kept = {name: v for name, v in defaults.items() if groups.get(name, "") not in said}
    return {**kept, **own}


def check_settings(
    kind: str, clauses: Sequence[Clause], settings: Mapping[str, SettingValue]
) -> None:
    """Refuse settings that are missing, contradict each other or lie outside their range.

    Raises `LayerError` E0205, E0206 or E0207; E0204 for one that the kind does not have.
    """
    known = {clause.name: clause for clause in clauses}
    said: dict[str, str] = {}
    for name, value in settings.items():
        if name not in known:
            takes = ", ".join(known) or "no settings"
            raise LayerError(
                "E0204", f"`{kind}` has no `{name}`", at=name, notes=[f"`{kind}` takes: {takes}"]
            )
        clause = known[name]
        wrong = "" if value is clause.default else wrong_value(clause, value)
        if wrong:
            raise LayerError("E0207", f"`{name}` of `{kind}` is {wrong}", at=name, label=clause.doc)
        if clause.group and value is not False:
            if clause.group in said:
                raise LayerError(
                    "E0206",
                    f"`{said[clause.group]}` and `{name}` say two different things",
                    at=name,
                    also={said[clause.group]: ""},
                    helps=[f"leave one of them out: both are about {clause.group}"],
                )
            said[clause.group] = name
    for clause in clauses:
        if clause.required and clause.name not in settings:
            raise LayerError(
                "E0205",
                f"`{kind}` does not say its `{clause.name}`",
                notes=[f"`{clause.name}` is {clause.doc}"] if clause.doc else (),
            )


def wrong_value(clause: Clause, value: SettingValue) -> str:
    """Say what is wrong with a value, `0; it is at least 1`; nothing if it serves.

    >>> wrong_value(Clause("groups", Takes.COUNT), 0)
    '0; it is a whole number from 1 to 2,147,483,647'
    """
    match clause.takes:
        case Takes.FLAG:
            return "" if isinstance(value, bool) else f"{show_value(value)}; it takes no value"
        case Takes.COUNT:
            return _wrong_whole(value, 1)
        case Takes.WHOLE:
            return _wrong_whole(value, 0)
        case Takes.NUMBER:
            return _wrong_number(clause, value)
        case Takes.SIZE:
            return _wrong_tuple(value, (2,), 1, "a size such as 3x3")
        case Takes.MARGIN:
            if isinstance(value, int):
                return _wrong_whole(value, 0)
            return _wrong_tuple(value, (2, 4), 0, "a number, or one for each side")
        case Takes.SHAPE:
            return _wrong_tuple(value, (1, 2, 3), -1, "a size such as [7x7x30]")
        case Takes.WORD:
            choices = ", ".join(clause.words)
            return "" if value in clause.words else f"{show_value(value)}; it is one of: {choices}"
        case Takes.STREAM:
            return "" if isinstance(value, str) else f"{show_value(value)}; it is a stream"
        case Takes.ROWS:
            return "" if isinstance(value, str) else f"{show_value(value)}; it is rows of numbers"


def show_value(value: SettingValue) -> str:
    """Write a value as a program does.

    >>> show_value((3, 3)), show_value(0.5), show_value((0, 1, 0, 1))
    ('3x3', '0.5', '[0, 1, 0, 1]')
    """
    if isinstance(value, tuple):
        if len(value) in (2, 3):
            return "x".join("?" if side == -1 else str(side) for side in value)
        return f"[{', '.join(map(str, value))}]"
    if isinstance(value, float):
        return f"{value:g}"
    return str(value)


def _is_whole(value: SettingValue, low: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= LARGEST


def _wrong_whole(value: SettingValue, low: int) -> str:
    if _is_whole(value, low):
        return ""
    return f"{show_value(value)}; it is a whole number from {low} to {LARGEST:,}"


def _wrong_number(clause: Clause, value: SettingValue) -> str:
    number = None
    if isinstance(value, int | float) and not isinstance(value, bool):
        number = float(value)
    bounds = [f"at least {clause.low:g}"] if clause.low is not None else []
    bounds += [f"below {clause.below:g}"] if clause.below is not None else []
    bounds += [f"at most {clause.most:g}"] if clause.most is not None else []
    fits = (
        number is not None
        and abs(number) <= 1e30  # also refuses what is not a number
        and (clause.low is None or number >= clause.low)
        and (clause.below is None or number < clause.below)
        and (clause.most is None or number <= clause.most)
    )
    return "" if fits else f"{show_value(value)}; it is {' and '.join(bounds) or 'a number'}"


def _wrong_tuple(value: SettingValue, lengths: tuple[int, ...], low: int, what: str) -> str:
    if not isinstance(value, tuple) or len(value) not in lengths:
        return f"{show_value(value)}; it is {what}"
    if not all(_is_whole(side, low) for side in value):
        return f"{show_value(value)}; each number is a whole one from {max(low, 0)} to {LARGEST:,}"
    return ""
