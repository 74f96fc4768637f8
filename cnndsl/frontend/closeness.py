"""How near a misspelt word is to a known one."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

from cnndsl.support.diagnostics import Fix
from cnndsl.support.source import Span

ENDING = 4
"""Letters that words of one family end in: `maxpool`, `unpool`."""

MOST_NAMES = 1000
"""Names that are compared at most, so that a message takes no time to speak of."""


def distance(a: str, b: str) -> int:
    """Count the letters to insert, delete, change or swap with a neighbour, in any case.

    >>> distance("maxpol", "maxpool"), distance("cnov", "conv")
    (1, 1)
    """
    a, b = a.casefold()[:64], b.casefold()[:64]
    before: list[int] = []
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, start=1):
        older, before, row = before, row, [i]
        for j, y in enumerate(b, start=1):
            cost = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (x != y))
            if i > 1 and j > 1 and x == b[j - 2] and y == a[i - 2]:
                cost = min(cost, older[j - 2] + 1)
            row.append(cost)
    return row[-1]


def near(word: str, known: Iterable[str], *, limit: int = 4) -> list[str]:
    """Give the `known` words that `word` may have meant, best first, at most `limit`.

    A word is near when at most a third of its letters differ, or when it shares an ending or a
    beginning of at least half of the word.
    """
    found = []
    for order, name in enumerate(islice(dict.fromkeys(known), MOST_NAMES)):
        if not name or name == word:
            continue
        steps = distance(word, name)
        close = steps <= max(1, max(len(word), len(name)) // 3)
        alike = 0.0 if close else steps / max(len(word), len(name))
        if close or alike <= 0.6:
            found.append((not close, steps, order, name))
    return [name for *_, name in sorted(found)[:limit]]


def akin(word: str, known: Iterable[str], *, limit: int = 3) -> list[str]:
    """Give the `known` words that are like `word`, those with its ending first.

    >>> akin("maxpool", ["maxout", "conv", "avgpool", "unpool"])
    ['avgpool', 'unpool', 'maxout']
    """
    others = [name for name in near(word, known, limit=MOST_NAMES) if name != word]
    return sorted(others, key=lambda name: not name.endswith(word[-ENDING:]))[:limit]


def instead(span: Span, name: str) -> tuple[Fix, ...]:
    """Give the edit that writes `name` where a misspelt word stands; none without a name."""
    return (Fix(f"write `{name}`", span, name),) if name else ()


def is_close(word: str, name: str) -> bool:
    """Tell whether `name` is near enough to be asked for with `did you mean`."""
    return distance(word, name) <= max(1, max(len(word), len(name)) // 3)
