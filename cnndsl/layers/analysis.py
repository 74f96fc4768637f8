"""What a network costs, layer by layer: sizes, parameters, operations, memory, receptive fields.

Everything is computed from sizes; nothing is allocated. Counted as the lectures count: operations
are multiply-adds of convolutions and fully connected layers, memory is the input's numbers and
those of every layer but activations and layers that only give another shape.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from cnndsl.layers.base import Hwc, ParameterSpec, Steps, show_size
from cnndsl.layers.network import Input, Layer, Network

FLOAT_BYTES = 4
"""Bytes of one number in single precision."""


@dataclass(frozen=True, slots=True)
class LayerReport:
    """What one layer costs, for one image."""

    name: str
    """Its name."""
    kind: str
    """The canonical word of its kind; "input" for an input."""
    words: str
    """The layer as a program writes it."""
    inputs: tuple[str, ...]
    """What it reads."""
    output: Hwc
    """Size of its result."""
    formula: str = ""
    """The size formula with its numbers."""
    params: int = 0
    """Numbers that training moves, biases included; 0 for a layer that shares another's."""
    trainable: int = 0
    """Those of them that are not frozen."""
    weights: int = 0
    """Those of `params` that are no biases."""
    statistics: int = 0
    """Running statistics, which are kept but not trained."""
    macs: int = 0
    """Multiply-adds of convolutions and fully connected layers."""
    flops: int = 0
    """Floating-point operations of every kind of layer; a multiply-add is two."""
    activations: int = 0
    """Numbers of its result."""
    counted: bool = True
    """Whether the lectures count memory for its result."""
    receptive_field: tuple[int, int] = (1, 1)
    """Pixels of the input, down and across, that one number depends on; the border included."""
    stride: tuple[Steps, Steps] = (1, 1)
    """Pixels of the input from one number to the next; 1/2 where the image has become larger."""
    padding: tuple[int, int] = (0, 0)
    """Pixels by which the field of the first number lies over the upper and left border."""
    shares: str = ""
    """The layer whose parameters it uses, if they are another's."""
    implicit: bool = False
    """Whether another layer's words brought it."""
    path: tuple[str, ...] = ()
    """The blocks it lies in, outermost first."""
    line: int | None = None
    """Its line in the source."""


@dataclass(frozen=True, slots=True)
class Analysis:
    """What a whole network costs, for one image."""

    name: str
    """The network's name."""
    layers: tuple[LayerReport, ...]
    """Inputs first, then every layer in order."""

    def __getitem__(self, name: str) -> LayerReport:
        """Find a layer by name; `KeyError` if there is none."""
        for report in self.layers:
            if report.name == name:
                return report
        raise KeyError(name)

    @property
    def params(self) -> int:
        """Numbers that training moves; shared ones count once, running statistics do not."""
        return sum(report.params for report in self.layers)

    @property
    def trainable(self) -> int:
        """Those of them that are not frozen."""
        return sum(report.trainable for report in self.layers)

    @property
    def weights(self) -> int:
        """Parameters that are no biases."""
        return sum(report.weights for report in self.layers)

    @property
    def statistics(self) -> int:
        """Running statistics."""
        return sum(report.statistics for report in self.layers)

    @property
    def macs(self) -> int:
        """Multiply-adds."""
        return sum(report.macs for report in self.layers)

    @property
    def flops(self) -> int:
        """Floating-point operations."""
        return sum(report.flops for report in self.layers)

    @property
    def activations(self) -> int:
        """Numbers in memory as the lectures count them, the input's included."""
        return sum(report.activations for report in self.layers if report.counted)

    @property
    def activation_bytes(self) -> int:
        """Bytes of `activations` in single precision, for one image going forward."""
        return self.activations * FLOAT_BYTES

    @property
    def training_bytes(self) -> int:
        """Bytes of one image going forward and back: each number and its gradient, so twice."""
        return 2 * self.activation_bytes

    @property
    def parameter_bytes(self) -> int:
        """Bytes of parameters and running statistics in single precision."""
        return (self.params + self.statistics) * FLOAT_BYTES


@dataclass(frozen=True, slots=True)
class Totals:
    """What a network keeps in memory, for one image: what `Analysis` says, without the rest."""

    params: int
    """Numbers that training moves; shared ones count once."""
    statistics: int
    """Running statistics."""
    activations: int
    """Numbers as the lectures count them, the input's included."""

    @property
    def activation_bytes(self) -> int:
        """Bytes of `activations` in single precision, for one image going forward."""
        return self.activations * FLOAT_BYTES

    @property
    def parameter_bytes(self) -> int:
        """Bytes of parameters and running statistics in single precision."""
        return (self.params + self.statistics) * FLOAT_BYTES


def add_up(network: Network) -> Totals:
    """Count what a network keeps, in a small part of the time that `analyse` takes."""
    params = statistics = 0
    activations = sum(math.prod(source.size) for source in network.inputs)
    owners = network.owners()
    for layer in network.layers:
        for array in layer.parameters if layer.name in owners else ():
            if array.trainable:
                params += math.prod(array.shape)
            else:
                statistics += math.prod(array.shape)
        if layer.spec.kind.counted:
            activations += math.prod(layer.output)
    return Totals(params, statistics, activations)


@dataclass(frozen=True, slots=True)
class _Place:
    """How a value lies over the input: field, stride, effective padding, (down, across) each."""

    field: tuple[int, int] = (1, 1)
    stride: tuple[Steps, Steps] = (1, 1)
    padding: tuple[int, int] = (0, 0)


def analyse(network: Network) -> Analysis:
    """Work out what a network costs."""
    reports = [_input_report(source) for source in network.inputs]
    places = {source.name: _Place() for source in network.inputs}
    owners = network.owners()
    for layer in network.layers:
        place = _place(layer, [places[name] for name in layer.inputs])
        places[layer.name] = place
        reports.append(_report(layer, place, first=layer.name in owners))
    return Analysis(network.name, tuple(reports))


def _input_report(source: Input) -> LayerReport:
    return LayerReport(
        name=source.name,
        kind="input",
        words=f"input {show_size(source.size)}",
        inputs=(),
        output=source.size,
        activations=math.prod(source.size),
        line=source.span.line if source.span else None,
    )


def _place(layer: Layer, sources: list[_Place]) -> _Place:
    """Grow the receptive field: r + (F - 1)*j, stride j*S, padding p + P*j; the largest of several.

    A part of a pixel counts as a whole one.
    """
    kind = layer.spec.kind
    window, stride = kind.field(layer.spec, layer.input_sizes)
    border = kind.border(layer.spec, layer.input_sizes)

    def grown(axis: int) -> tuple[int, Steps, int]:
        step = max(s.stride[axis] for s in sources)
        return (
            max(s.field[axis] + math.ceil((window[axis] - 1) * s.stride[axis]) for s in sources),
            _plain(step * stride[axis]),
            max(s.padding[axis] + math.ceil(border[axis] * s.stride[axis]) for s in sources),
        )

    down, across = grown(0), grown(1)
    return _Place((down[0], across[0]), (down[1], across[1]), (down[2], across[2]))


def _plain(step: Steps) -> Steps:
    """Write a whole step as a whole number."""
    return int(step) if step == int(step) else step


def _report(layer: Layer, place: _Place, *, first: bool) -> LayerReport:
    kind, spec = layer.spec.kind, layer.spec
    own = layer.parameters if first else ()
    params = layer.params if first else 0
    return LayerReport(
        name=layer.name,
        kind=kind.name,
        words=layer.words,
        inputs=layer.inputs,
        output=layer.output,
        formula=kind.formula(spec, layer.input_sizes),
        params=params,
        trainable=params if layer.trainable else 0,
        weights=_count(p for p in own if p.trainable and not p.bias),
        statistics=_count(p for p in own if not p.trainable),
        macs=layer.macs,
        flops=kind.flops(spec, layer.input_sizes, layer.output),
        activations=math.prod(layer.output),
        counted=kind.counted,
        receptive_field=place.field,
        stride=place.stride,
        padding=place.padding,
        shares="" if first else layer.parameters_of,
        implicit=layer.implicit,
        path=layer.path,
        line=layer.span.line if layer.span else None,
    )


def _count(specs: Iterable[ParameterSpec]) -> int:
    return sum(math.prod(spec.shape) for spec in specs)


@dataclass(frozen=True, slots=True)
class TableRow:
    """One line of the lecture's table: size, layer, memory, parameters."""

    size: str
    """"[55x55x96]"."""
    name: str
    """The layer's name."""
    words: str
    """The layer as a program writes it."""
    memory: str
    """"55*55*96 = 290,400"; "0" where no memory is counted."""
    params: str
    """"(11*11*3)*96 = 34,848", biases left out as in the lecture; "0" without weights."""


def table_rows(network: Network) -> tuple[TableRow, ...]:
    """Give the lecture's accounting table of a network, one row for each input and layer."""
    layers = {layer.name: layer for layer in network.layers}
    rows = []
    for report in analyse(network).layers:
        layer = layers.get(report.name)
        memory = _product(report.output) if report.counted else "0"
        params = _weights(layer) if layer is not None and report.weights else "0"
        size = show_size(report.output)
        rows.append(TableRow(size, report.name, report.words, memory, params))
    return tuple(rows)


def _product(size: tuple[int, ...]) -> str:
    if len(size) == 1:
        return f"{size[0]:,}"
    return f"{'*'.join(map(str, size))} = {math.prod(size):,}"


def _weights(layer: Layer) -> str:
    shapes = [p.shape for p in layer.parameters if p.trainable and not p.bias]
    total = sum(map(math.prod, shapes))
    if len(shapes) != 1 or len(shapes[0]) == 1:
        return f"{total:,}"
    filters, *taps = shapes[0]
    if layer.spec.kind.spreads:
        filters, taps[0] = taps[0], filters
    if len(taps) == 1:
        arriving = "*".join(map(str, layer.input_sizes[0]))
        return f"{arriving}*{filters} = {total:,}"
    depth, height, width = taps
    return f"({height}*{width}*{depth})*{filters} = {total:,}"
