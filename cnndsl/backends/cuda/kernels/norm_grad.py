"""The gradient of batch normalisation: two sums a channel by slices, joined, then one pass for x.

Where an activation follows the normalisation, its gradient is taken on the way, from numbers that
are normalised anew.
"""

from __future__ import annotations

from dataclasses import dataclass

from cnndsl.backends.cuda.kernel import KernelBuilder, Pointer, element, vector_of
from cnndsl.backends.cuda.kernels.elementwise import write_program
from cnndsl.backends.cuda.kernels.maps import each
from cnndsl.backends.cuda.kernels.norm import Channels
from cnndsl.backends.cuda.kernels.rows import launch_rows
from cnndsl.backends.cuda.scalars import literal
from cnndsl.backends.cuda.table import kernels
from cnndsl.ir.graph import Node
from cnndsl.ops.norm import BatchNormGradAttrs, batch_norm_grad

_PRODUCTS_START = """
const auto centre = take<$VECTOR>(mean + column);
$more
"""
_FACTOR = """
const auto low = take<$VECTOR>(shift + column);
Pack<$T, $VECTOR> factor;
for (int v = 0; v < $VECTOR; ++v)
    factor.at[v] = scale[column + v] / sqrt_of(variance[column + v] + $EPS);
"""
_PRODUCTS = """
const auto gs = take<$VECTOR>(grad + $at);
const auto xs = take<$VECTOR>(x + $at);
$packs
#pragma unroll
for (int v = 0; v < $VECTOR; ++v) {
    const $T seen = xs.at[v];
    $gradient
    total[v] += g;
    along[v] += g * (seen - centre.at[v]);
}
"""

_JOIN_SUMS = """
$T* room = reinterpret_cast<$T*>(shared_memory);
$T total = 0, along = 0;
for ($I s = lane; s < $SLICES; s += $LANES) {
    total += totals[s * $CHANNELS + row];
    along += products[s * $CHANNELS + row];
}
total = over_lanes<Sum, $LANES>(total, room);
along = over_lanes<Sum, $LANES>(along, room);
if (lane == 0) {
    const $T rate = $T(1) / sqrt_of(variance[row] + $EPS);
    d_shift[row] = total;
    d_scale[row] = along * rate;
    slopes[row] = along * rate * rate / $COUNT;
    levels[row] = total / $COUNT;
    rates[row] = scale[row] / sqrt_of(variance[row] + $EPS);
}
"""

_SPREAD = """
const $I e = i * $VECTOR, c = $channel;
const auto gs = take<$VECTOR>(grad + e);
const auto xs = take<$VECTOR>(x + e);
const auto centre = take<$VECTOR>(mean + c), slope = take<$VECTOR>(slopes + c);
const auto level = take<$VECTOR>(levels + c), factor = take<$VECTOR>(rates + c);
$more
$packs
Pack<$S, $VECTOR> out;
#pragma unroll
for (int v = 0; v < $VECTOR; ++v) {
    const $T seen = xs.at[v];
    $gradient
    const $T away = (seen - centre.at[v]) * slope.at[v] + level.at[v];
    out.at[v] = (g - away) * factor.at[v];
}
put<$VECTOR>(y + e, out);
"""


@dataclass(frozen=True, slots=True)
class _Prologue:
    """What makes the gradient of the normalised numbers of the gradient that comes."""

    text: str
    """Statements that give `g` of element `v`."""
    extras: list[tuple[str, Pointer]]
    """Arrays that lie as x does, of which the statements know packs."""

    @classmethod
    def of(cls, k: KernelBuilder, attrs: BatchNormGradAttrs) -> _Prologue:
        """Write it; normalised numbers are computed anew."""
        kind, dtype = element(k.operands[1]), k.operands[1].dtype
        if attrs.prologue is None:
            return cls(f"const {kind} g = gs.at[v];", [])
        extras = [(f"e{i}", k.operand(6 + i)) for i in range(len(k.operands) - 6)]
        values = {"g0": "gs.at[v]", "normal": "(seen - centre.at[v]) * factor.at[v] + low.at[v]"}
        values |= {f"q{i}": f"{name}_pack.at[v]" for i, (name, _) in enumerate(extras)}
        work, found = write_program(attrs.prologue, dtype, list(values), prefix="u")
        lets = [f"const {kind} {name} = {value};" for name, value in values.items()]
        return cls("\n".join([*lets, work, f"const {kind} g = {found};"]), extras)

    def packs(self, at: str) -> str:
        """Write the fetch of the packs."""
        return "\n".join(
            f"const auto {name}_pack = take<$VECTOR>({name} + {at});" for name, _ in self.extras
        )


@kernels.rule(batch_norm_grad)
def batch_norm_grad_cuda(k: KernelBuilder, node: Node[BatchNormGradAttrs]) -> None:
    """Both sums by slices; of channels; one pass for the gradient of x."""
    x, kind = k.operands[1], element(k.operands[1])
    columns = Channels(x, vector_of(k.operand(0), k.operand(1))).columns
    totals, products = (k.scratch(columns.width * columns.slices, kind) for _ in range(2))
    slopes, levels, rates = (k.scratch(columns.width, kind) for _ in range(3))
    before = _Prologue.of(k, node.attrs)
    _sum_gradients(k, node.attrs, before, totals, products)
    launch_rows(
        k,
        "join",
        _JOIN_SUMS,
        count=columns.width,
        lanes=columns.join_lanes,
        room=kind,
        reads=[
            ("totals", totals),
            ("products", products),
            ("scale", k.operand(2)),
            ("variance", k.operand(4)),
        ],
        writes=[
            ("d_scale", k.result(1)),
            ("d_shift", k.result(2)),
            ("slopes", slopes),
            ("levels", levels),
            ("rates", rates),
        ],
        T=kind,
        SLICES=columns.slices,
        CHANNELS=columns.width,
        EPS=literal(node.attrs.eps, x.dtype),
        COUNT=literal(columns.height, x.dtype),
    )
    _spread(k, before, [("slopes", slopes), ("levels", levels), ("rates", rates)])


def _sum_gradients(
    k: KernelBuilder,
    attrs: BatchNormGradAttrs,
    before: _Prologue,
    totals: Pointer,
    products: Pointer,
) -> None:
    """Sum the gradients of each slice, and their products with how far x is from its mean."""
    x = k.operands[1]
    channels = Channels(x, vector_of(k.operand(0), k.operand(1)))
    reads = [("grad", k.operand(0)), ("x", k.operand(1)), ("mean", k.operand(3)), *before.extras]
    more = ""
    if attrs.prologue is not None:
        reads += [("scale", k.operand(2)), ("variance", k.operand(4)), ("shift", k.operand(5))]
        more = _FACTOR.strip().replace("$EPS", literal(attrs.eps, x.dtype))
    step = _PRODUCTS.replace("$packs", before.packs("$at")).replace("$gradient", before.text)
    channels.columns.launch(
        k,
        "slices",
        element(x),
        {"total": "0", "along": "0"},
        start=_PRODUCTS_START.replace("$more", more),
        step=step.replace("$at", channels.at),
        store="totals[at] = total;\nproducts[at] = along;",
        reads=reads,
        writes=[("totals", totals), ("products", products)],
    )


def _spread(k: KernelBuilder, before: _Prologue, known: list[tuple[str, Pointer]]) -> None:
    """Write the gradient of x from the sums of its channel."""
    x, y = k.operands[1], k.result()
    reads = [("grad", k.operand(0)), ("x", k.operand(1)), ("mean", k.operand(3)), *known]
    more = ""
    if "low.at" in before.text:
        reads.append(("shift", k.operand(5)))
        more = "const auto low = take<$VECTOR>(shift + c);"
    channels = Channels(x, vector_of(k.operand(0), k.operand(1), y))
    body = _SPREAD.replace("$packs", before.packs("e")).replace("$more", more)
    each(
        k,
        "spread",
        x.size // channels.pack,
        body,
        reads=[*reads, *before.extras],
        writes=[("y", y)],
        channel=channels.channel,
        gradient=before.text,
        VECTOR=channels.pack,
        T=element(x),
        S=y.kind,
    )
