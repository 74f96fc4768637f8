"""The CPU backend: plans compiled to machine code, run by the process's crew of threads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from copy import copy
from dataclasses import dataclass, replace
from itertools import pairwise
from time import perf_counter
from typing import Any, ClassVar

import numpy as np

from cnndsl.backends.base import Backend, Measurement, Precision
from cnndsl.backends.cpu import kernels as kernels
from cnndsl.backends.cpu.ceiling import measure
from cnndsl.backends.cpu.compile import KernelSet, key_of, write_kernel
from cnndsl.backends.cpu.faults import faults
from cnndsl.backends.cpu.jit import assembly
from cnndsl.backends.cpu.kernel import LINE_BYTES, Kernel, Key
from cnndsl.backends.cpu.objects import ObjectStore
from cnndsl.backends.cpu.policy import DEFAULT_POLICY, Policy
from cnndsl.backends.cpu.program import Bytes, Program, allocate, crew_size, make_recipe, view
from cnndsl.backends.cpu.table import kernels as rules
from cnndsl.backends.cpu.target import CpuTarget, host_target, unavailable
from cnndsl.backends.cpu.threads import MOST_THREADS, Crew, usable_processors
from cnndsl.backends.cpu.tuning import WAYS, Choices, names_of, tune
from cnndsl.backends.cpu.updates import groups, joined
from cnndsl.ir.graph import Graph, NodeId, Value
from cnndsl.ir.op import Op, Trait
from cnndsl.ir.types import DType
from cnndsl.ops.rules import Array, compute
from cnndsl.plan.plan import Arena, Plan, Step
from cnndsl.runtime.executable import Executable, State
from cnndsl.runtime.profile import Ceiling, Profile
from cnndsl.support.diagnostics import BackendError
from cnndsl.support.settings import Settings


class CpuBackend(Backend):
    """Compiles each step with LLVM."""

    name: ClassVar[str] = "cpu"

    def __init__(
        self,
        *,
        threads: int | None = None,
        target: CpuTarget | None = None,
        policy: Policy = DEFAULT_POLICY,
        precision: Precision | None = None,
        settings: Settings | None = None,
    ) -> None:
        """Use up to `threads` threads (nothing: CNNDSL_THREADS, else all processors).

        Code is made for `target`, else for the processor that this runs on. `precision` is put in
        the place of the policy's. Without `settings` the environment is read.
        """
        super().__init__(precision=precision or policy.precision)
        known = Settings.from_env() if settings is None else settings
        self.threads = max(1, min(threads or known.threads or usable_processors(), MOST_THREADS))
        self._policy = replace(policy, precision=self.precision)
        self._target = target
        self._store = ObjectStore.of(known.kernel_dir)

    def unavailable(self) -> str | None:
        """Say why LLVM cannot make code here, or nothing if it can."""
        return unavailable()

    def supports(self, op: Op[Any]) -> bool:
        """Tell whether there is a kernel for `op`."""
        return op in rules

    def algorithms(self, plan: Plan) -> Mapping[NodeId, str]:
        """Name the algorithms of the convolutions; nothing is compiled."""
        if self.unavailable() is not None:
            return {}
        policy = self._measured(plan, self.policy_of(plan))
        target = self._target or host_target()
        known: dict[tuple[Key, str | None], str] = {}
        found: dict[NodeId, str] = {}
        for step in (*plan.prepare, *plan.steps):
            key = key_of(step)
            if key.op.name not in WAYS:
                continue
            named = key, policy.wanted(step.node.id, step.node.op.name)
            if named not in known:
                known[named] = write_kernel(step, key, target, policy).algorithm
            found[step.node.id] = known[named]
        return found

    def policy_of(self, plan: Plan) -> Policy:
        """Give what kernels of a plan are chosen by, but for what was measured."""
        return replace(self._policy, weights_change=bool(plan.graph.updates))

    def forced(self, algorithms: Mapping[str, str]) -> CpuBackend:
        """Give a backend like this that takes these algorithms, by node or op, where it can."""
        twin = copy(self)
        twin._policy = replace(self._policy, algorithms=dict(algorithms))
        return twin

    def tuned(self, plan: Plan) -> frozenset[NodeId]:
        """Name the convolutions whose algorithm was chosen by measurement."""
        wanted = self._measured(plan, self.policy_of(plan)).algorithms
        found = self.algorithms(plan)
        return frozenset(n for n, text in found.items() if wanted.get(n) in names_of(text))

    def tune(self, plan: Plan) -> Iterator[Measurement]:
        """Time the algorithms of the convolutions, shape by shape, and keep the fastest."""
        reason = self.unavailable()
        if reason is not None:
            raise BackendError(f"the backend cpu cannot run here: {reason}")
        if self._store is None:
            raise BackendError("what is measured cannot be kept: CNNDSL_KERNELS is off")
        return tune(plan, self.policy_of(plan), self._choices(self._store), self._build)

    def _build(self, graph: Graph, algorithms: Mapping[str, str]) -> Executable:
        """Compile a graph with these algorithms, whatever was measured before."""
        forced = self.forced(algorithms)
        return forced.compile(forced.plan(graph))

    def _choices(self, store: ObjectStore) -> Choices:
        return Choices(store, self._target or host_target(), self.threads)

    def _measured(self, plan: Plan, policy: Policy) -> Policy:
        """Add to a policy the algorithms that were measured to be the fastest."""
        if self._store is None:
            return policy
        steps = (*plan.prepare, *plan.steps)
        measured = self._choices(self._store).of(steps, policy)
        return replace(policy, algorithms={**measured, **policy.algorithms})

    def _compile(self, plan: Plan) -> Executable:
        half = [
            step.node.id
            for step in (*plan.prepare, *plan.steps)
            if any(slot.type.dtype is DType.F16 for slot in (*step.operands, *step.results))
        ]
        if half:
            raise BackendError(
                "the backend cpu computes in f32 and f64, not in f16 as "
                f"{', '.join(half[:5])}{' and others do' if len(half) > 5 else ''}"
            )
        target = self._target or host_target()
        policy = self._measured(plan, self.policy_of(plan))
        steps = (*plan.prepare, *map(joined, groups(plan.steps)))
        compiled = KernelSet(steps, target, policy, self._store, processes=self.threads)
        return CpuExecutable(plan, compiled, self._store, threads=self.threads)


@dataclass(frozen=True, slots=True)
class _Frame:
    """What one run needs for itself."""

    program: Program
    inputs: Mapping[str, Array]
    outputs: Mapping[str, Array]
    copies: tuple[tuple[Array, Array], ...]
    """(target, source)."""


_SHARED = (Arena.STATE, Arena.CONSTANT, Arena.PREPARED)


class CpuExecutable(Executable):
    """A plan as machine code.

    State, constants, prepared values and packed weights are there once. Each run borrows a frame of
    inputs and workspace from a list of idle ones, so there are as many as runs at the same time.
    """

    def __init__(
        self, plan: Plan, compiled: KernelSet, store: ObjectStore | None, *, threads: int
    ) -> None:
        """Serve a plan with its kernels: allocate what is shared and fill the constants.

        `store` may have the code that the crew of threads runs.
        """
        super().__init__(plan)
        self._store = store
        self.threads = threads
        self.target = compiled.target
        self._kernels = compiled
        self._groups = tuple(groups(plan.steps))
        launched = tuple(map(joined, self._groups))
        self._steps: dict[NodeId, Step] = {
            member.node.id: step
            for group, step in zip(self._groups, launched, strict=True)
            for member in group
        }
        self._steps.update((step.node.id, step) for step in plan.prepare)
        code = self._kernels.code
        self._preparing = make_recipe(plan, plan.prepare, [*map(code, plan.prepare)], keep=False)
        self._running = make_recipe(plan, launched, [*map(code, launched)], keep=True)
        self._shared = {arena: self._allocate(arena) for arena in _SHARED}
        self._kept = allocate(self._running.kept_bytes)
        self._state = {
            name: view(self._shared, plan.slots[Value(NodeId(name))]) for name in self.parameters
        }
        self._idle: list[_Frame] = []
        self._fill_constants()

    def _allocate(self, arena: Arena) -> Bytes:
        nbytes = self.plan.arena_bytes[arena]
        try:
            return allocate(nbytes, max(self.plan.alignment, LINE_BYTES))
        except MemoryError as error:
            error.add_note(f"the {arena.value} of {self.plan.graph.name} takes {nbytes:,} bytes")
            raise

    def _fill_constants(self) -> None:
        for value, slot in self.plan.slots.items():
            node = self.plan.graph[value]
            if slot.arena is Arena.CONSTANT and Trait.STRUCTURAL in node.op.traits:
                np.copyto(view(self._shared, slot), compute(node)[0])

    def kernel(self, node: NodeId) -> Kernel:
        """Give the kernel that computes a node; `KeyError` for one that is not launched."""
        return self._kernels.kernel(self._steps[node])

    def artifacts(self) -> Mapping[str, str]:
        """Give LLVM's text and the assembly of every distinct kernel, under the nodes' names."""
        users: dict[str, list[str]] = {}
        for step in (*self.plan.prepare, *self.plan.steps):
            users.setdefault(self.kernel(step.node.id).text, []).append(step.node.id)
        named = {f"; {', '.join(ids)}\n{text}": text for text, ids in users.items()}
        return {
            "llvm": "\n".join(named),
            "asm": "\n".join(
                f"# {', '.join(ids)}\n{assembly(text, self.target)}" for text, ids in users.items()
            ),
        }

    def node_artifacts(self, node: NodeId) -> Mapping[str, str]:
        """Give LLVM's text and the assembly of the kernel of one node."""
        launched = {step.node.id for step in (*self.plan.prepare, *self.plan.steps)}
        if node not in launched or not self.kernel(node).phases:
            return {}
        text = self.kernel(node).text
        return {"llvm": text, "asm": assembly(text, self.target)}

    def algorithm(self, node: NodeId) -> str:
        """Name the way in which a node is computed; "" where there is but one."""
        return self.kernel(node).algorithm

    def ceiling(self) -> Ceiling:
        """Measure what the processor can do on the threads of this program."""
        return measure(self.threads)

    def _write_state(self, arrays: Mapping[str, Array]) -> None:
        for name, array in arrays.items():
            np.copyto(self._state[name], array)

    def _read_state(self) -> State:
        return {name: array.copy() for name, array in self._state.items()}

    def _prepare(self) -> None:
        frame = self._borrow()
        if self.plan.prepare:
            memory = {**self._shared, **self._own_arenas()}
            program = Program(self._preparing, memory, self._kept, threads=self.threads)
            self._walk(program)
        packing = frame.program.packing
        if len(packing):
            place = packing.ctypes.data
            Crew.shared(self._store).run(place, 0, len(packing), threads=crew_size(packing))
        self._idle.append(frame)

    def _walk(self, program: Program, rows: tuple[int, int] | None = None) -> None:
        """Run all rows, or those from the first to the end of `rows`."""
        table, threads = program.running, program.crew
        begin, end = rows or (0, len(table))
        if rows is not None:
            threads = crew_size(table[begin:end])
        if begin < end:
            Crew.shared(self._store).run(program.place, begin, end, threads=threads)
        if program.checked and program.reports.any():
            self._complain(program)

    @staticmethod
    def _complain(program: Program) -> None:
        """Raise what a kernel found wrong with its operands."""
        index = int(np.flatnonzero(program.reports)[0])
        found = int(program.reports[index])
        program.reports[:] = 0
        step = program.recipe.launches[index].step
        raise faults[step.node.op](step.node, tuple(s.type for s in step.operands), found)

    def _launch(
        self, feeds: Mapping[str, Array], *, timed: bool
    ) -> tuple[dict[str, Array], Profile | None]:
        begin = perf_counter() if timed else 0.0
        frame = self._borrow()
        for name, array in feeds.items():
            frame.inputs[name][...] = array
        program = frame.program
        times: list[float] = []
        if timed:
            for group, rows in zip(self._groups, pairwise(program.bounds), strict=True):
                since = perf_counter()
                self._walk(program, rows)
                # What is done in one walk takes the same for each.
                times.extend([(perf_counter() - since) / len(group)] * len(group))
        else:
            self._walk(program)
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

    def _own_arenas(self) -> dict[Arena, Bytes]:
        return {arena: self._allocate(arena) for arena in (Arena.INPUT, Arena.WORKSPACE)}

    def _new_frame(self) -> _Frame:
        plan = self.plan
        memory = {**self._shared, **self._own_arenas()}
        return _Frame(
            program=Program(self._running, memory, self._kept, threads=self.threads),
            inputs={name: view(memory, plan.slots[Value(NodeId(name))]) for name in self.inputs},
            outputs={
                name: view(memory, plan.slots[value]) for name, value in plan.graph.outputs.items()
            },
            copies=tuple(
                (view(memory, copy.target), view(memory, copy.source)) for copy in plan.copies
            ),
        )
