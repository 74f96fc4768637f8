"""The part of a network between two image sizes, and what it costs: the comparison of stems."""

from __future__ import annotations

from dataclasses import dataclass

from cnndsl.layers.analysis import LayerReport, analyse
from cnndsl.layers.network import Network

POOLS = frozenset({"maxpool", "avgpool"})
"""Kinds whose operations some count too: one for each number of each window."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """A part of a network, from where an image size is first there to where another first is."""

    reports: tuple[LayerReport, ...]
    """Its layers."""

    @property
    def params(self) -> int:
        """Parameters, biases included."""
        return sum(r.params for r in self.reports)

    @property
    def weights(self) -> int:
        """Parameters without biases."""
        return sum(r.weights for r in self.reports)

    @property
    def macs(self) -> int:
        """Multiply-adds of convolutions and fully connected layers."""
        return sum(r.macs for r in self.reports)

    @property
    def macs_with_pools(self) -> int:
        """The same, and one operation for each number of each window of a pooling."""
        return self.macs + sum(r.flops for r in self.reports if r.kind in POOLS)

    @property
    def activations(self) -> int:
        """Numbers of the results that the lectures count."""
        return sum(r.activations for r in self.reports if r.counted)


class NoSuchSizeError(LookupError):
    """The network never has images of that size."""

    def __init__(self, side: int, sides: tuple[int, ...]) -> None:
        super().__init__(f"no image is {side} high")
        self.side = side
        self.sides = sides


def stretch(network: Network, *, start: int | None = None, end: int | None = None) -> Stretch:
    """Give the layers that lead from the first image of height `start` to the first of `end`.

    The layer that makes the image of height `end` belongs to it, what makes the one of height
    `start` does not. Without `start` it begins at the inputs, without `end` it goes to the last
    layer. Raises `NoSuchSizeError`.
    """
    reports = analyse(network).layers
    named = {report.name: report for report in reports}
    heights = {r.name: r.output[0] for r in reports if len(r.output) == 3}
    sides = tuple(dict.fromkeys(heights.values()))
    before: set[str] = {r.name for r in reports if r.kind == "input"}
    if start is not None:
        first = _first(heights, start, sides, after=())
        before |= _ancestors(first, named)
    kept = set(named)
    if end is not None:
        kept = _ancestors(_first(heights, end, sides, after=tuple(before)), named)
    return Stretch(tuple(r for r in reports if r.name in kept - before))


def _first(
    heights: dict[str, int], side: int, sides: tuple[int, ...], *, after: tuple[str, ...]
) -> str:
    for name, height in heights.items():
        if height == side and name not in after:
            return name
    raise NoSuchSizeError(side, sides)


def _ancestors(name: str, named: dict[str, LayerReport]) -> set[str]:
    found: set[str] = set()
    waiting = [name]
    while waiting:
        one = waiting.pop()
        if one not in found:
            found.add(one)
            waiting.extend(named[one].inputs)
    return found
