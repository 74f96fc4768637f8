"""Ops that compute nothing: inputs, parameters, constants."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cnndsl.ir.graph import Node
from cnndsl.ir.op import Attrs, Trait, define_op
from cnndsl.ir.types import DType, TensorType
from cnndsl.ops.rules import Array, reference


@dataclass(frozen=True, slots=True)
class InputAttrs(Attrs):
    """Attributes of `input`."""

    type: TensorType
    """What a run must be fed; the node's name is the name of the feed."""


@define_op("input", Trait.STRUCTURAL)
def input_(attrs: InputAttrs) -> TensorType:
    """A value given at every run, under the node's name."""
    return attrs.type


@dataclass(frozen=True, slots=True)
class Init(Attrs):
    """How the first value of a parameter is drawn; see layers/initializers.py."""

    scheme: str = "constant"
    """Name of an initialiser: "constant", "normal", "he_normal", "glorot_uniform", ..."""
    value: float = 0.0
    """The constant, or the scale (gain, standard deviation) of a random scheme."""
    fan_in: int = 1
    """Inputs that one output sums over."""
    fan_out: int = 1
    """Outputs that one input reaches."""
    table: tuple[float, ...] = ()
    """The numbers of scheme "table": the last axes of the array; the others repeat them."""


@dataclass(frozen=True, slots=True)
class ParameterAttrs(Attrs):
    """Attributes of `parameter`."""

    type: TensorType
    """Type of the array."""
    init: Init = Init()
    """How it begins."""
    trainable: bool = True
    """Whether an optimiser may move it; running statistics and optimiser state are not trained."""
    decay: bool = True
    """Whether weight decay applies; it does to weights, not to biases and scales."""


@define_op("parameter", Trait.STRUCTURAL)
def parameter(attrs: ParameterAttrs) -> TensorType:
    """A value that stays between runs, under the node's name; a run may update it."""
    return attrs.type


@dataclass(frozen=True, slots=True)
class ConstantAttrs(Attrs):
    """Attributes of `constant`."""

    type: TensorType
    """Type of the array."""
    data: bytes
    """The elements in C order, little-endian."""

    @classmethod
    def of(cls, array: Array) -> ConstantAttrs:
        """Make the attributes that hold `array`."""
        kind = TensorType(DType.of(array.dtype), array.shape)
        return cls(kind, np.ascontiguousarray(array).tobytes())

    @property
    def array(self) -> Array:
        """The array, read-only."""
        return np.frombuffer(self.data, dtype=self.type.dtype.numpy).reshape(self.type.shape)


@define_op("constant", Trait.STRUCTURAL)
def constant(attrs: ConstantAttrs) -> TensorType:
    """A fixed array."""
    return attrs.type


@reference.rule(constant)
def constant_reference(node: Node[ConstantAttrs]) -> Array:
    """Give the array itself."""
    return node.attrs.array


@dataclass(frozen=True, slots=True)
class FullAttrs(Attrs):
    """Attributes of `full`."""

    type: TensorType
    """Type of the array."""
    value: float
    """Every element."""


@define_op("full", Trait.STRUCTURAL)
def full(attrs: FullAttrs) -> TensorType:
    """An array with one value everywhere."""
    return attrs.type


@reference.rule(full)
def full_reference(node: Node[FullAttrs]) -> Array:
    """Give the filled array."""
    return np.full(node.attrs.type.shape, node.attrs.value, dtype=node.attrs.type.dtype.numpy)
