"""Which batch norms take their statistics from the convolution before them, and where these lie."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from cnndsl.backends.cuda.kernel import Kernel
from cnndsl.ir.graph import NodeId
from cnndsl.ops.conv import conv2d
from cnndsl.ops.norm import batch_norm_train
from cnndsl.plan.plan import Plan, Step


def norms_after(steps: Sequence[Step]) -> dict[NodeId, NodeId]:
    """Give, by convolution, the batch norm that takes the statistics of its result."""
    convolutions = {step.node.id for step in steps if step.node.op is conv2d}
    return {
        step.node.operands[0].node: step.node.id
        for step in steps
        if step.node.op is batch_norm_train and step.node.operands[0].node in convolutions
    }


def moment_places(
    plan: Plan, kernels: Mapping[NodeId, Kernel], take: Callable[[int], int]
) -> dict[NodeId, int]:
    """Take memory for the moments of slices; gives the first byte by convolution and by norm."""
    found: dict[NodeId, int] = {}
    for name, kernel in kernels.items():
        if kernel.moments and plan.graph[name].op is conv2d:
            found[name] = take(kernel.moment_bytes)
        elif kernel.moments:
            found[name] = found[plan.graph[name].operands[0].node]
    return found
