"""Local response normalisation and its gradient: packs of channels with their neighbours.

A thread fetches its pack and those before and after it, which hold all neighbours of its channels.
Where they do not, or channels make no packs, it has one channel and fetches each neighbour.
"""

from __future__ import annotations

from typing import Any

from cnndsl.backends.cuda.kernel import KernelBuilder, Pointer, element, vector_of
from cnndsl.backends.cuda.kernels.maps import each
from cnndsl.backends.cuda.scalars import literal
from cnndsl.backends.cuda.table import kernels
from cnndsl.ir.graph import Node
from cnndsl.ir.types import TensorType
from cnndsl.ops.lrn import LrnAttrs, lrn, lrn_grad

_ONE = """
const $I e = i, c = i % $CHANNELS;
const $I low = c < $HALF ? c : $HALF, high = $CHANNELS - 1 - c < $HALF ? $CHANNELS - 1 - c : $HALF;
$T sum = 0;
for ($I d = -low; d <= high; ++d) {
    const $T v = $source[i + d];
    sum += $term;
}
$work
"""

_PACK = """
const $I first = i * $VECTOR, c = first % $CHANNELS;
$T near[3 * $VECTOR];
#pragma unroll
for (int part = 0; part < 3; ++part) {
    const $I from = c + (part - 1) * $VECTOR;
    Pack<$KIND, $VECTOR> pack = {};
    if (from >= 0 && from < $CHANNELS) pack = take<$VECTOR>($source + first + (part - 1) * $VECTOR);
    #pragma unroll
    for (int j = 0; j < $VECTOR; ++j) near[part * $VECTOR + j] = pack.at[j];
}
$fetch
#pragma unroll
for (int j = 0; j < $VECTOR; ++j) {
    $T sum = 0;
    #pragma unroll
    for (int d = $VECTOR - $HALF; d <= $VECTOR + $HALF; ++d) {
        const $T v = near[j + d];
        sum += $term;
    }
    $work
}
$store
"""
_DIVISOR = "const $T s = sum * $ALPHA + $SHIFT;\n"


def _around(
    k: KernelBuilder,
    label: str,
    attrs: LrnAttrs,
    work: str,
    *,
    source: str,
    term: str,
    reads: dict[str, Pointer],
    writes: dict[str, Pointer],
    **values: object,
) -> None:
    """Launch `work` on each element, with the `sum` of `term` over what is `v` around it.

    In it, `NAME@` stands for the element of the array NAME.
    """
    x = k.operands[0]
    channels, half = x.shape[1], attrs.size // 2
    vector = vector_of(*reads.values(), *writes.values())
    while channels % vector:
        vector //= 2
    known: dict[str, Any] = {"T": element(x), "CHANNELS": channels, "HALF": half}
    known |= {"source": source, "term": term, **values}
    packed = vector > 1 and half <= vector
    if packed:
        others = [name for name in reads if name != source]
        fetch = [f"const auto {n}_pack = take<{vector}>({n} + first);" for n in others]
        fetch += [f"Pack<{p.kind}, {vector}> {n}_pack;" for n, p in writes.items()]
        store = [f"put<{vector}>({n} + first, {n}_pack);" for n in writes]
        work = work.replace(f"{source}@", f"near[{vector} + j]")
        for name in (*others, *writes):
            work = work.replace(f"{name}@", f"{name}_pack.at[j]")
        known |= {"VECTOR": vector, "KIND": reads[source].kind}
        template = _PACK.replace("$fetch", "\n".join(fetch)).replace("$store", "\n".join(store))
    else:
        template, vector = _ONE, 1
        for name in (*reads, *writes):
            work = work.replace(f"{name}@", f"{name}[e]")
    each(
        k,
        label,
        x.size // vector,
        template.replace("$work", work.replace("\n", "\n    " if packed else "\n")),
        reads=list(reads.items()),
        writes=list(writes.items()),
        **known,
    )


def _divisor(attrs: LrnAttrs, x: TensorType) -> dict[str, Any]:
    return {
        "source": "x",
        "term": "v * v",
        "ALPHA": literal(attrs.alpha, x.dtype),
        "SHIFT": literal(attrs.k, x.dtype),
        "POWER": literal(-attrs.beta, x.dtype),
    }


@kernels.rule(lrn)
def lrn_cuda(k: KernelBuilder, node: Node[LrnAttrs]) -> None:
    """Divide by the power of the neighbourhood's sum."""
    _around(
        k,
        "",
        node.attrs,
        _DIVISOR + "y@ = x@ * power_of(s, $POWER);",
        reads={"x": k.operand(0)},
        writes={"y": k.result()},
        **_divisor(node.attrs, k.operands[0]),
    )


_SCALE = """const $T scaled = grad@ * power_of(s, $POWER);
direct@ = scaled;
passed@ = scaled * x@ / s;"""


@kernels.rule(lrn_grad)
def lrn_grad_cuda(k: KernelBuilder, node: Node[LrnAttrs]) -> None:
    """Scale by the divisor; then take away what went through the neighbours' divisors."""
    a, x = node.attrs, k.operands[1]
    kind = element(x)
    direct, passed = (k.scratch(x.size, kind) for _ in range(2))
    _around(
        k,
        "scale",
        a,
        _DIVISOR + _SCALE,
        reads={"grad": k.operand(0), "x": k.operand(1)},
        writes={"direct": direct, "passed": passed},
        **_divisor(a, x),
    )
    _around(
        k,
        "around",
        a,
        "y@ = direct@ - $FACTOR * x@ * sum;",
        source="passed",
        term="v",
        reads={"x": k.operand(1), "direct": direct, "passed": passed},
        writes={"y": k.result()},
        FACTOR=literal(2 * a.alpha * a.beta, x.dtype),
    )
