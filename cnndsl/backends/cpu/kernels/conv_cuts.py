"""How the places and filters of a direct convolution are cut into units."""

from __future__ import annotations

from dataclasses import dataclass

from cnndsl.backends.cpu.emit import Chunk
from cnndsl.backends.cpu.kernel import Buffer, KernelBuilder, Memory, PhaseEmitter, ceil_div
from cnndsl.backends.cpu.kernels.conv_pack import block_start
from cnndsl.backends.cpu.lanes import mask_below
from cnndsl.backends.cpu.llvm import Index, LType

FRAME_BYTES = 192 << 10
"""Bytes of a thread's own frame; leaves room for weights in the core's second cache."""
WEIGHT_BYTES = 256 << 10
"""Bytes of weights that stay in the core's second cache beside a part of the image."""
FAR_BYTES = 4 << 20
"""Bytes of weights that are too many to be read anew for each image of several."""
IMAGE_BYTES = 640 << 10
"""Bytes of an image that stay there beside a panel of weights."""
ENOUGH_UNITS = 32
"""Units that can be dealt to some threads without one being idle for long."""


@dataclass(frozen=True, slots=True)
class Cuts:
    """How places and filters are cut into units; bands of rows may lie upon each other."""

    rows: int
    """Rows of places of a band."""
    bands: int
    """How many bands."""
    columns: int
    """Tiles of a row in a stretch."""
    stretches: int
    """Stretches of a row."""
    panels: int
    """Panels of filters of a part."""
    parts: int
    """Parts of the filters."""
    by_part: bool
    """Whether units that follow one another read the same weights; else the same pixels."""
    parts_first: bool = False
    """Whether all images are gone through with the same weights."""

    @property
    def count(self) -> int:
        """Units of an image and group."""
        return self.bands * self.stretches * self.parts

    def unravel(self, f: PhaseEmitter, outer: tuple[int, int]) -> tuple[Index, ...]:
        """Give image, group, band, stretch and part of the unit."""
        if self.parts_first:
            shape = (outer[1], self.parts, outer[0], self.bands, self.stretches)
            group, part, image, band, stretch = f.unravel(f.unit, shape)
        elif self.by_part:
            shape = (*outer, self.bands, self.parts, self.stretches)
            image, group, band, part, stretch = f.unravel(f.unit, shape)
        else:
            shape = (*outer, self.bands, self.stretches, self.parts)
            image, group, band, stretch, part = f.unravel(f.unit, shape)
        return image, group, band, stretch, part


@dataclass(frozen=True, slots=True)
class Pixels:
    """The pixels of each tile laid side by side, channel after channel: read once a panel."""

    planes: int
    """Images times groups."""
    inputs: int
    """Channels of a group."""
    size: int
    """Places of a plane."""
    width: int
    """Places of a tile; the last one lies upon the one before it."""

    @property
    def tile(self) -> int:
        """Elements of a tile."""
        return self.inputs * self.width

    @property
    def tiles(self) -> int:
        """Tiles of a plane."""
        return ceil_div(self.size, self.width)

    def write(self, k: KernelBuilder, kind: LType, operand: int, source: Buffer | None) -> Buffer:
        """Write the phase that copies an operand, or what a buffer holds; gives where it lies."""
        count = self.planes * self.tiles * self.tile
        buffer = k.buffer(Memory.SHARED, count * kind.nbytes)
        lanes = k.target.vector_bytes // kind.nbytes
        with k.phase(self.planes * self.tiles, nbytes=2.0 * count * kind.nbytes) as f:
            plane, tile = f.unravel(f.unit, (self.planes, self.tiles))
            whole = f.operand(operand) if source is None else f.place(source)
            x = block_start(f, tile, self.width, self.size)
            start = f.iadd(f.imul(plane, self.inputs * self.size), x)
            target = f.at(f.place(buffer), kind, f.imul(f.unit, self.tile))
            with f.loop(0, self.inputs) as channel:
                here = f.iadd(start, f.imul(channel, self.size))
                to = f.imul(channel, self.width)
                mask = mask_below(f, self.width, lanes)
                value = f.load_chunk(kind, whole, Chunk(here, lanes, mask))
                f.store_chunk(value, target, Chunk(to, lanes, mask))
        return buffer
