"""Bytes to images: scaled, normalised, channels last and padded with channels, in one launch."""

from __future__ import annotations

from collections.abc import Sequence

from cnndsl.backends.cuda.kernel import KernelBuilder, element, vector_of
from cnndsl.backends.cuda.kernels.maps import each
from cnndsl.backends.cuda.scalars import literal
from cnndsl.backends.cuda.table import kernels
from cnndsl.ir.graph import Node
from cnndsl.ir.types import DType
from cnndsl.ops.pixels import UnpackPixelsAttrs, unpack_pixels

_UNPACK = """
const $I e = i * $VECTOR;
$fetch
Pack<$S, $VECTOR> out;
#pragma unroll
for (int v = 0; v < $VECTOR; ++v) {
    const $I c = (e + v) % $CHANNELS, pixel = (e + v) / $CHANNELS;
    $T value = 0;
    if (c < $GIVEN) {
        value = $byte;
        $steps
    }
    out.at[v] = value;
}
put<$VECTOR>(y + e, out);
"""


def _by_channel(values: Sequence[float], dtype: DType) -> str:
    """Write the value of channel `c`."""
    *first, text = (literal(value, dtype) for value in values)
    if len(set(values)) == 1:
        return text
    for channel, value in reversed(list(enumerate(first))):
        text = f"c == {channel} ? {value} : {text}"
    return f"({text})"


@kernels.rule(unpack_pixels)
def unpack_pixels_cuda(k: KernelBuilder, node: Node[UnpackPixelsAttrs]) -> None:
    """Each thread makes 16 bytes of an image, in the order in which it lies."""
    a, p, y = node.attrs, node.attrs.pixels, k.results[0]
    vector = vector_of(k.result())
    while y.size % vector:
        vector //= 2
    area = y.shape[2] * y.shape[3]
    fetch = ""
    if not a.channels_last:
        byte = f"x[(pixel / {area} * {a.given} + c) * {area} + pixel % {area}]"
    elif a.given == y.shape[1]:
        fetch, byte = f"const auto bytes = take<{vector}>(x + e);", "bytes.at[v]"
    else:
        byte = f"x[pixel * {a.given} + c]"
    steps = [f"value -= {literal(p.black, y.dtype)};"] if p.black else []
    steps.append(f"value /= {literal(p.white - p.black, y.dtype)};")
    steps += [f"value -= {_by_channel(p.mean, y.dtype)};"] if p.mean else []
    steps += [f"value /= {_by_channel(p.std, y.dtype)};"] if p.std else []
    each(
        k,
        "",
        y.size // vector,
        _UNPACK,
        reads=[("x", k.operand(0))],
        writes=[("y", k.result())],
        VECTOR=vector,
        CHANNELS=y.shape[1],
        GIVEN=a.given,
        fetch=fetch,
        byte=byte,
        steps="\n".join(steps),
        S=k.result().kind,
        T=element(y),
    )
