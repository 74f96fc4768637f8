"""Algorithms chosen by measurement: the ways in which a convolution can go, timed on this machine.

What is found is kept beside the compiled kernels, under the processor, the number of threads and
the shape, and holds over the estimates of later compilations.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np

from cnndsl import __version__
from cnndsl.backends.base import Measurement
from cnndsl.backends.cpu.compile import key_of, write_kernel
from cnndsl.backends.cpu.kernel import Key
from cnndsl.backends.cpu.objects import CHOICE, ObjectStore
from cnndsl.backends.cpu.policy import Policy
from cnndsl.backends.cpu.target import CpuTarget
from cnndsl.ir.builder import Builder
from cnndsl.ir.graph import Graph
from cnndsl.ir.types import TensorType
from cnndsl.ops.conv import conv2d, conv2d_grad_input, conv2d_grad_weight
from cnndsl.ops.rules import Array
from cnndsl.ops.structural import InputAttrs, ParameterAttrs, input_, parameter
from cnndsl.plan.plan import Plan, Step
from cnndsl.runtime.executable import Executable

WAYS: Mapping[str, tuple[str, ...]] = {
    conv2d.name: ("direct", "winograd4", "winograd2"),
    conv2d_grad_input.name: ("direct", "winograd4", "winograd2"),
    conv2d_grad_weight.name: ("outer", "dots", "winograd"),
}
"""Name of an op to the algorithms that there are for it; not every shape has each."""

Build = Callable[[Graph, Mapping[str, str]], Executable]
"""Compiles a graph for the tuned backend with the algorithms that ops are to take."""

LEAST_ROUNDS = 5
"""How often each algorithm is timed at least, turn about with the others."""
ENOUGH_SECONDS = 0.1
"""Measuring one shape ends when each of its algorithms took so long."""
NOISE = 1.02
"""Times this much are the same time."""


@dataclass(frozen=True, slots=True)
class Choices:
    """What was measured on one processor with a number of threads."""

    store: ObjectStore
    """Where it is kept."""
    target: CpuTarget
    """The processor."""
    threads: int
    """Threads that were used."""

    def get(self, key: Key, policy: Policy) -> str | None:
        """Give the fastest algorithm for a shape, if it was measured."""
        content = self.store.get(self._name(key, policy), CHOICE)
        try:
            found = json.loads(content or b"null")
        except ValueError:
            return None
        return found if found in WAYS[key.op.name] else None

    def put(self, key: Key, policy: Policy, algorithm: str) -> None:
        """Keep the fastest algorithm for a shape."""
        self.store.put(self._name(key, policy), json.dumps(algorithm).encode(), CHOICE)

    def _name(self, key: Key, policy: Policy) -> str:
        target = self.target
        where = (target.triple, target.cpu, target.features, str(self.threads))
        parts = (__version__, *where, shape_of(key), str(policy.weights_change))
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()

    def of(self, steps: Iterable[Step], policy: Policy) -> dict[str, str]:
        """Give the algorithms of those steps whose shapes were measured, by node."""
        known: dict[Key, str | None] = {}
        found: dict[str, str] = {}
        for step in steps:
            node = step.node
            if node.op.name not in WAYS or policy.wanted(node.id, node.op.name) is not None:
                continue
            key = key_of(step)
            if key not in known:
                known[key] = self.get(key, policy)
            algorithm = known[key]
            if algorithm is not None:
                found[str(node.id)] = algorithm
        return found


def shape_of(key: Key) -> str:
    """Write what a choice depends on: how the window slides, image, weight and result.

    What is computed on the results while they are at hand takes the same time with each algorithm.
    """
    attrs: Any = key.attrs
    if hasattr(attrs, "epilogue"):
        attrs = replace(attrs, epilogue=None, has_bias=False)
    types = (*key.operands[:2], *key.results)
    return f"{key.op.name} {attrs} {' '.join(map(str, types))}"


def names_of(algorithm: str) -> set[str]:
    """Give the names of the algorithms in a description.

    >>> sorted(names_of("direct, 6 filters; winograd4"))
    ['direct', 'winograd4']
    """
    return {part.partition(",")[0] for part in algorithm.split("; ")}


def tune(plan: Plan, policy: Policy, choices: Choices, build: Build) -> Iterator[Measurement]:
    """Time the algorithms of every shape of a plan, and keep the fastest; gives one at a time.

    Shapes that there is but one algorithm for are left out. An estimate that is as fast as the
    fastest, but for what measuring itself varies by, stays.
    """
    nodes: dict[str, list[Step]] = {}
    for step in (*plan.prepare, *plan.steps):
        if step.node.op.name in WAYS:
            nodes.setdefault(shape_of(key_of(step)), []).append(step)
    for shape, steps in nodes.items():
        key = key_of(steps[0])
        plain = write_kernel(steps[0], key, choices.target, policy).text
        texts = _texts(steps[0], policy, choices.target)
        if len(texts) < 2:
            continue
        estimated = next((name for name, text in texts.items() if text == plain), None)
        seconds = measure(steps[0], build, tuple(texts), moving=policy.weights_change)
        chosen = min(seconds, key=seconds.__getitem__)
        if estimated is not None and seconds[estimated] <= NOISE * seconds[chosen]:
            chosen = estimated
        choices.put(key, policy, chosen)
        ids = tuple(step.node.id for step in steps)
        yield Measurement(ids, key.op.name, shape, seconds, estimated, chosen)


def _texts(step: Step, policy: Policy, target: CpuTarget) -> dict[str, str]:
    """Give the code of a step by the name of each algorithm that can compute it."""
    found: dict[str, str] = {}
    for name in WAYS[step.node.op.name]:
        forced = replace(policy, algorithms={step.node.op.name: name})
        kernel = write_kernel(step, key_of(step), target, forced)
        if name in names_of(kernel.algorithm):
            found[name] = kernel.text
    return found


def measure(step: Step, build: Build, names: Iterable[str], *, moving: bool) -> dict[str, float]:
    """Time a step alone with each of some algorithms, turn about; gives medians in seconds.

    With `moving`, weights are others at every run, so that laying them out counts.
    """
    graph = _alone(step, moving=moving)
    rng = np.random.default_rng(0)
    made = {name: build(graph, {step.node.op.name: name}) for name in names}
    some = next(iter(made.values()))
    state = {name: _random(kind, rng) for name, kind in some.parameters.items()}
    feeds = {name: _random(kind, rng) for name, kind in some.inputs.items()}
    for executable in made.values():
        executable.load_state(state)
        executable.run(feeds)
    times: dict[str, list[float]] = {name: [] for name in made}
    begin, rounds = perf_counter(), 0
    while rounds < LEAST_ROUNDS or perf_counter() - begin < ENOUGH_SECONDS * len(made):
        rounds += 1
        for name, executable in made.items():
            times[name].append(executable.profile(feeds).rows[0].seconds)
    return {name: median(found) for name, found in times.items()}


def _alone(step: Step, *, moving: bool) -> Graph:
    """Give a graph of one step: its image is fed, its weights are too if they are `moving`."""
    graph = Graph("shape")
    b = Builder(graph)
    values = []
    for index, slot in enumerate(step.operands):
        if index and not moving:
            kept = ParameterAttrs(slot.type)
            values.append(b.emit(parameter, attrs=kept, name=f"operand{index}"))
        else:
            values.append(b.emit(input_, attrs=InputAttrs(slot.type), name=f"operand{index}"))
    graph.outputs["result"] = b.emit(step.node.op, *values, attrs=step.node.attrs, name="node")
    return graph


def _random(kind: TensorType, rng: np.random.Generator) -> Array:
    return rng.standard_normal(kind.shape).astype(kind.dtype.numpy)
