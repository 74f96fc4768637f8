"""Convolution where each filter sees one channel: a thread a result, a row of sums a weight."""

from __future__ import annotations

from cnndsl.backends.cuda.kernel import KernelBuilder, Pointer, element
from cnndsl.backends.cuda.kernels.conv_window import Window
from cnndsl.backends.cuda.kernels.maps import each
from cnndsl.backends.cuda.kernels.rows import Rows, total_rows
from cnndsl.backends.cuda.text import Walk, index_type

_FORWARD = """
const $I p = i % $PLACES, o = i / $PLACES % $FILTERS;
const $I plane = i / $ALL * $CHANNELS + o / $EACH;
$T value = 0;
#pragma unroll
for (int tap = 0; tap < $TAPS; ++tap) {
    $under
    if (h >= 0 && h < $HEIGHT && w >= 0 && w < $WIDTH)
        value += x[(plane * $HEIGHT + h) * $WIDTH + w] * weight[o * $TAPS + tap];
}
$ending
"""


def depthwise(k: KernelBuilder, w: Window, ending: str, others: list[tuple[str, Pointer]]) -> None:
    """Sum the taps of each result."""
    k.algorithm = "depthwise"
    each(
        k,
        "",
        k.results[0].size,
        _FORWARD.replace("$under", w.under("p", "tap")).replace("$ending", ending),
        reads=[("x", k.operand(0)), ("weight", k.operand(1)), *others],
        writes=[("y", k.result())],
        T=element(k.results[0]),
        PLACES=w.places,
        FILTERS=w.all_filters,
        ALL=w.all_filters * w.places,
        CHANNELS=w.channels,
        EACH=w.filters,
        TAPS=w.taps,
        HEIGHT=w.image[0],
        WIDTH=w.image[1],
    )


_BACKWARD = """
const $I p = i % $PIXELS, c = i / $PIXELS % $CHANNELS;
$T value = 0;
for (int j = 0; j < $EACH; ++j) {
    const $I o = c * $EACH + j;
    const $I plane = i / $ALL * $FILTERS + o;
    #pragma unroll
    for (int tap = 0; tap < $TAPS; ++tap) {
        $over
        $take
    }
}
y[i] = value;
"""


def depthwise_grad_input(k: KernelBuilder, w: Window) -> None:
    """Sum, for each pixel, the windows over it."""
    k.algorithm = "depthwise"
    take = w.take("plane", action=f"value += weight[o * {w.taps} + tap] * ")
    each(
        k,
        "",
        k.results[0].size,
        _BACKWARD.replace("$over", w.over("p", "tap")).replace("$take", take),
        reads=[("grad", k.operand(0)), ("weight", k.operand(1))],
        writes=[("y", k.result())],
        T=element(k.results[0]),
        PIXELS=w.pixels,
        CHANNELS=w.channels,
        ALL=w.channels * w.pixels,
        FILTERS=w.all_filters,
        EACH=w.filters,
        TAPS=w.taps,
    )


def depthwise_grad_weight(k: KernelBuilder, w: Window) -> None:
    """Sum, for each weight, over all images and places."""
    k.algorithm = "depthwise"
    kind = element(k.results[0])
    index = index_type(*(t.size for t in (*k.operands, *k.results)))
    plane = f"(image * {w.channels} + o / {w.filters})"
    value = "\n".join(
        (
            f"const $I o = row / {w.taps}, tap = row % {w.taps};",
            f"const $I image = j / {w.places}, p = j % {w.places};",
            w.under("p", "tap"),
            "$T value = 0;",
            w.load(plane),
            f"value *= grad[(image * {w.all_filters} + o) * {w.places} + p];",
        )
    )
    total_rows(
        k,
        Rows(Walk((k.results[0].size,), (1,)), Walk((w.count * w.places,), (1,))),
        how="Sum",
        kind=kind,
        value=value.replace("$T", kind).replace("$I", index),
        finish="total",
        reads=[("x", k.operand(0)), ("grad", k.operand(1))],
    )
