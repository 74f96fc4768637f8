"""Passes: pure functions from graph to graph, and the one place that runs them in a row."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol

from cnndsl.ir.graph import Graph
from cnndsl.ir.types import TensorType
from cnndsl.ir.verify import Known
from cnndsl.ir.verify import verify as verify_graph
from cnndsl.support.diagnostics import VerifyError
from cnndsl.support.registry import Registry


class Pass(Protocol):
    """A frozen dataclass whose fields are its options; calling it gives a new graph.

    A pass never changes its argument, gives its own result back unchanged, keeps the interface of
    the graph (see `interface`) and what it computes, and lets a name go on meaning the same value.
    Passes run after differentiation.
    """

    name: ClassVar[str]
    """"fuse-epilogue": the name of its file, in words."""
    reason: ClassVar[str]
    """Why the change pays, in a sentence for `cnndsl why`."""

    def __call__(self, graph: Graph, /) -> Graph:
        """Give the changed graph."""
        ...


PASSES: Registry[Callable[[], Pass]] = Registry("pass")
"""Every pass, by name, made with its default options."""


@dataclass(frozen=True, slots=True)
class PassEvent:
    """One pass that ran."""

    name: str
    """Its name."""
    index: int
    """Its place in the pipeline, from 0."""
    before: Graph
    """What it was given."""
    after: Graph
    """What it made of it."""
    seconds: float
    """How long it took, without verification."""


@dataclass(frozen=True, slots=True)
class Interface:
    """What the outside knows of a graph; no pass changes it."""

    given: tuple[tuple[str, str, TensorType], ...]
    """(name, "input" or "parameter", type), by name."""
    outputs: tuple[tuple[str, TensorType], ...]
    """(name, type), in order."""
    updates: tuple[str, ...]
    """Parameters that a run moves, in order."""


def interface(graph: Graph) -> Interface:
    """Give the inputs, parameters, outputs and updates of `graph`."""
    given = (
        (str(node.id), node.op.name, node.type)
        for node in map(graph.__getitem__, graph.ids())
        if node.op.name in ("input", "parameter")
    )
    outputs = ((name, graph.type_of(value)) for name, value in graph.outputs.items())
    return Interface(
        tuple(sorted(given, key=lambda entry: entry[0])), tuple(outputs), tuple(graph.updates)
    )


def run_passes(
    graph: Graph,
    passes: Sequence[Pass],
    *,
    verify: bool = True,
    observer: Callable[[PassEvent], None] | None = None,
) -> Graph:
    """Run `passes` one after the other.

    With `verify`, the graph is checked before the first and after each pass; a fault raises
    `VerifyError` that names the pass. `observer` is told of each pass when it is done.
    """
    known: Known = {}
    if verify:
        verify_graph(graph, known)
    for index, each in enumerate(passes):
        begin = time.perf_counter()
        try:
            after = each(graph)
            seconds = time.perf_counter() - begin
            if verify:
                verify_graph(after, known)
                _check_interface(graph, after)
        except VerifyError as fault:
            raise VerifyError(f"pass {each.name}: {fault}") from fault
        if observer is not None:
            observer(PassEvent(each.name, index, graph, after, seconds))
        graph = after
    return graph


def _check_interface(before: Graph, after: Graph) -> None:
    was, now = interface(before), interface(after)
    for part in ("given", "outputs", "updates"):
        if getattr(was, part) != getattr(now, part):
            raise VerifyError(
                f"the interface changed: {part} were {getattr(was, part)}, are {getattr(now, part)}"
            )
