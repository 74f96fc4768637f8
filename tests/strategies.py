"""Random valid graphs for property tests, and arrays to feed them.

Valid by construction and biased to what passes get wrong: values with several readers, weights
used twice, axes of length 1, uneven padding, batch norm in odd places, intermediate outputs.
Values stay moderate, so that no result is infinite or not a number.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np
from hypothesis import strategies as st

from cnndsl.autodiff.backward import backward
from cnndsl.ir.builder import Builder
from cnndsl.ir.graph import Graph, Value
from cnndsl.ir.op import Attrs, Op
from cnndsl.ir.types import DType, Shape, TensorType, f32
from cnndsl.ops.activations import LeakyReluAttrs, elu, leaky_relu, relu, relu6, sigmoid, tanh
from cnndsl.ops.conv import Conv2dAttrs, conv2d
from cnndsl.ops.elementwise import add, div, emit_scalar, maximum, minimum, mul, neg, sub
from cnndsl.ops.evaluate import node_in_precision
from cnndsl.ops.linalg import DenseAttrs, dense
from cnndsl.ops.norm import BatchNormAttrs, batch_norm, batch_norm_train
from cnndsl.ops.pad import PadAttrs, pad
from cnndsl.ops.pool import AvgPool2dAttrs, Pool2dAttrs, avg_pool2d, global_avg_pool, max_pool2d
from cnndsl.ops.reduce import ReduceAttrs, reduce_mean
from cnndsl.ops.rules import Array
from cnndsl.ops.shape import (
    BroadcastToAttrs,
    ConcatAttrs,
    ReshapeAttrs,
    SplitAttrs,
    TransposeAttrs,
    broadcast_to,
    concat,
    reshape,
    split,
    transpose,
)
from cnndsl.ops.smooth import softplus
from cnndsl.ops.softmax import MaxoutAttrs, SoftmaxAttrs, maxout, softmax
from cnndsl.ops.structural import (
    ConstantAttrs,
    FullAttrs,
    Init,
    InputAttrs,
    ParameterAttrs,
    constant,
    full,
    input_,
    parameter,
)
from cnndsl.ops.unary import abs_, identity, log, square, stop_gradient

T = TypeVar("T")

SMOOTH: tuple[Op[Attrs], ...] = (sigmoid, tanh, softplus, neg, identity)
KINKED: tuple[Op[Attrs], ...] = (relu, relu6, elu, abs_)  # type: ignore[assignment]


class Sketch:
    """A graph under construction, with the choices of one example."""

    def __init__(self, draw: st.DrawFn, *, is_training: bool, most: int) -> None:
        self.draw = draw
        self.is_training = is_training
        self.most = most
        self.b = Builder(Graph("random"))
        self.values: list[Value] = []
        self.growing = 0
        """Products so far; their number is bounded, since each may square the size of values."""

    def choose(self, strategy: st.SearchStrategy[T]) -> T:
        """Draw from a strategy."""
        return self.draw(strategy)

    def pick(self, options: Sequence[T]) -> T:
        """Draw one of some options; shrinking tends to the first."""
        return self.choose(st.sampled_from(options))

    def shape(self, value: Value) -> Shape:
        """Give the shape of a value."""
        return self.b.type_of(value).shape

    def parameter(self, name: str, shape: Shape, *, trainable: bool = True) -> Value:
        """Emit a parameter, or take one of the same kind that is there: weights are shared."""
        attrs = ParameterAttrs(f32(*shape), Init("normal", 0.5), trainable)
        alike = [
            node.results[0]
            for node in self.b.graph.nodes()
            if node.op is parameter and node.attrs == attrs and node.id.startswith(name)
        ]
        is_shared: bool = self.choose(st.booleans())
        if alike and is_shared:
            return self.pick(alike)
        return self.b.emit(parameter, attrs=attrs, name=name)

    def add(self, value: Value) -> None:
        """Offer a value to the steps to come."""
        self.values.append(value)

    def unary(self, x: Value) -> None:
        """Apply an activation or other function of one operand."""
        op = self.pick([*KINKED, *SMOOTH])
        if op is identity and self.choose(st.booleans()):
            self.add(self.b.emit(stop_gradient, x))
        elif self.pick(range(6)) == 5:
            self.add(self.b.emit(leaky_relu, x, attrs=LeakyReluAttrs(0.1)))
        elif op is elu:
            self.add(self.b.emit(elu, x))
        else:
            self.add(self.b.emit(op, x))

    def binary(self, x: Value) -> None:
        """Combine two values of one shape, perhaps the same one, or a value and a number."""
        shape = self.shape(x)
        alike = [value for value in self.values if self.shape(value) == shape]
        other = self.pick(alike)
        if self.choose(st.booleans()):
            number = self.pick([0.0, 1.0, -1.0, 0.5, 3.0])
            kind = f32(*shape) if self.choose(st.booleans()) else f32()
            other = self.b.emit(full, attrs=FullAttrs(kind, number))
        elif self.pick(range(4)) == 3:
            along = (1, shape[1], *(1,) * (len(shape) - 2))
            other = self.parameter("scale", along)
            if self.choose(st.booleans()):
                other = self.b.emit(broadcast_to, other, attrs=BroadcastToAttrs(shape))
        op = self.pick([add, sub, maximum, minimum, add, mul])
        if op is mul:
            self.growing += 1
            if self.growing > 3:
                op = add
        pair = (x, other) if self.choose(st.booleans()) else (other, x)
        self.add(self.b.emit(op, *pair))

    def quotient(self, x: Value) -> None:
        """Divide by a number, or by what is never small."""
        number = self.pick([2.0, 3.0, 1.0])
        self.add(self.b.emit(div, x, emit_scalar(self.b, number, x)))

    def scaled(self, x: Value) -> None:
        """Multiply by two numbers, and square something small."""
        inner = self.b.emit(mul, x, emit_scalar(self.b, 0.3, x))
        self.add(self.b.emit(mul, inner, emit_scalar(self.b, 0.7, x)))
        self.add(self.b.emit(square, self.b.emit(neg, self.b.emit(tanh, x))))

    def convolution(self, x: Value) -> None:
        """Convolve, perhaps in groups, dilated, strided, unevenly padded; perhaps normalise."""
        _, channels, height, width = self.shape(x)
        groups = self.pick([1, channels])
        filters = groups * self.choose(st.integers(1, 2))
        taps = (self.choose(st.integers(1, 3)), self.choose(st.integers(1, 3)))
        padding = tuple(
            (self.choose(st.integers(0, 2)), self.choose(st.integers(0, 1))) for _ in "hw"
        )
        dilations = (self.choose(st.integers(1, 2)), 1)
        sizes = [
            length + sum(padding[i]) - dilations[i] * (taps[i] - 1)
            for i, length in enumerate((height, width))
        ]
        if min(sizes) < 1:
            return
        strides = (self.choose(st.integers(1, 2)), self.choose(st.integers(1, 2)))
        places = tuple(
            (size - 1) // stride + 1 for size, stride in zip(sizes, strides, strict=True)
        )
        weight = self.parameter("weight", (filters, channels // groups, *taps))
        bias_shapes: list[Shape] = [(), (filters,), (filters, *places)]
        bias = self.pick(bias_shapes)
        rest = [self.parameter("bias", bias)] if bias else []
        attrs = Conv2dAttrs(
            strides, (padding[0], padding[1]), dilations, groups, has_bias=bool(bias)
        )
        y = self.b.emit(conv2d, x, weight, *rest, attrs=attrs)
        self.add(y)
        if self.choose(st.booleans()):
            self.normalisation(y)
            self.unary(self.values[-1])

    def normalisation(self, x: Value) -> None:
        """Normalise a batch of anything that has channels."""
        channels = (self.shape(x)[1],)
        scale, shift = self.parameter("scale", channels), self.parameter("shift", channels)
        if self.is_training and self.choose(st.booleans()):
            results = self.b.emit_all(batch_norm_train, x, scale, shift, attrs=BatchNormAttrs(1e-2))
            self.add(results[0])
            return
        mean = self.parameter("mean", channels, trainable=False)
        variance = self.parameter("variance", channels, trainable=False)
        eps = self.pick([1e-3, 1e-5])
        attrs = BatchNormAttrs(eps)
        self.add(self.b.emit(batch_norm, x, scale, shift, mean, variance, attrs=attrs))

    def pooling(self, x: Value) -> None:
        """Pool windows, or the whole image."""
        _, _, height, width = self.shape(x)
        window = (
            self.choose(st.integers(1, min(3, height))),
            self.choose(st.integers(1, min(2, width))),
        )
        strides = (self.choose(st.integers(1, 2)), self.choose(st.integers(1, 2)))
        kind = self.pick(range(3))
        if kind == 0:
            self.add(self.b.emit(max_pool2d, x, attrs=Pool2dAttrs(window, strides)))
        elif kind == 1:
            self.add(self.b.emit(avg_pool2d, x, attrs=AvgPool2dAttrs(window, strides)))
        else:
            self.add(self.b.emit(global_avg_pool, x))

    def layout(self, x: Value) -> None:
        """Move elements: concat, split, reshape there and back, transpose twice, pad."""
        shape = self.shape(x)
        kind = self.pick(range(6))
        if kind == 0:
            alike = [v for v in self.values if self.shape(v) == shape]
            self.add(self.b.emit(concat, x, self.pick(alike), attrs=ConcatAttrs(1)))
        elif kind == 1 and shape[1] > 1:
            sizes = (1, shape[1] - 1)
            parts = self.b.emit_all(split, x, attrs=SplitAttrs(1, sizes))
            self.add(parts[0])
            self.add(self.b.emit(concat, *parts, attrs=ConcatAttrs(1)))
        elif kind == 2:
            flat = self.b.emit(reshape, x, attrs=ReshapeAttrs((math.prod(shape),)))
            self.add(self.b.emit(reshape, flat, attrs=ReshapeAttrs(shape)))
        elif kind == 3:
            order = tuple(self.choose(st.permutations(range(len(shape)))))
            back = tuple(sorted(range(len(shape)), key=order.__getitem__))
            turned = self.b.emit(transpose, x, attrs=TransposeAttrs(order))
            turned = self.b.emit(self.pick([relu, tanh]), turned)
            self.add(self.b.emit(transpose, turned, attrs=TransposeAttrs(back)))
        elif kind == 4 and len(shape) == 4 and max(shape[2:]) < 8:
            lo, hi = (0, 0, 1, 0), (0, 0, 0, 2)
            self.add(self.b.emit(pad, x, attrs=PadAttrs(lo, hi)))
        elif shape[1] % 2 == 0:
            self.add(self.b.emit(maxout, x, attrs=MaxoutAttrs(2)))

    def head(self, x: Value) -> None:
        """Flatten, apply a dense layer, perhaps softmax and its logarithm."""
        rows = self.shape(x)[0]
        columns = math.prod(self.shape(x)[1:])
        flat = x
        if len(self.shape(x)) != 2:
            flat = self.b.emit(reshape, x, attrs=ReshapeAttrs((rows, columns)))
        units = self.choose(st.integers(1, 4))
        weight = self.parameter("weight", (units, columns))
        has_bias = self.choose(st.booleans())
        rest = [self.parameter("bias", (units,))] if has_bias else []
        y = self.b.emit(dense, flat, weight, *rest, attrs=DenseAttrs(has_bias))
        self.add(y)
        if self.choose(st.booleans()):
            share = self.b.emit(softmax, self.b.emit(tanh, y), attrs=SoftmaxAttrs(1))
            self.add(self.b.emit(log, share))

    def known(self, x: Value) -> None:
        """Compute something of constants only, and use it."""
        shape = (1, self.shape(x)[1], *(1,) * (len(self.shape(x)) - 2))
        array = np.linspace(-0.5, 0.5, math.prod(shape), dtype=np.float32).reshape(shape)
        table = self.b.emit(constant, attrs=ConstantAttrs.of(array))
        half = self.b.emit(mul, table, emit_scalar(self.b, 0.5, table))
        self.add(self.b.emit(add, x, self.b.emit(tanh, half)))

    def step(self) -> None:
        """Add one piece to a value, more often a late one."""
        late = self.choose(st.booleans())
        x = self.values[-1] if late else self.pick(self.values)
        rank = len(self.shape(x))
        pieces: list[Callable[[Value], None]] = [
            self.unary,
            self.binary,
            self.unary,
            self.binary,
            self.layout,
            self.normalisation,
            self.quotient,
            self.scaled,
            self.known,
        ]
        if rank == 4:
            pieces += [self.pooling, self.convolution, self.convolution]
        if rank == 2 or self.pick(range(4)) == 3:
            pieces.append(self.head)
        self.pick(pieces)(x)

    def build(self) -> Graph:
        """Draw the whole graph; several outputs now and then, dead ends too."""
        shape = (
            self.choose(st.integers(1, 2)),
            self.choose(st.integers(1, 3)),
            self.choose(st.integers(1, 5)),
            self.choose(st.integers(1, 4)),
        )
        for name in ("x", "y")[: self.choose(st.integers(1, 2))]:
            self.add(self.b.emit(input_, attrs=InputAttrs(f32(*shape)), name=name))
        for _ in range(self.pick(range(1, self.most + 1))):
            self.step()
        graph = self.b.graph
        graph.outputs["result"] = self.values[-1]
        if self.choose(st.booleans()):
            graph.outputs["inner"] = self.pick(self.values)
        return graph


@st.composite
def graphs(draw: st.DrawFn, *, is_training: bool = False, most: int = 8) -> Graph:
    """Draw a forward graph in float32 with the output "result", perhaps "inner" too."""
    return Sketch(draw, is_training=is_training, most=most).build()


@st.composite
def training_graphs(draw: st.DrawFn, *, most: int = 6) -> Graph:
    """Draw a graph with the output "loss" and updates of all trainable parameters that it has."""
    graph = draw(graphs(is_training=True, most=most))
    result = graph.outputs["result"]
    b = Builder(graph)
    axes = tuple(range(b.type_of(result).rank))
    square_ = b.emit(square, b.emit(tanh, result))
    loss = b.emit(reduce_mean, square_, attrs=ReduceAttrs(axes), name="loss")
    graph.outputs = {"loss": loss, **graph.outputs}
    weights = [n.results[0] for n in graph.nodes() if n.op is parameter and n.attrs.trainable]
    graph, grads = backward(graph, loss, weights)
    b = Builder(graph)
    for weight in weights:
        move = b.emit(mul, emit_scalar(b, 0.1, weight), grads[weight])
        graph.updates[weight.node] = b.emit(sub, weight, move)
    return graph


def in_precision(graph: Graph, dtype: DType) -> Graph:
    """Give the same graph with all floats of the type `dtype`."""
    twin = Graph(graph.name)
    for node in graph.nodes():
        twin.add(node_in_precision(node, dtype))
    twin.outputs, twin.updates = dict(graph.outputs), dict(graph.updates)
    return twin


def feeds(graph: Graph, seed: int = 0) -> dict[str, Array]:
    """Give moderate float64 numbers, and integers, for every input and parameter."""
    rng = np.random.default_rng(seed)
    return {
        node.id: _array(rng, node.id, node.type)
        for node in sorted(graph.nodes(), key=lambda node: node.id)
        if node.op in (input_, parameter)
    }


def _array(rng: np.random.Generator, name: str, kind: TensorType) -> Array:
    if not kind.dtype.is_float:
        return rng.integers(0, 2, kind.shape)
    if "variance" in name:
        return rng.uniform(0.01, 2.0, kind.shape)
    if name.startswith("weight"):
        return rng.uniform(-1.0, 1.0, kind.shape) / math.sqrt(math.prod(kind.shape[1:]))
    return rng.uniform(-1.0, 1.0, kind.shape)
