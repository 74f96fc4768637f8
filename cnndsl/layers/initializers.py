"""How parameters begin: the schemes by name, and the state of a graph before any training.

A parameter's first numbers depend on the seed and on its name alone, so that adding a layer does
not change where another one starts.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from cnndsl.ir.graph import Graph
from cnndsl.ir.types import Shape
from cnndsl.ops.random import philox_normal, philox_uniform
from cnndsl.ops.rules import Array
from cnndsl.ops.structural import Init, parameter
from cnndsl.support.registry import Registry


@dataclass(frozen=True, slots=True)
class Draw:
    """Where a parameter's random numbers come from."""

    key: int
    """The generator's key, 64 bits."""
    stream: int
    """The generator's stream, 31 bits."""
    shape: Shape
    """Shape of the parameter."""
    dtype: npt.DTypeLike = np.float64
    """What the drawn numbers are rounded to."""

    def normal(self, std: float) -> Array:
        """Draw from the normal distribution of mean 0 and standard deviation `std`."""
        size = math.prod(self.shape)
        drawn = philox_normal(self.key, self.stream, size, std=std, dtype=self.dtype)
        return drawn.reshape(self.shape)

    def uniform(self, limit: float) -> Array:
        """Draw from the uniform distribution from -limit to limit."""
        size = math.prod(self.shape)
        drawn = philox_uniform(self.key, self.stream, size, limit=limit, dtype=self.dtype)
        return drawn.reshape(self.shape)


Scheme: TypeAlias = Callable[[Init, Draw], Array]
"""`(init, draw) -> array`, float64 where nothing is drawn, else as the draw says."""

INITIALIZERS: Registry[Scheme] = Registry("initialiser")
"""Every way in which a parameter may begin, by name."""


@INITIALIZERS.named("constant")
def constant(init: Init, draw: Draw) -> Array:
    """Give `value` everywhere."""
    return np.full(draw.shape, init.value, dtype=np.float64)


@INITIALIZERS.named("zeros")
def zeros(init: Init, draw: Draw) -> Array:
    """Give 0 everywhere."""
    return np.zeros(draw.shape, dtype=np.float64)


@INITIALIZERS.named("ones")
def ones(init: Init, draw: Draw) -> Array:
    """Give 1 everywhere."""
    return np.ones(draw.shape, dtype=np.float64)


@INITIALIZERS.named("table")
def table(init: Init, draw: Draw) -> Array:
    """Give the numbers of `table` in the last axes, over and over in the others."""
    numbers = np.array(init.table, dtype=np.float64)
    return np.resize(numbers, draw.shape)


@INITIALIZERS.named("forget_gate")
def forget_gate(init: Init, draw: Draw) -> Array:
    """Give `value` in the second of four parts, 0 in the others (Gers et al., 2000: it is 1)."""
    numbers = np.zeros((4, math.prod(draw.shape) // 4), dtype=np.float64)
    numbers[1] = init.value
    return numbers.reshape(draw.shape)


@INITIALIZERS.named("normal")
def normal(init: Init, draw: Draw) -> Array:
    """Draw with mean 0 and standard deviation `value`."""
    return draw.normal(init.value)


@INITIALIZERS.named("uniform")
def uniform(init: Init, draw: Draw) -> Array:
    """Draw evenly from -`value` to `value`."""
    return draw.uniform(init.value)


@INITIALIZERS.named("he_normal")
def he_normal(init: Init, draw: Draw) -> Array:
    """Draw with variance 2/fan_in, for layers before a ReLU (He et al., 2015); `value` scales."""
    return draw.normal(init.value * math.sqrt(2.0 / init.fan_in))


@INITIALIZERS.named("he_uniform")
def he_uniform(init: Init, draw: Draw) -> Array:
    """Draw evenly with variance 2/fan_in (He et al., 2015); `value` scales."""
    return draw.uniform(init.value * math.sqrt(6.0 / init.fan_in))


@INITIALIZERS.named("glorot_normal")
def glorot_normal(init: Init, draw: Draw) -> Array:
    """Draw with variance 2/(fan_in + fan_out) (Glorot and Bengio, 2010); `value` scales."""
    return draw.normal(init.value * math.sqrt(2.0 / (init.fan_in + init.fan_out)))


@INITIALIZERS.named("glorot_uniform")
def glorot_uniform(init: Init, draw: Draw) -> Array:
    """Draw evenly with variance 2/(fan_in + fan_out) (Glorot and Bengio, 2010); `value` scales."""
    return draw.uniform(init.value * math.sqrt(6.0 / (init.fan_in + init.fan_out)))


@INITIALIZERS.named("lecun_normal")
def lecun_normal(init: Init, draw: Draw) -> Array:
    """Draw with variance 1/fan_in (LeCun et al., 1998); `value` scales."""
    return draw.normal(init.value * math.sqrt(1.0 / init.fan_in))


@INITIALIZERS.named("lecun_uniform")
def lecun_uniform(init: Init, draw: Draw) -> Array:
    """Draw evenly with variance 1/fan_in (LeCun et al., 1998); `value` scales."""
    return draw.uniform(init.value * math.sqrt(3.0 / init.fan_in))


def initial_state(graph: Graph, seed: int) -> dict[str, Array]:
    """Give the first value of every parameter of a graph, in its dtype, by name."""
    return {
        node.id: initial_value(
            node.id, node.attrs.init, node.type.shape, seed, node.type.dtype.numpy
        )
        for node in graph.nodes()
        if node.op is parameter
    }


def initial_value(
    name: str, init: Init, shape: Shape, seed: int, dtype: npt.DTypeLike = np.float64
) -> Array:
    """Give the first value of the parameter `name`, computed in float64, as `dtype` [*shape]."""
    draw = Draw(*counters(seed, name), shape, dtype)
    return INITIALIZERS[init.scheme](init, draw).astype(dtype, copy=False)


def counters(seed: int, name: str) -> tuple[int, int]:
    """Give the generator's key and stream for a parameter: 95 bits of a hash of seed and name."""
    digest = hashlib.blake2b(f"{seed}:{name}".encode(), digest_size=12).digest()
    return int.from_bytes(digest[:8], "little"), int.from_bytes(digest[8:], "little") >> 1
