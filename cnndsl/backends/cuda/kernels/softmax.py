"""Softmax along an axis, its logarithm, and maxout."""

from __future__ import annotations

from cnndsl.backends.cuda.kernel import KernelBuilder, element
from cnndsl.backends.cuda.kernels.rows import Rows, launch_rows, rows_over, total_rows
from cnndsl.backends.cuda.layout import strides_of, walk_over
from cnndsl.backends.cuda.scalars import literal
from cnndsl.backends.cuda.table import kernels
from cnndsl.backends.cuda.text import Walk
from cnndsl.ir.graph import Node
from cnndsl.ops.softmax import (
    MaxoutAttrs,
    SoftmaxAttrs,
    log_softmax,
    maxout,
    softmax,
)

NORM = """
$T* room = reinterpret_cast<$T*>(shared_memory);
$T top = -INFINITY_OF($T);
for ($I j = lane; j < $WIDTH; j += $LANES) top = larger(top, $T(x[$at]));
top = over_lanes<Largest, $LANES>(top, room);
$T total = 0;
for ($I j = lane; j < $WIDTH; j += $LANES) total += exp_of(x[$at] - top);
total = over_lanes<Sum, $LANES>(total, room);
"""
"""Finds a row's maximum and the sum of its powers below it."""


def _write(k: KernelBuilder, axis: int, body: str) -> None:
    rows = rows_over(k.operands[0], (axis,))
    kind = element(k.operands[0])
    launch_rows(
        k,
        "",
        NORM + body,
        count=rows.count,
        lanes=rows.lanes,
        room=kind,
        reads=[("x", k.operand(0))],
        writes=[("y", k.result())],
        T=kind,
        WIDTH=rows.width,
        at=rows.at("row", "j"),
    )


@kernels.rule(softmax)
def softmax_cuda(k: KernelBuilder, node: Node[SoftmaxAttrs]) -> None:
    """Subtract the maximum, exponentiate, normalise."""
    loop = "for ($I j = lane; j < $WIDTH; j += $LANES)"
    _write(k, node.attrs.axis, f"{loop} y[$at] = exp_of(x[$at] - top) / total;")


@kernels.rule(log_softmax)
def log_softmax_cuda(k: KernelBuilder, node: Node[SoftmaxAttrs]) -> None:
    """Subtract the maximum, then the logarithm of the sum."""
    loop = "for ($I j = lane; j < $WIDTH; j += $LANES)"
    _write(
        k,
        node.attrs.axis,
        f"const $T less = log_of(total);\n{loop} y[$at] = x[$at] - top - less;",
    )


@kernels.rule(maxout)
def maxout_cuda(k: KernelBuilder, node: Node[MaxoutAttrs]) -> None:
    """Take the largest of neighbouring channels."""
    x, y, pieces = k.operands[0], k.results[0], node.attrs.pieces
    strides = strides_of(x.shape)
    steps = [stride * pieces if axis == 1 else stride for axis, stride in enumerate(strides)]
    rows = Rows(walk_over(y.shape, steps), Walk((pieces,), (strides[1],)))
    kind = element(x)
    total_rows(
        k,
        rows,
        how="Largest",
        kind=kind,
        value=f"const {kind} value = x[{rows.at('row', 'j')}];",
        finish="total",
        reads=[("x", k.operand(0))],
        none=literal(float("-inf"), x.dtype),
    )
