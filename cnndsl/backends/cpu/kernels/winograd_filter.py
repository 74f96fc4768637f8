"""Filters transformed for Winograd's convolution, filters in the lanes."""

from __future__ import annotations

from cnndsl.backends.cpu.kernel import (
    Buffer,
    KernelBuilder,
    Memory,
    PhaseEmitter,
    ceil_div,
    element,
)
from cnndsl.backends.cpu.kernels.conv_pack import block_start
from cnndsl.backends.cpu.kernels.conv_taps import TapSum
from cnndsl.backends.cpu.kernels.conv_turn import turn
from cnndsl.backends.cpu.kernels.winograd_points import Minimal
from cnndsl.backends.cpu.kernels.winograd_transform import multiply
from cnndsl.backends.cpu.llvm import Index, V, constant


def write_filters(
    k: KernelBuilder, sums: TapSum, form: Minimal, *, operand: int, filters: int, depth: int
) -> Buffer:
    """Write the phase that lays out G g G'; gives where.

    Panels of `filters` filters; in each the elements of a tile, `depth` channels, the filters.
    Channels and filters that are not there are zero.
    """
    kind, lanes = element(k.results[0]), k.lanes(k.results[0])
    panels, area = ceil_div(sums.outputs, filters), form.tile**2
    spacing = filter_spacing(depth, filters, lanes)
    nbytes = sums.groups * panels * area * spacing * kind.nbytes
    buffer = k.buffer(Memory.PACKED, nbytes, operand)
    vectors = filters // lanes
    each = 16
    blocks = ceil_div(depth, each)
    offset, output, input_ = sums.weights
    units = sums.groups * panels * vectors * blocks
    with k.phase(units, nbytes=2.0 * nbytes, packs=True) as f:
        group, panel, v, block = f.unravel(f.unit, (sums.groups, panels, vectors, blocks))
        first = f.iadd(block_start(f, panel, filters, sums.outputs), f.imul(v, lanes))
        number = f.iadd(f.imul(group, panels), panel)
        target = f.iadd(f.imul(number, area * spacing), f.imul(v, lanes))
        begin = f.imul(block, each)
        order = [[i + j for _, j in sums.across] for _, i in sums.down]
        with f.loop(begin, f.imin(f.iadd(begin, each), sums.inputs)) as c:
            start = f.dot((group, first, c), (offset, output, input_))
            source = f.at(f.operand(operand), kind, start)
            # Each filter's taps lie side by side; filters fill the lanes after a turn.
            at = [f.imul(_real(f, i, first, sums.outputs), output) for i in range(lanes)]
            every: list[V] = []
            for begin_tap in range(0, form.taps**2, lanes):
                lines = [f.load(kind.times(lanes), source, f.iadd(o, begin_tap)) for o in at]
                every += turn(f, lines)
            taps = [[every[offset] for offset in row] for row in order]
            columns = [multiply(f, form.filter, list(column)) for column in zip(*taps, strict=True)]
            rows = [multiply(f, form.filter, list(row)) for row in zip(*columns, strict=True)]
            for i, row in enumerate(rows):
                for j, value in enumerate(row):
                    element_ = (i * form.tile + j) * spacing
                    place = f.iadd(target, element_, f.imul(c, filters))
                    f.store(value, f.place(buffer), place)
        zero = constant(kind.times(lanes), 0.0)
        if depth > sums.inputs:
            with f.loop(f.imax(begin, sums.inputs), f.imin(f.iadd(begin, each), depth)) as c:
                for i in range(area):
                    place = f.iadd(target, i * spacing, f.imul(c, filters))
                    f.store(zero, f.place(buffer), place)
    return buffer


def filter_spacing(depth: int, filters: int, lanes: int) -> int:
    """Give the elements from one element of a panel's tiles to the next.

    A vector more than is needed: else they would fall into the same few places of a cache.
    """
    return depth * filters + lanes


def _real(f: PhaseEmitter, lane: int, first: Index, outputs: int) -> Index:
    """Give a lane's distance from the first; lanes beyond the last output repeat it."""
    return f.isub(f.imin(f.iadd(first, lane), outputs - 1), first)
