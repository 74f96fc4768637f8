"""Fused chains of elementwise ops: what the passes make of neighbours."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from cnndsl.ir.builder import Builder
from cnndsl.ir.graph import Node, Value
from cnndsl.ir.op import Attrs, Trait, define_op
from cnndsl.ir.types import TensorType, f32
from cnndsl.ops.activations import relu
from cnndsl.ops.elementwise import add, broadcast_types, mul
from cnndsl.ops.reduce import unbroadcast
from cnndsl.ops.rules import (
    Array,
    Cost,
    Sample,
    cost,
    decompose,
    elementwise_cost,
    reference,
    samples,
    vjp,
)
from cnndsl.ops.scalar import NumpyScalars, ScalarProgram, ScalarStep
from cnndsl.ops.shape import BroadcastToAttrs, broadcast_to
from cnndsl.ops.unary import exp
from cnndsl.support.diagnostics import TypeRuleError


@dataclass(frozen=True, slots=True)
class FusedElementwiseAttrs(Attrs):
    """Attributes of `fused_elementwise`."""

    program: ScalarProgram
    """The chain; its inputs are the operands in order."""


@define_op("fused_elementwise", Trait.ELEMENTWISE, Trait.INPLACE)
def fused_elementwise(attrs: FusedElementwiseAttrs, *operands: TensorType) -> TensorType:
    """A chain of elementwise ops in one go; the operands broadcast to the result."""
    if len(operands) != attrs.program.inputs or not operands:
        raise TypeRuleError(
            f"fused_elementwise of {len(operands)} operands; "
            f"its program takes {attrs.program.inputs}"
        )
    return broadcast_types("fused_elementwise", *operands)


@reference.rule(fused_elementwise)
def fused_elementwise_reference(node: Node[FusedElementwiseAttrs], *operands: Array) -> Array:
    """Run the chain on whole arrays."""
    result = node.attrs.program(NumpyScalars(node.type.dtype.numpy), *operands)
    return np.broadcast_to(result, node.type.shape)


def _emit_steps(b: Builder, node: Node[FusedElementwiseAttrs]) -> list[Value]:
    """Emit the steps as nodes; gives the operands followed by the steps' results."""
    values = list(node.operands)
    for step in node.attrs.program.steps:
        operands = (values[index] for index in step.operands)
        values.append(b.emit(step.op, *operands, attrs=step.attrs))
    return values


@decompose.rule(fused_elementwise)
def fused_elementwise_decompose(b: Builder, node: Node[FusedElementwiseAttrs]) -> Sequence[Value]:
    """Emit the chain's ops one by one."""
    values = _emit_steps(b, node)
    last = values[-1] if node.attrs.program.steps else values[0]
    if b.type_of(last) == node.type:
        return (last,)
    return (b.emit(broadcast_to, last, attrs=BroadcastToAttrs(node.type.shape)),)


@vjp.rule(fused_elementwise)
def fused_elementwise_vjp(
    b: Builder, node: Node[FusedElementwiseAttrs], grad: Value
) -> Sequence[Value | None]:
    """Emit the chain's ops again and differentiate them from the last to the first."""
    values = _emit_steps(b, node)
    last = len(values) - 1 if node.attrs.program.steps else 0
    grads: dict[int, Value] = {last: unbroadcast(b, grad, b.type_of(values[last]))}
    for index in range(last, node.attrs.program.inputs - 1, -1):
        step = node.attrs.program.steps[index - node.attrs.program.inputs]
        if index not in grads or step.op not in vjp:
            continue
        parts = vjp[step.op](b, b.graph[values[index]], grads[index])
        for operand, part in zip(step.operands, parts, strict=True):
            if part is not None:
                known = grads.get(operand)
                grads[operand] = part if known is None else b.emit(add, known, part)
    return [grads.get(index) for index in range(len(node.operands))]


@cost.rule(fused_elementwise)
def fused_elementwise_cost(
    node: Node[FusedElementwiseAttrs], operands: Sequence[TensorType]
) -> Cost:
    """One operation a step and element; operands are read once and only the last step written."""
    return elementwise_cost(node, operands, flops_per_element=len(node.attrs.program.steps))


@samples.rule(fused_elementwise)
def fused_elementwise_samples() -> Iterable[Sample]:
    """A chain, broadcasting inside it, a value read twice, no step at all."""
    none = Attrs()
    chain = (ScalarStep(add, none, (0, 1)), ScalarStep(relu, none, (2,)))
    attrs = FusedElementwiseAttrs(ScalarProgram(2, chain))
    yield Sample((f32(2, 3), f32(2, 3)), attrs, avoid=(0.0,))
    yield Sample((f32(2, 3, 2, 2), f32(1, 3, 1, 1)), attrs, low=0.1)
    twice = (
        ScalarStep(exp, none, (0,)),
        ScalarStep(mul, none, (3, 1)),
        ScalarStep(add, none, (3, 4)),
        ScalarStep(mul, none, (5, 2)),
    )
    attrs = FusedElementwiseAttrs(ScalarProgram(3, twice))
    yield Sample((f32(2, 3), f32(1, 3), f32()), attrs)
    yield Sample((f32(), f32(2, 1), f32(2, 3)), attrs)
    yield Sample((f32(2, 3),), FusedElementwiseAttrs(ScalarProgram(1, ())))
