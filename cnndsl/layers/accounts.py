"""How the size and the counts of one layer come about, with their numbers."""

from __future__ import annotations

import math
from dataclasses import dataclass

from cnndsl.layers.analysis import Analysis, LayerReport, analyse
from cnndsl.layers.base import ParameterSpec, show_size
from cnndsl.layers.network import Layer, Network


@dataclass(frozen=True, slots=True)
class Account:
    """One quantity of a layer, and the formula that gives it."""

    title: str
    """"size", "parameters", ..."""
    text: str
    """The formula with its numbers and its result."""


def accounts(network: Network, name: str) -> tuple[Account, ...]:
    """Give how size, parameters, operations, memory and receptive field of a layer come about.

    Raises `KeyError` for a name that is no layer of the network.
    """
    layer = network[name]
    analysis = analyse(network)
    report = analysis[name]
    sizes = " and ".join(map(show_size, layer.input_sizes))
    found = [Account("reads", f"{' and '.join(layer.inputs)}, {sizes}")]
    formula = f"  {report.formula}" if report.formula else ""
    found.append(Account("size", f"{show_size(layer.output)}{formula}"))
    found.append(Account("parameters", _parameters(layer, report)))
    if report.macs:
        found.append(Account("multiply-adds", _macs(layer, report)))
    product = "*".join(map(str, layer.output))
    made = f"{product} = {report.activations:,}" if len(layer.output) > 1 else product
    found.append(Account("gives", f"{made} numbers, {4 * report.activations:,} bytes"))
    found.append(Account("sees", _sees(layer, report, analysis)))
    if max(report.padding) > 0:
        over = "x".join(map(str, dict.fromkeys(report.padding)))
        text = f"{over} in all: so far the first one looks over the border"
        found.append(Account("padding", text))
    return tuple(found)


def _parameters(layer: Layer, report: LayerReport) -> str:
    if report.shares:
        return f"those of {report.shares}"
    moved = [p for p in layer.parameters if p.trainable]
    kept = sum(math.prod(p.shape) for p in layer.parameters if not p.trainable)
    if not moved:
        return "0"
    parts = [_array(layer, spec) for spec in moved]
    text = " + ".join(parts)
    if len(moved) > 1 or not text.replace(",", "").isdigit():
        text += f" = {report.params:,}"
    names = " + ".join(spec.name for spec in moved)
    also = f", and {kept:,} running statistics" if kept else ""
    return f"{text} ({names}){also}"


def _array(layer: Layer, spec: ParameterSpec) -> str:
    """Write how many numbers an array has, as the lectures do."""
    if len(spec.shape) == 4:
        filters, depth, height, width = spec.shape
        if layer.spec.kind.spreads:
            filters, depth = depth, filters
        return f"({height}*{width}*{depth})*{filters}"
    if len(spec.shape) == 2 and layer.kind == "fc":
        arriving = "*".join(map(str, layer.input_sizes[0]))
        return f"{arriving}*{spec.shape[0]}"
    return "*".join(map(str, spec.shape))


def _macs(layer: Layer, report: LayerReport) -> str:
    own = layer.spec.kind.macs_formula(layer.spec, layer.input_sizes, layer.output)
    if own:
        return f"{own} = {report.macs:,}"
    weight = next(p for p in layer.parameters if p.name == "weight")
    if len(weight.shape) == 4:
        _, depth, height, width = weight.shape
        places = "*".join(map(str, layer.output))
        if layer.spec.kind.spreads:
            places = "*".join(map(str, layer.input_sizes[0]))
        return f"({places})*({height}*{width}*{depth}) = {report.macs:,}"
    return f"{_array(layer, weight)} = {report.macs:,}"


def _sees(layer: Layer, report: LayerReport, analysis: Analysis) -> str:
    """Write r + (F - 1)*j, with the receptive field r and the stride j of what is read."""
    (down, across), (step, _) = layer.spec.kind.field(layer.spec, layer.input_sizes)
    sources = [analysis[name] for name in layer.inputs]
    before = max(sources, key=lambda source: source.receptive_field)
    field, stride = before.receptive_field, before.stride
    seen = "x".join(map(str, report.receptive_field))
    text = f"{seen} of the input, every {'x'.join(map(str, report.stride))}"
    if (down, across) == (1, 1) and step == 1:
        return text
    sides = [
        f"{r} + ({f} - 1)*{j} = {r + math.ceil((f - 1) * j)}"
        for r, f, j in zip(field, (down, across), stride, strict=True)
    ]
    return f"{text}  {'; '.join(dict.fromkeys(sides))}"
