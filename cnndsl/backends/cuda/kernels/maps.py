"""Kernels in which each thread makes its own elements of the result, and meets no other."""

from __future__ import annotations

from collections.abc import Sequence

from cnndsl.backends.cuda.kernel import KernelBuilder, Pointer, ceil_div
from cnndsl.backends.cuda.text import index_type, render

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
