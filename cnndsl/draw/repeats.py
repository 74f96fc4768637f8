"""What stands several times in a row is shown once, with its count."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from cnndsl.draw.scene import Box, Cluster, Item, Outlet, boxes_of

LONGEST = 12
"""Items of the longest run that is looked for."""
LABELLED = 3
"""So many layers with labels of their own must stand in a row before they are collapsed."""
MANY = 5
"""So many single layers are collapsed even where layers in a row are meant to be seen."""


@dataclass(frozen=True, slots=True)
class Wiring:
    """What reads what in the whole network."""

    inputs: Mapping[str, Sequence[str]]
    """By layer: what it reads."""
    readers: Mapping[str, Sequence[str]]
    """By layer or input: who reads it."""
    kept: frozenset[str]
    """What the network gives."""

    def enters(self, members: frozenset[str]) -> tuple[str, ...]:
        """Give the values that `members` read and do not make, each once."""
        read = (value for name in members for value in self.inputs.get(name, ()))
        return tuple({value for value in read if value not in members})

    def leaves(self, members: frozenset[str]) -> tuple[str, ...]:
        """Give the results of `members` that others read or the network gives."""
        return tuple(
            name
            for name in members
            if name in self.kept or any(r not in members for r in self.readers.get(name, ()))
        )


def collapse(
    items: tuple[Item, ...], wiring: Wiring, *, singles: bool
) -> tuple[tuple[Item, ...], dict[str, str]]:
    """Fold what repeats; also give, for each result of a hidden copy, the one that is shown.

    Copies must be alike in kinds, words, wiring, heights and widths; channels may differ. Each
    must read nothing but the one result of the copy before, and only the next copy may read that.
    """
    aliases: dict[str, str] = {}
    return _collapse(items, wiring, aliases, singles=singles), aliases


def _collapse(
    items: tuple[Item, ...], wiring: Wiring, aliases: dict[str, str], *, singles: bool
) -> tuple[Item, ...]:
    inner: list[Item] = []
    for item in items:
        if isinstance(item, Cluster):
            children = _collapse(item.children, wiring, aliases, singles=singles)
            item = replace(item, children=children)
        inner.append(item)
    looks = [_look(item) for item in inner]
    found: list[Item] = []
    at = 0
    while at < len(inner):
        period, copies = _best_run(inner, looks, at, wiring, aliases, singles=singles)
        if copies == 1:
            found.append(inner[at])
            at += 1
            continue
        end = at + period * copies
        windows = [tuple(inner[i : i + period]) for i in range(at, end, period)]
        if period > 1:  # a run may hold shorter ones
            windows = [_collapse(window, wiring, aliases, singles=singles) for window in windows]
        found.append(_fold(windows, wiring, aliases))
        at = end
    return tuple(found)


def _best_run(
    items: Sequence[Item],
    looks: Sequence[object],
    at: int,
    wiring: Wiring,
    aliases: Mapping[str, str],
    *,
    singles: bool,
) -> tuple[int, int]:
    """Give period and number of the copies from `at` on that hide the most; (1, 1) for none."""
    best, hidden = (1, 1), 0
    for period in range(1, min(LONGEST, (len(items) - at) // 2) + 1):
        if _is_several(looks[at : at + period]):
            continue
        copies = 1
        while looks[at : at + period] == looks[at + copies * period : at + (copies + 1) * period]:
            copies += 1
        if copies == 1 or (copies - 1) * period <= hidden:
            continue
        copies = _joined(items, at, period, copies, wiring, aliases)
        if not _worth(items[at : at + period], copies, singles=singles):
            continue
        if (copies - 1) * period > hidden:
            best, hidden = (period, copies), (copies - 1) * period
    return best


def _worth(window: Sequence[Item], copies: int, *, singles: bool) -> bool:
    """Tell whether a run is worth collapsing."""
    first = window[0]
    if len(window) > 1 or isinstance(first, Cluster) or first.kind == "block":
        return copies >= 2
    if not singles:
        return copies >= MANY
    return copies >= (LABELLED if first.labelled else 2)


def _is_several(looks: Sequence[object]) -> bool:
    """Tell whether a window is itself copies of a shorter one, which is the one to look at."""
    return any(
        len(looks) % period == 0 and looks[period:] == looks[:-period]
        for period in range(1, len(looks) // 2 + 1)
    )


def _joined(
    items: Sequence[Item],
    at: int,
    period: int,
    copies: int,
    wiring: Wiring,
    aliases: Mapping[str, str],
) -> int:
    """Count the copies, from the first on, that are alike and hang together like a chain."""
    form: object = None
    exit_before = ""
    for copy in range(copies):
        window = items[at + copy * period : at + (copy + 1) * period]
        members = frozenset(name for item in window for name in item.members)
        entries, exits = wiring.enters(members), wiring.leaves(members)
        this = (*_form(window, aliases, {}), *_places(window))
        first = copy == 0
        fits = len(entries) == len(exits) == 1 and (first or entries == (exit_before,))
        alone = first or (
            exit_before not in wiring.kept and members.issuperset(wiring.readers[exit_before])
        )
        if not fits or not alone or not (first or this == form):
            return max(copy, 1)
        form, exit_before = this, exits[0]
    return copies


def _look(item: Item) -> object:
    """Give what an item looks like, without its wiring."""
    if isinstance(item, Box):
        return item.strips, item.copies
    return item.title, item.copies, tuple(map(_look, item.children))


def _form(
    items: Sequence[Item], aliases: Mapping[str, str], numbers: dict[str, int]
) -> Iterator[object]:
    """Give looks and wiring of items; values are numbered in the order in which they are met."""
    for item in items:
        if isinstance(item, Cluster):
            yield item.title, item.copies
            yield from _form(item.children, aliases, numbers)
            yield "end"
        else:
            met = [numbers.setdefault(resolve(v, aliases), len(numbers)) for v in item.inputs]
            yield item.strips, item.copies, tuple(met)
            for outlet in item.outlets:
                numbers.setdefault(outlet.value, len(numbers))


def _places(items: Sequence[Item]) -> Iterator[object]:
    """Give heights and widths; copies may differ in channels, but not in these."""
    for box in boxes_of(tuple(items)):
        for outlet in box.outlets:
            yield outlet.sizes[0][:-1]


def resolve(value: str, aliases: Mapping[str, str]) -> str:
    """Follow the chain of copies to the one that is shown."""
    while value in aliases:
        value = aliases[value]
    return value


def _fold(windows: Sequence[tuple[Item, ...]], wiring: Wiring, aliases: dict[str, str]) -> Item:
    """Make one item of copies; a single item carries the count itself."""
    first = frozenset(name for item in windows[0] for name in item.members)
    merged = _merged(windows, aliases)
    copies = len(windows)
    if len(merged) == 1:
        return replace(merged[0], copies=copies * merged[0].copies)
    return Cluster(f"repeat {merged[0].key}", "", merged, wiring.leaves(first), copies)


def _merged(windows: Sequence[tuple[Item, ...]], aliases: dict[str, str]) -> tuple[Item, ...]:
    found: list[Item] = []
    for alike in zip(*windows, strict=True):
        first = alike[0]
        if isinstance(first, Cluster):
            inner = [item.children for item in alike if isinstance(item, Cluster)]
            found.append(replace(first, children=_merged(inner, aliases)))
            continue
        boxes = [box for item in alike for box in boxes_of((item,))]
        outlets = []
        for same in zip(*(box.outlets for box in boxes), strict=True):
            outlets.append(Outlet(same[0].value, tuple(s for o in same for s in o.sizes)))
            aliases.update((o.value, same[0].value) for o in same[1:])
        found.append(
            replace(
                first,
                names=tuple(name for box in boxes for name in box.names),
                outlets=tuple(outlets),
                members=tuple(name for box in boxes for name in box.members),
                params=sum(box.params for box in boxes),
                macs=sum(box.macs for box in boxes),
            )
        )
    return tuple(found)
