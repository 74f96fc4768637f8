"""A network: layers with all settings and sizes worked out, before any graph is made.

This is what `summary`, `table` and `explain` look at; nothing is allocated for it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from cnndsl.layers.base import Hwc, LayerSpec, ParameterSpec, show_size
from cnndsl.support.source import Span


@dataclass(frozen=True, slots=True)
class Input:
    """An input of a network."""

    name: str
    """What a run is fed under; "input" if the program gives no name."""
    size: Hwc
    """Height, width, channels, or (length,)."""
    span: Span | None = field(default=None, compare=False)
    """Where it is declared."""


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer of a network."""

    name: str
    """Unique in the network: the user's label, or kind and number (`conv3`)."""
    spec: LayerSpec
    """Kind and settings."""
    inputs: tuple[str, ...]
    """Names of the layers or inputs it reads."""
    input_sizes: tuple[Hwc, ...]
    """Their sizes."""
    output: Hwc
    """The size of its result."""
    parameters: tuple[ParameterSpec, ...] = ()
    """Its arrays."""
    parameters_of: str = ""
    """The layer whose arrays it uses: its own name, unless a net is used twice."""
    trainable: bool = True
    """Whether training moves its arrays; `freeze` makes it false."""
    implicit: bool = False
    """Whether another layer's words brought it: the activation of a conv, the fc of a softmax."""
    path: tuple[str, ...] = ()
    """The block instances it lies in, outermost first: `("bottleneck(64, 2)",)`."""
    span: Span | None = field(default=None, compare=False)
    """Where it stands."""
    instances: tuple[int, ...] = field(default=(), compare=False)
    """A number for each of `path`: the same for layers of the same use of a block."""

    @property
    def kind(self) -> str:
        """The canonical word of its kind."""
        return self.spec.kind.name

    @property
    def words(self) -> str:
        """The layer as a program writes it."""
        return self.spec.kind.words(self.spec)

    @property
    def params(self) -> int:
        """Numbers of its arrays that training moves."""
        return sum(math.prod(each.shape) for each in self.parameters if each.trainable)

    @property
    def macs(self) -> int:
        """Multiply-adds for one image, of a convolution or a fully connected layer."""
        return self.spec.kind.macs(self.spec, self.input_sizes, self.output)


@dataclass(frozen=True, slots=True)
class Network:
    """Inputs, layers in an order in which they can run, and outputs."""

    name: str
    """The program's or net's name."""
    inputs: tuple[Input, ...]
    """What it reads."""
    layers: tuple[Layer, ...]
    """Every layer after those it reads."""
    outputs: Mapping[str, str]
    """Output name to layer name; the name is "output" if the program gives none."""
    streams: Mapping[str, str] = field(default_factory=dict)
    """Labels and aliases that the program gave, and the layer whose result each names."""

    def __getitem__(self, name: str) -> Layer:
        """Find a layer by name; `KeyError` if there is none."""
        for layer in self.layers:
            if layer.name == name:
                return layer
        raise KeyError(name)

    def size_of(self, name: str) -> Hwc:
        """Give the size of a layer's result or of an input."""
        for source in self.inputs:
            if source.name == name:
                return source.size
        return self[name].output

    def owners(self) -> frozenset[str]:
        """Name the layers that are the first to use their arrays; later ones share those."""
        first: dict[str, str] = {}
        for layer in self.layers:
            first.setdefault(layer.parameters_of or layer.name, layer.name)
        return frozenset(first.values())

    def _repr_html_(self) -> str:
        """Give the table of layers that a notebook shows."""
        from cnndsl.support.html import html_table

        columns = (
            ("layer", False),
            ("what", False),
            ("output", False),
            ("parameters", True),
            ("multiply-adds", True),
        )
        owners = self.owners()
        rows = [
            [i.name, f"input {show_size(i.size)}", _size(i.size), "0", "0"] for i in self.inputs
        ]
        params = macs = 0
        for layer in self.layers:
            own = layer.params if layer.name in owners else 0
            rows.append(
                [layer.name, layer.words, _size(layer.output), f"{own:,}", f"{layer.macs:,}"]
            )
            params += own
            macs += layer.macs
        total = ("total", "", "", f"{params:,}", f"{macs:,}")
        return html_table(columns, rows, caption=self.name, total=total)


def _size(size: Hwc) -> str:
    return "x".join(map(str, size))
