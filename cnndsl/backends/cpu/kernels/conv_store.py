"""Storing what a convolution has summed, with bias and epilogue, pixels in the lanes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from cnndsl.backends.cpu.emit import Chunk
from cnndsl.backends.cpu.kernel import PhaseEmitter, element, row_major
from cnndsl.backends.cpu.kernels.conv_taps import Lattice
from cnndsl.backends.cpu.kernels.epilogue import Epilogue
from cnndsl.backends.cpu.lanes import store_strided
from cnndsl.backends.cpu.llvm import Index, V
from cnndsl.ir.types import Shape, TensorType

LARGE_BYTES = 4 << 20
"""Bytes of a result that no core's own cache holds."""


@dataclass(frozen=True, slots=True)
class Finish:
    """Finishes and stores vectors whose lanes are neighbouring places of one row."""

    result: TensorType
    """What is written: [images, channels, height, width], or the last two as one."""
    lattices: tuple[Lattice, ...]
    """Where places lie, for each of the axes after the second."""
    epilogue: Epilogue | None = None
    """What is done first."""

    def flat(self) -> Finish | None:
        """Give this with height and width as one axis; nothing if an operand stands in the way."""
        images, channels, height, width = self.result.shape
        kind = self.result.with_shape((images, channels, height * width))
        if self.epilogue is None:
            return Finish(kind, (Lattice(),))
        epilogue = self.epilogue
        streams = [*epilogue.strides, *([epilogue.bias_strides] if epilogue.bias_strides else [])]
        if any(_breaks(strides, height, width) for strides in streams):
            return None
        joined = replace(
            epilogue,
            result=kind,
            bias_strides=_joined(epilogue.bias_strides, height, width),
            strides=tuple(_joined(strides, height, width) for strides in epilogue.strides),
        )
        return Finish(kind, (Lattice(),), joined)

    def _where(self, f: PhaseEmitter, place: Sequence[Index]) -> list[Index]:
        images, channel, *rest = place
        if len(self.lattices) == 1:
            rest = rest[1:]
        lying = [
            f.iadd(f.imul(index, lattice.step), lattice.start)
            for index, lattice in zip(rest, self.lattices, strict=True)
        ]
        return [images, channel, *lying]

    def ask(self, f: PhaseEmitter, place: Sequence[Index]) -> None:
        """Ask for what will be read to finish the vector at `place`."""
        if self.epilogue is not None:
            self.epilogue.ask(f, self._where(f, place))

    @property
    def is_large(self) -> bool:
        """Whether no core's own cache holds what is written."""
        return self.result.nbytes > LARGE_BYTES

    def make_room(self, f: PhaseEmitter, place: Sequence[Index]) -> None:
        """Ask for the line at `place`, to which a vector will be stored."""
        start = f.dot(self._where(f, place), row_major(self.result.shape))
        f.prefetch(f.result(), element(self.result), start, use="write")

    def store(self, f: PhaseEmitter, value: V, place: Sequence[Index], mask: V | None) -> None:
        """Store the lanes of `mask`; `place` is image, channel, row and column of lane 0."""
        where = self._where(f, place)
        if self.epilogue is not None:
            value = self.epilogue.apply(f, value, where, mask)
        start = f.dot(where, row_major(self.result.shape))
        step = self.lattices[-1].step
        if step == 1:
            f.store_chunk(value, f.result(), Chunk(start, value.type.lanes, mask))
        else:
            store_strided(f, value, f.result(), start, step, mask)


def _breaks(strides: Shape, height: int, width: int) -> bool:
    """Tell whether a walk over rows and columns is none over their product."""
    return height > 1 and width > 1 and strides[-2] != strides[-1] * width


def _joined(strides: Shape, height: int, width: int) -> Shape:
    if not strides:
        return strides
    last = strides[-1] if width > 1 or height == 1 else strides[-2]
    return (*strides[:-2], last)
