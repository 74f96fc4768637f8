"""Programs: the launches of a phase of a plan, bound to memory as a table for the crew."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from cnndsl.backends.cpu import crew_code as layout
from cnndsl.backends.cpu.compile import Code
from cnndsl.backends.cpu.cost import deserved_crew, deserved_threads, units_at_once
from cnndsl.backends.cpu.kernel import LINE_BYTES, SLACK_BYTES, Memory, Phase
from cnndsl.ir.graph import Node
from cnndsl.ops.rules import Array
from cnndsl.plan.plan import Arena, Plan, Slot, Step

Bytes = npt.NDArray[np.uint8]
Words = npt.NDArray[np.int64]


def allocate(nbytes: int, alignment: int = LINE_BYTES) -> Bytes:
    """Make zeroed memory that begins at a multiple of `alignment`, with slack on both sides."""
    raw = np.zeros(nbytes + alignment + 2 * SLACK_BYTES, np.uint8)
    skip = SLACK_BYTES + -(raw.ctypes.data + SLACK_BYTES) % alignment
    return raw[skip : skip + nbytes]


def view(memory: Mapping[Arena, Bytes], slot: Slot) -> Array:
    """View a slot as an array."""
    stretch = memory[slot.arena][slot.offset : slot.end]
    return stretch.view(slot.type.dtype.numpy).reshape(slot.type.shape)


@dataclass(frozen=True, slots=True)
class Launch:
    """A step and its code."""

    step: Step
    """What is computed."""
    code: Code
    """How."""
    kept: int | None
    """Where its PACKED memory lies in what is kept from run to run; nothing: made at each run."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """The launches of a program and the memory they need."""

    launches: tuple[Launch, ...]
    """In order."""
    shared_bytes: int
    """Memory of one launch, for all threads: SHARED, then PACKED if that is not kept."""
    thread_bytes: int
    """Memory of one launch for each thread."""
    kept_bytes: int
    """Memory that is kept from run to run."""


def make_recipe(plan: Plan, steps: Sequence[Step], codes: Sequence[Code], *, keep: bool) -> Recipe:
    """Decide where the kernels' own memory lies; `keep` lets packed operands outlive a run."""
    moving = {plan.slots[node.results[0]].offset for node in _updated(plan)}
    launches, kept_bytes, shared_bytes, thread_bytes = [], 0, 0, LINE_BYTES
    for step, code in zip(steps, codes, strict=True):
        kernel = code.kernel
        shared, packed, thread = kernel.memory
        operands = [step.operands[index] for index in kernel.packed_from]
        kept = None
        if packed and keep and all(_constant(slot, moving) for slot in operands):
            kept, kept_bytes = kept_bytes, kept_bytes + packed
            packed = 0
        shared_bytes = max(shared_bytes, shared + packed)
        thread_bytes = max(thread_bytes, thread)
        launches.append(Launch(step, code, kept))
    return Recipe(tuple(launches), shared_bytes, thread_bytes, kept_bytes)


def _updated(plan: Plan) -> list[Node[Any]]:
    return [plan.graph[name] for name in plan.graph.updates]


def _constant(slot: Slot, moving: set[int]) -> bool:
    """Tell whether the content of a slot changes only when a state is loaded."""
    if slot.arena is Arena.STATE:
        return slot.offset not in moving
    return slot.arena in (Arena.CONSTANT, Arena.PREPARED)


class Program:
    """A recipe bound to memory."""

    def __init__(
        self, recipe: Recipe, memory: Mapping[Arena, Bytes], kept: Bytes, *, threads: int
    ) -> None:
        """Bind to arenas; `kept` is the memory that outlives runs. Up to `threads` threads."""
        self.recipe = recipe
        self._memory = memory
        self._kept = kept
        self._shared = allocate(recipe.shared_bytes)
        stride = -(-recipe.thread_bytes // LINE_BYTES) * LINE_BYTES
        self._thread = allocate(LINE_BYTES + threads * stride)
        self._thread[:8].view(np.int64)[0] = stride
        self.reports: Words = np.zeros(len(recipe.launches), np.int64)
        """What the kernels found wrong, a word a launch."""
        self._arguments = [self._arguments_of(recipe, i) for i in range(len(recipe.launches))]
        self.packing, _ = self._table(recipe, threads, packing=True)
        """Rows that make what is kept."""
        self.running, self.bounds = self._table(recipe, threads, packing=False)
        """Rows of a run; the first row of each launch, and the end."""
        self.place = int(self.running.ctypes.data)
        """Address of those rows."""
        self.crew = crew_size(self.running)
        """The most threads that a row of a run wants."""
        self.checked = any(launch.code.kernel.reports for launch in recipe.launches)
        """Whether a kernel may report something."""

    def _arguments_of(self, recipe: Recipe, index: int) -> Words:
        launch = recipe.launches[index]
        shared = self._shared.ctypes.data
        packed = shared + launch.code.kernel.memory[Memory.SHARED.value]
        if launch.kept is not None:
            packed = self._kept.ctypes.data + launch.kept
        slots = (*launch.step.operands, *launch.step.results)
        places = [self._memory[slot.arena].ctypes.data + slot.offset for slot in slots]
        report = self.reports[index:].ctypes.data
        return np.array([*places, shared, packed, self._thread.ctypes.data, report], np.int64)

    def _table(self, recipe: Recipe, threads: int, *, packing: bool) -> tuple[Words, list[int]]:
        """Write the rows of a run, or those that make what is kept."""
        rows: list[list[int]] = []
        bounds = [0]
        stages = [_phases(launch, packing=packing) for launch in recipe.launches]
        phases = [phase for stage in stages for phase, _ in stage]
        threads = deserved_crew(phases, threads)
        for stage, arguments in zip(stages, self._arguments, strict=True):
            for phase, address in stage:
                crew = deserved_threads(phase, threads)
                row = [0] * layout.ROW
                row[layout.KERNEL] = address
                row[layout.ARGUMENTS] = arguments.ctypes.data
                row[layout.UNITS] = phase.units
                row[layout.THREADS] = crew
                row[layout.PIECE] = piece = units_at_once(phase, crew)
                row[layout.PIECES] = -(-phase.units // piece)
                rows.append(row)
            bounds.append(len(rows))
        return np.array(rows, np.int64).reshape(-1, layout.ROW), bounds


def _phases(launch: Launch, *, packing: bool) -> list[tuple[Phase, int]]:
    """Give the phases that are launched, with their addresses."""
    kept = launch.kept is not None
    kernel = launch.code.kernel
    both = zip(kernel.phases, launch.code.addresses, strict=True)
    return [(phase, address) for phase, address in both if (phase.packs and kept) is packing]


def crew_size(table: Words) -> int:
    """Give the most threads that any row of a table wants."""
    return int(table[:, layout.THREADS].max(initial=1))
