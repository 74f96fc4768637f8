"""Local response normalisation and its gradient: a thread an element, with its neighbours."""

from __future__ import annotations

from typing import Any

from cnndsl.backends.cuda.kernel import KernelBuilder, element
from cnndsl.backends.cuda.kernels.maps import each
from cnndsl.backends.cuda.scalars import literal
from cnndsl.backends.cuda.table import kernels
from cnndsl.ir.graph import Node
from cnndsl.ir.types import TensorType
from cnndsl.ops.lrn import LrnAttrs, lrn, lrn_grad

_AROUND = """
const $I c = i % $CHANNELS;
const $I low = c < $HALF ? c : $HALF, high = $CHANNELS - 1 - c < $HALF ? $CHANNELS - 1 - c : $HALF;
$T sum = 0;
for ($I d = -low; d <= high; ++d) {
    const $T v = $source[i + d];
    sum += $term;
}
"""
_DIVISOR = "const $T s = sum * $ALPHA + $SHIFT;\n"


def _numbers(attrs: LrnAttrs, x: TensorType) -> dict[str, Any]:
    return {
        "T": element(x),
        "CHANNELS": x.shape[1],
        "HALF": attrs.size // 2,
    }


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
    x = k.operands[0]
    each(
        k,
        "",
        x.size,
        _AROUND + _DIVISOR + "y[i] = x[i] * power_of(s, $POWER);",
        reads=[("x", k.operand(0))],
        writes=[("y", k.result())],
        **_numbers(node.attrs, x),
        **_divisor(node.attrs, x),
    )


_SCALE = """
const $T scaled = grad[i] * power_of(s, $POWER);
direct[i] = scaled;
passed[i] = scaled * x[i] / s;
"""


@kernels.rule(lrn_grad)
def lrn_grad_cuda(k: KernelBuilder, node: Node[LrnAttrs]) -> None:
    """Scale by the divisor; then take away what went through the neighbours' divisors."""
    a, x = node.attrs, k.operands[1]
    kind = element(x)
    direct, passed = (k.scratch(x.size, kind) for _ in range(2))
    each(
        k,
        "scale",
        x.size,
        _AROUND + _DIVISOR + _SCALE,
        reads=[("grad", k.operand(0)), ("x", k.operand(1))],
        writes=[("direct", direct), ("passed", passed)],
        **_numbers(a, x),
        **_divisor(a, x),
    )
    each(
        k,
        "around",
        x.size,
        _AROUND + "y[i] = direct[i] - $FACTOR * x[i] * sum;",
        reads=[("x", k.operand(1)), ("direct", direct), ("passed", passed)],
        writes=[("y", k.result())],
        source="passed",
        term="v",
        FACTOR=literal(2 * a.alpha * a.beta, x.dtype),
        **_numbers(a, x),
    )
