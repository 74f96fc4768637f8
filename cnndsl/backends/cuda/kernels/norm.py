"""Batch normalisation: statistics by slices of a channel, joined, then one pass to apply them.

Each thread sums the distances of its elements from the first of them, which loses nothing where a
mean is large; threads, and then slices, are joined by their means and by the squares of how far
these lie apart, which cancels nothing (Chan, Golub and LeVeque 1979). So x is read once for its
statistics and once to be normalised.
"""

from __future__ import annotations

from dataclasses import dataclass

from cnndsl.backends.cuda.kernel import KernelBuilder, Pointer, ceil_div, element, vector_of
from cnndsl.backends.cuda.kernels.columns import FEW, MOST_SLICES, Columns
from cnndsl.backends.cuda.kernels.elementwise import epilogue
from cnndsl.backends.cuda.kernels.maps import each
from cnndsl.backends.cuda.kernels.rows import WARP, Rows, launch_rows, rows_over
from cnndsl.backends.cuda.layout import strides_of
from cnndsl.backends.cuda.scalars import literal
from cnndsl.backends.cuda.table import kernels
from cnndsl.ir.graph import Node
from cnndsl.ir.types import TensorType
from cnndsl.ops.norm import BatchNormAttrs, batch_norm, batch_norm_train


@dataclass(frozen=True, slots=True)
class Channels:
    """The channels of x [N, C, ...]."""

    x: TensorType
    """The images."""
    vector: int
    """Elements of one access where channels lie side by side."""

    @property
    def rows(self) -> Rows:
        """A row a channel."""
        return rows_over(self.x, (0, *range(2, self.x.rank)))

    @property
    def pack(self) -> int:
        """How many neighbouring channels a thread has."""
        rows, pack = self.rows, self.vector
        while pack > 1 and not (rows.outer.packs(pack) and self.x.rank in (2, 4)):
            pack //= 2
        return pack

    @property
    def columns(self) -> Columns:
        """What is summed."""
        rows = self.rows
        return Columns(rows.count, rows.width, self.pack)

    @property
    def at(self) -> str:
        """Where element `j` of channel `column` lies."""
        return self.rows.at("column", "j")

    @property
    def channel(self) -> str:
        """The channel of element `e`."""
        inner = strides_of(self.x.shape)[1]
        return f"e / {inner} % {self.x.shape[1]}" if inner > 1 else f"e % {self.x.shape[1]}"


_RATES = "rates[i] = scale[i] / sqrt_of(variance[i] + $EPS);"

_APPLY = """
const $I e = i * $VECTOR, c = $channel;
const auto elements = take<$VECTOR>(x + e);
const auto means = take<$VECTOR>(mean + c), rate = take<$VECTOR>(rates + c);
const auto low = take<$VECTOR>(shift + c);
$packs
Pack<$S, $VECTOR> out;
#pragma unroll
for (int j = 0; j < $VECTOR; ++j) {
    const $I i = e + j;
    const $T value = ($T(elements.at[j]) - means.at[j]) * rate.at[j] + low.at[j];
    $work
    out.at[j] = $found;
}
put<$VECTOR>(y + e, out);
"""


def _apply(k: KernelBuilder, attrs: BatchNormAttrs, mean: Pointer, rates: Pointer) -> None:
    """Normalise, and do what the epilogue says with it."""
    x, y = k.operand(0), k.result()
    first = len(k.operands) - (attrs.epilogue.inputs - 1 if attrs.epilogue else 0)
    end = epilogue(attrs.epilogue, k.operands[0], k.operands[first:])
    extras = [(f"e{i}", k.operand(first + i)) for i in range(len(k.operands) - first)]
    channels = Channels(k.operands[0], vector_of(x, y))
    vector = channels.pack
    each(
        k,
        "apply",
        k.operands[0].size // vector,
        _APPLY,
        reads=[("x", x), ("shift", k.operand(2)), ("mean", mean), ("rates", rates), *extras],
        writes=[("y", y)],
        channel=channels.channel,
        packs=end.fetch(vector, "e"),
        work=end.work,
        found=end.found,
        VECTOR=vector,
        T=element(k.operands[0]),
        S=y.kind,
    )


@kernels.rule(batch_norm)
def batch_norm_cuda(k: KernelBuilder, node: Node[BatchNormAttrs]) -> None:
    """Centre, scale, shift."""
    x = k.operands[0]
    rates = k.scratch(x.shape[1], element(x))
    each(
        k,
        "rates",
        x.shape[1],
        _RATES,
        reads=[("scale", k.operand(1)), ("variance", k.operand(4))],
        writes=[("rates", rates)],
        EPS=literal(node.attrs.eps, x.dtype),
    )
    _apply(k, node.attrs, k.operand(3), rates)


_START = """
$T first[$VECTOR];
const $I mine = begin + down < stop ? (stop - begin - down + $DOWN - 1) / $DOWN : 0;
if (mine) {
    const $I j = begin + down;
    const auto pack = take<$VECTOR>(x + $at);
    for (int v = 0; v < $VECTOR; ++v) first[v] = pack.at[v];
}
"""
_STEP = """
const auto pack = take<$VECTOR>(x + $at);
#pragma unroll
for (int v = 0; v < $VECTOR; ++v) {
    const $T d = $T(pack.at[v]) - first[v];
    mean[v] += d;
    apart[v] += d * d;
}
"""
_END = """
if (mine)
    for (int v = 0; v < $VECTOR; ++v) {
        const $T d = mean[v] / $T(mine);
        apart[v] -= mean[v] * d;
        mean[v] = first[v] + d;
    }
"""
_TOGETHER = """
$T mean = 0, apart = 0;
for (int d = 0; d < $DOWN; ++d)
    mean += mean_of(d) * $T((stop - begin - d + $DOWN - 1) / $DOWN);
mean /= $T(stop - begin);
for (int d = 0; d < $DOWN; ++d) {
    const $T gap = mean_of(d) - mean;
    apart += apart_of(d) + gap * gap * $T((stop - begin - d + $DOWN - 1) / $DOWN);
}
"""

_JOIN = """
$T* room = reinterpret_cast<$T*>(shared_memory);
$T sum = 0, apart = 0;
for ($I s = lane; s < $SLICES; s += $LANES)
    sum += means[s * $CHANNELS + row] * (s == $SLICES - 1 ? $LAST : $FIRST);
const $T mean = over_lanes<Sum, $LANES>(sum, room) / $COUNT;
for ($I s = lane; s < $SLICES; s += $LANES) {
    const $T gap = means[s * $CHANNELS + row] - mean;
    apart += squares[s * $CHANNELS + row] + gap * gap * (s == $SLICES - 1 ? $LAST : $FIRST);
}
const $T variance = larger(over_lanes<Sum, $LANES>(apart, room), $T(0)) / $COUNT;
if (lane == 0) {
    mean_of[row] = mean;
    variance_of[row] = variance;
    rates[row] = scale[row] / sqrt_of(variance + $EPS);
}
"""


_MERGE = """
const $I c = i % $CHANNELS, from = i / $CHANNELS * $EACH;
const $I to = from + $EACH < $SLICES ? from + $EACH : $SLICES;
$T number = 0, mean = 0, apart = 0;
for ($I s = from; s < to; ++s) {
    const $T rows = s == $SLICES - 1 ? $LAST : $FIRST;
    number += rows;
    mean += means[s * $CHANNELS + c] * rows;
}
mean /= number;
for ($I s = from; s < to; ++s) {
    const $T gap = means[s * $CHANNELS + c] - mean;
    apart += squares[s * $CHANNELS + c] + gap * gap * (s == $SLICES - 1 ? $LAST : $FIRST);
}
merged_means[i] = mean;
merged_squares[i] = apart;
"""


@dataclass(frozen=True, slots=True)
class _Slices:
    """Moments of slices of the images, [slices, channels] each."""

    means: Pointer
    """Of each slice."""
    squares: Pointer
    """Sums of squared distances from them."""
    height: int
    """Rows of all: images times places."""
    rows: int
    """Rows of a slice but for the last."""

    @property
    def slices(self) -> int:
        """How many."""
        return ceil_div(self.height, self.rows)

    @property
    def last(self) -> int:
        """Rows of the last slice."""
        return self.height - (self.slices - 1) * self.rows

    @property
    def lanes(self) -> int:
        """Threads that join a channel's."""
        return 1 if self.slices <= FEW else WARP

    @property
    def arrays(self) -> list[tuple[str, Pointer]]:
        """What a launch that joins them reads."""
        return [("means", self.means), ("squares", self.squares)]


def _slice_moments(k: KernelBuilder, channels: Channels) -> _Slices:
    """Read the images for the moments of slices."""
    columns, kind = channels.columns, element(channels.x)
    means, squares = (k.scratch(columns.width * columns.slices, kind) for _ in range(2))
    columns.launch(
        k,
        "slices",
        kind,
        {"mean": "0", "apart": "0"},
        start=_START.replace("$at", channels.at),
        step=_STEP.replace("$at", channels.at),
        end=_END,
        joined=_TOGETHER,
        store="means[at] = mean;\nsquares[at] = apart;",
        reads=[("x", k.operand(0))],
        writes=[("means", means), ("squares", squares)],
    )
    return _Slices(means, squares, columns.height, min(columns.length, columns.height))


def _moments_there(k: KernelBuilder, channels: Channels) -> _Slices:
    """Take the moments that the convolution gave, several slices as one where they are many."""
    columns, kind, dtype = channels.columns, element(channels.x), channels.x.dtype
    width, height = columns.width, columns.height
    rows = min(k.moments, height)
    slices = ceil_div(height, rows)
    found = _Slices(*k.slice_moments(k.moments, slices * width, kind), height, rows)
    each_takes = ceil_div(slices, MOST_SLICES)
    if each_takes == 1:
        return found
    groups = ceil_div(slices, each_takes)
    means, squares = (k.scratch(groups * width, kind) for _ in range(2))
    each(
        k,
        "merge",
        groups * width,
        _MERGE,
        reads=found.arrays,
        writes=[("merged_means", means), ("merged_squares", squares)],
        largest=slices * width,
        CHANNELS=width,
        EACH=each_takes,
        SLICES=slices,
        FIRST=literal(found.rows, dtype),
        LAST=literal(found.last, dtype),
        T=kind,
    )
    return _Slices(means, squares, height, rows * each_takes)


@kernels.rule(batch_norm_train)
def batch_norm_train_cuda(k: KernelBuilder, node: Node[BatchNormAttrs]) -> None:
    """Statistics of slices, which a convolution may have given; of channels; apply them."""
    x = k.operands[0]
    channels, kind = Channels(x, vector_of(k.operand(0))), element(x)
    columns = channels.columns
    count = columns.width
    rates = k.scratch(count, kind)
    known = _moments_there(k, channels) if k.moments else _slice_moments(k, channels)
    launch_rows(
        k,
        "join",
        _JOIN,
        count=count,
        lanes=known.lanes,
        room=kind,
        reads=[*known.arrays, ("scale", k.operand(1))],
        writes=[("mean_of", k.result(1)), ("variance_of", k.result(2)), ("rates", rates)],
        T=kind,
        SLICES=known.slices,
        CHANNELS=count,
        FIRST=literal(known.rows, x.dtype),
        LAST=literal(known.last, x.dtype),
        COUNT=literal(columns.height, x.dtype),
        EPS=literal(node.attrs.eps, x.dtype),
    )
    _apply(k, node.attrs, k.result(1), rates)
