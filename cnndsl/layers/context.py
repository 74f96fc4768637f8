"""Where a layer puts its nodes and arrays while its network is lowered to a graph."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from cnndsl.ir.builder import Builder
from cnndsl.ir.graph import NodeId, Value
from cnndsl.ir.types import DType, TensorType
from cnndsl.ops.structural import Init, ParameterAttrs, parameter


@dataclass(frozen=True, slots=True)
class ParameterSpec:
    """An array that belongs to a layer."""

    name: str
    """"weight", "bias", "scale", ...; the state holds it as "LAYER.NAME"."""
    shape: tuple[int, ...]
    """In the graph's layout: O, I, H, W for convolutions, O, I for fully connected layers."""
    init: Init
    """How it begins."""
    trainable: bool = True
    """Running statistics are not."""
    bias: bool = False
    """Biases are left out where the slides count weights, and from weight decay."""
    decay: bool = True
    """Whether weight decay applies."""


class LayerContext:
    """Where a layer puts its nodes while a network is lowered."""

    def __init__(
        self,
        b: Builder,
        *,
        name: str,
        parameters: Mapping[str, ParameterSpec],
        parameters_of: str,
        training: bool,
        dtype: DType,
        trainable: bool,
        random: RandomState | None,
    ) -> None:
        self.b = b
        """The builder of the graph."""
        self.name = name
        """The layer's name: the stem of its nodes' names."""
        self.training = training
        """Whether dropout drops and batch norm uses the batch."""
        self.dtype = dtype
        """Precision of the network."""
        self.random = random
        """Key and step of the random numbers; there in training only."""
        self._parameters = parameters
        self._parameters_of = parameters_of
        self._trainable = trainable

    @property
    def frozen(self) -> bool:
        """Whether training leaves the layer's arrays alone."""
        return not self._trainable

    def parameter(self, name: str) -> Value:
        """Give the layer's parameter `name`; layers that share weights get the same node."""
        spec = self._parameters[name]
        node_id = NodeId(f"{self._parameters_of}.{name}")
        if node_id in self.b.graph:
            return Value(node_id)
        attrs = ParameterAttrs(
            TensorType(self.dtype, spec.shape),
            spec.init,
            trainable=spec.trainable and self._trainable,
            decay=spec.decay and not spec.bias,
        )
        return self.b.emit(parameter, attrs=attrs, name=node_id)

    def has(self, name: str) -> bool:
        """Tell whether the layer has the parameter `name` (a bias, say)."""
        return name in self._parameters

    def update(self, name: str, value: Value) -> None:
        """Let a run leave `value` in the layer's parameter `name` (running statistics)."""
        node_id = self.parameter(name).node
        self.b.graph.updates[node_id] = value


@dataclass(frozen=True, slots=True)
class RandomState:
    """The counters that random draws in a training graph depend on."""

    key: Value
    """i64[]: the seed of the run."""
    step: Value
    """i64[]: how many steps have been taken."""
    stream: int
    """A number that no other layer of the graph has."""
