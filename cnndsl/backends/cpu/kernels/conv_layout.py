"""How direct convolution walks over what it reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cnndsl.backends.cpu.kernels.conv_frame import Frame
from cnndsl.backends.cpu.kernels.conv_taps import TapSum
from cnndsl.backends.cpu.llvm import I64, Module, V


@dataclass(frozen=True, slots=True)
class Layout:
    """Where what is read lies, in elements of a frame."""

    places: tuple[int, int]
    """Rows and columns of places."""
    row: int
    """Elements from a row of places to the next."""
    column: int
    """Elements from a place to the next."""
    plane: int
    """Elements from channel to channel."""
    down: tuple[int, ...]
    """Where the taps of the rows are, from the first place."""
    across: tuple[int, ...]
    """Where those of the columns are."""


def layout_of(sums: TapSum, frame: Frame, *, flat: bool) -> Layout:
    """Give the layout for `sums`; `flat` walks over rows and columns as one."""
    if flat:
        size = sums.places[0] * sums.places[1]
        return Layout((1, size), size, 1, frame.plane, (0,), (0,))
    down = tuple(d - frame.corner[0] for d, _ in sums.down)
    across = tuple(a - frame.corner[1] for a, _ in sums.across)
    strides = sums.strides
    if frame.spacing != (1, 1) or (frame.copied and sums.is_pointwise):
        down, across, strides = (0,), (0,), (1, 1)
    row = strides[0] * frame.pitch
    column = strides[1] // frame.stretch if frame.stretch > 1 else strides[1]
    rows = tuple(frame.pitch * d for d in down)
    return Layout(
        sums.places, row, column, frame.plane, rows, tuple(frame.offset(0, a) for a in across)
    )


def may_flatten(sums: TapSum) -> bool:
    """Tell whether rows and columns of `sums` may be walked over as one."""
    return sums.is_pointwise and all(
        lattice.step == 1 and lattice.start == 0 for lattice in sums.lattices
    )


def moves(module: Module, offsets: Sequence[int]) -> tuple[int, int | V]:
    """Give the first offset, and the step from each to the next or a table of distances."""
    distances = [offset - offsets[0] for offset in offsets]
    step = distances[1] if len(distances) > 1 else 0
    if all(distance == i * step for i, distance in enumerate(distances)):
        return offsets[0], step
    return offsets[0], module.table(I64, distances)
