"""Kernels in which each thread makes its own elements of the result, and meets no other."""

from __future__ import annotations

from collections.abc import Sequence

from cnndsl.backends.cuda.kernel import KernelBuilder, Pointer, ceil_div, vector_of
from cnndsl.backends.cuda.text import Walk, index_type, render

BLOCK = 256

_EACH = """
const $I i = ($I)blockIdx.x * $BLOCK + threadIdx.x;
if (i < $COUNT) {
    $body
}
"""


def each(
    k: KernelBuilder,
    label: str,
    count: int,
    body: str,
    *,
    reads: Sequence[tuple[str, Pointer]],
    writes: Sequence[tuple[str, Pointer]],
    largest: int = 0,
    **values: object,
) -> None:
    """Launch `body`, with `values` put in, once for each `i` below `count`.

    Offsets up to `largest` are computed in the type of `i`, named by `$I` in the body.
    """
    index = index_type(count, largest, *(t.size for t in (*k.operands, *k.results)))
    if "$I" in body:
        values["I"] = index
    k.launch(
        label,
        _EACH,
        grid=ceil_div(count, BLOCK),
        block=BLOCK,
        reads=reads,
        writes=writes,
        I=index,
        BLOCK=BLOCK,
        COUNT=count,
        body=render(body.strip("\n"), **values),
    )


_MOVE = """
const $I e = i * $VECTOR;
put<$VECTOR>(y + $TO, take<$VECTOR>(x + $FROM));
"""
_MOVE_ONE = """
const $I e = i;
y[$TO] = x[$FROM];
"""


def move(
    k: KernelBuilder, label: str, source: Walk, target: Walk, *, base: int = 0, result: int = 0
) -> None:
    """Copy operand 0 to a result, from where one walk goes, from `base` on, to where another does.

    Elements go by packs where both walks, and the elements' types, allow it.
    """
    x, y = k.operand(0), k.result(result)
    vector = vector_of(x) if x.kind == y.kind else 1
    while vector > 1 and not (source.packs(vector) and target.packs(vector) and not base % vector):
        vector //= 2
    offset = source.offset("e")
    values = {"VECTOR": vector} if vector > 1 else {}
    each(
        k,
        label,
        source.size // vector,
        _MOVE if vector > 1 else _MOVE_ONE,
        reads=[("x", x)],
        writes=[("y", y)],
        FROM=f"{base} + {offset}" if base else offset,
        TO=target.offset("e"),
        **values,
    )
