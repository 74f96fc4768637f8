"""Reductions over axes: sum, mean, largest and its place."""

from __future__ import annotations

from typing import Any

from cnndsl.backends.cuda.kernel import KernelBuilder, Pointer, element, vector_of
from cnndsl.backends.cuda.kernels.columns import Columns, total_columns
from cnndsl.backends.cuda.kernels.rows import (
    Rows,
    kept_axes,
    launch_rows,
    least,
    rows_along,
    rows_over,
    total_rows,
)
from cnndsl.backends.cuda.scalars import literal
from cnndsl.backends.cuda.table import kernels
from cnndsl.ir.graph import Node
from cnndsl.ir.types import TensorType
from cnndsl.ops.reduce import (
    ArgmaxAttrs,
    ReduceAttrs,
    argmax,
    reduce_max,
    reduce_max_grad,
    reduce_max_pick,
    reduce_mean,
    reduce_sum,
)


def _rows(x: TensorType, attrs: ReduceAttrs, *, ordered: bool = False) -> Rows:
    """Give the rows that become one number, numbered as the numbers lie."""
    kept = kept_axes(x, attrs.axes, keepdims=attrs.keepdims)
    return rows_along(x, attrs.axes, kept, ordered=ordered)


def _reduce(k: KernelBuilder, attrs: ReduceAttrs, how: str, finish: str, none: str) -> None:
    kind = element(k.operands[0])
    rows = _rows(k.operands[0], attrs)
    if how == "Sum" and rows.are_columns:
        _sum_columns(k, rows, finish)
        return
    total_rows(
        k,
        rows,
        how=how,
        kind=kind,
        value=f"const {kind} value = x[{rows.at('row', 'j')}];",
        finish=finish,
        reads=[("x", k.operand(0))],
        none=none,
    )


_ADD = """
const auto pack = take<$VECTOR>(x + j * $WIDTH + column);
#pragma unroll
for (int v = 0; v < $VECTOR; ++v) total[v] += $T(pack.at[v]);
"""


def _sum_columns(k: KernelBuilder, rows: Rows, finish: str) -> None:
    """Sum numbers that lie side by side, each over elements that lie far apart."""
    x, kind = k.operand(0), element(k.operands[0])
    vector = vector_of(x) if k.operands[0].dtype.is_float else 1
    while rows.count % vector:
        vector //= 2
    columns = Columns(rows.count, rows.width, vector)
    step = _ADD.replace("$WIDTH", str(rows.count))
    total_columns(k, columns, kind, step=step, finish=finish, reads=[("x", x)])


@kernels.rule(reduce_sum)
def reduce_sum_cuda(k: KernelBuilder, node: Node[ReduceAttrs]) -> None:
    """Add in the precision of the operand."""
    _reduce(k, node.attrs, "Sum", "total", "0")


@kernels.rule(reduce_mean)
def reduce_mean_cuda(k: KernelBuilder, node: Node[ReduceAttrs]) -> None:
    """Add, then divide; a mean of nothing is NaN."""
    x = k.operands[0]
    count = _rows(x, node.attrs).width
    _reduce(k, node.attrs, "Sum", f"total / {literal(count, x.dtype)}", "0")


@kernels.rule(reduce_max)
def reduce_max_cuda(k: KernelBuilder, node: Node[ReduceAttrs]) -> None:
    """Take the larger; NaN where there is one."""
    _reduce(k, node.attrs, "Largest", "total", least(k.operands[0].dtype))


FIND = """
Best<$T> best{$T(0), -1};
for ($I j = lane; j < $WIDTH; j += $LANES) {
    const $T value = x[$at];
    if (beats(value, (long long)j, best.value, best.at)) best = Best<$T>{value, (long long)j};
}
best = best_over_lanes<$LANES>(best, reinterpret_cast<Best<$T>*>(shared_memory));
"""
"""Finds the place of a row's first maximum."""


def _with_best(
    k: KernelBuilder,
    rows: Rows,
    body: str,
    *,
    x: Pointer,
    others: tuple[tuple[str, Pointer], ...] = (),
    **values: Any,
) -> None:
    kind = element(k.operands[0])
    launch_rows(
        k,
        "",
        FIND + body,
        count=rows.count,
        lanes=rows.lanes,
        room=f"Best<{kind}>",
        reads=[("x", x), *others],
        writes=[("y", k.result())],
        T=kind,
        WIDTH=rows.width,
        at=rows.at("row", "j"),
        **values,
    )


@kernels.rule(argmax)
def argmax_cuda(k: KernelBuilder, node: Node[ArgmaxAttrs]) -> None:
    """Search; of equal ones the first."""
    rows = rows_over(k.operands[0], (node.attrs.axis,))
    _with_best(k, rows, "if (lane == 0) y[row] = best.at;", x=k.operand(0))


@kernels.rule(reduce_max_pick)
def reduce_max_pick_cuda(k: KernelBuilder, node: Node[ReduceAttrs]) -> None:
    """Search, then take the other array's element there."""
    rows = _rows(k.operands[1], node.attrs, ordered=True)
    _with_best(
        k,
        rows,
        "if (lane == 0) y[row] = values[$there];",
        x=k.operand(1),
        others=(("values", k.operand(0)),),
        there=rows.at("row", "best.at"),
    )


@kernels.rule(reduce_max_grad)
def reduce_max_grad_cuda(k: KernelBuilder, node: Node[ReduceAttrs]) -> None:
    """Search, then write the row: the gradient at the maximum, zeros elsewhere."""
    rows = _rows(k.operands[1], node.attrs, ordered=True)
    _with_best(
        k,
        rows,
        "for ($I j = lane; j < $WIDTH; j += $LANES) y[$at] = j == best.at ? grad[row] : $T(0);",
        x=k.operand(1),
        others=(("grad", k.operand(0)),),
    )
