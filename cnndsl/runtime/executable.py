"""The executable: a compiled plan that holds a state and runs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping
from typing import NoReturn, TypeVar

import numpy.typing as npt

from cnndsl.ir.graph import NodeId, Value
from cnndsl.ir.types import TensorType
from cnndsl.ops.rules import Array
from cnndsl.plan.plan import Plan
from cnndsl.runtime.feeds import fit_arrays
from cnndsl.runtime.locks import SharedLock
from cnndsl.runtime.profile import Ceiling, Profile
from cnndsl.support.diagnostics import BackendError

T = TypeVar("T")

State = dict[str, Array]
"""Parameter name to array; arrays of a state belong to whoever holds it."""


class Executable(ABC):
    """A program ready to run; checks and locks here, computing in the backend's subclass.

    Safe to call from several threads. Runs of a plan without updates go on at the same time,
    each in a workspace of its own, because they share nothing but a state that they only read.
    A run of a plan with updates, and `load_state`, wait until nothing else runs.
    """

    def __init__(self, plan: Plan) -> None:
        """Serve `plan`; no state is loaded yet."""
        self.plan = plan
        self.inputs = _named(plan, "input")
        """What a run is fed, by name."""
        self.parameters = _named(plan, "parameter")
        """What a state holds, by name."""
        self.outputs: Mapping[str, TensorType] = {
            name: plan.graph.type_of(value) for name, value in plan.graph.outputs.items()
        }
        """What a run gives back, by name."""
        self._unread = frozenset(
            node.id for node in plan.nodes_of("input") if node.results[0] not in plan.lifetimes
        )
        self._lock = SharedLock()
        self._why_not: str | None = "no state is loaded"
        """Why the state cannot be used, if so."""
        self._profiled: Callable[[Profile], None] | None = None
        """Who is told where the time of the next run goes."""

    def load_state(self, state: Mapping[str, Array]) -> None:
        """Take the parameters from `state`, by copy, and prepare what depends on them alone.

        All or nothing: raises `DiagnosticError` that lists every parameter that is missing,
        unknown, of another shape or of other elements, before anything is changed.
        """
        arrays = fit_arrays(
            "E0911", state, self.parameters, what="parameter", program=self.plan.graph.name
        )
        with self._lock.alone():
            self._why_not = "loading the state was broken off"
            self._write_state(arrays)
            self._prepare()
            self._why_not = None

    def read_state(self) -> State:
        """Give a copy of every parameter; raises `BackendError` when there is no whole state."""
        with self._lock.shared():
            self._require_state()
            return self._read_state()

    def run(self, inputs: Mapping[str, npt.ArrayLike]) -> dict[str, Array]:
        """Run once: feeds by input name to outputs by name, as new arrays.

        A plan with updates leaves them in the state. Inputs that nothing depends on may be left
        out. Raises `DiagnosticError` for feeds that do not fit and `BackendError` when no state
        is loaded or a step fails. A run that is broken off after it began to overwrite donated
        parameters leaves no usable state; load one, or plan without donation.
        """
        tell, self._profiled = self._profiled, None
        outputs, profile = self._checked_run(inputs, timed=tell is not None)
        if tell is not None and profile is not None:
            tell(profile)
        return outputs

    def profile_next(self, tell: Callable[[Profile], None]) -> None:
        """Put a clock on every step of the next run, and tell what it found."""
        self._profiled = tell

    def profile(self, inputs: Mapping[str, npt.ArrayLike]) -> Profile:
        """Run once with a clock on every step; updates are made as by `run`."""
        _, profile = self._checked_run(inputs, timed=True)
        assert profile is not None, "a timed run gives a profile"
        return profile

    def artifacts(self) -> Mapping[str, str]:
        """Give the texts that the backend generated, by kind: "llvm", "asm", "cuda", "ptx"."""
        return {}

    def node_artifacts(self, node: NodeId) -> Mapping[str, str]:
        """Give the texts that were generated for one node, by kind; none if it is not launched."""
        return {}

    def algorithm(self, node: NodeId) -> str:
        """Name the way in which a node is computed; "" where there is but one."""
        return ""

    def ceiling(self) -> Ceiling | None:
        """Measure what the machine can do on the threads of this program, if that is known how."""
        return None

    def __reduce__(self) -> NoReturn:
        """Refuse to be pickled."""
        raise TypeError(
            f"the executable of {self.plan.graph.name} cannot be pickled; "
            "save the program's text and its state, and compile again"
        )

    def _checked_run(
        self, inputs: Mapping[str, npt.ArrayLike], *, timed: bool
    ) -> tuple[dict[str, Array], Profile | None]:
        feeds = self._fit(inputs)
        return self._with_state(lambda: self._launch(feeds, timed=timed))

    def _fit(
        self, inputs: Mapping[str, npt.ArrayLike], given: Collection[str] = ()
    ) -> dict[str, Array]:
        """Check feeds; inputs whose names are in `given` come in another way."""
        return fit_arrays(
            "E0910",
            inputs,
            self.inputs,
            what="input",
            program=self.plan.graph.name,
            optional={*self._unread, *given} if given else self._unread,
        )

    def _with_state(self, run: Callable[[], T]) -> T:
        """Run on the state that is loaded, beside other runs if none of them changes it."""
        if not self.plan.graph.updates:
            with self._lock.shared():
                self._require_state()
                return run()
        with self._lock.alone():
            self._require_state()
            if self.plan.donated:
                self._why_not = "a run was broken off while it updated the parameters"
            result = run()
            self._why_not = None
            return result

    def _require_state(self) -> None:
        if self._why_not is not None:
            raise BackendError(f"{self.plan.graph.name} cannot run: {self._why_not}")

    @abstractmethod
    def _write_state(self, arrays: Mapping[str, Array]) -> None:
        """Copy checked arrays into the slots of the parameters."""

    @abstractmethod
    def _prepare(self) -> None:
        """Run the plan's `prepare` steps."""

    @abstractmethod
    def _read_state(self) -> State:
        """Copy the parameters out."""

    @abstractmethod
    def _launch(
        self, feeds: Mapping[str, Array], *, timed: bool
    ) -> tuple[dict[str, Array], Profile | None]:
        """Run with checked feeds; give the outputs and, if `timed`, the profile."""


def _named(plan: Plan, op_name: str) -> Mapping[str, TensorType]:
    return {node.id: plan.graph.type_of(Value(node.id)) for node in plan.nodes_of(op_name)}
