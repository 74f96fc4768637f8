"""Joins the stages: network, graph, passes, plan, executable; all are kept to be looked at."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace

from cnndsl.backends import load as load_backend
from cnndsl.backends.base import Backend, Precision
from cnndsl.frontend.lower import lower
from cnndsl.ir.graph import Graph
from cnndsl.ir.types import DType
from cnndsl.layers.base import SettingValue
from cnndsl.layers.network import Network
from cnndsl.ops.pixels import Pixels
from cnndsl.passes.base import Pass, PassEvent, run_passes
from cnndsl.passes.pipelines import INFER, TRAIN
from cnndsl.plan.plan import Plan
from cnndsl.recipes.loss_scale import LossScale
from cnndsl.recipes.optimizers import Optimizer
from cnndsl.runtime.executable import Executable
from cnndsl.train.step import train_step


@dataclass(frozen=True, slots=True)
class CompileOptions:
    """How a network is compiled."""

    batch: int = 32
    """Images of a run; bound when the graph is made."""
    device: str = "cpu"
    """Name of the backend; "auto": the fastest that can run here."""
    dtype: DType = DType.F32
    """Type of the floats: F32 or F64."""
    precision: Precision = "fast"
    """"exact" forbids algorithms that round otherwise than a plain sum, as Winograd's does."""
    passes: tuple[Pass, ...] | None = None
    """Optimisations in order; nothing for the usual ones, `()` for none."""
    verify: bool = True
    """Whether the graph is verified after each pass."""
    pixels: Pixels | None = None
    """What the bytes of the first input stand for, if it is fed as rows of bytes [N, C*H*W]."""


@dataclass(frozen=True, slots=True)
class Training:
    """What turns a forward graph into a training step."""

    optimizer: Optimizer
    """The update rule."""
    loss: str = "crossentropy"
    """Name of the loss."""
    loss_options: Mapping[str, SettingValue] = field(default_factory=dict)
    """Its options."""
    clip: float | None = None
    """Largest norm of the gradients; nothing: not clipped."""
    scale: LossScale | None = None
    """How the loss is scaled; nothing: not at all, unless the backend keeps gradients as halves."""


@dataclass(frozen=True, slots=True)
class Compilation:
    """Every stage of one compilation."""

    network: Network
    """What was compiled."""
    lowered: Graph
    """The graph as it came from the network, with gradients and updates if it trains."""
    optimized: Graph
    """The graph after all passes."""
    plan: Plan
    """Order and memory."""
    executable: Executable
    """What runs."""


@dataclass(frozen=True, slots=True)
class StageEvent:
    """One stage of a compilation that is done."""

    name: str
    """"lower", "optimize", "plan" or "build"."""
    seconds: float
    """How long it took."""
    result: Graph | Plan | Executable
    """What it made."""


Observer = Callable[[PassEvent], None]
"""Is told about every pass."""
Watcher = Callable[[PassEvent | StageEvent], None]
"""Is told about every pass and every stage."""

_watcher: ContextVar[Watcher | None] = ContextVar("watcher", default=None)


@contextmanager
def watching(watcher: Watcher) -> Iterator[None]:
    """Tell `watcher` about everything that this thread compiles while the body runs."""
    token = _watcher.set(watcher)
    try:
        yield
    finally:
        _watcher.reset(token)


def _tell(name: str, begin: float, result: Graph | Plan | Executable) -> None:
    watcher = _watcher.get()
    if watcher is not None:
        watcher(StageEvent(name, time.perf_counter() - begin, result))


def lower_network(
    network: Network,
    options: CompileOptions,
    *,
    training: Training | None = None,
    loss: str | None = None,
    loss_options: Mapping[str, SettingValue] | None = None,
) -> Graph:
    """Make the graph of a network: a training step with `training`, else inference.

    In inference `loss` adds the scalar output "loss" and the input "target".
    """
    begin = time.perf_counter()
    if training is None:
        graph = lower(
            network,
            batch=options.batch,
            dtype=options.dtype,
            loss=loss,
            loss_settings=loss_options,
            pixels=options.pixels,
        )
    else:
        forward = lower(
            network,
            batch=options.batch,
            training=True,
            dtype=options.dtype,
            loss=training.loss,
            loss_settings=training.loss_options,
            pixels=options.pixels,
        )
        graph = train_step(
            forward, optimizer=training.optimizer, clip=training.clip, scale=training.scale
        )
    _tell("lower", begin, graph)
    return graph


def optimize(graph: Graph, options: CompileOptions, *, observer: Observer | None = None) -> Graph:
    """Run the passes of `options`, or the usual ones for an inference or a training graph."""
    usual = TRAIN if graph.updates else INFER
    passes = usual if options.passes is None else options.passes
    told = [each for each in (observer, _watcher.get()) if each is not None]

    def tell(event: PassEvent) -> None:
        for each in told:
            each(event)

    begin = time.perf_counter()
    optimized = run_passes(graph, passes, verify=options.verify, observer=tell if told else None)
    _tell("optimize", begin, optimized)
    return optimized


def plan_graph(graph: Graph, backend: Backend) -> Plan:
    """Give the order and the memory of a graph, laid out as a backend needs."""
    begin = time.perf_counter()
    plan = backend.plan(graph)
    _tell("plan", begin, plan)
    return plan


def build(plan: Plan, backend: Backend) -> Executable:
    """Make what runs; raises `BackendError`."""
    begin = time.perf_counter()
    executable = backend.compile(plan)
    _tell("build", begin, executable)
    return executable


def compile_network(
    network: Network,
    options: CompileOptions = CompileOptions(),
    *,
    training: Training | None = None,
    loss: str | None = None,
    loss_options: Mapping[str, SettingValue] | None = None,
    observer: Observer | None = None,
) -> Compilation:
    """Compile a network; raises `DiagnosticError` for a program that cannot be, `BackendError`."""
    backend = load_backend(options.device, precision=options.precision)
    if training is not None and training.scale is None and backend.scales_losses:
        training = replace(training, scale=LossScale())
    lowered = lower_network(
        network, options, training=training, loss=loss, loss_options=loss_options
    )
    optimized = optimize(lowered, options, observer=observer)
    plan = plan_graph(optimized, backend)
    return Compilation(network, lowered, optimized, plan, build(plan, backend))


def without(passes: tuple[Pass, ...], *names: str) -> tuple[Pass, ...]:
    """Leave out passes by name; for tests and `--without`."""
    return tuple(p for p in passes if p.name not in names)


def pass_names() -> Mapping[str, str]:
    """Give the usual passes by name, with the first line of what they do."""
    return {p.name: (type(p).__doc__ or "").split("\n")[0] for p in (*INFER, *TRAIN)}
