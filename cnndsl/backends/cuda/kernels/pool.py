"""Pooling: a thread a place; in gradients a thread a pixel, which asks the windows over it.

A thread has as many neighbouring channels as one access holds. Nothing is added by atomics, so the
gradients are the same at every run.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from cnndsl.backends.cuda.kernel import KernelBuilder, Pointer, element, vector_of
from cnndsl.backends.cuda.kernels.maps import each
from cnndsl.backends.cuda.kernels.reduce import FIND
from cnndsl.backends.cuda.kernels.rows import launch_rows, rows_over, total_rows
from cnndsl.backends.cuda.scalars import literal
from cnndsl.backends.cuda.table import kernels
from cnndsl.ir.graph import Node
from cnndsl.ir.op import Attrs
from cnndsl.ir.types import Shape, TensorType
from cnndsl.ops.pool import (
    AvgPool2dAttrs,
    AvgPool2dGradAttrs,
    Pool2dAttrs,
    avg_pool2d,
    avg_pool2d_grad,
    global_avg_pool,
    global_max_pool,
    max_pool2d,
    max_pool2d_gather,
    max_pool2d_grad,
)
from cnndsl.ops.window import NO_PADDING


@dataclass(frozen=True, slots=True)
class Sliding:
    """Windows over images [N, C, H, W], in numbers for templates."""

    attrs: Pool2dAttrs
    image: Shape
    places: Shape

    def vector(self, *pointers: Pointer) -> int:
        """Give how many channels a thread has."""
        found = vector_of(*pointers)
        while self.image[1] % found:
            found //= 2
        return found

    @property
    def window_of_place(self) -> str:
        """Statements that give the window of element `e`: rows h0 to h1 and columns w0 to w1.

        `image` is where channel `c` of the image begins; (`down`, `across`) is the window's
        corner, in the padding too.
        """
        (height, width), (oh, ow) = self.image[2:], self.places[2:]
        (fh, fw), (sh, sw) = self.attrs.window, self.attrs.strides
        (top, _), (left, _) = self.attrs.padding
        channels = self.image[1]
        return "\n".join(
            (
                f"const $I c = e % {channels}, p = e / {channels};",
                f"const $I down = p / {ow} % {oh} * {sh} - {top};",
                f"const $I across = p % {ow} * {sw} - {left};",
                f"const $I image = p / {oh * ow} * {height * width * channels} + c;",
                "const $I h0 = down < 0 ? 0 : down, w0 = across < 0 ? 0 : across;",
                f"const $I h1 = down + {fh} < {height} ? down + {fh} : {height};",
                f"const $I w1 = across + {fw} < {width} ? across + {fw} : {width};",
            )
        )

    @property
    def places_of_pixel(self) -> str:
        """Statements that give the windows over element `e`: places p0 to p1 and q0 to q1.

        `image` is where channel `c` of the places begins; (`down`, `across`) is the pixel, the
        padding counted.
        """
        (height, width), (oh, ow) = self.image[2:], self.places[2:]
        (fh, fw), (sh, sw) = self.attrs.window, self.attrs.strides
        (top, _), (left, _) = self.attrs.padding
        channels = self.image[1]
        return "\n".join(
            (
                f"const $I c = e % {channels}, pixel = e / {channels};",
                f"const $I down = pixel / {width} % {height} + {top};",
                f"const $I across = pixel % {width} + {left};",
                f"const $I image = pixel / {height * width} * {oh * ow * channels} + c;",
                f"const $I p0 = down < {fh} ? 0 : (down - {fh}) / {sh} + 1;",
                f"const $I q0 = across < {fw} ? 0 : (across - {fw}) / {sw} + 1;",
                f"const $I p1 = down / {sh} + 1 < {oh} ? down / {sh} + 1 : {oh};",
                f"const $I q1 = across / {sw} + 1 < {ow} ? across / {sw} + 1 : {ow};",
            )
        )


_START = "const $I e = i * $VECTOR;\n"
_PIXEL = "image + (h * $WIDTH + w) * $CHANNELS"
_PLACE = "image + (p * $COLUMNS + q) * $CHANNELS"

_MAX = """
$window
$T top[$VECTOR];
for (int j = 0; j < $VECTOR; ++j) top[j] = -INFINITY_OF($T);
for ($I h = h0; h < h1; ++h)
    for ($I w = w0; w < w1; ++w) {
        const auto seen = take<$VECTOR>(x + $pixel);
        #pragma unroll
        for (int j = 0; j < $VECTOR; ++j) top[j] = larger(top[j], $T(seen.at[j]));
    }
Pack<$S, $VECTOR> out;
for (int j = 0; j < $VECTOR; ++j) out.at[j] = top[j];
put<$VECTOR>(y + e, out);
"""


def _each(
    k: KernelBuilder,
    slide: Sliding,
    label: str,
    body: str,
    reads: list[tuple[str, Pointer]],
    writes: list[tuple[str, Pointer]],
    *,
    vector: int,
    **values: Any,
) -> None:
    """Launch `body` for each place, or for each pixel if it asks for the places of one."""
    text = _START + body.replace("$window", slide.window_of_place).replace("$pixel", _PIXEL)
    text = text.replace("$places", slide.places_of_pixel).replace("$place", _PLACE)
    n, c, h, w = slide.image if "$places" in body else slide.places
    known = {
        "VECTOR": vector,
        "WIDTH": slide.image[3],
        "COLUMNS": slide.places[3],
        "CHANNELS": slide.image[1],
        **values,
    }
    each(
        k,
        label,
        n * c * h * w // vector,
        text,
        reads=reads,
        writes=writes,
        **{name: value for name, value in known.items() if f"${name}" in text},
    )


@kernels.rule(max_pool2d)
def max_pool2d_cuda(k: KernelBuilder, node: Node[Pool2dAttrs]) -> None:
    """Take the largest of each window."""
    slide = Sliding(node.attrs, k.operands[0].shape, k.results[0].shape)
    x, y, kind = k.operand(0), k.result(), element(k.operands[0])
    vector = slide.vector(x, y)
    _each(k, slide, "", _MAX, [("x", x)], [("y", y)], vector=vector, T=kind, S=y.kind)


_FIND = """
$window
$T best[$VECTOR];
int at[$VECTOR];
for (int j = 0; j < $VECTOR; ++j) {
    best[j] = 0;
    at[j] = -1;
}
for ($I h = h0; h < h1; ++h)
    for ($I w = w0; w < w1; ++w) {
        const int here = (int)((h - down) * $ACROSS + w - across);
        const auto seen = take<$VECTOR>(x + $pixel);
        #pragma unroll
        for (int j = 0; j < $VECTOR; ++j) {
            const $T value = seen.at[j];
            if (beats(value, (long long)here, best[j], (long long)at[j])) {
                best[j] = value;
                at[j] = here;
            }
        }
    }
$store
"""
_KEEP = """
Pack<$F, $VECTOR> taps;
for (int j = 0; j < $VECTOR; ++j) taps.at[j] = ($F)at[j];
put<$VECTOR>(found + e, taps);
"""
_GATHER = """
for (int j = 0; j < $VECTOR; ++j) {
    const $I h = down + at[j] / $ACROSS, w = across + at[j] % $ACROSS;
    y[e + j] = values[$pixel + j];
}
"""


def _taps_of_maxima(k: KernelBuilder, slide: Sliding) -> Pointer:
    """Write the tap of each window's first maximum, counted within the window; gives where."""
    n, c, h, w = slide.places
    down, across = slide.attrs.window
    found = k.scratch(n * c * h * w, "unsigned char" if down * across <= 256 else "int")
    x, kind = k.operand(0), element(k.operands[0])
    if (h, w) == (1, 1) and (down, across) == slide.image[2:]:
        # One window over the whole image, as in the gradient of a global maximum.
        rows = rows_over(k.operands[0], (2, 3))
        launch_rows(
            k,
            "find",
            FIND + f"if (lane == 0) found[row] = ({found.kind})best.at;",
            count=rows.count,
            lanes=rows.lanes,
            room=f"Best<{kind}>",
            reads=[("x", x)],
            writes=[("found", found)],
            T=kind,
            WIDTH=rows.width,
            at=rows.at("row", "j"),
        )
        return found
    text, vector = _FIND.replace("$store", _KEEP), slide.vector(x)
    values = {"T": kind, "F": found.kind, "ACROSS": across}
    _each(k, slide, "find", text, [("x", x)], [("found", found)], vector=vector, **values)
    return found


_SCATTER = """
$places
$T sum[$VECTOR] = {};
for ($I p = p0; p < p1; ++p)
    for ($I q = q0; q < q1; ++q) {
        const int here = (int)((down - p * $DOWN_STEP) * $ACROSS + across - q * $ACROSS_STEP);
        const auto taps = take<$VECTOR>(found + $place);
        const auto grads = take<$VECTOR>(grad + $place);
        #pragma unroll
        for (int j = 0; j < $VECTOR; ++j)
            if ((int)taps.at[j] == here) sum[j] += $T(grads.at[j]);
    }
Pack<$S, $VECTOR> out;
for (int j = 0; j < $VECTOR; ++j) out.at[j] = sum[j];
put<$VECTOR>(y + e, out);
"""


@kernels.rule(max_pool2d_grad)
def max_pool2d_grad_cuda(k: KernelBuilder, node: Node[Pool2dAttrs]) -> None:
    """Find the maxima; then each pixel sums over the windows whose maximum it is."""
    slide = Sliding(node.attrs, k.operands[0].shape, k.operands[1].shape)
    found, grad, y = _taps_of_maxima(k, slide), k.operand(1), k.result()
    _each(
        k,
        slide,
        "gather",
        _SCATTER,
        [("found", found), ("grad", grad)],
        [("y", y)],
        vector=slide.vector(grad, y),
        T=element(k.results[0]),
        S=y.kind,
        ACROSS=node.attrs.window[1],
        DOWN_STEP=node.attrs.strides[0],
        ACROSS_STEP=node.attrs.strides[1],
    )


@kernels.rule(max_pool2d_gather)
def max_pool2d_gather_cuda(k: KernelBuilder, node: Node[Pool2dAttrs]) -> None:
    """Take the value at each window's first maximum."""
    slide = Sliding(node.attrs, k.operands[0].shape, k.results[0].shape)
    x, kind = k.operand(0), element(k.operands[0])
    _each(
        k,
        slide,
        "",
        _FIND.replace("$store", _GATHER),
        [("x", x), ("values", k.operand(1))],
        [("y", k.result())],
        vector=slide.vector(x),
        T=kind,
        ACROSS=node.attrs.window[1],
    )


def _share(attrs: AvgPool2dAttrs, kind: TensorType) -> str:
    """Write what a window's sum is multiplied by; a window in the padding knows h0 to w1."""
    if attrs.count_padding or attrs.padding == NO_PADDING:
        return literal(1.0 / (attrs.window[0] * attrs.window[1]), kind.dtype)
    one = element(kind)
    return f"({one}(1) / {one}((h1 - h0) * (w1 - w0)))"


_MEAN = """
$window
$T sum[$VECTOR] = {};
for ($I h = h0; h < h1; ++h)
    for ($I w = w0; w < w1; ++w) {
        const auto seen = take<$VECTOR>(x + $pixel);
        #pragma unroll
        for (int j = 0; j < $VECTOR; ++j) sum[j] += $T(seen.at[j]);
    }
const $T share = $SHARE;
Pack<$S, $VECTOR> out;
for (int j = 0; j < $VECTOR; ++j) out.at[j] = sum[j] * share;
put<$VECTOR>(y + e, out);
"""


@kernels.rule(avg_pool2d)
def avg_pool2d_cuda(k: KernelBuilder, node: Node[AvgPool2dAttrs]) -> None:
    """Average each window."""
    slide = Sliding(node.attrs, k.operands[0].shape, k.results[0].shape)
    x, y = k.operand(0), k.result()
    values = {"T": element(k.operands[0]), "SHARE": _share(node.attrs, k.operands[0])}
    vector = slide.vector(x, y)
    _each(k, slide, "", _MEAN, [("x", x)], [("y", y)], vector=vector, S=y.kind, **values)


_SPREAD = """
$places
$T sum[$VECTOR] = {};
for ($I p = p0; p < p1; ++p)
    for ($I q = q0; q < q1; ++q) {
        $extent
        const $T share = $SHARE;
        const auto grads = take<$VECTOR>(grad + $place);
        #pragma unroll
        for (int j = 0; j < $VECTOR; ++j) sum[j] += $T(grads.at[j]) * share;
    }
Pack<$S, $VECTOR> out;
for (int j = 0; j < $VECTOR; ++j) out.at[j] = sum[j];
put<$VECTOR>(y + e, out);
"""


def _extent(slide: Sliding) -> str:
    """Write the window that stands at place `p`, `q`, without its padding: h0 to w1."""
    lines = []
    for axis, (near, far, place) in enumerate((("h0", "h1", "p"), ("w0", "w1", "q"))):
        corner = f"{place} * {slide.attrs.strides[axis]} - {slide.attrs.padding[axis][0]}"
        end, length = f"{corner} + {slide.attrs.window[axis]}", slide.image[2 + axis]
        lines.append(f"const $I {near} = {corner} < 0 ? 0 : {corner};")
        lines.append(f"const $I {far} = {end} < {length} ? {end} : {length};")
    return "\n        ".join(lines)


@kernels.rule(avg_pool2d_grad)
def avg_pool2d_grad_cuda(k: KernelBuilder, node: Node[AvgPool2dGradAttrs]) -> None:
    """Each pixel sums its shares of the windows over it."""
    slide = Sliding(node.attrs, node.attrs.shape, k.operands[0].shape)
    share, grad, y = _share(node.attrs, k.operands[0]), k.operand(0), k.result()
    _each(
        k,
        slide,
        "",
        _SPREAD.replace("$extent", _extent(slide) if "h1" in share else ""),
        [("grad", grad)],
        [("y", y)],
        vector=slide.vector(grad, y),
        T=element(k.results[0]),
        S=y.kind,
        SHARE=share,
    )


def _whole(k: KernelBuilder, how: str, finish: str, none: str) -> None:
    rows, kind = rows_over(k.operands[0], (2, 3)), element(k.operands[0])
    total_rows(
        k,
        rows,
        how=how,
        kind=kind,
        value=f"const {kind} value = x[{rows.at('row', 'j')}];",
        finish=finish,
        reads=[("x", k.operand(0))],
        none=none,
    )


@kernels.rule(global_avg_pool)
def global_avg_pool_cuda(k: KernelBuilder, node: Node[Attrs]) -> None:
    """Average each channel."""
    x = k.operands[0]
    _whole(k, "Sum", f"total / {literal(x.shape[2] * x.shape[3], x.dtype)}", "0")


@kernels.rule(global_max_pool)
def global_max_pool_cuda(k: KernelBuilder, node: Node[Attrs]) -> None:
    """Take each channel's largest element."""
    _whole(k, "Largest", "total", literal(float("-inf"), k.operands[0].dtype))
