"""Updates that follow one another done in one walk over memory.

An optimizer's arithmetic is a kernel for each parameter and each number of its state. Those that
follow one another in a plan and have results of one type, written in place, become one launch: what
one makes and the next reads stays in registers, and there is one launch for several. What is
computed, and in which order for each element, stays the same, so the bits do.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from cnndsl.backends.cpu.emit import Chunk
from cnndsl.backends.cpu.kernel import KernelBuilder, ceil_div, element, pieces
from cnndsl.backends.cpu.kernels.maps import GRAIN
from cnndsl.backends.cpu.lanes import each_chunk, splat
from cnndsl.backends.cpu.llvm import V
from cnndsl.backends.cpu.scalars import LlvmScalars
from cnndsl.backends.cpu.table import kernels
from cnndsl.ir.graph import Node
from cnndsl.ir.op import Attrs, Op, Trait
from cnndsl.ir.types import TensorType
from cnndsl.ops.fused import FusedElementwiseAttrs
from cnndsl.ops.scalar import ScalarProgram, ScalarStep, scalar
from cnndsl.plan.plan import Arena, Slot, Step

MOST_ARRAYS = 24
"""Arrays that one launch walks over."""
MOST_STEPS = 48
"""Scalar steps of one launch."""


@dataclass(frozen=True, slots=True)
class Part:
    """One update of a launch."""

    program: ScalarProgram
    """What is computed."""
    reads: tuple[int, ...]
    """Its inputs: an operand of the launch, or from the number of operands on, an earlier part."""


@dataclass(frozen=True, slots=True)
class UpdatesAttrs(Attrs):
    """Attributes of joined updates."""

    parts: tuple[Part, ...]
    """In order; each makes one result."""


def _types(attrs: UpdatesAttrs, *operands: TensorType) -> tuple[TensorType, ...]:
    """Give a result of the largest operand's type for each part."""
    return (max(operands, key=lambda kind: kind.size),) * len(attrs.parts)


updates: Op[UpdatesAttrs] = Op(
    name="updates",
    operands=("xs",),
    optional=0,
    variadic=True,
    attrs=UpdatesAttrs,
    type_rule=_types,
    traits=frozenset((Trait.ELEMENTWISE,)),
    doc="Several elementwise chains on arrays of one type; of this backend's programs alone.",
)


def program_of(node: Node[Any]) -> ScalarProgram:
    """Give an elementwise node as a program over its operands."""
    if isinstance(node.attrs, FusedElementwiseAttrs):
        return node.attrs.program
    count = len(node.operands)
    return ScalarProgram(count, (ScalarStep(node.op, node.attrs, tuple(range(count))),))


def _joins(step: Step) -> bool:
    """Tell whether a step updates a parameter or state in place, element by element."""
    node, kind = step.node, step.results[0].type
    known = isinstance(node.attrs, FusedElementwiseAttrs) or node.op in scalar
    return (
        known
        and len(step.results) == 1
        and step.results[0].arena is Arena.STATE
        and kind.dtype.is_float
        and kind.size > 0
        and all(s.type == kind or _is_number(s, kind) for s in step.operands)
    )


def _is_number(slot: Slot, kind: TensorType) -> bool:
    return slot.type.size == 1 and slot.type.dtype is kind.dtype


def groups(steps: Iterable[Step]) -> Iterator[tuple[Step, ...]]:
    """Give the steps in order, those that are one launch together."""
    held: list[Step] = []
    for step in steps:
        if held and not _continues(held, step):
            yield tuple(held)
            held = []
        held.append(step)
    if held:
        yield tuple(held)


def _continues(held: Sequence[Step], step: Step) -> bool:
    if not _joins(held[-1]) or not _joins(step):
        return False
    together = [*held, step]
    arrays = {slot for one in together for slot in (*one.operands, *one.results)}
    size = sum(len(program_of(one.node).steps) for one in together)
    alike = step.results[0].type == held[0].results[0].type
    return alike and len(arrays) <= MOST_ARRAYS and size <= MOST_STEPS


def joined(group: Sequence[Step]) -> Step:
    """Make one step of a group; one step alone stays as it is."""
    if len(group) == 1:
        return group[0]
    made: dict[int, int] = {}  # by place in the state
    operands: dict[Slot, int] = {}
    wiring: list[list[tuple[bool, int]]] = []
    for number, step in enumerate(group):
        reads = []
        for slot in step.operands:
            if slot.arena is Arena.STATE and slot.offset in made:
                reads.append((True, made[slot.offset]))
            else:
                reads.append((False, operands.setdefault(slot, len(operands))))
        wiring.append(reads)
        made[step.results[0].offset] = number
    count = len(operands)
    parts = tuple(
        Part(program_of(step.node), tuple(count * early + index for early, index in reads))
        for step, reads in zip(group, wiring, strict=True)
    )
    results = tuple(step.results[0] for step in group)
    first = group[0].node
    node = Node(
        first.id,
        updates,
        tuple(value for step in group for value in step.node.operands),
        UpdatesAttrs(parts),
        tuple(slot.type for slot in results),
        first.origin,
    )
    return Step(node, tuple(operands), results)


@kernels.rule(updates)
def updates_cpu(k: KernelBuilder, node: Node[UpdatesAttrs]) -> None:
    """Compute part after part for as many elements as a vector has."""
    kind, parts = k.results[0], node.attrs.parts
    lanes, scalar_type = k.lanes(kind), element(kind)
    numbers = [i for i, operand in enumerate(k.operands) if operand != kind]
    steps = sum(len(part.program.steps) for part in parts)
    nbytes = kind.nbytes * (len(k.operands) - len(numbers) + len(k.results))
    with k.phase(ceil_div(kind.size, GRAIN), flops=steps * kind.size, nbytes=nbytes) as f:
        begin, stop = pieces(f, kind.size, GRAIN, f.unit)
        fixed = {i: splat(f, f.load(scalar_type, f.operand(i)), lanes) for i in numbers}

        def body(chunk: Chunk) -> None:
            values: list[V] = [
                fixed[i] if i in fixed else f.load_chunk(scalar_type, f.operand(i), chunk)
                for i in range(len(k.operands))
            ]
            for number, part in enumerate(parts):
                scalars = LlvmScalars(f, scalar_type.times(lanes), kind.dtype)
                values.append(part.program(scalars, *(values[i] for i in part.reads)))
                f.store_chunk(values[-1], f.result(number), chunk)

        each_chunk(f, stop, lanes, body, start=begin)
