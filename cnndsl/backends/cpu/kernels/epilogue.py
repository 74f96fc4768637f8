"""Epilogues: bias and elementwise work on results while they are at hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cnndsl.backends.cpu.emit import Chunk
from cnndsl.backends.cpu.kernel import KernelBuilder, PhaseEmitter, element, row_major
from cnndsl.backends.cpu.kernels.maps import broadcast_strides
from cnndsl.backends.cpu.lanes import load_strided, splat
from cnndsl.backends.cpu.llvm import Index, V
from cnndsl.backends.cpu.scalars import LlvmScalars
from cnndsl.ir.types import Shape, TensorType
from cnndsl.ops.scalar import ScalarProgram


@dataclass(frozen=True, slots=True)
class Epilogue:
    """What is done to each element of a result: a bias added, then a program run."""

    result: TensorType
    """The result."""
    bias: int | None
    """The operand that is the bias; nothing: none."""
    bias_strides: Shape
    """Its steps along the result's axes."""
    program: ScalarProgram | None
    """Input 0 is the result with its bias."""
    extras: tuple[int, ...]
    """Operands that are the program's other inputs."""
    strides: tuple[Shape, ...]
    """Their steps along the result's axes."""

    @classmethod
    def of(cls, k: KernelBuilder, *, has_bias: bool, program: ScalarProgram | None) -> Epilogue:
        """Make the epilogue of an op whose operands are two, a bias, and the program's others."""
        result = k.results[0]
        bias_strides: Shape = ()
        if has_bias:
            own = row_major(k.operands[2].shape)
            # One a channel (the second axis), or one at each place of a channel.
            bias_strides = (0, *own, *(0,) * (result.rank - 1 - len(own)))
        extras = tuple(range(2 + has_bias, len(k.operands)))
        strides = tuple(
            broadcast_strides(k.operands[i], result.shape, row_major(k.operands[i].shape))
            for i in extras
        )
        return cls(result, 2 if has_bias else None, bias_strides, program, extras, strides)

    @property
    def empty(self) -> bool:
        """Whether nothing is done."""
        return self.bias is None and self.program is None

    @property
    def flops(self) -> int:
        """Operations of an element."""
        return (self.bias is not None) + (len(self.program.steps) if self.program else 0)

    def apply(self, f: PhaseEmitter, value: V, where: Sequence[Index], mask: V | None) -> V:
        """Work on neighbours along the last axis, the first of which stands at `where`."""
        if self.bias is not None:
            bias = self._load(f, self.bias, self.bias_strides, value, where, mask)
            value = f.add(value, bias)
        if self.program is None:
            return value
        others = [
            self._load(f, number, strides, value, where, mask)
            for number, strides in zip(self.extras, self.strides, strict=True)
        ]
        scalars = LlvmScalars(f, value.type, self.result.dtype)
        return self.program(scalars, value, *others)

    def ask(self, f: PhaseEmitter, where: Sequence[Index]) -> None:
        """Ask for what `apply` will read of large operands at `where`, long before it does."""
        kind = element(self.result)
        for number, strides in zip(self.extras, self.strides, strict=True):
            if all(s or n == 1 for s, n in zip(strides, self.result.shape, strict=True)):
                f.prefetch(f.operand(number), kind, f.dot(where, strides))

    def _load(
        self,
        f: PhaseEmitter,
        number: int,
        strides: Shape,
        like: V,
        where: Sequence[Index],
        mask: V | None,
    ) -> V:
        kind = element(self.result)
        start = f.dot(where, strides)
        if not like.type.lanes or strides[-1] == 0:
            return splat(f, f.load(kind, f.operand(number), start), like.type.lanes)
        if strides[-1] == 1:
            return f.load_chunk(kind, f.operand(number), Chunk(start, like.type.lanes, mask))
        return load_strided(f, like.type, f.operand(number), start, strides[-1], mask)
