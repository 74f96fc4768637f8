"""The backend: what turns a plan into an executable."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, get_args

from cnndsl.ir.graph import Graph, NodeId
from cnndsl.ir.op import Op
from cnndsl.plan.memory import make_plan
from cnndsl.plan.plan import Plan
from cnndsl.runtime.executable import Executable
from cnndsl.support.diagnostics import BackendError

Precision = Literal["fast", "exact"]
"""Whether algorithms that round otherwise than a plain sum may be used: "exact" forbids them."""
PRECISIONS: tuple[Precision, ...] = get_args(Precision)
"""All of them, the usual one first."""


@dataclass(frozen=True, slots=True)
class Measurement:
    """The algorithms of one shape, timed."""

    nodes: tuple[NodeId, ...]
    """Nodes of this shape."""
    op: str
    """Their op."""
    shape: str
    """What the choice depends on, in words."""
    seconds: Mapping[str, float]
    """Algorithm to the time that it takes."""
    estimated: str | None
    """The algorithm that is taken without measuring; nothing where parts of a node differ."""
    chosen: str
    """The algorithm that is taken from now on."""
    refused: Mapping[str, str] = field(default_factory=dict)
    """Algorithm to what is wrong with it, of those that were left out."""


class Backend(ABC):
    """One way to run programs."""

    name: ClassVar[str]
    """As it is asked for: "reference"."""
    seen_on: ClassVar[str | None] = None
    """What its kernels have been run on, where that is not what they are made for: "emulated"."""
    alignment: ClassVar[int] = 64
    """What the offsets of its plans must be multiples of, in bytes."""

    takes_bytes: ClassVar[bool] = False
    """Whether images are better fed as bytes, as on devices that they have to be brought to."""

    def __init__(self, *, precision: Precision = "fast") -> None:
        """Compute as exactly as `precision` says."""
        self.precision = precision
        """What it may choose among."""

    @property
    def scales_losses(self) -> bool:
        """Whether training needs a scaled loss here: gradients are kept as halves."""
        return False

    def unavailable(self) -> str | None:
        """Say why this backend cannot run here, or nothing if it can."""
        return None

    def plan(self, graph: Graph) -> Plan:
        """Give the order and the memory of a graph, laid out as this backend keeps values."""
        return make_plan(graph, alignment=self.alignment)

    @abstractmethod
    def supports(self, op: Op[Any]) -> bool:
        """Tell whether there is a kernel for `op`."""

    @abstractmethod
    def _compile(self, plan: Plan) -> Executable:
        """Make the executable; every op of the plan is supported."""

    def algorithms(self, plan: Plan) -> Mapping[NodeId, str]:
        """Name the way in which each node would be computed that there are several ways for."""
        return {}

    def tuned(self, plan: Plan) -> frozenset[NodeId]:
        """Name the nodes whose algorithm was chosen by measurement."""
        return frozenset()

    def tune(self, plan: Plan) -> Iterator[Measurement]:
        """Time the algorithms that there is a choice of, and take the fastest from now on.

        Raises `BackendError` where there is no choice, or nothing can be kept.
        """
        raise BackendError(f"the backend {self.name} has one algorithm for everything")

    def compile(self, plan: Plan) -> Executable:
        """Make `plan` executable.

        A program without parameters can run at once; others when a state is loaded. Raises
        `BackendError` when the backend is not available, when it lacks kernels, all of which are
        listed, or when the plan's offsets are not aligned as it needs.
        """
        reason = self.unavailable()
        if reason is not None:
            raise BackendError(
                f"the backend {self.name} cannot run here: {reason}\n"
                "help: --device auto takes the reference backend where no other can run"
            )
        if plan.alignment % self.alignment:
            raise BackendError(
                f"the plan is aligned to {plan.alignment} bytes; "
                f"the backend {self.name} needs {self.alignment}"
            )
        lacking: dict[str, list[str]] = {}
        for step in (*plan.prepare, *plan.steps):
            if not self.supports(step.node.op):
                lacking.setdefault(step.node.op.name, []).append(step.node.id)
        if lacking:
            listed = "; ".join(f"{op} (for {', '.join(ids)})" for op, ids in lacking.items())
            raise BackendError(f"the backend {self.name} has no kernel for {listed}")
        executable = self._compile(plan)
        if not executable.parameters:
            executable.load_state({})
        return executable
