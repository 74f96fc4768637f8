"""Random graphs with everything a planner can trip over, on values of twelve elements."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import strategies as st

from cnndsl.ir.builder import Builder
from cnndsl.ir.graph import Graph, Node, Value
from cnndsl.ir.op import Attrs, Op, Trait
from cnndsl.ir.types import DType, TensorType
from cnndsl.ops.activations import relu, tanh
from cnndsl.ops.elementwise import add, maximum, mul, neg, sub
from cnndsl.ops.linalg import DenseAttrs, dense
from cnndsl.ops.reduce import ReduceAttrs, reduce_sum
from cnndsl.ops.rules import Array
from cnndsl.ops.shape import (
    ConcatAttrs,
    ReshapeAttrs,
    SplitAttrs,
    TransposeAttrs,
    concat,
    reshape,
    split,
    transpose,
)
from cnndsl.ops.softmax import SoftmaxAttrs, softmax
from cnndsl.ops.structural import (
    ConstantAttrs,
    FullAttrs,
    InputAttrs,
    ParameterAttrs,
    constant,
    full,
    input_,
    parameter,
)
from cnndsl.ops.unary import identity

SHAPES = ((2, 6), (3, 4), (12,), (1, 2, 6))


class Grower:
    """Adds random nodes to a graph."""

    def __init__(self, draw: Callable[[st.SearchStrategy[Any]], Any], dtype: DType) -> None:
        self.draw = draw
        self.dtype = dtype
        self.b = Builder(Graph("random"))
        self.pool: list[Value] = []

    def kind(self, *shape: int) -> TensorType:
        return TensorType(self.dtype, shape)

    def pick(self, shape: tuple[int, ...] | None = None) -> Value:
        value: Value = self.draw(st.sampled_from(self.pool))
        if shape is not None and self.b.type_of(value).shape != shape:
            return self.b.emit(reshape, value, attrs=ReshapeAttrs(shape))
        return value

    def sources(self) -> None:
        for name in ("x", "y", "unused")[: self.draw(st.integers(1, 3))]:
            shape = self.draw(st.sampled_from(SHAPES))
            value = self.b.emit(input_, attrs=InputAttrs(self.kind(*shape)), name=name)
            if name != "unused":
                self.pool.append(value)
        for index in range(self.draw(st.integers(0, 4))):
            shape = self.draw(st.sampled_from(SHAPES))
            attrs = ParameterAttrs(self.kind(*shape))
            self.pool.append(self.b.emit(parameter, attrs=attrs, name=f"p{index}"))
        if self.draw(st.booleans()):
            array = np.linspace(-1, 1, 12, dtype=self.dtype.numpy).reshape(3, 4)
            self.pool.append(self.b.emit(constant, attrs=ConstantAttrs.of(array)))
        if self.draw(st.booleans()):
            self.pool.append(self.b.emit(full, attrs=FullAttrs(self.kind(2, 6), 0.5)))

    def grow(self) -> None:
        steps = (self.unary, self.binary, self.binary, self.view, self.broadcast, self.halves)
        step = self.draw(st.sampled_from((*steps, self.layer, self.turned)))
        self.pool.extend(step())

    def unary(self) -> list[Value]:
        x = self.pick()
        op: Op[Any] = self.draw(st.sampled_from((neg, relu, tanh, softmax)))
        attrs = SoftmaxAttrs(self.b.type_of(x).rank - 1) if op is softmax else None
        return [self.b.emit(op, x, attrs=attrs)]

    def binary(self) -> list[Value]:
        op: Op[Any] = self.draw(st.sampled_from((add, sub, maximum, mul)))
        x = self.pick()
        result = self.b.emit(op, x, self.pick(self.b.type_of(x).shape))
        # Products are kept small, or a few of them leave the range of a float.
        return [self.b.emit(tanh, result) if op is mul else result]

    def view(self) -> list[Value]:
        if self.draw(st.booleans()):
            return [self.b.emit(identity, self.pick())]
        return [self.pick(self.draw(st.sampled_from(SHAPES)))]

    def broadcast(self) -> list[Value]:
        x = self.pick((3, 4))
        attrs = ReduceAttrs(axes=(0,), keepdims=True)
        total = self.b.emit(reduce_sum, self.pick((3, 4)), attrs=attrs)
        pair = (x, total) if self.draw(st.booleans()) else (total, x)
        return [self.b.emit(tanh, self.b.emit(sub, *pair))]

    def halves(self) -> list[Value]:
        both = self.b.emit(concat, self.pick((2, 6)), self.pick((2, 6)), attrs=ConcatAttrs(0))
        parts = self.b.emit_all(split, both, attrs=SplitAttrs(0, (2, 2)))
        return list(parts[: self.draw(st.integers(1, 2))])

    def turned(self) -> list[Value]:
        return [self.b.emit(transpose, self.pick((3, 4)), attrs=TransposeAttrs((1, 0)))]

    def layer(self) -> list[Value]:
        shape = self.kind(6, 6)
        name = f"weight{len(self.pool)}"
        weight = self.b.emit(parameter, attrs=ParameterAttrs(shape), name=name)
        result = self.b.emit(dense, self.pick((2, 6)), weight, attrs=DenseAttrs(has_bias=False))
        return [self.b.emit(tanh, result)]

    def finish(self, *, updates: bool) -> Graph:
        graph = self.b.graph
        for index in range(self.draw(st.integers(0 if updates else 1, 3))):
            graph.outputs[f"out{index}"] = self.pick()
        stored = [node for node in graph.nodes() if node.op is parameter] if updates else []
        for node in stored:
            if self.draw(st.integers(0, 3)):
                graph.updates[node.id] = self.next_value(node)
        return graph

    def next_value(self, node: Node[Any]) -> Value:
        own = node.results[0]
        if node.type.size != 12:
            return self.b.emit(neg, own)
        if self.draw(st.booleans()):
            return self.pick(node.type.shape)
        return self.b.emit(sub, own, self.pick(node.type.shape))


@st.composite
def graphs(
    draw: Callable[[st.SearchStrategy[Any]], Any],
    *,
    updates: bool | None = None,
    most: int = 16,
    dtype: DType = DType.F32,
) -> Graph:
    """Graphs of up to `most` random nodes; with updates, without, or (None) either."""
    grower = Grower(draw, dtype)
    grower.sources()
    for _ in range(draw(st.integers(1, most))):
        grower.grow()
    wanted = draw(st.booleans()) if updates is None else updates
    return grower.finish(updates=wanted)


def stray_op(name: str, *traits: Trait, results: int = 1) -> Op[Attrs]:
    """An op that no table knows: any operands, `results` results of the first one's type."""

    def type_rule(attrs: Attrs, *xs: TensorType) -> tuple[TensorType, ...]:
        return (xs[0],) * results

    return Op(name, ("xs",), 0, True, Attrs, type_rule, frozenset(traits), "For tests.")


def feeds_of(graph: Graph, op: Op[Any], seed: int = 0) -> dict[str, Array]:
    """Random arrays for the inputs or for the parameters of a graph."""
    rng = np.random.default_rng(seed)
    return {
        node.id: rng.uniform(-1, 1, node.type.shape).astype(node.type.dtype.numpy)
        for node in graph.nodes()
        if node.op is op
    }
