"""Batch normalisation: statistics by slices of a channel, joined, then one pass to apply them.

A channel's mean and squared distances are taken slice by slice, in two passes over each slice, and
joined by the formula of Chan, Golub and LeVeque (1979), which cancels nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from cnndsl.backends.cuda.kernel import KernelBuilder, Pointer, ceil_div, element
from cnndsl.backends.cuda.kernels.elementwise import epilogue, write_program
from cnndsl.backends.cuda.kernels.maps import each
from cnndsl.backends.cuda.kernels.rows import (
    BLOCK,
    WARP,
    Rows,
    launch_rows,
    rows_over,
    slices_of,
)
from cnndsl.backends.cuda.scalars import literal
from cnndsl.backends.cuda.table import kernels
from cnndsl.backends.cuda.text import row_major
from cnndsl.ir.graph import Node
from cnndsl.ops.norm import (
    BatchNormAttrs,
    BatchNormGradAttrs,
    batch_norm,
    batch_norm_grad,
    batch_norm_train,
)


@dataclass(frozen=True, slots=True)
class _Channels:
    """The channels of x [N, C, ...], cut into slices."""

    k: KernelBuilder
    number: int
    """Which operand x is."""

    @property
    def rows(self) -> Rows:
        """A row a channel."""
        x = self.k.operands[self.number]
        return rows_over(x, (0, *range(2, x.rank)))

    @property
    def slices(self) -> int:
        """Slices of a channel."""
        return slices_of(self.rows.count, self.rows.width)

    @property
    def length(self) -> int:
        """Elements of a slice, but for the last."""
        return ceil_div(self.rows.width, self.slices)

    @property
    def channel(self) -> str:
        """The channel of element `i` of x."""
        x = self.k.operands[self.number]
        inner = row_major(x.shape)[1]
        return f"i / {inner} % {x.shape[1]}" if inner > 1 else f"i % {x.shape[1]}"

    def sums(
        self,
        body: str,
        reads: list[tuple[str, Pointer]],
        writes: list[tuple[str, Pointer]],
        **values: Any,
    ) -> None:
        """Launch `body` for each slice: it knows `channel`, and elements `first` to `stop`."""
        rows = self.rows
        head = (
            "const $I channel = row / $SLICES, first = row % $SLICES * $LENGTH;\n"
            "const $I stop = first + $LENGTH < $WIDTH ? first + $LENGTH : $WIDTH;\n"
        )
        launch_rows(
            self.k,
            "slices",
            head + body,
            count=rows.count * self.slices,
            lanes=WARP if self.length <= 512 else BLOCK,
            room=element(self.k.operands[self.number]),
            reads=reads,
            writes=writes,
            T=element(self.k.operands[self.number]),
            SLICES=self.slices,
            LENGTH=self.length,
            WIDTH=rows.width,
            at=rows.at("channel", "j"),
            **values,
        )


_APPLY = """
const $I c = $channel;
const $T rate = scale[c] / sqrt_of(variance[c] + $EPS);
const $T normal = (x[i] - mean[c]) * rate + shift[c];
$work
y[i] = $found;
"""


def _apply(
    k: KernelBuilder, channels: _Channels, attrs: BatchNormAttrs, mean: Pointer, var: Pointer
) -> None:
    x = k.operands[0]
    first = len(k.operands) - (attrs.epilogue.inputs - 1 if attrs.epilogue else 0)
    extras = k.operands[first:]
    work, found = epilogue(attrs.epilogue, x, extras, "normal", "i")
    each(
        k,
        "apply",
        x.size,
        _APPLY,
        reads=[
            ("x", k.operand(0)),
            ("scale", k.operand(1)),
            ("shift", k.operand(2)),
            ("mean", mean),
            ("variance", var),
            *((f"e{i}", k.operand(first + i)) for i in range(len(extras))),
        ],
        writes=[("y", k.result())],
        channel=channels.channel,
        T=element(x),
        EPS=literal(attrs.eps, x.dtype),
        work=work,
        found=found,
    )


@kernels.rule(batch_norm)
def batch_norm_cuda(k: KernelBuilder, node: Node[BatchNormAttrs]) -> None:
    """Centre, scale, shift."""
    _apply(k, _Channels(k, 0), node.attrs, k.operand(3), k.operand(4))


_MOMENTS = """
$T* room = reinterpret_cast<$T*>(shared_memory);
$T total = 0;
for ($I j = first + lane; j < stop; j += $LANES) total += x[$at];
const $T mean = over_lanes<Sum, $LANES>(total, room) / ($T)(stop - first);
$T apart = 0;
for ($I j = first + lane; j < stop; j += $LANES) {
    const $T d = x[$at] - mean;
    apart += d * d;
}
apart = over_lanes<Sum, $LANES>(apart, room);
if (lane == 0) {
    means[row] = mean;
    squares[row] = apart;
}
"""

_JOIN = """
$T mean = means[i * $SLICES], apart = squares[i * $SLICES], count = $FIRST;
for (int s = 1; s < $SLICES; ++s) {
    const $T more = s == $SLICES - 1 ? $LAST : $FIRST;
    const $T d = means[i * $SLICES + s] - mean, all = count + more;
    mean += d * (more / all);
    apart += squares[i * $SLICES + s] + d * d * (count * more / all);
    count = all;
}
mean_of[i] = mean;
variance_of[i] = apart / $COUNT;
"""


@kernels.rule(batch_norm_train)
def batch_norm_train_cuda(k: KernelBuilder, node: Node[BatchNormAttrs]) -> None:
    """Statistics of slices; of channels; one pass to apply them."""
    channels = _Channels(k, 0)
    x, slices, rows = k.operands[0], channels.slices, channels.rows
    kind = element(x)
    means, squares = (k.scratch(rows.count * slices, kind) for _ in range(2))
    channels.sums(_MOMENTS, [("x", k.operand(0))], [("means", means), ("squares", squares)])
    last = rows.width - (slices - 1) * channels.length
    each(
        k,
        "join",
        rows.count,
        _JOIN,
        reads=[("means", means), ("squares", squares)],
        writes=[("mean_of", k.result(1)), ("variance_of", k.result(2))],
        T=kind,
        SLICES=slices,
        FIRST=literal(min(channels.length, rows.width), x.dtype),
        LAST=literal(last, x.dtype),
        COUNT=literal(rows.width, x.dtype),
    )
    _apply(k, channels, node.attrs, k.result(1), k.result(2))


_PRODUCTS = """
$T* room = reinterpret_cast<$T*>(shared_memory);
const $I c = channel;
$T total = 0, along = 0;
for ($I j = first + lane; j < stop; j += $LANES) {
    const $I i = $at;
    $gradient
    total += g;
    along += g * (x[i] - mean[c]);
}
total = over_lanes<Sum, $LANES>(total, room);
along = over_lanes<Sum, $LANES>(along, room);
if (lane == 0) {
    totals[row] = total;
    products[row] = along;
}
"""

_JOIN_SUMS = """
$T total = 0, along = 0;
for (int s = 0; s < $SLICES; ++s) {
    total += totals[i * $SLICES + s];
    along += products[i * $SLICES + s];
}
d_shift[i] = total;
d_scale[i] = along / sqrt_of(variance[i] + $EPS);
"""

_SPREAD = """
const $I c = $channel;
const $T rate = $T(1) / sqrt_of(variance[c] + $EPS);
const $T h = (x[i] - mean[c]) * rate;
$gradient
y[i] = (g - (h * (d_scale[c] / $COUNT) + d_shift[c] / $COUNT)) * (scale[c] * rate);
"""


def _gradient(k: KernelBuilder, attrs: BatchNormGradAttrs) -> tuple[str, list[tuple[str, Pointer]]]:
    """Write the gradient `g` of element `i` in channel `c`; gives what more is read for it."""
    kind, dtype = element(k.operands[1]), k.operands[1].dtype
    if attrs.prologue is None:
        return f"const {kind} g = grad[i];", []
    names = ["g0", "normal", *(f"q{i}" for i in range(len(k.operands) - 6))]
    values = ["grad[i]", "(x[i] - mean[c]) * factor + shift[c]"]
    values += [f"e{i}[i]" for i in range(len(k.operands) - 6)]
    lets = [f"const {kind} factor = scale[c] / sqrt_of(variance[c] + {literal(attrs.eps, dtype)});"]
    lets += [f"const {kind} {name} = {value};" for name, value in zip(names, values, strict=True)]
    work, found = write_program(attrs.prologue, dtype, names, prefix="u")
    extras = [(f"e{i}", k.operand(6 + i)) for i in range(len(k.operands) - 6)]
    return "\n".join([*lets, work, f"const {kind} g = {found};"]), [
        ("shift", k.operand(5)),
        *extras,
    ]


@kernels.rule(batch_norm_grad)
def batch_norm_grad_cuda(k: KernelBuilder, node: Node[BatchNormGradAttrs]) -> None:
    """Both sums by slices; of channels; one pass for the gradient of x."""
    channels = _Channels(k, 1)
    x, slices, rows = k.operands[1], channels.slices, channels.rows
    kind, eps = element(x), literal(node.attrs.eps, x.dtype)
    totals, products = (k.scratch(rows.count * slices, kind) for _ in range(2))
    gradient, more = _gradient(k, node.attrs)
    both = [("grad", k.operand(0)), ("x", k.operand(1)), ("mean", k.operand(3)), *more]
    for_sums = [("scale", k.operand(2)), ("variance", k.operand(4))] if more else []
    channels.sums(
        _PRODUCTS,
        [*both, *for_sums],
        [("totals", totals), ("products", products)],
        gradient=gradient,
    )
    each(
        k,
        "join",
        rows.count,
        _JOIN_SUMS,
        reads=[("totals", totals), ("products", products), ("variance", k.operand(4))],
        writes=[("d_scale", k.result(1)), ("d_shift", k.result(2))],
        T=kind,
        SLICES=slices,
        EPS=eps,
    )
    each(
        k,
        "spread",
        x.size,
        _SPREAD,
        reads=[
            *both,
            ("scale", k.operand(2)),
            ("variance", k.operand(4)),
            ("d_scale", k.result(1)),
            ("d_shift", k.result(2)),
        ],
        writes=[("y", k.result())],
        channel=channels.channel,
        T=kind,
        EPS=eps,
        COUNT=literal(rows.width, x.dtype),
        gradient=gradient,
    )
