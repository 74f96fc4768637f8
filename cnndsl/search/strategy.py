"""How a budget of trainings is spent: all alike, or in rounds that halve the field."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

Strategy: TypeAlias = Literal["random", "halving"]
"""All variants for all epochs, or successive halving (Jamieson and Talwalkar, 2016)."""


@dataclass(frozen=True, slots=True)
class Round:
    """Some of the variants, trained up to some epoch."""

    variants: int
    """How many: the best of the round before."""
    epochs: int
    """Up to which epoch."""


def rounds(strategy: Strategy, *, budget: int, epochs: int) -> tuple[Round, ...]:
    """Plan the rounds for `budget` variants, of which the last is trained for `epochs`.

    Halving keeps the better half of each round and doubles its epochs, so that every round costs
    about the same.

    >>> [(r.variants, r.epochs) for r in rounds("halving", budget=8, epochs=8)]
    [(8, 1), (4, 2), (2, 4), (1, 8)]
    """
    if strategy == "random":
        return (Round(budget, epochs),)
    found = [Round(budget, epochs)]
    while found[-1].variants > 1:
        found.append(Round(-(-found[-1].variants // 2), epochs))
    shortened = []
    for back, each in enumerate(reversed(found)):
        shortened.append(Round(each.variants, max(1, -(-epochs // 2**back))))
    return tuple(reversed(shortened))
