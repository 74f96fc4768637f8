"""Max pooling of narrow images by windows of 2x2: two rows of places in one vector."""

from __future__ import annotations

from cnndsl.backends.cpu.emit import Chunk
from cnndsl.backends.cpu.kernel import ceil_div
from cnndsl.backends.cpu.kernels.conv_pack import block_start
from cnndsl.backends.cpu.kernels.windows import Windows
from cnndsl.backends.cpu.lanes import mask_below, shuffle


def is_narrow(at: Windows) -> bool:
    """Tell whether windows of 2x2 stand side by side and a row of places fills half a vector."""
    return (
        at.apart
        and at.attrs.window == (2, 2)
        and at.image[1] == 2 * at.places[1] <= at.lanes
        and at.places[0] >= 2
    )


def write_narrow_max(at: Windows, *, flops: float, nbytes: float) -> None:
    """Write the phase: the larger of two rows of pixels, then of neighbours."""
    lanes, width, places = at.lanes, at.image[1], at.places[1]
    wide = at.kind.times(lanes)
    with at.phase(flops, nbytes) as (f, plane):
        source, target = at.source(f, f.operand(0), plane), at.target(f, f.result(), plane)
        with f.loop(0, ceil_div(at.places[0], 2)) as number:
            row = block_start(f, number, 2, at.places[0])
            larger = []
            for place in (row, f.iadd(row, 1)):
                line = f.imul(place, 2 * width)
                # Lanes beyond the row have what follows it; nobody uses them.
                pair = [f.load(wide, source, f.iadd(line, i * width)) for i in range(2)]
                larger.append(f.maximum(*pair))
            sides = []
            for parity in range(2):
                picks = [i * lanes + 2 * p + parity for i in range(2) for p in range(places)]
                picks += [-1] * (lanes - len(picks))
                sides.append(shuffle(f, larger[0], larger[1], picks))
            mask = None if 2 * places == lanes else mask_below(f, 2 * places, lanes)
            start = f.imul(row, places)
            f.store_chunk(f.maximum(*sides), target, Chunk(start, lanes, mask))
