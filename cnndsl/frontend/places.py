"""Choices without a name, `POOL?` and `*1..5`: one for each place that is unrolled.

They are named by what they stand behind and by their number, in the order in which they are met:
`POOL.1`, `POOL.2`, `times.1`. Places may lie in one another, and then an inner one is there only if
the outer one is taken, or as often as it is.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

Settings: TypeAlias = dict[str, bool | int]
"""Values of places by name."""


@dataclass(slots=True, eq=False)
class Place:
    """One choice without a name."""

    stem: str
    """What its name begins with: `POOL`, `times`."""
    least: int
    """The fewest turns; 0 for `?`."""
    most: int
    """The most turns; 1 for `?`."""
    value: int
    """How many turns it has in this elaboration."""
    turns: list[list[Place]] = field(default_factory=list)
    """The places within, turn by turn."""
    _count: int | None = field(default=None, repr=False)

    @property
    def options(self) -> range:
        """The numbers of turns that it may have."""
        return range(self.least, self.most + 1)

    def count(self) -> int:
        """Count the ways of choosing here and within."""
        if self._count is None:
            self._count = sum(count_turns(self.turns[:turns]) for turns in self.options)
        return self._count

    @property
    def optional(self) -> bool:
        """Whether it is a `?`."""
        return self.stem != TIMES

    def said(self, value: int) -> bool | int:
        """Give a number of turns as the command line says it."""
        return bool(value) if self.optional else value


TIMES = "times"
"""The stem of `*1..5`."""
MAYBE = "maybe"
"""The stem of a `?` behind a group."""


def count(places: Sequence[Place]) -> int:
    """Count the ways of choosing; every place must have all its turns.

    >>> count([Place("POOL", 0, 1, 1, [[]]), Place("times", 1, 3, 3, [[], [], []])])
    6
    """
    return math.prod(place.count() for place in places)


def assignments(places: Sequence[Place]) -> Iterator[Settings]:
    """Give every way of choosing, one at a time; those with fewer turns first."""
    for rank in range(count(places)):
        yield _named(_unranked(places, rank))


def drawn(places: Sequence[Place], rng: random.Random) -> Settings:
    """Choose at every place by chance, each of its numbers of turns as likely as the others."""
    return _named(_drawn(places, rng))


_Chosen: TypeAlias = "list[tuple[Place, int, list[_Chosen]]]"


def _unranked(places: Sequence[Place], rank: int) -> _Chosen:
    """Give the way of choosing that has the number `rank`."""
    found: _Chosen = []
    behind = count(places)
    for place in places:
        behind //= place.count()
        index, rank = divmod(rank, behind)
        for turns in place.options:
            ways = count_turns(place.turns[:turns])
            if index < ways:
                break
            index -= ways
        inner = []
        for turn in place.turns[:turns]:
            ways //= count(turn)
            within, index = divmod(index, ways)
            inner.append(_unranked(turn, within))
        found.append((place, turns, inner))
    return found


def count_turns(turns: Sequence[Sequence[Place]]) -> int:
    """Count the ways of choosing within turns."""
    return math.prod(map(count, turns))


def _drawn(places: Sequence[Place], rng: random.Random) -> _Chosen:
    found: _Chosen = []
    for place in places:
        turns = rng.choice(place.options)
        found.append((place, turns, [_drawn(inner, rng) for inner in place.turns[:turns]]))
    return found


def _named(chosen: _Chosen) -> Settings:
    """Name the places in the order in which an elaboration meets them."""
    numbers: Counter[str] = Counter()
    found: Settings = {}
    _name(chosen, numbers, found)
    return found


def _name(chosen: _Chosen, numbers: Counter[str], found: Settings) -> None:
    for place, turns, inner in chosen:
        numbers[place.stem] += 1
        found[f"{place.stem}.{numbers[place.stem]}"] = place.said(turns)
        for within in inner:
            _name(within, numbers, found)
