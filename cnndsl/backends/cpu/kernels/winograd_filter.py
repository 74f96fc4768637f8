"""Filters transformed for Winograd's convolution, filters in the lanes."""

from __future__ import annotations

from cnndsl.backends.cpu.kernel import Buffer, KernelBuilder, Memory, ceil_div, element
from cnndsl.backends.cpu.kernels.conv_pack import block_start
from cnndsl.backends.cpu.kernels.conv_taps import TapSum
from cnndsl.backends.cpu.kernels.winograd_points import Minimal
from cnndsl.backends.cpu.kernels.winograd_transform import multiply
from cnndsl.backends.cpu.lanes import load_strided, mask_below
from cnndsl.backends.cpu.llvm import I64, V, constant


def write_filters(
    k: KernelBuilder, sums: TapSum, form: Minimal, *, operand: int, filters: int, depth: int
) -> Buffer:
    """Write the phase that lays out G g G'; gives where.

    Panels of `filters` filters; in each the elements of a tile, `depth` channels, the filters.
    Channels and filters that are not there are zero.
    """
    kind, lanes = element(k.results[0]), k.lanes(k.results[0])
    panels, area = ceil_div(sums.outputs, filters), form.tile**2
    nbytes = sums.groups * panels * area * depth * filters * kind.nbytes
    buffer = k.buffer(Memory.PACKED, nbytes, operand)
    vectors = filters // lanes
    each = 16
    blocks = ceil_div(depth, each)
    offset, output, input_ = sums.weights
    units = sums.groups * panels * vectors * blocks
    with k.phase(units, nbytes=2.0 * nbytes, packs=True, fenced=False) as f:
        group, panel, v, block = f.unravel(f.unit, (sums.groups, panels, vectors, blocks))
        first = f.iadd(block_start(f, panel, filters, sums.outputs), f.imul(v, lanes))
        whole = sums.outputs >= filters
        real = None if whole else mask_below(f, f.isub(sums.outputs, first), lanes)
        number = f.iadd(f.imul(group, panels), panel)
        target = f.iadd(f.imul(number, area * depth * filters), f.imul(v, lanes))
        begin = f.imul(block, each)
        table = k.module.table(I64, [i + j for _, i in sums.down for _, j in sums.across])
        with f.loop(begin, f.imin(f.iadd(begin, each), sums.inputs)) as c:
            start = f.dot((group, first, c), (offset, output, input_))
            taps: list[list[V]] = [[] for _ in sums.down]
            for i, row in enumerate(taps):
                for j in range(len(sums.across)):
                    tap = f.load(I64, table, i * len(sums.across) + j)
                    wide = kind.times(lanes)
                    place = f.iadd(start, tap)
                    row.append(load_strided(f, wide, f.operand(operand), place, output, real))
            columns = [multiply(f, form.filter, list(column)) for column in zip(*taps, strict=True)]
            rows = [multiply(f, form.filter, list(row)) for row in zip(*columns, strict=True)]
            for i, row in enumerate(rows):
                for j, value in enumerate(row):
                    element_ = (i * form.tile + j) * depth * filters
                    place = f.iadd(target, element_, f.imul(c, filters))
                    f.store(value, f.place(buffer), place)
        zero = constant(kind.times(lanes), 0.0)
        if depth > sums.inputs:
            with f.loop(f.imax(begin, sums.inputs), f.imin(f.iadd(begin, each), depth)) as c:
                for i in range(area):
                    place = f.iadd(target, i * depth * filters, f.imul(c, filters))
                    f.store(zero, f.place(buffer), place)
    return buffer
