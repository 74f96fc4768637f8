"""Graphs whose values pass through memory as activations do, and numbers that lose nothing."""

from __future__ import annotations

from typing import Any

import numpy as np

from cnndsl.ir.builder import Builder
from cnndsl.ir.graph import Graph, Value
from cnndsl.ir.op import Op
from cnndsl.ir.types import DType, TensorType
from cnndsl.ops.elementwise import mul
from cnndsl.ops.rules import Array, Sample
from cnndsl.ops.structural import InputAttrs, input_


def rounded(array: Array, bits: int) -> Array:
    """Round to the nearest number that has so many zeros at its end."""
    whole = array.astype(np.float32).view(np.uint32).astype(np.uint64)
    kept = (whole + (1 << (bits - 1))) >> bits << bits
    return kept.astype(np.uint32).view(np.float32)


def between_halves(op: Op[Any], cases: list[Sample]) -> Graph:
    """Make a graph in which operands and results pass through memory as activations do."""
    b = Builder(Graph(op.name))
    one = b.emit(input_, attrs=InputAttrs(TensorType(DType.F32, ())), name="one")

    def through(value: Value) -> Value:
        return b.emit(mul, value, one) if b.type_of(value).dtype is DType.F32 else value

    for index, sample in enumerate(cases):
        operands = [
            through(b.emit(input_, attrs=InputAttrs(kind), name=f"x{index}_{i}"))
            for i, kind in enumerate(sample.operands)
        ]
        attrs = sample.attrs if isinstance(sample.attrs, op.attrs) else op.attrs()
        for i, value in enumerate(b.emit_all(op, *operands, attrs=attrs, name=f"node{index}")):
            b.graph.outputs[f"y{index}_{i}"] = through(value)
    return b.graph
