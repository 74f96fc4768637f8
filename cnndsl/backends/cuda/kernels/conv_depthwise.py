"""Convolution where each filter sees one channel: a thread a pack of results, sums down columns.

Filters of neighbouring channels are neighbours in memory, so where each channel has one filter a
thread computes as many as one access holds.
"""

from __future__ import annotations

from cnndsl.backends.cuda.kernel import KernelBuilder, Pointer, element, vector_of
from cnndsl.backends.cuda.kernels.columns import Columns, total_columns
from cnndsl.backends.cuda.kernels.conv_window import Window
from cnndsl.backends.cuda.kernels.elementwise import Epilogue
from cnndsl.backends.cuda.kernels.maps import each

_FORWARD = """
const $I first = i * $VECTOR, o0 = first % $FILTERS, image = first / $ALL;
const $I p = first / $FILTERS % $PLACES;
$T sums[$VECTOR] = {};
#pragma unroll
for (int tap = 0; tap < $TAPS; ++tap) {
    $under
    if ($inside) {
        const auto pixels = take<$VECTOR>(x + $pixel + o0 / $EACH);
        #pragma unroll
        for (int j = 0; j < $VECTOR; ++j)
            sums[j] += $T(pixels.at[j]) * $T(weight[(o0 + j) * $TAPS + tap]);
    }
}
$packs
Pack<$S, $VECTOR> out;
#pragma unroll
for (int j = 0; j < $VECTOR; ++j) {
    const $I i = first + j, o = o0 + j;
    $T value = sums[j];
    $ending
    out.at[j] = $found;
}
put<$VECTOR>(y + first, out);
"""


def _packed(w: Window, vector: int) -> int:
    """Give how many channels a thread has."""
    while w.filters > 1 or w.channels % vector:
        if vector == 1:
            break
        vector //= 2
    return vector


def depthwise(
    k: KernelBuilder, w: Window, end: Epilogue, others: list[tuple[str, Pointer]]
) -> None:
    """Sum the taps of each result."""
    k.algorithm = "depthwise"
    x, y = k.operand(0), k.result()
    vector = _packed(w, vector_of(x, y))
    each(
        k,
        "",
        k.results[0].size // vector,
        _FORWARD.replace("$under", w.under("p", "tap")),
        reads=[("x", x), ("weight", k.operand(1)), *others],
        writes=[("y", y)],
        T=element(k.results[0]),
        S=y.kind,
        VECTOR=vector,
        PLACES=w.places,
        FILTERS=w.all_filters,
        ALL=w.all_filters * w.places,
        EACH=w.filters,
        TAPS=w.taps,
        inside=w.inside,
        pixel=w.pixel("image"),
        packs=end.fetch(vector, "first"),
        ending=end.work,
        found=end.found,
    )


_BACKWARD = """
const $I first = i * $VECTOR, c0 = first % $CHANNELS, image = first / $ALL;
const $I p = first / $CHANNELS % $PIXELS;
$T sums[$VECTOR] = {};
for (int part = 0; part < $EACH; ++part) {
    const $I o = c0 * $EACH + part;
    #pragma unroll
    for (int tap = 0; tap < $TAPS; ++tap) {
        $over
        if ($stands) {
            const auto grads = take<$VECTOR>(grad + $place + o);
            #pragma unroll
            for (int j = 0; j < $VECTOR; ++j)
                sums[j] += $T(weight[(o + j) * $TAPS + tap]) * $T(grads.at[j]);
        }
    }
}
Pack<$S, $VECTOR> out;
#pragma unroll
for (int j = 0; j < $VECTOR; ++j) out.at[j] = sums[j];
put<$VECTOR>(y + first, out);
"""


def depthwise_grad_input(k: KernelBuilder, w: Window) -> None:
    """Sum, for each pixel, the windows over it."""
    k.algorithm = "depthwise"
    grad, y = k.operand(0), k.result()
    vector = _packed(w, vector_of(grad, y))
    each(
        k,
        "",
        k.results[0].size // vector,
        _BACKWARD.replace("$over", w.over("p", "tap")),
        reads=[("grad", grad), ("weight", k.operand(1))],
        writes=[("y", y)],
        T=element(k.results[0]),
        S=y.kind,
        VECTOR=vector,
        PIXELS=w.pixels,
        CHANNELS=w.channels,
        ALL=w.channels * w.pixels,
        EACH=w.filters,
        TAPS=w.taps,
        stands=w.stands,
        place=w.place("image"),
    )


_PRODUCTS = """
const $I tap = column / $FILTERS, o = column % $FILTERS, image = j / $PLACES, p = j % $PLACES;
$under
if ($inside) {
    const auto pixels = take<$VECTOR>(x + $pixel + o / $EACH);
    const auto grads = take<$VECTOR>(grad + j * $FILTERS + o);
    #pragma unroll
    for (int v = 0; v < $VECTOR; ++v) total[v] += $T(pixels.at[v]) * $T(grads.at[v]);
}
"""


def depthwise_grad_weight(k: KernelBuilder, w: Window) -> None:
    """Sum, for each tap of each filter, over all images and places; filters stand side by side."""
    k.algorithm = "depthwise"
    x, grad, kind = k.operand(0), k.operand(1), element(k.results[0])
    columns = Columns(w.all_filters * w.taps, w.count * w.places, _packed(w, vector_of(x, grad)))
    step = _PRODUCTS
    for name, value in (
        ("under", w.under("p", "tap")),
        ("inside", w.inside),
        ("pixel", w.pixel("image")),
        ("FILTERS", w.all_filters),
        ("PLACES", w.places),
        ("EACH", w.filters),
    ):
        step = step.replace(f"${name}", str(value))
    total_columns(
        k,
        columns,
        kind,
        step=step,
        to=f"row % {w.all_filters} * {w.taps} + row / {w.all_filters}",
        reads=[("x", x), ("grad", grad)],
    )
