"""Convolution and its gradients: products of what the windows see, and direct sums by channel.

All three are products over patches that are never stored: a thread that needs a factor finds the
pixel it is ("implicit GEMM"). Where filters see one channel each there is nothing to share between
them, and each thread sums its own (`conv_depthwise`).
"""

from __future__ import annotations

from dataclasses import dataclass

from cnndsl.backends.cuda.kernel import KernelBuilder, Pointer
from cnndsl.backends.cuda.kernels.conv_depthwise import (
    depthwise,
    depthwise_grad_input,
    depthwise_grad_weight,
)
from cnndsl.backends.cuda.kernels.conv_window import Window
from cnndsl.backends.cuda.kernels.elementwise import epilogue
from cnndsl.backends.cuda.kernels.gemm import Product, write_product
from cnndsl.backends.cuda.kernels.gemm_tile import Fetch
from cnndsl.backends.cuda.table import kernels
from cnndsl.ir.graph import Node
from cnndsl.ops.conv import (
    Conv2dAttrs,
    Conv2dGradAttrs,
    conv2d,
    conv2d_grad_input,
    conv2d_grad_weight,
)


@dataclass(frozen=True, slots=True)
class Ending:
    """What is done to each sum of a convolution on its way to memory."""

    text: str
    """Statements for `value`, the sum of filter `o` at pixel `p`, element `i` of the result."""
    others: list[tuple[str, Pointer]]
    """Arrays that they read."""


def ending(k: KernelBuilder, attrs: Conv2dAttrs, pixels: int) -> Ending:
    """Write bias, epilogue and store of `conv2d`."""
    biased = attrs.has_bias
    extras = k.operands[2 + biased :]
    others = [("bias", k.operand(2))] if biased else []
    others += [(f"e{i}", k.operand(2 + biased + i)) for i in range(len(extras))]
    work, found = epilogue(attrs.epilogue, k.results[0], extras, "value", "i")
    lines = []
    if biased:
        own = k.operands[2].rank > 1
        lines.append(f"value += bias[{f'o * {pixels} + p' if own else 'o'}];")
    lines += [work] if work else []
    return Ending("\n".join([*lines, f"y[i] = {found};"]), others)


@kernels.rule(conv2d)
def conv2d_cuda(k: KernelBuilder, node: Node[Conv2dAttrs]) -> None:
    """Filters times patches."""
    w = Window.of(node.attrs, k.operands[0].shape, k.operands[1].shape, k.results[0].shape)
    end = ending(k, node.attrs, w.places)
    if w.is_depthwise:
        depthwise(k, w, end.text, end.others)
        return
    store = "\n".join(
        (
            f"const $I o = g * {w.filters} + m, p = n % {w.places};",
            f"const $I i = (n / {w.places} * {w.all_filters} + o) * {w.places} + p;",
            end.text,
        )
    )
    write_product(
        k,
        Product(
            m=w.filters,
            n=w.count * w.places,
            depth=w.depth * w.taps,
            groups=w.groups,
            a=Fetch(f"value = weight[(g * {w.filters} + f) * {w.depth * w.taps} + k];", True),
            b=Fetch(w.patch(place="f", tap="k"), along_k=False),
            store=store,
            factors=[("x", k.operand(0)), ("weight", k.operand(1))],
            others=end.others,
        ),
    )


@kernels.rule(conv2d_grad_input)
def conv2d_grad_input_cuda(k: KernelBuilder, node: Node[Conv2dGradAttrs]) -> None:
    """Filters turned, times the gradients of the windows over each pixel."""
    w = Window.of(node.attrs, k.results[0].shape, k.operands[1].shape, k.operands[0].shape)
    if w.is_depthwise:
        depthwise_grad_input(k, w)
        return
    taps, pixels = w.taps, w.pixels
    turned = (
        f"value = weight[((g * {w.filters} + k / {taps}) * {w.depth} + f) * {taps} + k % {taps}];"
    )
    store = (
        f"y[(n / {pixels} * {w.channels} + g * {w.depth} + m) * {pixels} + n % {pixels}] = value;"
    )
    write_product(
        k,
        Product(
            m=w.depth,
            n=w.count * pixels,
            depth=w.filters * taps,
            groups=w.groups,
            a=Fetch(turned, along_k=True),
            b=Fetch(w.spread(pixel="f", tap="k"), along_k=False),
            store=store,
            factors=[("grad", k.operand(0)), ("weight", k.operand(1))],
        ),
    )


@kernels.rule(conv2d_grad_weight)
def conv2d_grad_weight_cuda(k: KernelBuilder, node: Node[Conv2dGradAttrs]) -> None:
    """Gradients times patches, over all images and places."""
    w = Window.of(node.attrs, k.operands[0].shape, k.results[0].shape, k.operands[1].shape)
    if w.is_depthwise:
        depthwise_grad_weight(k, w)
        return
    places = w.places
    upstream = (
        f"value = grad[(k / {places} * {w.all_filters} + g * {w.filters} + f) * {places}"
        f" + k % {places}];"
    )
    write_product(
        k,
        Product(
            m=w.filters,
            n=w.depth * w.taps,
            depth=w.count * places,
            groups=w.groups,
            a=Fetch(upstream, along_k=True),
            b=Fetch(w.patch(place="k", tap="f"), along_k=True),
            store=f"y[(g * {w.filters} + m) * {w.depth * w.taps} + n] = value;",
            factors=[("x", k.operand(0)), ("grad", k.operand(1))],
        ),
    )
