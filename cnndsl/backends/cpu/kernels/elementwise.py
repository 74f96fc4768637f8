"""Elementwise ops: scalar rules and fused chains of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cnndsl.ops  # noqa: F401 - defines the ops
from cnndsl.backends.cpu.kernel import KernelBuilder, PhaseEmitter, row_major
from cnndsl.backends.cpu.kernels.maps import Stream, broadcast_strides, write_map
from cnndsl.backends.cpu.llvm import LType, V
from cnndsl.backends.cpu.scalars import LlvmScalars
from cnndsl.backends.cpu.table import kernels
from cnndsl.ir.graph import Node
from cnndsl.ir.op import OPS
from cnndsl.ops.fused import FusedElementwiseAttrs, fused_elementwise
from cnndsl.ops.rules import cost_of
from cnndsl.ops.scalar import scalar


def write_elementwise(k: KernelBuilder, node: Node[Any], render: Callable[..., V]) -> None:
    """Write a map of all operands, broadcast; `render` is called with the arithmetic."""
    result = k.results[0]
    inputs = [
        Stream(i, kind, broadcast_strides(kind, result.shape, row_major(kind.shape)))
        for i, kind in enumerate(k.operands)
    ]
    output = Stream(0, result, row_major(result.shape))

    def compute(f: PhaseEmitter, kind: LType, values: list[V]) -> V:
        return render(LlvmScalars(f, kind, result.dtype), *values)

    cost = cost_of(node, k.operands)
    write_map(k, result.shape, inputs, output, compute, flops=cost.flops // max(1, result.size))


@kernels.rule(*(op for op in OPS.values() if op in scalar))
def elementwise_cpu(k: KernelBuilder, node: Node[Any]) -> None:
    """Render the scalar rule."""
    rule = scalar[node.op]
    write_elementwise(k, node, lambda s, *values: rule(s, node.attrs, *values))


@kernels.rule(fused_elementwise)
def fused_elementwise_cpu(k: KernelBuilder, node: Node[FusedElementwiseAttrs]) -> None:
    """Render the chain."""
    write_elementwise(k, node, node.attrs.program)
