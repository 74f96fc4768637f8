"""Convolution and its gradients: products of what the windows see, and direct sums by channel.

All three are products over patches that are never stored: a thread that needs a factor finds the
pixel it is ("implicit GEMM"). Where filters see one channel each there is nothing to share between
them, and each thread sums its own (`conv_depthwise`).
"""

from __future__ import annotations

from dataclasses import replace

from cnndsl.backends.cuda.kernel import KernelBuilder, Pointer
from cnndsl.backends.cuda.kernels.conv_depthwise import (
    depthwise,
    depthwise_grad_input,
    depthwise_grad_weight,
)
from cnndsl.backends.cuda.kernels.conv_phases import has_phases, write_phases
from cnndsl.backends.cuda.kernels.conv_window import Window
from cnndsl.backends.cuda.kernels.elementwise import Epilogue, epilogue
from cnndsl.backends.cuda.kernels.gemm import write_product
from cnndsl.backends.cuda.kernels.gemm_tile import Fetch, Product, Store
from cnndsl.backends.cuda.table import kernels
from cnndsl.ir.graph import Node
from cnndsl.ops.conv import (
    Conv2dAttrs,
    Conv2dGradAttrs,
    conv2d,
    conv2d_grad_input,
    conv2d_grad_weight,
)


def ending(k: KernelBuilder, attrs: Conv2dAttrs, places: int) -> Epilogue:
    """Write bias and epilogue of the sum of filter `o` at place `p`."""
    biased = attrs.has_bias
    end = epilogue(attrs.epilogue, k.results[0], k.operands[2 + biased :])
    if not biased:
        return end
    own = k.operands[2].rank > 1
    line = f"value += bias[{f'o * {places} + p' if own else 'o'}];"
    return replace(end, work=f"{line}\n{end.work}" if end.work else line)


def others(k: KernelBuilder, attrs: Conv2dAttrs) -> list[tuple[str, Pointer]]:
    """Give the arrays that bias and epilogue read."""
    first = 2 + attrs.has_bias
    found = [("bias", k.operand(2))] if attrs.has_bias else []
    return found + [(f"e{i}", k.operand(first + i)) for i in range(len(k.operands) - first)]


@kernels.rule(conv2d)
def conv2d_cuda(k: KernelBuilder, node: Node[Conv2dAttrs]) -> None:
    """Patches times filters."""
    w = Window.of(node.attrs, k.operands[0].shape, k.operands[1].shape, k.results[0].shape)
    end = ending(k, node.attrs, w.places)
    if w.is_depthwise:
        depthwise(k, w, end, others(k, node.attrs))
        return
    of_sum = f"const $I o = g * {w.filters} + n, p = m % {w.places};"
    write_product(
        k,
        Product(
            m=w.count * w.places,
            n=w.filters,
            depth=w.depth * w.taps,
            groups=w.groups,
            a=Fetch("x", w.patch(place="f", tap="k"), along_k=True, run=w.depth),
            b=Fetch("weight", f"offset = {w.filter_row('f')} + k;", along_k=True, run=w.depth),
            store=Store(
                place=f"const $I i = m * {w.all_filters} + g * {w.filters} + n;",
                ending=replace(end, work=f"{of_sum}\n{end.work}") if end.work else end,
                run=w.filters,
            ),
            factors=[("x", k.operand(0)), ("weight", k.operand(1))],
            others=others(k, node.attrs),
            moments=k.moments > 0,
        ),
    )


@kernels.rule(conv2d_grad_input)
def conv2d_grad_input_cuda(k: KernelBuilder, node: Node[Conv2dGradAttrs]) -> None:
    """Gradients of the windows over each pixel, times the filters."""
    w = Window.of(node.attrs, k.results[0].shape, k.operands[1].shape, k.operands[0].shape)
    if w.is_depthwise:
        depthwise_grad_input(k, w)
        return
    if has_phases(w):
        write_phases(k, w)
        return
    turned = f"offset = {w.filter_row(f'k % {w.filters}')} + k / {w.filters} * {w.depth} + f;"
    write_product(
        k,
        Product(
            m=w.count * w.pixels,
            n=w.depth,
            depth=w.filters * w.taps,
            groups=w.groups,
            a=Fetch("grad", w.spread(pixel="f", tap="k"), along_k=True, run=w.filters),
            b=Fetch("weight", turned, along_k=False, run=w.depth),
            store=Store(f"const $I i = m * {w.channels} + g * {w.depth} + n;", run=w.depth),
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
    upstream = f"offset = k * {w.all_filters} + g * {w.filters} + f;"
    write_product(
        k,
        Product(
            m=w.filters,
            n=w.depth * w.taps,
            depth=w.count * w.places,
            groups=w.groups,
            a=Fetch("grad", upstream, along_k=False, run=w.filters),
            b=Fetch("x", w.patch(place="k", tap="f"), along_k=False, run=w.depth),
            store=Store(f"const $I i = {w.filter_row('m')} + n;", run=w.depth * w.taps),
            factors=[("x", k.operand(0)), ("grad", k.operand(1))],
        ),
    )
