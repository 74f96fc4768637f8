"""A program run on one backend with one choice of passes, against the plain evaluation in float64.

Arrays are random and seeded, and exact in float32, so that every precision sees the same numbers.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cnndsl.backends.base import Backend
from cnndsl.ir.graph import Graph, Node, NodeId, Value
from cnndsl.ir.types import DType
from cnndsl.layers.initializers import initial_state
from cnndsl.ops.evaluate import evaluate_values
from cnndsl.ops.rules import Array, compute, cost_of
from cnndsl.passes.base import Pass, run_passes

Arrays = Mapping[str, Array]
"""Arrays by the name of an input, a parameter or an output."""

ROUNDOFF = {DType.F64: 2.0**-53, DType.F32: 2.0**-24}
"""The relative error of rounding one number."""

SLACK = 16
"""How far the bound lies above the expected rounding; see `bound`."""

VANISHES = 1e-12
"""A sum in double precision that is this much smaller than its terms is nothing but rounding."""


@dataclass(frozen=True, slots=True)
class Case:
    """One choice of passes."""

    name: str
    """"only canonicalize"."""
    passes: tuple[Pass, ...]
    """What runs."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How far one case is from the reference in one precision."""

    error: float
    """The largest relative error of all outputs and updates."""
    worst: str
    """The output, or the parameter whose update, is that far off."""
    bound: float
    """What it may be."""
    first: str = ""
    """If it is beyond the bound: the first value that is, in the order of the graph."""

    @property
    def ok(self) -> bool:
        """Whether the case agrees with the reference up to rounding."""
        return self.error <= self.bound


def cases(passes: Sequence[Pass]) -> Iterator[Case]:
    """Give no passes, each alone, all but each, and all; a pass that runs twice counts as one."""
    names = list(dict.fromkeys(each.name for each in passes))
    yield Case("no passes", ())
    for name in names:
        yield Case(f"only {name}", tuple(p for p in passes if p.name == name))
    for name in names:
        yield Case(f"all but {name}", tuple(p for p in passes if p.name != name))
    yield Case("all passes", tuple(passes))


@dataclass(frozen=True, slots=True)
class Reference:
    """What a graph gives without passes, computed node by node in float64."""

    graph: Graph
    """The graph in float64."""
    feeds: Arrays
    """Its inputs and parameters."""
    values: Mapping[Value, Array]
    """Every value of it."""

    @classmethod
    def of(cls, graph: Graph, *, seed: int) -> Reference:
        """Evaluate `graph`, which is in float64, on arrays drawn from `seed`."""
        feeds = random_feeds(graph, seed=seed)
        wanted = [value for node in graph.nodes() for value in node.results]
        return cls(graph, feeds, evaluate_values(graph, wanted, feeds, dtype=DType.F64))

    def bound(self, dtype: DType) -> float:
        """Give the largest relative error that rounding explains.

        A sum of K products is off by about sqrt(K) roundings of its size (Higham and Mary, "A new
        approach to probabilistic rounding error analysis", 2019), any other op by one, and layers
        hand on what they are given without making it much larger in relation; so the whole is off
        by about u * (sum of sqrt(K) over all ops). The bound is `SLACK` times that: room for
        layers that cancel, and still orders of magnitude below what a wrong border pixel does.
        """
        roundings = sum(_roundings(self.graph, node) for node in self.graph.nodes())
        return SLACK * ROUNDOFF[dtype] * roundings


def _roundings(graph: Graph, node: Node[Any]) -> float:
    if not node.operands:
        return 0.0
    macs = cost_of(node, [graph.type_of(value) for value in node.operands]).macs
    return math.sqrt(max(1.0, macs / max(1, node.type.size)))


def random_feeds(graph: Graph, *, seed: int) -> dict[str, Array]:
    """Draw arrays for every input and parameter of `graph`.

    Weights begin as the program says. Arrays that would begin constant are moved by up to a
    quarter, so that no bias is zero and no statistic neutral. Images are normally distributed,
    labels even among the scores, scalars 1 (the learning rate) and counters 0.
    """
    rng = np.random.default_rng(seed)
    feeds = dict(initial_state(graph, seed))
    for node in graph.nodes():
        shape = node.type.shape
        if node.op.name == "parameter" and np.ptp(feeds[node.id]) == 0:
            feeds[node.id] = feeds[node.id] + rng.uniform(-0.25, 0.25, shape)
        elif node.op.name == "input" and not shape:
            feeds[node.id] = np.asarray(int(node.type.dtype.is_float))
        elif node.op.name == "input" and node.type.dtype.is_float:
            feeds[node.id] = rng.standard_normal(shape)
        elif node.op.name == "input":
            feeds[node.id] = rng.integers(0, _scores(graph), shape)
    return {
        name: array.astype(np.float32).astype(graph[NodeId(name)].type.dtype.numpy)
        for name, array in feeds.items()
    }


def _scores(graph: Graph) -> int:
    """Give the number of classes: the channels of the output with the fewest."""
    shapes = [graph.type_of(value).shape for value in graph.outputs.values()]
    return min((shape[1] for shape in shapes if len(shape) > 1), default=1)


def compare(
    reference: Reference, graph: Graph, case: Case, backend: Backend, *, dtype: DType
) -> Outcome:
    """Compile `graph`, which is the reference's in `dtype`, as `case` says, run it, and compare."""
    optimized = run_passes(graph, case.passes)
    bound = reference.bound(dtype)
    outputs, state = _run(optimized, backend, reference.feeds)
    errors = {
        name: relative_error(outputs[name], reference.values[value])
        for name, value in reference.graph.outputs.items()
    } | {str(name): error for name, error in _update_errors(reference, state, dtype)}
    worst = max(errors, key=errors.__getitem__, default="nothing")
    error = errors.get(worst, 0.0)
    first = "" if error <= bound else _first_difference(reference, optimized, backend, bound)
    return Outcome(error, worst, bound, first)


def _run(graph: Graph, backend: Backend, feeds: Arrays) -> tuple[dict[str, Array], Arrays]:
    executable = backend.compile(backend.plan(graph))
    executable.load_state(
        {name: feeds[name].astype(kind.dtype.numpy) for name, kind in executable.parameters.items()}
    )
    outputs = executable.run(
        {name: feeds[name].astype(kind.dtype.numpy) for name, kind in executable.inputs.items()}
    )
    return outputs, executable.read_state()


def relative_error(found: Array, wanted: Array, *, floor: float = 0.0) -> float:
    """Give |found - wanted| / |wanted| in the Euclidean norm; infinite for what is no number."""
    if not np.all(np.isfinite(found)) and np.all(np.isfinite(wanted)):
        return math.inf
    away = float(np.linalg.norm(np.asarray(found, np.float64) - wanted))
    size = max(float(np.linalg.norm(wanted)), floor)
    return away / size if size > 0 else away


def _update_errors(
    reference: Reference, state: Arrays, dtype: DType
) -> Iterator[tuple[str, float]]:
    """Compare by how much a step moves each parameter, which for rate 1 is its gradient.

    Rounding of the parameter itself is allowed for. A small gradient is measured against a
    thousandth of the largest one, number by number, and a sum whose terms cancel (of a bias before
    a batch norm) against the size of its terms: that is what their rounding is in proportion to.
    """
    unit = 2 * ROUNDOFF[dtype]
    moved = {
        name: reference.values[value] - reference.feeds[name]
        for name, value in reference.graph.updates.items()
    }
    largest = max((_rms(change) for change in moved.values()), default=0.0)
    for name, change in moved.items():
        floor = max(1e-3 * largest * math.sqrt(change.size), _cancelled(reference, name))
        found = state[name].astype(np.float64) - reference.feeds[name]
        size = max(float(np.linalg.norm(change)), floor)
        rounding = unit * float(np.linalg.norm(reference.feeds[name])) / size if size > 0 else 0.0
        yield name, max(0.0, relative_error(found, change, floor=floor) - rounding)


def _cancelled(reference: Reference, name: str) -> float:
    """Give the size of the terms of a parameter's gradient if their sum vanishes, else 0."""
    graph = reference.graph
    node = graph[NodeId(f"{name}.grad")] if f"{name}.grad" in graph else None
    if node is None or node.op.name != "reduce_sum":
        return 0.0
    total = reference.values[node.results[0]]
    (terms,) = compute(node, np.abs(reference.values[node.operands[0]]))
    size = float(np.linalg.norm(terms))
    return size if np.linalg.norm(total) < VANISHES * size else 0.0


def _rms(array: Array) -> float:
    return float(np.sqrt(np.mean(np.square(array)))) if array.size else 0.0


def _first_difference(
    reference: Reference, optimized: Graph, backend: Backend, bound: float
) -> str:
    """Run again with every value that the passes left as an output, and find the first wrong one.

    If all are right then, the fault is in what was different: memory that is shared too early.
    """
    watched = optimized.copy()
    names: dict[str, Value] = {}
    for node in optimized.nodes():
        for value in node.results:
            if value in reference.values and node.operands and node.type.dtype.is_float:
                names[f"value {len(names)}"] = value
    watched.outputs.update(names)
    outputs, _ = _run(watched, backend, reference.feeds)
    for name, value in names.items():
        if relative_error(outputs[name], reference.values[value]) > bound:
            return _place(reference.graph[value])
    return "nowhere, when every value keeps its memory"


def _place(node: Node[Any]) -> str:
    span = node.origin.span
    return f"%{node.id}" + (f" ({span.file}:{span.line})" if span is not None else "")
