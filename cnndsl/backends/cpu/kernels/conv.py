"""Convolution and its gradients: the rules, and which algorithm writes them."""

from __future__ import annotations

from typing import Any

from cnndsl.backends.cpu.kernel import KernelBuilder
from cnndsl.backends.cpu.kernels.conv_algorithms import WINOGRAD, choose
from cnndsl.backends.cpu.kernels.conv_depthwise import Depthwise, fits_depthwise
from cnndsl.backends.cpu.kernels.conv_direct import write_taps
from cnndsl.backends.cpu.kernels.conv_store import Finish
from cnndsl.backends.cpu.kernels.conv_taps import Lattice, TapSum, forward_taps, gradient_taps
from cnndsl.backends.cpu.kernels.conv_weight import write_weight_gradient
from cnndsl.backends.cpu.kernels.epilogue import Epilogue
from cnndsl.backends.cpu.kernels.maps import write_fill
from cnndsl.backends.cpu.kernels.winograd import Winograd
from cnndsl.backends.cpu.table import kernels
from cnndsl.ir.graph import Node
from cnndsl.ops.conv import (
    Conv2dAttrs,
    Conv2dGradAttrs,
    conv2d,
    conv2d_grad_input,
    conv2d_grad_weight,
)


@kernels.rule(conv2d)
def conv2d_cpu(k: KernelBuilder, node: Node[Conv2dAttrs]) -> None:
    """Sum over the taps; bias and epilogue while the sums are in registers."""
    x, weight, result = k.operands[0], k.operands[1], k.results[0]
    epilogue = Epilogue.of(k, has_bias=node.attrs.has_bias, program=node.attrs.epilogue)
    sums = forward_taps(node.attrs, x.shape, weight.shape, result.shape)
    write_sums(k, sums, Finish(result, (Lattice(), Lattice()), epilogue), node)


@kernels.rule(conv2d_grad_input)
def conv2d_grad_input_cpu(k: KernelBuilder, node: Node[Conv2dGradAttrs]) -> None:
    """Sum over the taps that each lattice of pixels was under; pixels under none are zero."""
    grad, weight, result = k.operands[0], k.operands[1], k.results[0]
    parts = gradient_taps(node.attrs, grad.shape, weight.shape, result.shape)
    if any(sums.is_empty for sums in parts):
        write_fill(k, 0, 0.0)
    for sums in parts:
        if not sums.is_empty:
            write_sums(k, sums, Finish(result, sums.lattices), node)


@kernels.rule(conv2d_grad_weight)
def conv2d_grad_weight_cpu(k: KernelBuilder, node: Node[Conv2dGradAttrs]) -> None:
    """Sum over images and places the products of what a tap saw and the gradient there."""
    write_weight_gradient(k, node)


def write_sums(k: KernelBuilder, sums: TapSum, finish: Finish, node: Node[Any]) -> None:
    """Write sums over taps with the algorithm that suits their shape."""
    lanes = k.lanes(k.results[0])
    name = choose(sums, k.target, lanes, k.policy, node)
    if name in WINOGRAD:
        k.uses(name)
        Winograd(k, sums, WINOGRAD[name]).write(finish)
        return
    if fits_depthwise(sums, lanes):
        depthwise = Depthwise(k, sums)
        depthwise.write(finish)
        k.uses(f"{name}, {depthwise}")
        return
    tile = write_taps(k, sums, finish)
    k.uses(f"{name}, {tile}")
