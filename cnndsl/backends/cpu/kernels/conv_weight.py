"""The gradient of a convolution for its weight: which way it is computed."""

from __future__ import annotations

from cnndsl.backends.cpu.kernel import KernelBuilder, ceil_div
from cnndsl.backends.cpu.kernels.conv_taps import TapSum, forward_taps
from cnndsl.backends.cpu.kernels.conv_weight_dots import WeightDots
from cnndsl.backends.cpu.kernels.conv_weight_outer import WeightOuter, outer_tile
from cnndsl.backends.cpu.kernels.winograd_cuts import fits_winograd
from cnndsl.backends.cpu.kernels.winograd_weight import WinogradWeight
from cnndsl.ir.graph import Node
from cnndsl.ops.conv import Conv2dGradAttrs


def write_weight_gradient(k: KernelBuilder, node: Node[Conv2dGradAttrs]) -> None:
    """Write the phases; the operands are the image and the gradient of the result."""
    x, grad, weight = k.operands[0], k.operands[1], k.results[0]
    sums = forward_taps(node.attrs, x.shape, weight.shape, grad.shape)
    lanes = k.lanes(weight)
    tile, dots = outer_tile(sums, k.target, lanes), WeightDots(k, sums)
    found = {
        "outer": tile.cycles + _turning_cycles(sums, lanes),
        "dots": dots.cycles,
    }
    if fits_winograd(sums) and k.policy.precision != "exact":
        found["winograd"] = WinogradWeight(k, sums).cycles
    wanted = k.policy.wanted(node.id, node.op.name)
    name = wanted if wanted in found else min(found, key=found.__getitem__)
    if name == "winograd":
        k.uses(name)
        WinogradWeight(k, sums).write()
    elif name == "outer":
        k.uses(f"{name}, filters in {tile.vectors} vectors, {tile.numbers} numbers")
        WeightOuter(k, sums, tile).write()
    else:
        k.uses(f"{name}, places in vectors, {dots.outputs} filters, {dots.columns} taps")
        dots.write()


def _turning_cycles(sums: TapSum, lanes: int) -> float:
    """Give the cycles of laying the gradient out with filters side by side."""
    places = sums.images * sums.groups * sums.places[0] * sums.places[1]
    return places * ceil_div(sums.outputs, lanes) * 6.0
