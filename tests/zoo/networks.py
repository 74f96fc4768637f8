"""Whole networks for tests: the zoo, and small programs made of the blocks of the great ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cnndsl.compiler import CompileOptions, Training, lower_network
from cnndsl.frontend.parse import parse
from cnndsl.ir.graph import Graph
from cnndsl.ir.types import DType, TensorType
from cnndsl.layers.initializers import initial_state
from cnndsl.layers.network import Network
from cnndsl.ops.rules import Array
from cnndsl.session import Choices, plain_elaboration, resolve
from cnndsl.support.resources import resource_dir
from cnndsl.train.step import RATE

ZOO: Mapping[str, Path] = {path.stem: path for path in sorted(resource_dir("zoo").glob("*.cnn"))}

LIGHT = ("convnetjs_cifar10", "keras_mnist", "lenet", "lenet28", "mlp", "slide")
"""Programs of the zoo that take milliseconds an image, at the size they have."""

RESIDUAL = """
default conv: half, floor, nobias

block bottleneck(c, stride=1) {
  ( conv c 1x1 - bn - relu - conv c 3x3 stride stride - bn - relu - conv(2*c, 1x1) - bn
  | shortcut(2*c, stride) ) - add - relu
}

block shortcut(c, stride) {
  if stride == 1 and shape.c == c { id } else { conv c 1x1 stride stride - bn }
}

input [12x12x3]
conv 8 3x3 - bn - relu                  => [12x12x8]
maxpool 3x3/2 half floor                => [6x6x8]
bottleneck(4) - bottleneck(6, 2) - bottleneck(6)
gap - fc 5 - softmax
"""

INCEPTION = """
default conv: same, relu

block inception(n1, r3, n3, r5, n5, proj) {
  concat {
    conv n1 1x1
    conv r3 1x1 - conv n3 3x3
    conv r5 1x1 - conv n5 5x5
    maxpool 3x3/1 same - conv proj 1x1
  }
}

input [13x11x3]
conv 8 3x3/2                            => [7x6x8]
lrn
inception(4, 3, 6, 2, 4, 3)             => [7x6x17]
maxpool 3x3/2 same                      => [4x3x17]
inception(3, 2, 4, 2, 3, 2)             => [4x3x12]
avgpool 2x2/1 - dropout 40% - fc 6 - softmax
"""

DENSE_BLOCK = """
default conv: half, floor, nobias

block grow       { (id | bn - relu - conv 8 1x1 - bn - relu - conv 4 3x3) - concat }
block transition { bn - relu - conv(shape.c / 2, 1x1) - avgpool 2x2/2 }

input [8x8x3]
conv 8 3x3 - bn - relu - maxpool 2x2
grow * 2 - transition
grow * 2
bn - relu - gap - fc 4 - softmax
"""

SEPARABLE = """
default conv and depthwise: same, nobias

block separable(c, stride=1) {
  depthwise 3x3 stride stride - bn - relu6 - conv c 1x1 - bn - relu6
}

input [11x9x3]
conv 8 3x3/2 - bn - relu
separable(12) - separable(16, 2) - separable(16)
gap - dropout 0.1 - fc 4 - softmax
"""

ACTIVATIONS = """
input [6x7x2]
conv 6 3x3, half, leaky 0.1
conv 6 3x3, half, elu
avgpool 2x2 ceil                        => [3x4x6]
conv 6 1x1 groups 2, prelu
conv 6 2x2 dilation 2 pad 1, swish      => [3x4x6]
flatten
fc 8, sigmoid
fc 8, maxout 2                          => [4]
fc 6, tanh
fc 3, softmax
"""

DECODER = """
input [12x12x2]
conv 6 3x3 half relu as e
maxpool 2x2/2 as p                      => [6x6x6]
conv 8 3x3 half relu - maxpool 2x2/2    => [3x3x8]
conv 8 1x1 relu - upconv 6 2x2/2 relu   => [6x6x6]
unpool p                                => [12x12x6]
concat e
maxpool 3x3/3 - upconv 6 5x3/3 same groups 2 nobias relu
maxpool 3x3/3 - upconv(4, 3x4, stride=3, pad=[1, 0, 1, 1], extra=1x2) - relu => [12x13x4]
avgpool 2x3 floor - upsample 2x1 - conv 4 3x3 half relu
avgpool 2x1 - unpool 2 nails            => [12x8x4]
conv 3 1x1 - softmax
"""

RECURRENT = """
input [6x4x2]
gru 5 all                               => [6x1x5]
conv 4 1x1 relu
lstm 6 peephole all
rnn 5 relu all
gru 4 reset before all as g
gap - fc 7 tanh as start
from g - lstm 7 start
fc 3 - softmax
"""

RESIZED = """
input [9x7x3]
conv 8 3x3 half relu as e               => [9x7x8]
resize 12x14 - conv 6 3x3 half relu     => [12x14x6]
resize scale 0.5 nearest                => [6x7x6]
(upsample 2 bilinear | upsample 2 bilinear align corners | resize 12x14 nearest) - concat
conv 8 3x3/2 half floor relu            => [6x7x8]
resize 9x7 align corners
(id | from e) - add
resize 4x5 - upsample 3x2 bilinear      => [12x10x8]
gap - fc 4 - softmax
"""

SMALL: Mapping[str, str] = {
    "residual": RESIDUAL,
    "inception": INCEPTION,
    "dense_block": DENSE_BLOCK,
    "separable": SEPARABLE,
    "activations": ACTIVATIONS,
    "decoder": DECODER,
    "recurrent": RECURRENT,
    "resized": RESIZED,
}


def program_text(name: str) -> str:
    """Give the text of a zoo program or of a small one."""
    return SMALL[name] if name in SMALL else ZOO[name].read_text(encoding="utf-8")


@dataclass(frozen=True)
class Subject:
    """A network, trained as its program or the usual choice says."""

    network: Network
    training: Training

    @classmethod
    def of(cls, name: str) -> Subject:
        program = parse(program_text(name), f"{name}.cnn")
        folder = ZOO[name].parent if name in ZOO else None
        elaboration = plain_elaboration(program, Choices(), base_dir=folder)
        settings = resolve(elaboration, Choices(), [])
        training = Training(
            settings.optimizer,
            settings.loss,
            loss_options=settings.loss_options,
            clip=settings.clip,
        )
        return cls(elaboration.network, training)

    def lowered(self, options: CompileOptions, *, training: bool) -> Graph:
        return lower_network(self.network, options, training=self.training if training else None)


def worn_state(graph: Graph, seed: int = 1) -> dict[str, Array]:
    """Give a state as after some training: nothing in it is still 0, 1 or alike.

    Weights keep the scale of their initialisation. Second moments of an optimizer are well away
    from zero: at zero, the step of Adam and its kin is the sign of the gradient, which no rounding
    bound holds for.
    """
    state = initial_state(graph, seed)
    for number, (name, array) in enumerate(sorted(state.items())):
        rng = np.random.default_rng([seed, number])
        state[name] = _worn(graph, name, array, rng).astype(array.dtype).reshape(array.shape)
    return state


def _worn(graph: Graph, name: str, array: Array, rng: np.random.Generator) -> Array:
    slot = name.rpartition(".")[2]
    if name == "optimizer.steps":
        return np.asarray(7.0)
    if slot in ("v", "sum", "gradients", "variance", "scale") or (
        name.startswith("optimizer.") and slot == "steps"
    ):
        return rng.uniform(0.5, 1.5, array.shape)
    if name.startswith("optimizer."):
        return rng.normal(0.0, 0.1, array.shape)
    if array.ndim == 1:
        return rng.normal(0.0, 0.2, array.shape)
    return array


def feeds(graph: Graph, seed: int = 2) -> dict[str, Array]:
    """Give random images, labels and the rest of what a graph is fed."""
    rng = np.random.default_rng(seed)
    return {
        node.id: _feed(node.id, node.type, graph, rng)
        for node in graph.nodes()
        if node.op.name == "input"
    }


def _feed(name: str, kind: TensorType, graph: Graph, rng: np.random.Generator) -> Array:
    if name == RATE:
        return np.asarray(0.05, dtype=kind.dtype.numpy)
    if name.startswith("random."):
        return np.asarray(3, dtype=np.int64)
    if kind.dtype is DType.I64:
        classes = graph.type_of(graph.outputs["output"]).shape[1]
        return rng.integers(0, classes, kind.shape)
    return np.asarray(rng.uniform(-1.0, 1.0, kind.shape).astype(kind.dtype.numpy))
