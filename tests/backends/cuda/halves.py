"""Graphs whose values pass through memory as activations do, and numbers that lose nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from cnndsl.ir.builder import Builder
from cnndsl.ir.graph import Graph, Value
from cnndsl.ir.op import Op
from cnndsl.ir.types import DType, TensorType
from cnndsl.ops.elementwise import mul
from cnndsl.ops.rules import Array, Sample
from cnndsl.ops.structural import InputAttrs, input_
from cnndsl.support.settings import GpuPrecision


@dataclass(frozen=True)
class Format:
    """Numbers of two bytes."""

    unit: float
    """The most that rounding changes a number by, relative to it."""
    least: float
    """And beside that, as the smallest numbers lie so far apart."""
    infinite: float
    """From here on numbers are infinite."""
    near: Callable[[Array], Array]
    """Rounds singles to the nearest of them, which are singles again."""

    def bound(self, exact: Array) -> Array:
        """Give how far the nearest of them may be."""
        return np.asarray(self.unit * np.abs(exact) + self.least)


def _through(array: Array, kind: type[np.floating[Any]]) -> Array:
    return array.astype(kind).astype(np.float32)


def rounded(array: Array, bits: int) -> Array:
    """Round to the nearest number that has so many zeros at its end."""
    whole = array.astype(np.float32).view(np.uint32).astype(np.uint64)
    kept = (whole + (1 << (bits - 1))) >> bits << bits
    return kept.astype(np.uint32).view(np.float32)


FORMATS: dict[GpuPrecision, Format] = {
    "bf16": Format(2.0**-8, 2.0**-134, float("inf"), lambda array: rounded(array, 16)),
    "fp16": Format(2.0**-11, 2.0**-25, 65520.0, lambda array: _through(array, np.float16)),
}
"""What is kept in two bytes, by the precision that keeps it so."""


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
