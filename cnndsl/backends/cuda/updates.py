"""Updates of parameters put off to the end of a step, and done by few launches for all parameters.

A plan computes each update as soon as its gradient is there, so that the gradient's memory is free
again. On a GPU hundreds of small launches cost more than that memory: here gradients get memory of
their own, updates wait for the end, and those that are the same program on arrays of any sizes are
one launch, which finds its arrays in a table. What is computed stays the same to the bit.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from cnndsl.backends.cuda.kernel import ALIGNMENT, PLACEHOLDER, Launch, ceil_div, element
from cnndsl.backends.cuda.kernels.elementwise import write_program
from cnndsl.backends.cuda.text import render
from cnndsl.ir.graph import NodeId, Value
from cnndsl.ir.op import Trait
from cnndsl.ir.types import DType
from cnndsl.ops.fused import FusedElementwiseAttrs
from cnndsl.ops.rules import Array
from cnndsl.ops.scalar import ScalarProgram, ScalarStep
from cnndsl.plan.plan import Arena, Plan, Step

BLOCK, EACH = 256, 4
"""Threads of a block, and elements of a thread."""


def origin(plan: Plan, value: Value) -> Value:
    """Give the value whose memory a value shows: itself unless it is a view."""
    node = plan.graph[value]
    while node.operands and plan.storage.is_view(node, plan.graph.type_of(node.operands[0])):
        value = node.operands[0]
        node = plan.graph[value]
    return value


def put_off(plan: Plan) -> tuple[Step, ...]:
    """Give the steps that can wait for the end of the run.

    They are elementwise, lead to nothing but parameters that they write in place, and read no
    parameter that a step which does not wait overwrites after them.
    """
    steps = {step.node.id: step for step in plan.steps}
    readers: dict[Value, set[NodeId]] = {}
    for step in plan.steps:
        for value in step.node.operands:
            readers.setdefault(origin(plan, value), set()).add(step.node.id)
    graph = plan.graph
    ends = {origin(plan, v): Value(parameter) for parameter, v in graph.updates.items()}
    outputs = {origin(plan, value) for value in graph.outputs.values()}
    waiting = {
        name
        for name, step in steps.items()
        if Trait.ELEMENTWISE in step.node.op.traits and step.node.results[0] not in outputs
    }

    def may_wait(step: Step) -> bool:
        result = step.node.results[0]
        known = readers.get(result, set())
        reads = {origin(plan, value) for value in step.node.operands}
        if not known <= waiting or reads & early:
            return False
        return step.results[0].arena is Arena.STATE if result in ends else bool(known)

    while True:
        early = {old for new, old in ends.items() if new.node in steps and new.node not in waiting}
        refused = {name for name in waiting if not may_wait(steps[name])}
        if not refused:
            break
        waiting -= refused
    return tuple(step for step in plan.steps if step.node.id in waiting)


def own_memory(plan: Plan, waiting: Sequence[Step]) -> tuple[Value, ...]:
    """Give the values in the workspace that must outlive it until the updates are done."""
    found: dict[Value, None] = {}
    for step in waiting:
        for value in (*step.node.operands, *step.node.results):
            source = origin(plan, value)
            if plan.slots[source].arena is Arena.WORKSPACE:
                found[source] = None
    return tuple(found)


@dataclass(frozen=True, slots=True)
class Update:
    """One update at its addresses."""

    step: Step
    """What is computed."""
    operands: tuple[int, ...]
    """Addresses of the operands."""
    result: int
    """Address of the result."""

    @property
    def program(self) -> ScalarProgram:
        """The chain."""
        attrs = self.step.node.attrs
        if isinstance(attrs, FusedElementwiseAttrs):
            return attrs.program
        count = len(self.operands)
        steps = (ScalarStep(self.step.node.op, attrs, tuple(range(count))),)
        return ScalarProgram(count, steps)

    @property
    def single(self) -> tuple[bool, ...] | None:
        """Tell which operands are single numbers; nothing if one is broadcast in another way."""
        result = self.step.results[0].type
        found = []
        for slot in self.step.operands:
            if slot.type != result and slot.type.size != 1:
                return None
            found.append(slot.type != result)
        return tuple(found)

    @property
    def dtype(self) -> DType:
        """Element type."""
        return self.step.results[0].type.dtype

    @property
    def size(self) -> int:
        """Elements of the result."""
        return self.step.results[0].type.size


def waves(updates: Iterable[Update]) -> list[list[Update]]:
    """Sort updates into waves: those of a wave neither read nor write what another one writes."""
    written: dict[int, int] = {}
    read: dict[int, int] = {}
    found: list[list[Update]] = []
    for update in updates:
        wave = 1 + max((written.get(a, -1) for a in update.operands), default=-1)
        wave = max(wave, 1 + written.get(update.result, -1), 1 + read.get(update.result, -1))
        written[update.result] = wave
        for address in update.operands:
            read[address] = max(wave, read.get(address, -1))
        while len(found) <= wave:
            found.append([])
        found[wave].append(update)
    return found


@dataclass(frozen=True, slots=True)
class Group:
    """Updates that are one launch."""

    launch: Launch
    """Its arguments are the two tables."""
    rows: Array
    """[updates, 2 + operands]: size, address of the result, addresses of the operands."""
    blocks: Array
    """[blocks, 2]: which row a block works on, and from which element on."""


_MANY = """
const int* mine = blocks + 2 * blockIdx.x;
const long long* row = rows + mine[0] * $WIDTH;
const long long size = row[0];
$T* y = reinterpret_cast<$T*>(row[1]);
$arrays
#pragma unroll
for (int j = 0; j < $EACH; ++j) {
    const long long i = mine[1] * (long long)$SPAN + j * $BLOCK + threadIdx.x;
    if (i < size) {
        $loads
        $work
        y[i] = $found;
    }
}
"""


def groups(wave: Sequence[Update]) -> tuple[list[Group], list[Update]]:
    """Join the updates of a wave that are alike; gives those that cannot be joined too."""
    alike: dict[tuple[ScalarProgram, DType, tuple[bool, ...]], list[Update]] = {}
    alone = []
    for update in wave:
        single = update.single
        if single is None or not update.size or update.dtype is DType.BOOL:
            alone.append(update)
        else:
            alike.setdefault((update.program, update.dtype, single), []).append(update)
    return [_group(*key, updates) for key, updates in alike.items()], alone


def _group(
    program: ScalarProgram, dtype: DType, single: tuple[bool, ...], updates: Sequence[Update]
) -> Group:
    span = BLOCK * EACH
    rows = np.array([[u.size, u.result, *u.operands] for u in updates], np.int64)
    counts = [ceil_div(u.size, span) for u in updates]
    blocks = np.array(
        [[index, block] for index, count in enumerate(counts) for block in range(count)], np.int32
    )
    kind = element(updates[0].step.results[0].type)
    names = [f"a{i}" for i in range(len(single))]
    work, found = write_program(program, dtype, names)
    arrays = "\n".join(
        f"const {kind}* x{i} = reinterpret_cast<const {kind}*>(row[{i + 2}]);"
        for i in range(len(single))
    )
    loads = "\n".join(
        f"const {kind} a{i} = x{i}[{'0' if one else 'i'}];" for i, one in enumerate(single)
    )
    body = render(
        _MANY,
        WIDTH=2 + len(single),
        T=kind,
        arrays=arrays,
        EACH=EACH,
        SPAN=span,
        BLOCK=BLOCK,
        loads=loads,
        work=work,
        found=found,
    )
    text = (
        f'extern "C" __global__ void __launch_bounds__({BLOCK}, 4)\n'
        f"{PLACEHOLDER}(const long long* __restrict__ rows, const int* __restrict__ blocks)\n"
        f"{{{body}\n}}\n"
    )
    digest = hashlib.sha256(f"{text}{len(blocks)}".encode()).hexdigest()[:16]
    name = f"updates_{digest}"
    grid = (len(blocks), 1, 1)
    launch = Launch(name, text.replace(PLACEHOLDER, name), grid, (BLOCK, 1, 1), 0, ())
    return Group(launch, rows, blocks)


def table_bytes(waiting: Sequence[Step]) -> tuple[int, int]:
    """Give an upper bound of the bytes of all rows and of all blocks, with room to align each."""
    rows = sum(8 * (2 + len(step.operands)) + ALIGNMENT for step in waiting)
    spans = (ceil_div(step.results[0].type.size, BLOCK * EACH) for step in waiting)
    return rows, sum(8 * count + ALIGNMENT for count in spans)
