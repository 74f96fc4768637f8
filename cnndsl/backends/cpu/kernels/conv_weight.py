"""The gradient of a convolution for its weight: which way it is computed."""

from __future__ import annotations

from cnndsl.backends.cpu.kernel import KernelBuilder, ceil_div
from cnndsl.backends.cpu.kernels.conv_taps import TapSum, forward_taps
from cnndsl.backends.cpu.kernels.conv_weight_dots import WeightDots
from cnndsl.backends.cpu.kernels.conv_weight_outer import WeightOuter, outer_tile
from cnndsl.ops.conv import SlideAttrs


def write_weight_gradient(k: KernelBuilder, attrs: SlideAttrs) -> None:
    """Write the phases; the operands are the image and the gradient of the result."""
    x, grad, weight = k.operands[0], k.operands[1], k.results[0]
    sums = forward_taps(attrs, x.shape, weight.shape, grad.shape)
    lanes = k.lanes(weight)
    tile, dots = outer_tile(sums, k.target, lanes), WeightDots(k, sums)
    if tile.cycles + _turning_cycles(sums, lanes) < dots.cycles:
        k.uses(f"filters in {tile.vectors} vectors, {tile.numbers} numbers")
        WeightOuter(k, sums, tile).write()
        return
    k.uses(f"places in vectors, {dots.outputs} filters, {dots.columns} taps")
    dots.write()


def _turning_cycles(sums: TapSum, lanes: int) -> float:
    """Give the cycles of laying the gradient out with filters side by side."""
    places = sums.images * sums.groups * sums.places[0] * sums.places[1]
    return places * ceil_div(sums.outputs, lanes) * 6.0
