"""What lies in device memory in which form: views, and activations of sixteen bits.

With the precisions "bf16" and "fp16" the values between layers, and their gradients, have two bytes
an element (bfloat16: the exponent of a single, 8 bits of precision; half: numbers from 6e-8 to
65,504, 11 bits), and so have copies of weights that products read (`shadows.py`). Singles stay:
inputs as they are fed, parameters, their gradients and updates, statistics and sums, scores and
losses, and what leaves the device. Kernels compute in single precision whatever the memory holds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from cnndsl.backends.cuda.kernel import HALF_BYTES
from cnndsl.backends.cuda.layout import same_order
from cnndsl.backends.cuda.policy import Policy
from cnndsl.backends.cuda.shadows import is_shadow
from cnndsl.ir.graph import Graph, Node, Value
from cnndsl.ir.op import Op, Trait
from cnndsl.ir.types import DType, TensorType
from cnndsl.ops.conv import conv2d, conv2d_grad_input, conv2d_grad_weight
from cnndsl.ops.linalg import dense, matmul
from cnndsl.ops.lrn import lrn, lrn_grad
from cnndsl.ops.norm import batch_norm, batch_norm_grad, batch_norm_train
from cnndsl.ops.pad import pad, pad_grad
from cnndsl.ops.pixels import unpack_pixels
from cnndsl.ops.pool import (
    avg_pool2d,
    avg_pool2d_grad,
    global_avg_pool,
    global_max_pool,
    max_pool2d,
    max_pool2d_gather,
    max_pool2d_grad,
)
from cnndsl.ops.random import dropout_mask
from cnndsl.ops.reduce import reduce_mean, reduce_sum
from cnndsl.ops.resize import resize, resize_grad
from cnndsl.ops.shape import (
    broadcast_to,
    concat,
    reshape,
    slice_,
    slice_grad,
    split,
    transpose,
)
from cnndsl.ops.softmax import maxout
from cnndsl.plan.storage import Storage

MAKERS: frozenset[Op[Any]] = frozenset(
    (
        conv2d,
        conv2d_grad_input,
        dense,
        matmul,
        batch_norm,
        batch_norm_train,
        batch_norm_grad,
        max_pool2d,
        max_pool2d_grad,
        max_pool2d_gather,
        avg_pool2d,
        avg_pool2d_grad,
        global_avg_pool,
        global_max_pool,
        lrn,
        lrn_grad,
        pad,
        pad_grad,
        unpack_pixels,
        resize,
        resize_grad,
        concat,
        split,
        slice_,
        slice_grad,
        reshape,
        transpose,
        broadcast_to,
        maxout,
        dropout_mask,
    )
)
"""Ops whose results may be halved, beside elementwise ones."""
READERS = MAKERS | {conv2d_grad_weight, reduce_sum, reduce_mean}
"""Ops that may read what is halved, beside elementwise ones."""


@dataclass(frozen=True, slots=True)
class CudaStorage(Storage):
    """Channels last, and some values halved."""

    halves: frozenset[Value]
    """Those of two bytes an element."""

    def element_bytes(self, value: Value, kind: TensorType) -> int:
        """Give the bytes of an element of `value`."""
        return HALF_BYTES if value in self.halves else kind.dtype.nbytes

    def is_view(self, node: Node[Any], operand: TensorType) -> bool:
        """Tell whether the elements stay where they are, channels last."""
        return Trait.VIEW in node.op.traits and same_order(operand.shape, node.type.shape)


def storage_of(graph: Graph, policy: Policy) -> CudaStorage:
    """Decide how the values of a graph are kept."""
    return CudaStorage(_halves(graph) if policy.half else frozenset())


def _halves(graph: Graph) -> frozenset[Value]:
    """Give the values that are kept in two bytes an element."""
    learned = _leading_to_updates(graph)
    whole = {*learned, *graph.outputs.values()}
    plain = CudaStorage(frozenset())
    views: list[tuple[Value, Value]] = []
    found: set[Value] = set()
    for node in graph.nodes():
        kinds = [graph.type_of(value) for value in node.operands]
        if kinds and plain.is_view(node, kinds[0]):
            views.append((node.operands[0], node.results[0]))
        if is_shadow(graph, node):
            found.update(node.results)
        pointwise = Trait.ELEMENTWISE in node.op.traits
        # What is done to gradients of parameters, as for their norm, is no activation.
        apart = pointwise and any(v in learned and graph.type_of(v).rank > 1 for v in node.operands)
        if (pointwise or node.op in MAKERS) and not apart:
            found.update(v for v in node.results if _is_activation(graph.type_of(v)))
        if not (pointwise or node.op in READERS):
            whole.update(node.operands)
    found -= whole
    while True:
        # A view is what it shows: both are halved or none.
        unlike = {v for pair in views if len(found & set(pair)) == 1 for v in pair}
        if not unlike:
            return frozenset(found)
        found -= unlike


def _is_activation(kind: TensorType) -> bool:
    return kind.dtype is DType.F32 and kind.rank > 1


def _leading_to_updates(graph: Graph) -> set[Value]:
    """Give the updates of parameters and what leads to them elementwise."""
    found: set[Value] = set()
    waiting = list(graph.updates.values())
    while waiting:
        value = waiting.pop()
        found.add(value)
        node = graph[value]
        if Trait.ELEMENTWISE in node.op.traits or Trait.VIEW in node.op.traits:
            waiting.extend(v for v in node.operands if v not in found)
    return found
