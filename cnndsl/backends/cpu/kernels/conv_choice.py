"""Which way a convolution is computed: what a shape costs each way."""

from __future__ import annotations

from cnndsl.backends.cpu.kernel import ceil_div
from cnndsl.backends.cpu.kernels.planes import Axis, Planes
from cnndsl.backends.cpu.kernels.tiles import TileSize, even_rows
from cnndsl.backends.cpu.target import CpuTarget
from cnndsl.ir.types import Shape
from cnndsl.ops.conv import SlideAttrs

NEAR_BYTES = 384 << 10
"""What planes may take up: they and some filters stay in the cache of one core."""
INNER_BYTES = 32 << 10
"""The same of the innermost cache, for filters of one tap, which read a plane once a tile."""
UNITS = 16
"""Units of work that a phase should have, if it can."""


def is_dense(attrs: SlideAttrs, x: Shape, weight: Shape) -> bool:
    """Tell whether a convolution is a dense layer: one place, no padding, all channels."""
    padded = any(sum(attrs.padding, ()))
    return attrs.groups == 1 and not padded and x[2:] == weight[2:]


def direct(rows: Axis, columns: Axis) -> bool:
    """Tell whether the image itself can be read as its plane."""
    return rows.step == columns.step == 1 and rows.inside and columns.inside


def choose_planes(
    rows: Axis, columns: Axis, *, images: int, channels: int, taps: int, item: int
) -> Planes:
    """Choose how many rows of places are worked on at once.

    `channels` and `taps` of a filter, `item` bytes of an element.
    """
    plain = direct(rows, columns)
    whole = Planes(rows, columns, rows.places, plain)
    budget = INNER_BYTES if taps == 1 else NEAR_BYTES
    phases = 1 if plain else max(1, len(whole.phases))
    row = channels * phases * whole.pitch * item
    block = max(1, budget // row - rows.reach)
    # A block should fill some tiles, and a single image should give several units.
    block = max(block, ceil_div(96, whole.pitch))
    block = min(block, rows.places, max(ceil_div(96, whole.pitch), ceil_div(images * rows.places, UNITS)))
    block = min(block, rows.places)
    return Planes(rows, columns, ceil_div(rows.places, ceil_div(rows.places, block)), plain)


def choose_tile(target: CpuTarget, lanes: int, filters: int, flat: int) -> TileSize:
    """Choose the tile that wastes least: filters times vectors of neighbouring places."""
    sums = 24 if target.registers >= 32 else 12
    best, least = TileSize(1, 1), float("inf")
    vectors = ceil_div(flat, lanes)
    for width in range(1, 9):
        most = sums // width
        if not most or width > vectors:
            continue
        rows = even_rows(filters, most)
        tiles = ceil_div(filters, rows) * ceil_div(vectors, width)
        # Each step of a tile takes its multiply-adds or its loads, whichever are more; at least
        # the latency of one multiply-add, and some more for the loop.
        step = max(rows * width / 2, (rows + 1.5 * width) / 2, 4.0) + 0.5
        if tiles * step < least:
            best, least = TileSize(rows, width), tiles * step
    return best


def choose_share(filters: int, tile: TileSize, units: int) -> int:
    """Choose the tiles of filters that one unit works on, given the units without a cut."""
    tiles = ceil_div(filters, tile.rows)
    cuts = min(tiles, max(1, ceil_div(UNITS // 2, units)))
    return ceil_div(tiles, cuts)
