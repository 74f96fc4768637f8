"""What assertions may ask about a network, a net or a layer: `params`, `FC8.params`, `vgg.macs`."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from cnndsl.frontend.figures import PLAIN, Counting
from cnndsl.frontend.values import ShapeValue, Value
from cnndsl.layers.analysis import FLOAT_BYTES, LayerReport
from cnndsl.layers.base import Steps

POOLINGS = ("maxpool", "avgpool")
"""Kinds whose windows are operations where a program says `counting: with pools`."""


@dataclass(frozen=True)
class Measured:
    """A layer, a namespace or a whole network, with what it costs; answers are kept."""

    reports: tuple[LayerReport, ...]
    """Its inputs and layers, in order."""
    counting: Counting = PLAIN
    """The program's conventions."""

    @cached_property
    def _answers(self) -> dict[str, Value]:
        return {}

    def quantity(self, name: str) -> Value:
        """Give one of `QUANTITIES`."""
        if name not in self._answers:
            self._answers[name] = QUANTITIES[name](self)
        return self._answers[name]

    @cached_property
    def _by_part(self) -> dict[str, list[LayerReport]]:
        """The layers in whose names, `trunk.conv1`, each part stands."""
        found: dict[str, list[LayerReport]] = {}
        for report in self.reports:
            for part in dict.fromkeys(report.name.split(".")):
                found.setdefault(part, []).append(report)
        return found

    @cached_property
    def _parts(self) -> dict[Hashable, Measured]:
        return {}

    def part(self, key: Hashable, find: Callable[[], tuple[LayerReport, ...]]) -> Measured:
        """Give the layers that `find` finds; they are looked for once for a key."""
        if key not in self._parts:
            self._parts[key] = Measured(find(), self.counting)
        return self._parts[key]

    def within(self, prefix: str) -> tuple[LayerReport, ...]:
        """Give the layers whose names begin with `prefix`, which is empty or ends in a dot."""
        if not prefix:
            return self.reports
        return tuple(r for r in self._near(prefix[:-1]) if r.name.startswith(prefix))

    def called(self, names: Iterable[str]) -> tuple[LayerReport, ...]:
        """Give the layers that have one of these names, in order."""
        wanted = frozenset(names)
        if len(wanted) == 1:
            return tuple(r for r in self._near(*wanted) if r.name in wanted)
        return tuple(r for r in self.reports if r.name in wanted)

    def under(self, name: str) -> tuple[LayerReport, ...]:
        """Give the layer called `name`, or every layer of the namespace `name.`.

        A namespace around all of them, as a net's own, need not be said.
        """
        near = self._near(name)
        for found in (
            [r for r in near if r.name == name],
            [r for r in near if r.name.startswith(f"{name}.")],
            [r for r in near if r.name.endswith(f".{name}")],
            [r for r in near if f".{name}." in r.name],
        ):
            if found:
                return tuple(found)
        return ()

    def _near(self, name: str) -> Sequence[LayerReport]:
        """Give the layers that have the rarest part of a name in theirs."""
        return min((self._by_part.get(part, []) for part in name.split(".")), key=len)

    def total(self, quantity: str) -> int:
        """Sum a field of the reports."""
        return sum(getattr(report, quantity) for report in self.reports)

    def memory(self) -> int:
        """Count the numbers that are kept, as the lectures do; a lone layer's always."""
        if len(self.reports) == 1:
            return self.reports[0].activations
        kept = [r for r in self.reports if r.counted]
        return sum(r.activations for r in kept if r.kind != "input" or self.counting.input)

    def operations(self) -> int:
        """Count multiply-adds, and the windows of poolings if the program says so."""
        pools = (r.flops for r in self.reports if r.kind in POOLINGS)
        return self.total("macs") + (sum(pools) if self.counting.pools else 0)

    def weight_layers(self) -> int:
        """Count convolutions and fully connected layers on the longest way through."""
        depth: dict[str, int] = {}
        for report in self.reports:
            before = max((depth.get(name, 0) for name in report.inputs), default=0)
            depth[report.name] = before + (report.macs > 0)
        return max(depth.values(), default=0)


QUANTITIES: Mapping[str, Callable[[Measured], Value]] = {
    "params": lambda m: m.total("params"),
    "weights": lambda m: m.total("weights"),
    "biases": lambda m: m.total("params") - m.total("weights"),
    "statistics": lambda m: m.total("statistics"),
    "macs": lambda m: m.total("macs"),
    "flops": lambda m: m.total("flops"),
    "ops": Measured.operations,
    "memory": Measured.memory,
    "bytes": lambda m: m.memory() * FLOAT_BYTES,
    "layers": lambda m: sum(r.kind != "input" for r in m.reports),
    "weight_layers": Measured.weight_layers,
}
"""Quantities of a network, of a net and of a layer."""

OF_A_LAYER: Mapping[str, Callable[[LayerReport], Value]] = {
    "size": lambda r: ShapeValue(r.output),
    "h": lambda r: r.output[0] if len(r.output) == 3 else 1,
    "w": lambda r: r.output[1] if len(r.output) == 3 else 1,
    "c": lambda r: r.output[-1],
    "field": lambda r: max(r.receptive_field),
    "step": lambda r: _number(max(r.stride)),
    "padding": lambda r: max(r.padding),
}
"""Quantities that only a layer has: its size, receptive field, stride, and effective padding."""


def _number(step: Steps) -> int | float:
    return step if isinstance(step, int) else float(step)


def ask(measured: Measured, quantity: str) -> Value | None:
    """Give a quantity of what was measured, or nothing if it has none of that name.

    The size and the receptive field of several layers are those of the last one.
    """
    if quantity in QUANTITIES:
        return measured.quantity(quantity)
    if quantity in OF_A_LAYER and measured.reports:
        return OF_A_LAYER[quantity](measured.reports[-1])
    return None


def product(size: tuple[int, ...]) -> str:
    """Write a size as the product that memory is counted with: `55*55*96 = 290,400`."""
    text = "*".join(map(str, size))
    return text if len(size) == 1 else f"{text} = {math.prod(size):,}"
