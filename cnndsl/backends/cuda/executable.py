"""A plan on a device: one block of memory, one queue, a run as one recording."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Mapping
from itertools import chain
from time import perf_counter
from typing import Any

import numpy as np
import numpy.typing as npt

from cnndsl.backends.cuda import kernels as kernels
from cnndsl.backends.cuda.borrowing import Borrowed, Kept, Recordings, borrow, place
from cnndsl.backends.cuda.driver import Driver
from cnndsl.backends.cuda.faults import label_fault
from cnndsl.backends.cuda.fits import check_memory, what_fits
from cnndsl.backends.cuda.kernel import Call, Kernel, Launch
from cnndsl.backends.cuda.layout import from_device, in_memory, to_device
from cnndsl.backends.cuda.lending import DeviceArray
from cnndsl.backends.cuda.program import (
    Layout,
    Program,
    launches_of,
    parameter_address,
)
from cnndsl.backends.cuda.updates import Apart
from cnndsl.ir.graph import NodeId
from cnndsl.ir.op import Trait
from cnndsl.ir.types import TensorType
from cnndsl.ops.rules import Array, compute
from cnndsl.plan.plan import Arena, Phase, Plan
from cnndsl.runtime.executable import Executable, State
from cnndsl.runtime.profile import Profile
from cnndsl.support.diagnostics import BackendError


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
        apart: Apart,
        *,
        half: str | None,
        record: bool,
        poison: bool,
    ) -> None:
        """Compile, take the memory and fill the constants; the steps `apart` are joined."""
        super().__init__(plan)
        self.driver = driver
        self._kernels = written
        self._layout = Layout.of(plan, written, apart)
        driver.load(launches_of(written.values()))
        check_memory(driver, plan, self._layout)
        try:
            self._base = driver.allocate(self._layout.nbytes)
        except BackendError as error:
            raise BackendError(f"{error}\n{what_fits(driver, plan, self._layout)}") from None
        weakref.finalize(self, driver.release, self._base)
        self._program = Program(
            plan, written, self._layout, self._base, apart, half=half, poison=poison
        )
        driver.load(self._program.launches())
        for address, table in self._program.tables:
            driver.write(address, table)
        self._queue = threading.Lock()
        self._record = record
        self._kept = Kept(driver)
        self._recordings = Recordings(driver, self._kept)
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

    def run_on_device(
        self, inputs: Mapping[str, npt.ArrayLike], *, stream: int | None = None
    ) -> dict[str, DeviceArray]:
        """Run once without a copy from or to the host: outputs are views of the device's memory.

        Arrays on this device, by DLPack or `__cuda_array_interface__`, are read where they lie,
        and must not change until the run is done; others are copied as by `run`. With `stream`,
        a CUDA stream's handle, the run waits for what is queued there, and what is queued there
        afterwards waits for the run. The views hold until the next run. Raises as `run` does.
        """
        borrowed = self._borrow(inputs, host=True)
        feeds = self._fit({n: a for n, a in inputs.items() if n not in borrowed}, borrowed)
        return self._with_state(lambda: self._run_lending(feeds, borrowed, stream))

    def _borrow(self, inputs: Mapping[str, Any], *, host: bool) -> Borrowed:
        name = self.plan.graph.name
        return borrow(self.driver, inputs, self.inputs, program=name, host=host)

    def _checked_run(
        self, inputs: Mapping[str, npt.ArrayLike], *, timed: bool
    ) -> tuple[dict[str, Array], Profile | None]:
        borrowed = self._borrow(inputs, host=False)
        feeds = self._fit({n: a for n, a in inputs.items() if n not in borrowed}, borrowed)
        return self._with_state(lambda: self._run_reading(feeds, borrowed, timed=timed))

    def _launch(
        self, feeds: Mapping[str, Array], *, timed: bool
    ) -> tuple[dict[str, Array], Profile | None]:
        return self._run_reading(feeds, {}, timed=timed)

    def _run_lending(
        self, feeds: Mapping[str, Array], borrowed: Borrowed, stream: int | None
    ) -> dict[str, DeviceArray]:
        with self._queue:
            if stream is not None:
                self.driver.follow(stream)
            program, _ = self._start(feeds, borrowed, timed=False)
            if stream is not None:
                self.driver.lead(stream)
            self._complain()
            owner = (self, borrowed)
            return {
                name: DeviceArray(program.output(name), kind, self.driver, owner)
                for name, kind in self.outputs.items()
            }

    def _run_reading(
        self, feeds: Mapping[str, Array], borrowed: Borrowed, *, timed: bool
    ) -> tuple[dict[str, Array], Profile | None]:
        with self._queue:
            begin = perf_counter()
            program, times = self._start(feeds, borrowed, timed=timed)
            outputs = {
                name: self._get(program.output(name), kind) for name, kind in self.outputs.items()
            }
            self._complain()
            if not timed:
                return outputs, None
            return outputs, Profile.of(self.plan, times, perf_counter() - begin)

    def _start(
        self, feeds: Mapping[str, Array], borrowed: Borrowed, *, timed: bool
    ) -> tuple[Program, list[float]]:
        """Queue a run; gives the program that runs, and the seconds of its steps if `timed`."""
        for name, array in feeds.items():
            if array.size:
                kind = self.inputs[name]
                fed = np.ascontiguousarray(array, kind.dtype.numpy)
                self.driver.write(self._program.feed(name), fed)
        bound, copies = place(self._program, self.plan, borrowed)
        if copies:
            self.driver.do(copies)
        program = self._program.bind(bound) if bound else self._program
        times: list[float] = []
        if timed:
            times = self._run_timed(program)
        elif self._record:
            self._recordings.replay(program, bound)
        else:
            self.driver.do(tuple(program.run()))
        self._kept.until_now((borrowed, feeds))
        return program, times

    def repeat(self, runs: int) -> float:
        """Replay the last run so many times and give the seconds of one, transfers left out.

        Updates are made, on the same feeds again and again. Raises `BackendError` before a run.
        """
        with self._queue:
            recording = self._recordings.last
            if recording is None:
                raise BackendError(f"{self.plan.graph.name} was not run yet")
            name, value = next(iter(self.plan.graph.outputs.items()))
            place, kind = self._program.output(name), self.plan.graph.type_of(value)
            self._get(place, kind)
            begin = perf_counter()
            for _ in range(runs):
                recording.replay()
            self._get(place, kind)
            return (perf_counter() - begin) / runs

    def _run_timed(self, program: Program) -> list[float]:
        """Queue the steps one by one with a clock on each; gives the seconds of each."""
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
        return {"cuda": "\n".join(map(_described, self._kernels[node].launches))}

    def algorithm(self, node: NodeId) -> str:
        """Name the way in which a node is computed; "" where there is but one."""
        return self._kernels[node].algorithm


def _described(part: Launch | Call) -> str:
    """Give the text of a part of a kernel, and how it is started."""
    if isinstance(part, Call):
        return f"// a call of {part.name}\n{part.text}"
    return (
        f"// grid {part.grid[0]}, block {part.block[0]}, {part.shared_bytes} bytes shared\n"
        f"{part.text}"
    )
