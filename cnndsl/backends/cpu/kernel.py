"""Kernels: what a rule writes for one node, and what the program needs to know to launch it.

A kernel has phases that run one after the other. A phase is a number of units of work, each of
which computes the same whatever thread it runs on and however many there are. Arguments of every
phase are the addresses of operands, results and the kernel's own memory.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from typing import Any

from cnndsl.backends.cpu.emit import FunctionEmitter
from cnndsl.backends.cpu.llvm import I64, PTR, Index, LType, Module, V, llvm_type
from cnndsl.backends.cpu.policy import DEFAULT_POLICY, Policy
from cnndsl.backends.cpu.target import CpuTarget
from cnndsl.ir.graph import Node
from cnndsl.ir.op import Attrs, Op
from cnndsl.ir.types import TensorType

LINE_BYTES = 64
"""Buffers begin at multiples of it."""
SLACK_BYTES = 1024
"""Bytes around every arena and buffer that may be read in vain, never written."""


class Memory(Enum):
    """Where a kernel's own memory lies."""

    SHARED = 0
    """One for all threads, during one launch."""
    PACKED = 1
    """What is made of operands alone; kept while they do not change."""
    THREAD = 2
    """One for each thread, during one unit."""


@dataclass(frozen=True, slots=True)
class Buffer:
    """A stretch of a kernel's own memory."""

    memory: Memory
    """Which."""
    offset: int
    """First byte."""


@dataclass(frozen=True, slots=True)
class Phase:
    """One function of a kernel."""

    name: str
    """Of the function."""
    units: int
    """How many units of work."""
    flops: float
    """Floating-point operations of all units, as far as they take time."""
    nbytes: float
    """Bytes that all units move."""
    packs: bool = False
    """Whether it only fills PACKED memory."""


@dataclass(frozen=True, slots=True)
class Kernel:
    """The code for one node, and for every node like it."""

    name: str
    """Of the op."""
    text: str
    """LLVM's text of the module."""
    phases: tuple[Phase, ...]
    """In order."""
    memory: tuple[int, int, int]
    """Bytes of each kind of memory; of THREAD for one thread."""
    packed_from: frozenset[int]
    """Operands that PACKED memory is made of."""
    reports: bool
    """Whether it may find fault with its operands."""
    algorithm: str = ""
    """Which of several ways it computes, where there are several."""


@dataclass(frozen=True, slots=True)
class Key:
    """What the code of a kernel depends on."""

    op: Op[Any]
    """The op."""
    attrs: Attrs
    """Its attributes."""
    operands: tuple[TensorType, ...]
    """Types of the operands."""
    results: tuple[TensorType, ...]
    """Types of the results."""
    aliased: bool
    """Whether the first result may lie upon an operand."""


class KernelBuilder:
    """Collects the phases of a kernel."""

    def __init__(
        self, node: Node[Any], key: Key, target: CpuTarget, policy: Policy = DEFAULT_POLICY
    ) -> None:
        """Begin the kernel of `node`, whose types are those of `key`."""
        self.node = node
        self.policy = policy
        self._algorithms: list[str] = []
        self.operands = key.operands
        self.results = key.results
        self.aliased = key.aliased
        self.target = target
        self.module = Module(key.op.name, target)
        self._phases: list[Phase] = []
        self._memory = [0, 0, 0]
        self._packed_from: set[int] = set()
        self._reports = False

    def buffer(self, memory: Memory, nbytes: int, *operands: int) -> Buffer:
        """Reserve memory of the kernel's own; PACKED is made of `operands`."""
        offset = self._memory[memory.value]
        rounded = -(-nbytes // LINE_BYTES) * LINE_BYTES
        self._memory[memory.value] = offset + rounded + SLACK_BYTES
        self._packed_from.update(operands)
        return Buffer(memory, offset)

    def lanes(self, kind: TensorType) -> int:
        """Give the elements of a full vector of such a tensor."""
        return self.target.lanes(kind.dtype)

    @contextmanager
    def phase(
        self,
        units: int,
        *,
        flops: float = 0,
        nbytes: float = 0,
        packs: bool = False,
    ) -> Iterator[PhaseEmitter]:
        """Write the next phase: what is written inside is one unit, number `unit` of `units`."""
        name = f"kernel_{len(self._phases)}"
        f = PhaseEmitter(self, name)
        with f.units():
            yield f
        f.finish()
        self._phases.append(Phase(name, units, float(flops), float(nbytes), packs))

    def reporting(self) -> None:
        """Note that the kernel writes to its report."""
        self._reports = True

    def uses(self, algorithm: str) -> None:
        """Note an algorithm that was chosen."""
        if algorithm not in self._algorithms:
            self._algorithms.append(algorithm)

    def finish(self) -> Kernel:
        """Give the kernel."""
        shared, packed, thread = self._memory
        return Kernel(
            self.module.name,
            str(self.module),
            tuple(self._phases),
            (shared, packed, thread),
            frozenset(self._packed_from),
            self._reports,
            "; ".join(self._algorithms),
        )


class PhaseEmitter(FunctionEmitter):
    """Writes one phase; pointers to operands, results and buffers are loaded when it begins."""

    def __init__(self, kernel: KernelBuilder, name: str) -> None:
        """Begin the phase."""
        parameters = [(PTR, "arguments"), (I64, "first"), (I64, "stop"), (I64, "thread")]
        super().__init__(kernel.module, name, parameters, local=False)
        self.kernel = kernel
        self.unit: V = self.parameters[1]
        operands, results = len(kernel.operands), len(kernel.results)
        places = [self._argument(index) for index in range(operands + results + 4)]
        self._operands, self._results = places[:operands], places[operands : operands + results]
        shared, packed, threads, report = places[-4:]
        mine = self.mul(self.parameters[3], self.load(I64, threads))
        self._bases = (shared, packed, self.at(threads, LType("i8"), self.iadd(mine, LINE_BYTES)))
        self._report = report

    def _argument(self, index: int) -> V:
        return self.load(PTR, self.parameters[0], index)

    @contextmanager
    def units(self) -> Iterator[None]:
        """Repeat for each unit."""
        _, first, stop, _ = self.parameters
        with self.loop(first, stop) as unit:
            self.unit = self.index(unit)
            yield

    def operand(self, index: int) -> V:
        """Point at an operand."""
        return self._operands[index]

    def result(self, index: int = 0) -> V:
        """Point at a result."""
        return self._results[index]

    def place(self, buffer: Buffer) -> V:
        """Point at a buffer; in THREAD memory at this thread's."""
        return self.at(self._bases[buffer.memory.value], LType("i8"), buffer.offset)

    def report(self, value: V) -> None:
        """Leave a number other than 0 that says what is wrong with the operands."""
        self.kernel.reporting()
        self.store(value, self._report)


def element(kind: TensorType) -> LType:
    """Give LLVM's type of a tensor's elements."""
    return llvm_type(kind.dtype)


def row_major(shape: Sequence[int]) -> tuple[int, ...]:
    """Give the strides of a contiguous array, in elements.

    >>> row_major((2, 3, 4))
    (12, 4, 1)
    """
    strides = [1]
    for length in reversed(shape[1:]):
        strides.append(strides[-1] * length)
    return tuple(reversed(strides)) if shape else ()


def ceil_div(a: int, b: int) -> int:
    """Divide and round up."""
    return -(-a // b)


def pieces(f: FunctionEmitter, length: int, piece: int, number: Index) -> tuple[Index, Index]:
    """Give start and end of piece `number` of an axis cut into pieces, the last one shorter."""
    start = f.imul(number, piece)
    stop = f.iadd(start, piece)
    return start, stop if length % piece == 0 else f.imin(stop, length)
