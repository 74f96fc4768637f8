"""Kernels that look along rows: a thread, a warp or a block a row, and rows cut where few are long.

A row is what becomes one number (or is normalised by one): its elements lie at `base(row)` plus
`step(j)`. The order of summation is a matter of the shapes alone, so results are the same at every
run.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from cnndsl.backends.cuda.kernel import SIZES, KernelBuilder, Pointer, ceil_div
from cnndsl.backends.cuda.layout import axes_in_memory, strides_of
from cnndsl.backends.cuda.scalars import literal
from cnndsl.backends.cuda.text import Walk, index_type, render
from cnndsl.ir.types import DType, TensorType

WARP, BLOCK = 32, 256
MULTIPROCESSORS = 132
"""Of the GPU that splits are chosen for (H200); others are only a little less well filled."""
SLICE = 2048
"""The fewest elements that a slice of a cut row has."""

_ROWS = """
const $I row = ($I)blockIdx.x * $EACH + threadIdx.x / $LANES;
const int lane = threadIdx.x % $LANES;
$guard
$body
"""


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows of elements in an array."""

    outer: Walk
    """Where each row begins."""
    inner: Walk
    """Where its elements lie from there."""

    @property
    def count(self) -> int:
        """How many rows."""
        return self.outer.size

    @property
    def width(self) -> int:
        """Elements of a row."""
        return self.inner.size

    @property
    def lanes(self) -> int:
        """How many threads work on a row: enough to fill the device, few enough to be busy."""
        side_by_side = self.inner.collapsed.strides[-1:] in ((), (1,))
        many = self.count >= MULTIPROCESSORS * BLOCK
        neighbours = self.width <= 256 and self.outer.collapsed.strides[-1:] == (1,)
        if self.width <= 8 or ((many or neighbours) and not side_by_side):
            return 1
        return WARP if self.width <= 512 else BLOCK

    @property
    def are_columns(self) -> bool:
        """Whether rows lie side by side, and each step along one passes over all of them."""
        inner = self.inner.collapsed
        return self.count > 1 and self.outer.is_contiguous and inner.strides == (self.count,)

    def at(self, row: str, j: str) -> str:
        """Write the offset of element `j` of a row."""
        return (
            " + ".join(
                part for part in (self.outer.offset(row), self.inner.offset(j)) if part != "0"
            )
            or "0"
        )


def rows_over(kind: TensorType, axes: Sequence[int], *, ordered: bool = False) -> Rows:
    """Give the rows of an array along `axes`, numbered as an array of its other axes lies.

    The elements of a row are counted as they lie, or, if `ordered`, in row-major order.
    """
    return rows_along(kind, axes, kept_axes(kind, axes, keepdims=False), ordered=ordered)


def kept_axes(kind: TensorType, axes: Sequence[int], *, keepdims: bool) -> tuple[int, ...]:
    """Give the axes that are not reduced in the order in which the result lies."""
    kept = [axis for axis in range(kind.rank) if axis not in axes]
    if keepdims:
        return tuple(axis for axis in axes_in_memory(kind.rank) if axis in kept)
    return tuple(kept[place] for place in axes_in_memory(len(kept)))


def rows_along(
    kind: TensorType, axes: Sequence[int], kept: Sequence[int], *, ordered: bool = False
) -> Rows:
    """Give the rows along `axes`, numbered by the axes `kept`, the last the fastest."""
    steps = strides_of(kind.shape)
    gone = [axis for axis in axes_in_memory(kind.rank) if axis in axes]
    gone = sorted(gone) if ordered else gone
    return Rows(
        Walk(tuple(kind.shape[a] for a in kept), tuple(steps[a] for a in kept)),
        Walk(tuple(kind.shape[a] for a in gone), tuple(steps[a] for a in gone)),
    )


def launch_rows(
    k: KernelBuilder,
    label: str,
    body: str,
    *,
    count: int,
    lanes: int,
    room: str,
    reads: Sequence[tuple[str, Pointer]],
    writes: Sequence[tuple[str, Pointer]],
    largest: int = 0,
    **values: object,
) -> None:
    """Launch `body` for each of `count` rows on `lanes` threads.

    The body knows `row`, `lane`, `$LANES` and `$I`; with a block a row it has shared memory for
    one `room` a warp.
    """
    block = BLOCK if lanes > 1 else WARP * 4
    each = block // lanes
    index = index_type(count, largest, *(t.size for t in (*k.operands, *k.results)))
    for name, value in (("I", index), ("LANES", lanes)):
        if f"${name}" in body:
            values[name] = value
    k.launch(
        label,
        _ROWS,
        grid=ceil_div(count, each),
        block=block,
        shared_bytes=room_bytes(room) * (BLOCK // WARP) if lanes == BLOCK else 0,
        reads=reads,
        writes=writes,
        I=index,
        EACH=each,
        LANES=lanes,
        # A whole warp, or a thread that meets nobody, may leave.
        guard="" if count % each == 0 else f"if (row >= {count}) return;",
        body=render(body.strip("\n"), **values),
    )


def room_bytes(kind: str) -> int:
    """Give the size of a C++ type, or of a `Best` of one."""
    return 16 if kind.startswith("Best") else SIZES[kind]


_TOTAL = """
$T total = $NONE;
for ($I j = lane; j < $WIDTH; j += $LANES) {
    $value
    total = $HOW::join(total, value);
}
total = over_lanes<$HOW, $LANES>(total, reinterpret_cast<$T*>(shared_memory));
if (lane == 0) y[row] = $finish;
"""

_SLICED = """
const $I whole = row / $SLICES, first = row % $SLICES * $LENGTH;
const $I stop = first + $LENGTH < $WIDTH ? first + $LENGTH : $WIDTH;
$T total = $NONE;
for ($I j = first + lane; j < stop; j += $LANES) {
    $value
    total = $HOW::join(total, value);
}
total = over_lanes<$HOW, $LANES>(total, reinterpret_cast<$T*>(shared_memory));
if (lane == 0) part[row] = total;
"""

NONE = {"Sum": "0", "Largest": "-INFINITY_OF({T})"}


def slices_of(count: int, width: int) -> int:
    """Tell into how many slices each of `count` rows is cut, so that the device is filled."""
    wanted = ceil_div(2 * MULTIPROCESSORS, max(1, count))
    return max(1, min(wanted, width // SLICE))


def total_rows(
    k: KernelBuilder,
    rows: Rows,
    *,
    how: str,
    kind: str,
    value: str,
    finish: str,
    reads: Sequence[tuple[str, Pointer]],
    none: str | None = None,
    to: Pointer | None = None,
    label: str = "",
) -> None:
    """Join the elements of each row by `how`, "Sum" or "Largest", and store `finish` of `total`.

    `value` is text that makes `value` of `row` and `j`. Rows that are few and long are cut: the
    slices' totals are joined by a second launch.
    """
    start = none if none is not None else NONE[how].format(T=kind)
    slices = slices_of(rows.count, rows.width)
    known: dict[str, Any] = {"T": kind, "NONE": start, "HOW": how}
    lanes, width = rows.lanes, rows.width
    if slices > 1:
        reads = [("part", _slices(k, rows, slices, known, value, reads, label))]
        value = f"const {kind} value = part[row * {slices} + j];"
        lanes, width = 1 if slices <= 8 else WARP, slices
    launch_rows(
        k,
        f"{label}whole" if slices > 1 else label,
        _TOTAL,
        count=rows.count,
        lanes=lanes,
        room=kind,
        reads=reads,
        writes=[("y", to or k.result())],
        WIDTH=width,
        value=value,
        finish=finish,
        **known,
    )


def _slices(
    k: KernelBuilder,
    rows: Rows,
    slices: int,
    known: dict[str, Any],
    value: str,
    reads: Sequence[tuple[str, Pointer]],
    label: str,
) -> Pointer:
    """Join the elements of each slice of each row; gives where the totals are."""
    part = k.scratch(rows.count * slices, known["T"])
    launch_rows(
        k,
        f"{label}slices",
        _SLICED,
        count=rows.count * slices,
        lanes=BLOCK,
        room=known["T"],
        reads=reads,
        writes=[("part", part)],
        WIDTH=rows.width,
        SLICES=slices,
        LENGTH=ceil_div(rows.width, slices),
        value=re.sub(r"\brow\b", "whole", value),
        **known,
    )
    return part


def least(dtype: DType) -> str:
    """Write what is below or equal to every number of a type."""
    if dtype.is_float:
        return literal(float("-inf"), dtype)
    if dtype is DType.BOOL:
        return "false"
    if dtype is DType.U8:
        return literal(0, dtype)
    low = -(1 << (8 * dtype.nbytes - 1))
    return f"({literal(low + 1, dtype)} - 1)"
