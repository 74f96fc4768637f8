"""NumPy in the plan's arenas: slow, plain, and what every other backend is measured against."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from cnndsl.backends.base import Backend, Precision
from cnndsl.ir.graph import Node, NodeId, Value
from cnndsl.ir.op import Op, Trait
from cnndsl.ops.rules import Array, compute, reference
from cnndsl.plan.plan import Arena, Phase, Plan, Region, Slot, Step
from cnndsl.runtime.executable import Executable, State
from cnndsl.runtime.profile import Profile
from cnndsl.support.diagnostics import BackendError, CnnDslError

Bytes = npt.NDArray[np.uint8]

POISON = 0xFF
"""Byte that dead memory is filled with: NaN as a float, -1 as a signed integer."""


class ReferenceBackend(Backend):
    """Runs each step's reference rule and writes the results to their slots."""

    name: ClassVar[str] = "reference"

    def __init__(self, *, poison: bool = False, precision: Precision = "fast") -> None:
        """Run plans; with `poison`, memory whose lifetime has ended is overwritten at once.

        Poison turns a mistake in a plan into numbers that nobody takes for a result. Everything is
        a plain sum here, whatever the `precision`.
        """
        super().__init__(precision=precision)
        self.poison = poison

    def supports(self, op: Op[Any]) -> bool:
        """Tell whether `op` has a reference rule."""
        return op in reference

    def _compile(self, plan: Plan) -> Executable:
        return ReferenceExecutable(plan, poison=self.poison)


@dataclass(frozen=True, slots=True)
class _Launch:
    """A step bound to memory, so that running it looks nothing up."""

    node: Node[Any]
    rule: Callable[..., Any]
    operands: tuple[Array, ...]
    """Read-only: a rule that writes to its operands is a mistake."""
    results: tuple[Array, ...]
    dying: tuple[Bytes, ...]
    """Poisoned afterwards; empty unless asked for."""


@dataclass(frozen=True, slots=True)
class _Frame:
    """What one run needs for itself."""

    memory: Mapping[Arena, Bytes]
    """All arenas; input and workspace are this frame's own."""
    inputs: Mapping[str, Array]
    launches: tuple[_Launch, ...]
    outputs: Mapping[str, Array]
    copies: tuple[tuple[Array, Array], ...]
    """(target, source)."""


class ReferenceExecutable(Executable):
    """A plan in NumPy: one byte buffer an arena, every value a view of it.

    State, constants and prepared values are there once. Each run borrows a frame of inputs and
    workspace from a list of idle ones, so there are as many as runs at the same time, whatever
    threads they come from.
    """

    def __init__(self, plan: Plan, *, poison: bool = False) -> None:
        """Allocate what is shared and fill the constants."""
        super().__init__(plan)
        self._poison = poison
        self._shared = {
            arena: _allocate(plan, arena) for arena in (Arena.STATE, Arena.CONSTANT, Arena.PREPARED)
        }
        self._state = {
            name: _view(self._shared, plan.slots[Value(NodeId(name))]) for name in self.parameters
        }
        self._idle: list[_Frame] = []
        self._fill_constants()

    def _fill_constants(self) -> None:
        for value, slot in self.plan.slots.items():
            node = self.plan.graph[value]
            if slot.arena is Arena.CONSTANT and Trait.STRUCTURAL in node.op.traits:
                np.copyto(_view(self._shared, slot), compute(node)[0])

    def _write_state(self, arrays: Mapping[str, Array]) -> None:
        for name, array in arrays.items():
            np.copyto(self._state[name], array)

    def _read_state(self) -> State:
        return {name: array.copy() for name, array in self._state.items()}

    def _prepare(self) -> None:
        if not self.plan.prepare:
            return
        frame = self._borrow()
        if self._poison:
            frame.memory[Arena.WORKSPACE].fill(POISON)
        _run_all(self._bind(frame.memory, Phase.PREPARE))
        self._idle.append(frame)

    def _launch(
        self, feeds: Mapping[str, Array], *, timed: bool
    ) -> tuple[dict[str, Array], Profile | None]:
        begin = perf_counter()
        frame = self._borrow()
        if self._poison:
            frame.memory[Arena.WORKSPACE].fill(POISON)
            frame.memory[Arena.INPUT].fill(POISON)
        for name, array in feeds.items():
            np.copyto(frame.inputs[name], array)
        times = _run_timed(frame.launches) if timed else _run_all(frame.launches)
        outputs = {name: array.copy() for name, array in frame.outputs.items()}
        for target, source in frame.copies:
            np.copyto(target, source)
        # A run that failed does not come here: its frame is dropped.
        self._idle.append(frame)
        if not timed:
            return outputs, None
        return outputs, Profile.of(self.plan, times, perf_counter() - begin)

    def _borrow(self) -> _Frame:
        try:
            return self._idle.pop()
        except IndexError:
            return self._new_frame()

    def _new_frame(self) -> _Frame:
        plan = self.plan
        own = {arena: _allocate(plan, arena) for arena in (Arena.INPUT, Arena.WORKSPACE)}
        memory = {**self._shared, **own}
        return _Frame(
            memory=memory,
            inputs={name: _view(memory, plan.slots[Value(NodeId(name))]) for name in self.inputs},
            launches=self._bind(memory, Phase.RUN),
            outputs={
                name: _view(memory, plan.slots[value]) for name, value in plan.graph.outputs.items()
            },
            copies=tuple(
                (_view(memory, copy.target), _view(memory, copy.source)) for copy in plan.copies
            ),
        )

    def _bind(self, memory: Mapping[Arena, Bytes], phase: Phase) -> tuple[_Launch, ...]:
        """Bind the steps of a phase to `memory`."""
        dying: dict[int, list[Bytes]] = {}
        if self._poison:
            for region in self.plan.regions:
                if region.arena is Arena.WORKSPACE and region.phase is phase:
                    dying.setdefault(region.lifetime.last, []).append(_stretch(memory, region))
        return tuple(
            _bind_step(step, memory, dying.get(index, ()))
            for index, step in enumerate(self.plan.steps_of(phase))
        )


def _bind_step(step: Step, memory: Mapping[Arena, Bytes], dying: Iterable[Bytes]) -> _Launch:
    operands = tuple(_view(memory, slot) for slot in step.operands)
    for array in operands:
        array.flags.writeable = False
    return _Launch(
        node=step.node,
        rule=reference[step.node.op],
        operands=operands,
        results=tuple(_view(memory, slot) for slot in step.results),
        dying=tuple(dying),
    )


def _run_all(launches: Sequence[_Launch]) -> list[float]:
    """Run every step; gives no times."""
    launch: _Launch | None = None
    try:
        # IEEE arithmetic without remarks, as on every backend: whoever trains watches the loss.
        with np.errstate(all="ignore"):
            for launch in launches:
                _run_one(launch)
    except MemoryError as error:
        error.add_note(_place(launch))
        raise
    except CnnDslError as error:
        raise BackendError(f"{error}\n{_place(launch)}") from error
    except Exception as error:
        raise BackendError(f"{type(error).__name__}: {error}\n{_place(launch)}") from error
    return []


def _run_timed(launches: Sequence[_Launch]) -> list[float]:
    """Run every step; gives the seconds that each took."""
    times = []
    for launch in launches:
        begin = perf_counter()
        _run_all((launch,))
        times.append(perf_counter() - begin)
    return times


def _run_one(launch: _Launch) -> None:
    made = launch.rule(launch.node, *launch.operands)
    arrays = made if isinstance(made, tuple) else (made,)
    for array, place in zip(arrays, launch.results, strict=True):
        if np.shape(array) != place.shape:
            raise BackendError(f"the rule made shape {np.shape(array)}, not {place.shape}")
        # As ops.rules.compute does: results take the elements of the node's type.
        np.copyto(place, array, casting="unsafe")
    for stretch in launch.dying:
        stretch.fill(POISON)


def _place(launch: _Launch | None) -> str:
    """Say which step an error came up in, and which line of the program asked for it."""
    assert launch is not None, "something was launched, or nothing could fail"
    node = launch.node
    origin = f", from {node.origin.span}" if node.origin.span else ""
    return f"while running {node.id} ({node.op.name}){origin}"


def _allocate(plan: Plan, arena: Arena) -> Bytes:
    """Make a zeroed arena whose first byte is aligned as the plan's offsets are."""
    nbytes = plan.arena_bytes[arena]
    try:
        raw = np.zeros(nbytes + plan.alignment, dtype=np.uint8)
    except MemoryError as error:
        error.add_note(f"the {arena.value} of {plan.graph.name} takes {nbytes:,} bytes")
        raise
    skip = -raw.ctypes.data % plan.alignment
    return raw[skip : skip + nbytes]


def _view(memory: Mapping[Arena, Bytes], slot: Slot) -> Array:
    stretch = memory[slot.arena][slot.offset : slot.end]
    return stretch.view(slot.type.dtype.numpy).reshape(slot.type.shape)


def _stretch(memory: Mapping[Arena, Bytes], region: Region) -> Bytes:
    return memory[region.arena][region.offset : region.end]
