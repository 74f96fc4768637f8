"""The CUDA backend: plans as kernels over one block of device memory, a run as one recording."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from time import perf_counter
from typing import Any, ClassVar

import numpy as np

from cnndsl.backends.base import Backend, Precision
from cnndsl.backends.cuda import kernels as kernels
from cnndsl.backends.cuda.driver import Command, Driver, Recording
from cnndsl.backends.cuda.faults import label_fault
from cnndsl.backends.cuda.kernel import ALIGNMENT, Kernel
from cnndsl.backends.cuda.layout import from_device, in_memory, to_device
from cnndsl.backends.cuda.policy import DEFAULT_POLICY, Policy
from cnndsl.backends.cuda.program import (
    Layout,
    Program,
    launches_of,
    parameter_address,
    write_kernels,
)
from cnndsl.backends.cuda.storage import storage_of
from cnndsl.backends.cuda.table import kernels as rules
from cnndsl.backends.cuda.updates import put_off
from cnndsl.ir.graph import Graph, NodeId
from cnndsl.ir.op import Op, Trait
from cnndsl.ir.types import DType, TensorType
from cnndsl.ops.rules import Array, compute
from cnndsl.plan.memory import make_plan
from cnndsl.plan.plan import Arena, Phase, Plan, Step
from cnndsl.runtime.executable import Executable, State
from cnndsl.runtime.profile import Profile
from cnndsl.support.diagnostics import BackendError


class CudaBackend(Backend):
    """Runs plans on a device that a driver stands for."""

    name: ClassVar[str] = "cuda"
    alignment: ClassVar[int] = ALIGNMENT

    def __init__(
        self,
        driver: Callable[[], Driver],
        *,
        why_not: Callable[[], str | None] = lambda: None,
        policy: Policy = DEFAULT_POLICY,
        precision: Precision = "fast",
        record: bool = True,
        join: bool = True,
        poison: bool = False,
    ) -> None:
        """Serve the device of `driver`, made when a plan is compiled if `why_not` gives no reason.

        With `precision="exact"`, factors keep all their bits whatever the policy says.
        Without `record` the launches of a run are queued one by one instead of replayed as one.
        Without `join` each update of a parameter is a launch of its own.
        With `poison`, memory whose lifetime has ended is overwritten at once.
        """
        self._driver = driver
        self._why_not = why_not
        super().__init__(precision=precision)
        self._policy = DEFAULT_POLICY if precision == "exact" else policy
        self._record = record
        self._join = join
        self._poison = poison

    def unavailable(self) -> str | None:
        """Say why there is no such device here, or nothing if there is."""
        return self._why_not()

    def supports(self, op: Op[Any]) -> bool:
        """Tell whether there is a kernel for `op`."""
        return op in rules

    def algorithms(self, plan: Plan) -> Mapping[NodeId, str]:
        """Name the ways of products and convolutions; nothing is compiled."""
        plan = self._planned(plan)
        written = write_kernels((*plan.prepare, *plan.steps), self._policy)
        return {name: kernel.algorithm for name, kernel in written.items() if kernel.algorithm}

    def plan(self, graph: Graph) -> Plan:
        """Give the order and the memory of a graph: channels last, activations halved if asked."""
        storage = storage_of(graph, self._policy)
        return make_plan(graph, alignment=self.alignment, storage=storage)

    def _planned(self, plan: Plan) -> Plan:
        """Give a plan whose values are kept as the kernels expect: another if need be."""
        if plan.storage == storage_of(plan.graph, self._policy):
            return plan
        return self.plan(plan.graph)

    def _compile(self, plan: Plan) -> Executable:
        plan = self._planned(plan)
        steps = (*plan.prepare, *plan.steps)
        half = [
            step.node.id
            for step in steps
            if any(slot.type.dtype is DType.F16 for slot in (*step.operands, *step.results))
        ]
        if half:
            raise BackendError(
                "the backend cuda keeps numbers in f32 and f64, not in f16 as "
                f"{', '.join(half[:5])}{' and others do' if len(half) > 5 else ''}"
            )
        written = write_kernels(steps, self._policy)
        driver = self._driver()
        waiting = put_off(plan) if self._join else ()
        return CudaExecutable(
            plan, written, driver, waiting, record=self._record, poison=self._poison
        )


class CudaExecutable(Executable):
    """A plan on a device: one block of memory, one queue; runs wait for one another.

    Feeds are written to the places of the inputs in device memory; a run is replayed from a
    recording of its launches, so that the host starts one thing instead of hundreds. Whatever
    changes from run to run (images, learning rate, number of the step, key of the random numbers)
    is an input, so a recording holds no number that changes.
    """

    def __init__(
        self,
        plan: Plan,
        written: Mapping[NodeId, Kernel],
        driver: Driver,
        waiting: Sequence[Step] = (),
        *,
        record: bool,
        poison: bool,
    ) -> None:
        """Compile, take the memory and fill the constants; `waiting` are updates put off."""
        super().__init__(plan)
        self.driver = driver
        self._kernels = written
        self._layout = Layout.of(plan, written, waiting)
        driver.load(launches_of(written.values()))
        check_memory(driver, plan, self._layout)
        self._base = driver.allocate(self._layout.nbytes)
        weakref.finalize(self, driver.release, self._base)
        self._program = Program(plan, written, self._layout, self._base, waiting, poison=poison)
        driver.load(self._program.launches())
        for address, table in self._program.tables:
            driver.write(address, table)
        self._queue = threading.Lock()
        self._record = record
        self._recording: Recording | None = None
        self._judges = {
            step.node.id: step
            for step in (*plan.prepare, *plan.steps)
            if written[step.node.id].reports
        }
        self._fill_constants()

    def _fill_constants(self) -> None:
        for value, slot in self.plan.slots.items():
            node = self.plan.graph[value]
            if slot.arena is Arena.CONSTANT and Trait.STRUCTURAL in node.op.traits:
                self._put(self._program.address(slot), compute(node)[0], slot.type)

    def _put(self, address: int, array: Array, kind: TensorType) -> None:
        if array.size:
            self.driver.write(address, to_device(array.astype(kind.dtype.numpy, copy=False)))

    def _get(self, address: int, kind: TensorType) -> Array:
        array = np.empty(in_memory(kind.shape), kind.dtype.numpy)
        if array.size:
            self.driver.read(address, array)
        return from_device(array)

    def _write_state(self, arrays: Mapping[str, Array]) -> None:
        with self._queue:
            for name, array in arrays.items():
                address = parameter_address(self._program, self.plan, name)
                self._put(address, array, self.parameters[name])

    def _read_state(self) -> State:
        with self._queue:
            return {
                name: self._get(parameter_address(self._program, self.plan, name), kind)
                for name, kind in self.parameters.items()
            }

    def _prepare(self) -> None:
        if not self.plan.prepare:
            return
        with self._queue:
            program = self._program
            commands = chain(program.before(Phase.PREPARE), *program.steps(Phase.PREPARE))
            self.driver.do(tuple(commands))
            self._complain()

    def _run_commands(self) -> tuple[Command, ...]:
        return tuple(self._program.run())

    def _launch(
        self, feeds: Mapping[str, Array], *, timed: bool
    ) -> tuple[dict[str, Array], Profile | None]:
        with self._queue:
            begin = perf_counter()
            for name, array in feeds.items():
                kind = self.plan.graph[NodeId(name)].type
                if array.size:
                    fed = np.ascontiguousarray(array, kind.dtype.numpy)
                    self.driver.write(self._program.feed(name), fed)
            times = self._run_timed() if timed else self._run_all()
            outputs = {
                name: self._get(self._program.output(name), self.plan.graph.type_of(value))
                for name, value in self.plan.graph.outputs.items()
            }
            self._complain()
            if not timed:
                return outputs, None
            return outputs, Profile.of(self.plan, times, perf_counter() - begin)

    def _run_all(self) -> list[float]:
        """Replay the recording, which the first run makes; gives no times."""
        if not self._record:
            self.driver.do(self._run_commands())
            return []
        if self._recording is None:
            self._recording = self.driver.record(self._run_commands())
        self._recording.replay()
        return []

    def repeat(self, runs: int) -> float:
        """Replay the last run so many times and give the seconds of one, transfers left out.

        Updates are made, on the same feeds again and again. Raises `BackendError` before a run.
        """
        with self._queue:
            if self._recording is None:
                raise BackendError(f"{self.plan.graph.name} was not run yet")
            name, value = next(iter(self.plan.graph.outputs.items()))
            place, kind = self._program.output(name), self.plan.graph.type_of(value)
            self._get(place, kind)
            begin = perf_counter()
            for _ in range(runs):
                self._recording.replay()
            self._get(place, kind)
            return (perf_counter() - begin) / runs

    def _run_timed(self) -> list[float]:
        """Queue the steps one by one with a clock on each; gives the seconds of each."""
        program = self._program
        self.driver.do(program.before())
        times = self.driver.time(program.steps(Phase.RUN))
        self.driver.do(program.after())
        return times

    def _complain(self) -> None:
        """Raise what a kernel found wrong with its operands."""
        for name, address in self._program.reports().items():
            word = np.zeros(1, np.uint64)
            self.driver.read(address, word)
            if word[0]:
                step = self._judges[name]
                raise label_fault(step.node, step.operands[-2].type, int(word[0]))

    def artifacts(self) -> Mapping[str, str]:
        """Give the CUDA C++ of every distinct function, under the nodes' names."""
        users: dict[str, list[str]] = {}
        for name, kernel in self._kernels.items():
            for launch in kernel.launches:
                users.setdefault(launch.text, []).append(name)
        return {"cuda": "\n".join(f"// {', '.join(ids)}\n{text}" for text, ids in users.items())}

    def node_artifacts(self, node: NodeId) -> Mapping[str, str]:
        """Give the CUDA C++ of one node."""
        if node not in self._kernels or not self._kernels[node].launches:
            return {}
        texts = (
            f"// grid {e.grid[0]}, block {e.block[0]}, {e.shared_bytes} bytes shared\n{e.text}"
            for e in self._kernels[node].launches
        )
        return {"cuda": "\n".join(texts)}

    def algorithm(self, node: NodeId) -> str:
        """Name the way in which a node is computed; "" where there is but one."""
        return self._kernels[node].algorithm


def check_memory(driver: Driver, plan: Plan, layout: Layout) -> None:
    """Raise `BackendError` with what would fit, where the device has too little memory."""
    free = driver.free_bytes()
    if free is None or layout.nbytes <= free:
        return
    each_run = plan.arena_bytes[Arena.INPUT] + plan.arena_bytes[Arena.WORKSPACE]
    fixed = layout.nbytes - each_run
    batches = [node.type.shape[0] for node in plan.nodes_of("input") if node.type.rank > 1]
    advice = "help: --device cpu has the memory of the machine"
    if batches and each_run and free > fixed:
        fits = int(batches[0] * (free - fixed) / each_run)
        if fits:
            advice = f"help: a batch of {fits} would fit; this one is {batches[0]}"
    raise BackendError(
        f"{plan.graph.name} takes {layout.nbytes / 2**20:,.0f} MiB of device memory; "
        f"{driver.name} has {free / 2**20:,.0f} MiB free\n{advice}"
    )
