"""Which algorithm computes a convolution: estimates of the time that each takes, by shape.

The figures are processor cycles of one core, measured on the kernels themselves: a full tile does
two multiply-adds of vectors a cycle; transforms and copies move so many bytes a cycle; weights that
no cache of a core holds come from the shared one or from memory.
"""

from __future__ import annotations

from typing import Any

from cnndsl.backends.cpu.kernels.caches import OWN_SIZE, reading_cycles
from cnndsl.backends.cpu.kernels.conv_taps import TapSum
from cnndsl.backends.cpu.kernels.conv_tile import choose_tile
from cnndsl.backends.cpu.kernels.winograd_cuts import (
    cut_tiles,
    fits_winograd,
    idle,
    product_tile,
)
from cnndsl.backends.cpu.kernels.winograd_points import POINTS
from cnndsl.backends.cpu.policy import Policy
from cnndsl.backends.cpu.target import CpuTarget
from cnndsl.ir.graph import Node
from cnndsl.ops.conv import conv2d_grad_input

DIRECT = "direct"
"""Sums over taps in registers."""
WINOGRAD = {"winograd4": 4, "winograd2": 2}
"""Name to the outputs of a tile each way."""

TRANSFORM_CYCLES = {6: 330.0, 4: 160.0}
"""Size of a tile to the cycles of a vector of channels of it, from pixels to products or back."""
COPY_BYTES = 12.0
"""Bytes a cycle that copying a frame moves."""
FILTER_BYTES = 5.0
"""Bytes a cycle of transformed filters that are written."""


def candidates(sums: TapSum, policy: Policy) -> tuple[str, ...]:
    """Give the algorithms that can compute `sums` and that the policy allows."""
    if policy.precision == "exact":
        return (DIRECT,)
    forms = [
        name
        for name, outputs in WINOGRAD.items()
        if outputs + len(sums.down) - 1 in POINTS and fits_winograd(sums, len(sums.down))
    ]
    return (DIRECT, *forms)


def choose(sums: TapSum, target: CpuTarget, lanes: int, policy: Policy, node: Node[Any]) -> str:
    """Give the algorithm for a node's `sums`: the one the policy asks for, else the fastest."""
    able = candidates(sums, policy)
    wanted = policy.wanted(node.id, node.op.name)
    if wanted in able:
        return wanted
    laid_out = policy.weights_change or node.op is conv2d_grad_input
    return min(able, key=lambda name: cycles(name, sums, target, lanes, laid_out=laid_out))


def cycles(
    name: str, sums: TapSum, target: CpuTarget, lanes: int, *, laid_out: bool = False
) -> float:
    """Estimate the cycles that an algorithm takes for all images on one core.

    `laid_out` counts laying the weights out, which is done at each run where they change.
    """
    item = target.vector_bytes // lanes
    weights = sums.groups * sums.outputs * sums.inputs * item
    if name == DIRECT:
        packed = 2 * weights * len(sums.down) * len(sums.across) / COPY_BYTES
        return _direct_cycles(sums, target, lanes) + packed * laid_out
    outputs = WINOGRAD[name]
    transformed = weights * _tile(sums, outputs) ** 2 / FILTER_BYTES
    return _winograd_cycles(sums, target, lanes, outputs) + transformed * laid_out


def _weights_cycles(nbytes: float, times: int) -> float:
    """Give the cycles of reading weights several times over."""
    return 0.0 if nbytes <= OWN_SIZE else reading_cycles(nbytes) * times


def _direct_cycles(sums: TapSum, target: CpuTarget, lanes: int) -> float:
    item = target.vector_bytes // lanes
    tile = choose_tile(sums, target, lanes)
    sums_cycles = sums.images * sums.groups * tile.cycles
    image = sums.images * sums.groups * sums.inputs * sums.image[0] * sums.image[1] * item
    weights = sums.groups * sums.outputs * sums.steps * item
    copied = 0.0 if sums.is_inside else 2 * image / COPY_BYTES
    return max(sums_cycles, _weights_cycles(weights, sums.images)) + copied


def _winograd_cycles(sums: TapSum, target: CpuTarget, lanes: int, outputs: int) -> float:
    item = target.vector_bytes // lanes
    cuts = cut_tiles(sums, outputs, item=item)
    rows, vectors = product_tile(sums, target, lanes, cuts)
    area = _tile(sums, outputs) ** 2
    depth = -(-sums.inputs // lanes) * lanes
    blocks = sums.groups * cuts.count
    tiles = -(-cuts.tiles // rows)
    panels = -(-sums.outputs // (vectors * lanes))
    # Each product tile begins with zeros and ends with stores: some vectors' time each.
    each = depth * max(rows * vectors / 2, (rows + vectors) / 2, 4.0) + 1.5 * rows * vectors
    products = blocks * area * tiles * panels * each
    weights = sums.groups * area * depth * sums.outputs * item
    streamed = _weights_cycles(weights, cuts.count)
    moved = blocks * cuts.tiles * TRANSFORM_CYCLES[_tile(sums, outputs)]
    taken = max(products, streamed) + moved * panels * vectors
    return taken * idle(blocks * panels) + moved * depth / lanes


def _tile(sums: TapSum, outputs: int) -> int:
    """Give the pixels of a tile each way."""
    return outputs + len(sums.down) - 1
