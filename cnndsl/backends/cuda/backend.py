"""The CUDA backend: plans as kernels over one block of device memory, a run as one recording."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

from cnndsl.backends.base import Backend, Measurement, Precision
from cnndsl.backends.cuda import kernels as kernels
from cnndsl.backends.cuda.driver import Driver
from cnndsl.backends.cuda.executable import CudaExecutable
from cnndsl.backends.cuda.kernel import ALIGNMENT, Kernel, Key
from cnndsl.backends.cuda.libraries import NONE, Libraries, Tuner
from cnndsl.backends.cuda.policy import DEFAULT_POLICY, Policy
from cnndsl.backends.cuda.program import (
    write_kernels,
)
from cnndsl.backends.cuda.providers.base import Rules
from cnndsl.backends.cuda.shadows import with_shadows
from cnndsl.backends.cuda.storage import storage_of
from cnndsl.backends.cuda.table import kernels as rules
from cnndsl.backends.cuda.updates import NONE_APART, Apart
from cnndsl.backends.cuda.widen import widened
from cnndsl.ir.graph import Graph, NodeId
from cnndsl.ir.op import Op
from cnndsl.ir.types import DType
from cnndsl.plan.memory import make_plan
from cnndsl.plan.plan import Plan
from cnndsl.runtime.executable import Executable
from cnndsl.support.diagnostics import BackendError

MOST_WORKSPACE = 256 << 20
"""Bytes that a library's call may have for itself."""


class CudaBackend(Backend):
    """Runs plans on a device that a driver stands for."""

    name: ClassVar[str] = "cuda"
    alignment: ClassVar[int] = ALIGNMENT
    takes_bytes: ClassVar[bool] = True

    def __init__(
        self,
        driver: Callable[[], Driver],
        *,
        why_not: Callable[[], str | None] = lambda: None,
        policy: Policy = DEFAULT_POLICY,
        precision: Precision = "fast",
        record: bool = True,
        join: bool = True,
        moments: bool = True,
        poison: bool = False,
        libraries: Callable[[Driver], Libraries] = lambda driver: NONE,
        folder: Path | None = None,
    ) -> None:
        """Serve the device of `driver`, made when a plan is compiled if `why_not` gives no reason.

        With `precision="exact"`, factors keep all their bits whatever the policy says.
        Without `record` the launches of a run are queued one by one instead of replayed as one.
        Without `join` each update of a parameter is a launch of its own.
        Without `moments` batch norms read an image for its statistics, whoever made it.
        With `poison`, memory whose lifetime has ended is overwritten at once.
        Ways of `libraries` are measured by `tune`, which keeps its choices in `folder`.
        """
        self._driver = driver
        self._why_not = why_not
        super().__init__(precision=precision)
        self._policy = DEFAULT_POLICY if precision == "exact" else policy
        self._record = record
        self._join = join
        self._moments = moments
        self._poison = poison
        self._tuner = Tuner(libraries, folder)
        self._rules = Rules(self._policy, precision == "exact", MOST_WORKSPACE)

    @property
    def scales_losses(self) -> bool:
        """Halves have five bits of exponent, and gradients are small; bf16 has a single's eight."""
        return self._policy.precision == "fp16"

    def unavailable(self) -> str | None:
        """Say why there is no such device here, or nothing if there is."""
        return self._why_not()

    def supports(self, op: Op[Any]) -> bool:
        """Tell whether there is a kernel for `op`."""
        return op in rules

    def algorithms(self, plan: Plan) -> Mapping[NodeId, str]:
        """Name the ways of products and convolutions; nothing is compiled."""
        plan = self._planned(plan)
        written = self._write(plan)
        return {name: kernel.algorithm for name, kernel in written.items() if kernel.algorithm}

    def _write(self, plan: Plan) -> dict[NodeId, Kernel]:
        """Write the kernels of a plan, or take those of a library that were chosen."""
        steps = (*plan.prepare, *plan.steps)
        return write_kernels(steps, self._policy, self._chosen(plan), moments=self._moments)

    def _chosen(self, plan: Plan) -> dict[Key, Kernel]:
        """Give the kernels of the steps for which a library was chosen; none without a device."""
        if self.unavailable() is not None:
            return {}
        return self._tuner.chosen(plan, self._driver(), self._rules)

    def tuned(self, plan: Plan) -> frozenset[NodeId]:
        """Name the nodes whose way was chosen by measurement."""
        if self.unavailable() is not None:
            return frozenset()
        return self._tuner.tuned(self._planned(plan), self._driver(), self._rules)

    def tune(self, plan: Plan) -> Iterator[Measurement]:
        """Time the libraries' ways beside our own kernels, step by step, and keep the fastest.

        Raises `BackendError` where there is no device or no library, or nothing can be kept.
        """
        reason = self.unavailable()
        if reason is not None:
            raise BackendError(f"the backend {self.name} cannot run here: {reason}")
        plan = self._planned(plan)
        return self._tuner.tune(plan, self._driver(), self._rules, backend=self.name)

    def plan(self, graph: Graph) -> Plan:
        """Give order and memory: channels last, and halves, of weights too, where there are any."""
        graph = with_shadows(widened(graph, self._policy), self._policy)
        storage = storage_of(graph, self._policy)
        return make_plan(graph, alignment=self.alignment, storage=storage)

    def _planned(self, plan: Plan) -> Plan:
        """Give a plan whose values are kept as the kernels expect: another if need be."""
        whole = with_shadows(widened(plan.graph, self._policy), self._policy)
        same = whole is plan.graph and plan.storage == storage_of(whole, self._policy)
        return plan if same else self.plan(plan.graph)

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
        written = self._write(plan)
        driver = self._driver()
        return CudaExecutable(
            plan,
            written,
            driver,
            Apart.of(plan) if self._join else NONE_APART,
            half=self._policy.half,
            record=self._record,
            poison=self._poison,
        )
