"""Kernels as plain data: text, launch geometry, arguments; nothing here needs a GPU.

A kernel has launches that run one after the other on one stream. Shapes, strides and sizes are
written into the text as numbers, so the arguments of a launch are addresses alone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any, Protocol

from cnndsl.backends.cuda.policy import DEFAULT_POLICY, HALVES, Policy
from cnndsl.backends.cuda.text import render
from cnndsl.ir.graph import Node
from cnndsl.ir.op import Attrs, Op
from cnndsl.ir.types import DType, TensorType

Dim3 = tuple[int, int, int]
"""Lengths along x, y and z."""

MOST_SHARED_BYTES = 48 << 10
"""Shared memory that every launch may have without asking the driver."""
ALIGNMENT = 256
"""Every address that a kernel is given is a multiple of it, in bytes."""
REGISTERS = 65536
"""Of a multiprocessor, on every architecture that is served."""
PLACEHOLDER = "KERNEL_NAME"
HALF_BYTES = 2
"""Of an element of what is kept so."""


class Place(Enum):
    """What an argument points at."""

    OPERAND = "operand"
    """A value that the node reads."""
    RESULT = "result"
    """A value that the node makes."""
    SCRATCH = "scratch"
    """Memory of the kernel's own, from its first launch to its last."""
    MOMENTS = "moments"
    """Means and squared distances of slices, from a convolution to the batch norm after it."""
    REPORT = "report"
    """Eight bytes, zero before the run, for what is wrong with the operands."""


class Access(Enum):
    """What a launch does with an argument."""

    READ = "read"
    """Reads only."""
    WRITE = "write"
    """Writes every byte and reads none before."""
    UPDATE = "update"
    """Reads and writes."""


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument of a launch: an address, and how much of it is used for what."""

    place: Place
    """What it points at."""
    index: int
    """Which operand or result; of scratch and moments the first byte."""
    nbytes: int
    """Bytes that may be touched."""
    access: Access
    """Which way."""


@dataclass(frozen=True, slots=True)
class Launch:
    """One function and how it is started."""

    name: str
    """Of the function; says what it does to the bit, so equal names are equal functions."""
    text: str
    """CUDA C++ of the function."""
    grid: Dim3
    """Blocks."""
    block: Dim3
    """Threads of a block."""
    shared_bytes: int
    """Dynamic shared memory of a block."""
    arguments: tuple[Argument, ...]
    """In the order of the function's parameters."""


class Enqueue(Protocol):
    """Queues the work of a library."""

    def __call__(self, addresses: Sequence[int], stream: int | None) -> None:
        """Queue it on a stream; raises `BackendError` with the library's words."""


@dataclass(frozen=True, slots=True)
class Call:
    """A function of a library, in the place of a launch of ours."""

    name: str
    """Says which: "cudnn eng38_k2=1"."""
    text: str
    """What it computes, for people."""
    arguments: tuple[Argument, ...]
    """In the order of the addresses."""
    enqueue: Enqueue = field(compare=False)
    """Queues it."""


@dataclass(frozen=True, slots=True)
class Kernel:
    """The launches for one node, and for every node like it."""

    name: str
    """Of the op."""
    launches: tuple[Launch | Call, ...]
    """In order; none where there is nothing to compute."""
    scratch_bytes: int
    """Memory of its own."""
    reports: bool
    """Whether it may find fault with its operands."""
    algorithm: str = ""
    """Which of several ways it computes, where there are several."""
    moments: int = 0
    """Rows, images times places, of each slice whose moments it gives or takes; 0: none."""
    moment_bytes: int = 0
    """Memory of these moments."""


@dataclass(frozen=True, slots=True)
class Key:
    """What the text of a kernel depends on."""

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
    halves: tuple[tuple[bool, ...], tuple[bool, ...]] = ((), ())
    """Which operands and which results have two bytes an element in memory."""
    moments: int = 0
    """Of a batch norm: rows of the slices whose moments the convolution before it gives; of that
    convolution: whether it is asked for them. 0: none."""

    def is_half(self, place: Place, index: int) -> bool:
        """Tell whether an operand or a result has two bytes an element."""
        return any(self.halves[place is Place.RESULT][index : index + 1])

    def nbytes(self, place: Place, index: int) -> int:
        """Give the bytes of an operand or of a result in memory."""
        kind = (self.results if place is Place.RESULT else self.operands)[index]
        return kind.size * HALF_BYTES if self.is_half(place, index) else kind.nbytes


@dataclass(frozen=True, slots=True)
class Pointer:
    """A parameter of a function under construction."""

    argument: Argument
    """What is passed."""
    kind: str
    """C++ type of an element in memory: "float", "bf16", "f16"."""


class KernelBuilder:
    """Collects the launches of a kernel."""

    def __init__(self, node: Node[Any], key: Key, policy: Policy = DEFAULT_POLICY) -> None:
        """Begin the kernel of `node`, whose types are those of `key`."""
        self.node = node
        self.policy = policy
        self.operands = key.operands
        """Types of the operands."""
        self.results = key.results
        """Types of the results."""
        self._key = key
        self.moments = key.moments
        """Rows of the slices whose moments are there, or any number where they are asked for."""
        self.aliased = key.aliased
        """Whether the first result may lie upon an operand of the same type."""
        self.algorithm = ""
        """Name of the way, where there are several."""
        self._launches: list[Launch] = []
        self._scratch = 0
        self._moments = (0, 0)
        self._reports = False

    def operand(self, index: int) -> Pointer:
        """Point at an operand, to be read."""
        kind = stored(self.operands[index], self._half(Place.OPERAND, index))
        nbytes = self.operands[index].size * SIZES[kind]
        return Pointer(Argument(Place.OPERAND, index, nbytes, Access.READ), kind)

    def result(self, index: int = 0) -> Pointer:
        """Point at a result, to be written whole."""
        kind = stored(self.results[index], self._half(Place.RESULT, index))
        nbytes = self.results[index].size * SIZES[kind]
        return Pointer(Argument(Place.RESULT, index, nbytes, Access.WRITE), kind)

    def _half(self, place: Place, index: int) -> str | None:
        return self.policy.half if self._key.is_half(place, index) else None

    def scratch(self, count: int, kind: str) -> Pointer:
        """Take memory for `count` elements; the first launch that gets it writes it whole."""
        nbytes = count * SIZES[kind]
        argument = Argument(Place.SCRATCH, self._scratch, nbytes, Access.WRITE)
        self._scratch += -(-nbytes // ALIGNMENT) * ALIGNMENT
        return Pointer(argument, kind)

    def slice_moments(self, rows: int, count: int, kind: str) -> tuple[Pointer, Pointer]:
        """Point at `count` means, and at as many squared distances, of slices of so many rows."""
        nbytes = -(-count * SIZES[kind] // ALIGNMENT) * ALIGNMENT
        self._moments = (rows, 2 * nbytes)
        means, apart = (
            Pointer(Argument(Place.MOMENTS, first, count * SIZES[kind], Access.WRITE), kind)
            for first in (0, nbytes)
        )
        return means, apart

    def report(self) -> Pointer:
        """Point at the word that says what is wrong: the kernel leaves it alone or raises it."""
        self._reports = True
        return Pointer(Argument(Place.REPORT, 0, 8, Access.UPDATE), "unsigned long long")

    def launch(
        self,
        label: str,
        template: str,
        *,
        grid: int,
        block: int = 256,
        shared_bytes: int = 0,
        registers: int = 64,
        reads: Sequence[tuple[str, Pointer]] = (),
        writes: Sequence[tuple[str, Pointer]] = (),
        **values: object,
    ) -> None:
        """Add a launch of `grid` blocks of `block` threads.

        The body is `template` with `values` put in (see `text.render`). `reads` and `writes` name
        its parameters; scratch that an earlier launch wrote is passed in `reads`. A thread may
        have `registers`: left to itself, the compiler of 13.0 spills some to have more blocks at
        once. A launch of no block is left out.
        """
        if not grid:
            return
        assert shared_bytes <= MOST_SHARED_BYTES, "a launch has at most 48 KiB of shared memory"
        together = REGISTERS // (block * registers)
        parameters = [f"const {p.kind}* {self._restrict(p)}{name}" for name, p in reads]
        parameters += [f"{p.kind}* {self._restrict(p)}{name}" for name, p in writes]
        text = (
            f'extern "C" __global__ void __launch_bounds__({block}, {together})\n'
            f"{PLACEHOLDER}({', '.join(parameters)})\n"
            f"{{\n{render(template, **values).strip(chr(10))}\n}}\n"
        )
        digest = hashlib.sha256(f"{text}{grid},{block},{shared_bytes}".encode()).hexdigest()[:16]
        name = f"{self.node.op.name}_{label}_{digest}" if label else f"{self.node.op.name}_{digest}"
        arguments = [_as(p.argument, Access.READ) for _, p in reads]
        arguments += [p.argument for _, p in writes]
        self._launches.append(
            Launch(
                name,
                text.replace(PLACEHOLDER, name),
                (grid, 1, 1),
                (block, 1, 1),
                shared_bytes,
                tuple(arguments),
            )
        )

    def _restrict(self, pointer: Pointer) -> str:
        """Promise the compiler that nothing else points there, where that is so."""
        shared = pointer.argument.place in (Place.OPERAND, Place.RESULT) and self.aliased
        return "" if shared else "__restrict__ "

    def finish(self) -> Kernel:
        """Give the kernel."""
        return Kernel(
            self.node.op.name,
            tuple(self._launches),
            self._scratch,
            self._reports,
            self.algorithm,
            *self._moments,
        )


def _as(argument: Argument, access: Access) -> Argument:
    return replace(argument, access=access)


ELEMENTS = {
    DType.F64: "double",
    DType.F32: "float",
    DType.I64: "long long",
    DType.I32: "int",
    DType.U8: "unsigned char",
    DType.BOOL: "bool",
}
"""Element types in C++."""

SIZES = {
    **dict.fromkeys(HALVES.values(), HALF_BYTES),
    **{name: dtype.nbytes for dtype, name in ELEMENTS.items()},
}
"""Bytes of the element types of memory; kernels compute with a half as with a float."""
WIDE = 16
"""Bytes of the widest access."""


def element(kind: TensorType) -> str:
    """Give the C++ type in which a tensor's elements are computed with."""
    return ELEMENTS[kind.dtype]


def stored(kind: TensorType, half: str | None) -> str:
    """Give the C++ type in which a tensor's elements lie in memory: `half` if there is one."""
    return half or element(kind)


def vector_of(*pointers: Pointer) -> int:
    """Give how many elements one access of the narrowest of some arrays holds.

    >>> narrow = Pointer(Argument(Place.OPERAND, 0, 64, Access.READ), "bf16")
    >>> vector_of(narrow), vector_of(narrow, replace(narrow, kind="float"))
    (8, 8)
    """
    return max(WIDE // SIZES[pointer.kind] for pointer in pointers)


def ceil_div(a: int, b: int) -> int:
    """Divide and round up."""
    return -(-a // b)
