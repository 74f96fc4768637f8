"""Pooling: a thread a place; in gradients a thread a pixel, which asks the windows over it.

Nothing is added by atomics, so the gradients are the same at every run.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from cnndsl.backends.cuda.kernel import KernelBuilder, Pointer, element
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

    @property
    def window_of_place(self) -> str:
        """Statements that give the window of place `i`: rows h0 to h1 and columns w0 to w1."""
        (height, width), (oh, ow) = self.image[2:], self.places[2:]
        (fh, fw), (sh, sw) = self.attrs.window, self.attrs.strides
        (top, _), (left, _) = self.attrs.padding
        return "\n".join(
            (
                f"const $I down = i / {ow} % {oh} * {sh} - {top};",
                f"const $I across = i % {ow} * {sw} - {left};",
                f"const $I plane = i / {oh * ow} * {height * width};",
                "const $I h0 = down < 0 ? 0 : down, w0 = across < 0 ? 0 : across;",
                f"const $I h1 = down + {fh} < {height} ? down + {fh} : {height};",
                f"const $I w1 = across + {fw} < {width} ? across + {fw} : {width};",
            )
        )

    @property
    def places_of_pixel(self) -> str:
        """Statements that give the windows over pixel `i`: places p0 to p1 and q0 to q1."""
        (height, width), (oh, ow) = self.image[2:], self.places[2:]
        (fh, fw), (sh, sw) = self.attrs.window, self.attrs.strides
        (top, _), (left, _) = self.attrs.padding
        return "\n".join(
            (
                f"const $I down = i / {width} % {height} + {top};",
                f"const $I across = i % {width} + {left};",
                f"const $I plane = i / {height * width} * {oh * ow};",
                f"const $I p0 = down < {fh} ? 0 : (down - {fh}) / {sh} + 1;",
                f"const $I q0 = across < {fw} ? 0 : (across - {fw}) / {sw} + 1;",
                f"const $I p1 = down / {sh} + 1 < {oh} ? down / {sh} + 1 : {oh};",
                f"const $I q1 = across / {sw} + 1 < {ow} ? across / {sw} + 1 : {ow};",
            )
        )


_MAX = """
$window
$T top = -INFINITY_OF($T);
for ($I h = h0; h < h1; ++h)
    for ($I w = w0; w < w1; ++w) top = larger(top, x[plane + h * $WIDTH + w]);
y[i] = top;
"""


def _place(
    k: KernelBuilder,
    slide: Sliding,
    label: str,
    body: str,
    reads: list[tuple[str, Pointer]],
    writes: list[tuple[str, Pointer]],
    **values: Any,
) -> None:
    """Launch `body` for each place."""
    text = body.replace("$window", slide.window_of_place)
    count = slide.places[0] * slide.places[1] * slide.places[2] * slide.places[3]
    each(
        k,
        label,
        count,
        text,
        reads=reads,
        writes=writes,
        WIDTH=slide.image[3],
        **values,
    )


@kernels.rule(max_pool2d)
def max_pool2d_cuda(k: KernelBuilder, node: Node[Pool2dAttrs]) -> None:
    """Take the largest of each window."""
    slide = Sliding(node.attrs, k.operands[0].shape, k.results[0].shape)
    kind = element(k.operands[0])
    _place(k, slide, "", _MAX, [("x", k.operand(0))], [("y", k.result())], T=kind)


_FIND = """
$window
$T best = 0;
int at = -1;
for ($I h = h0; h < h1; ++h)
    for ($I w = w0; w < w1; ++w) {
        const int here = (int)(h * $WIDTH + w);
        const $T value = x[plane + here];
        if (beats(value, (long long)here, best, (long long)at)) {
            best = value;
            at = here;
        }
    }
$store
"""


def _places_of_maxima(k: KernelBuilder, slide: Sliding) -> Pointer:
    """Write the pixel of each window's first maximum, counted within the image; gives where."""
    count = slide.places[0] * slide.places[1] * slide.places[2] * slide.places[3]
    found = k.scratch(count, "int")
    kind = element(k.operands[0])
    if slide.places[2:] == (1, 1) and slide.attrs.window == slide.image[2:]:
        # One window over the whole image, as in the gradient of a global maximum.
        rows = rows_over(k.operands[0], (2, 3))
        launch_rows(
            k,
            "find",
            FIND + "if (lane == 0) found[row] = (int)best.at;",
            count=rows.count,
            lanes=rows.lanes,
            room=f"Best<{kind}>",
            reads=[("x", k.operand(0))],
            writes=[("found", found)],
            T=kind,
            WIDTH=rows.width,
            at=rows.at("row", "j"),
        )
        return found
    text = _FIND.replace("$store", "found[i] = at;")
    _place(k, slide, "find", text, [("x", k.operand(0))], [("found", found)], T=kind)
    return found


_SCATTER = """
$places
$T sum = 0;
const int here = (int)(i % $PIXELS);
for ($I p = p0; p < p1; ++p)
    for ($I q = q0; q < q1; ++q) {
        const $I at = plane + p * $COLUMNS + q;
        if (found[at] == here) sum += grad[at];
    }
y[i] = sum;
"""


@kernels.rule(max_pool2d_grad)
def max_pool2d_grad_cuda(k: KernelBuilder, node: Node[Pool2dAttrs]) -> None:
    """Find the maxima; then each pixel sums over the windows whose maximum it is."""
    slide = Sliding(node.attrs, k.operands[0].shape, k.operands[1].shape)
    found = _places_of_maxima(k, slide)
    each(
        k,
        "gather",
        k.results[0].size,
        _SCATTER.replace("$places", slide.places_of_pixel),
        reads=[("found", found), ("grad", k.operand(1))],
        writes=[("y", k.result())],
        T=element(k.results[0]),
        COLUMNS=slide.places[3],
        PIXELS=slide.image[2] * slide.image[3],
    )


@kernels.rule(max_pool2d_gather)
def max_pool2d_gather_cuda(k: KernelBuilder, node: Node[Pool2dAttrs]) -> None:
    """Take the value at each window's first maximum."""
    slide = Sliding(node.attrs, k.operands[0].shape, k.results[0].shape)
    text = _FIND.replace("$store", "y[i] = values[plane + at];")
    reads = [("x", k.operand(0)), ("values", k.operand(1))]
    _place(k, slide, "", text, reads, [("y", k.result())], T=element(k.results[0]))


def _share(attrs: AvgPool2dAttrs, kind: TensorType) -> str:
    """Write what a window's sum is multiplied by; a window in the padding knows h0 to w1."""
    if attrs.count_padding or attrs.padding == NO_PADDING:
        return literal(1.0 / (attrs.window[0] * attrs.window[1]), kind.dtype)
    one = element(kind)
    return f"({one}(1) / {one}((h1 - h0) * (w1 - w0)))"


_MEAN = """
$window
$T sum = 0;
for ($I h = h0; h < h1; ++h)
    for ($I w = w0; w < w1; ++w) sum += x[plane + h * $WIDTH + w];
y[i] = sum * $SHARE;
"""


@kernels.rule(avg_pool2d)
def avg_pool2d_cuda(k: KernelBuilder, node: Node[AvgPool2dAttrs]) -> None:
    """Average each window."""
    x = k.operands[0]
    slide = Sliding(node.attrs, x.shape, k.results[0].shape)
    reads, writes = [("x", k.operand(0))], [("y", k.result())]
    _place(k, slide, "", _MEAN, reads, writes, T=element(x), SHARE=_share(node.attrs, x))


_SHARES = """
$window
shared[i] = grad[i] * $SHARE;
"""

_SPREAD = """
$places
$T sum = 0;
for ($I p = p0; p < p1; ++p)
    for ($I q = q0; q < q1; ++q) sum += grad[plane + p * $COLUMNS + q];
y[i] = sum$TIMES;
"""


@kernels.rule(avg_pool2d_grad)
def avg_pool2d_grad_cuda(k: KernelBuilder, node: Node[AvgPool2dGradAttrs]) -> None:
    """Each pixel sums its shares of the windows over it; unequal ones are worked out before."""
    a, grad = node.attrs, k.operands[0]
    slide = Sliding(a, a.shape, grad.shape)
    share, from_ = _share(a, grad), k.operand(0)
    times = f" * {share}"
    if "h1" in share:
        from_, times = k.scratch(grad.size, element(grad)), ""
        text = _SHARES.replace("$window", slide.window_of_place)
        each(
            k,
            "share",
            grad.size,
            text,
            reads=[("grad", k.operand(0))],
            writes=[("shared", from_)],
            SHARE=share,
        )
    each(
        k,
        "",
        k.results[0].size,
        _SPREAD.replace("$places", slide.places_of_pixel),
        reads=[("grad", from_)],
        writes=[("y", k.result())],
        T=element(k.results[0]),
        COLUMNS=slide.places[3],
        TIMES=times,
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
