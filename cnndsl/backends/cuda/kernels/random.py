"""Random numbers from a counter: a thread draws a block of four, as ops/random.py numbers them."""

from __future__ import annotations

from cnndsl.backends.cuda.kernel import KernelBuilder, ceil_div, element
from cnndsl.backends.cuda.kernels.maps import each
from cnndsl.backends.cuda.layout import rows_in_order
from cnndsl.backends.cuda.scalars import literal
from cnndsl.backends.cuda.table import kernels
from cnndsl.ir.graph import Node
from cnndsl.ops.random import DropoutMaskAttrs, dropout_mask, dropout_threshold

_FOUR = """
const unsigned long long k = (unsigned long long)key[0], s = (unsigned long long)step[0];
const Four drawn = philox((unsigned)i, $STREAM, (unsigned)s, (unsigned)(s >> 32), (unsigned)k,
                          (unsigned)(k >> 32));
for (int j = 0; j < 4; ++j)
    if (i * 4 + j < $SIZE) y[$at] = drawn.word[j] < $LIMIT ? ($T)0 : $SCALE;
"""


@kernels.rule(dropout_mask)
def dropout_mask_cuda(k: KernelBuilder, node: Node[DropoutMaskAttrs]) -> None:
    """Compare the generator's words with the threshold; key and step are read from memory."""
    a, kind = node.attrs, k.results[0]
    each(
        k,
        "",
        ceil_div(kind.size, 4),
        _FOUR,
        reads=[("key", k.operand(0)), ("step", k.operand(1))],
        writes=[("y", k.result())],
        largest=kind.size,
        STREAM=f"{a.stream}u",
        SIZE=kind.size,
        at=rows_in_order(kind.shape).offset("(i * 4 + j)"),
        LIMIT=f"{dropout_threshold(a.rate)}ull",
        T=element(kind),
        SCALE=literal(1.0 / (1.0 - a.rate), kind.dtype),
    )
