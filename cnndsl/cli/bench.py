"""`cnndsl bench`: how long a program takes, kernel by kernel, beside what the machine can do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from cnndsl.cli.console import emit_json
from cnndsl.cli.loading import Reading, load_program, reading_options
from cnndsl.cli.lowering import Wanted, backend_of, graph_options
from cnndsl.cli.options import device_options, json_option, program_argument
from cnndsl.cli.text_tables import Column, rule, text_table

if TYPE_CHECKING:
    from cnndsl.backends.base import Backend, Precision
    from cnndsl.frontend.elaborate import Elaboration
    from cnndsl.ir.graph import Graph
    from cnndsl.ops.rules import Array
    from cnndsl.runtime.executable import Executable
    from cnndsl.runtime.profile import Ceiling, Profile, ProfileRow

COLUMNS = (
    Column("node", wraps=True),
    Column("op", wraps=True),
    Column("time", right=True),
    Column("share", right=True),
    Column("GFLOP/s", right=True),
    Column("GB/s", right=True),
    Column("ceiling", right=True),
)
SMALL_RATE = 1e-3
"""What is fed as the learning rate, so that weights stay numbers over many steps."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What was measured of one program."""

    executable: Executable
    """What ran."""
    batch: int
    """Images of a run."""
    times: tuple[float, ...]
    """Seconds of whole runs without clocks inside, the fastest first."""
    profile: Profile
    """The best time of every step."""
    ceiling: Ceiling | None
    """What the machine can do, if that is known."""

    @property
    def best(self) -> float:
        """Seconds of the fastest run."""
        return self.times[0]

    @property
    def median(self) -> float:
        """Seconds of the run in the middle."""
        return self.times[len(self.times) // 2]

    def reached(self, row: ProfileRow) -> float | None:
        """Give the part of what the machine can do that a step reaches, 1 for all of it."""
        if self.ceiling is None or not row.seconds:
            return None
        return self.ceiling.seconds(row.cost) / row.seconds


@click.command()
@program_argument
@reading_options
@graph_options
@device_options
@click.option(
    "--rounds",
    type=click.IntRange(1, 10_000),
    default=10,
    show_default=True,
    metavar="N",
    help="How often everything is timed.",
)
@click.option("--by-op", is_flag=True, help="One line an op, the slowest first.")
@json_option
def bench(
    *,
    program: str,
    reading: Reading,
    wanted: Wanted,
    device: str | None,
    precision: Precision | None,
    rounds: int,
    by_op: bool,
    as_json: bool,
) -> None:
    """Time a program on random images, with a line a kernel.

    Times are the best of all rounds; a clock around a small kernel takes longer than the kernel, so
    the steps of a small network sum up to more than the run. The ceiling is what the machine can
    do: multiply-adds in registers or reading memory, whichever takes longer for the work. More than
    100 % is possible: Winograd's convolution does with fewer multiplications, and caches are
    faster than memory.
    """
    elaboration = load_program(program, reading, quiet=as_json)
    found = measure(elaboration, wanted, backend_of(device, precision), rounds=rounds)
    if as_json:
        emit_json(record(found))
        return
    click.echo(table(found, by_op=by_op))
    click.echo("")
    click.echo("\n".join(summary(found)))


def measure(elaboration: Elaboration, wanted: Wanted, backend: Backend, *, rounds: int) -> Measured:
    """Compile a program and time it; raises `BackendError` where the device cannot run."""
    from time import perf_counter

    from cnndsl.compiler import build, plan_graph
    from cnndsl.layers.initializers import initial_state
    from cnndsl.runtime.profile import fastest

    graph = wanted.optimized(elaboration)
    executable = build(plan_graph(graph, backend), backend)
    executable.load_state(initial_state(graph, 0))
    inputs = random_inputs(graph)
    executable.run(inputs)
    times = []
    for _ in range(rounds):
        since = perf_counter()
        executable.run(inputs)
        times.append(perf_counter() - since)
    profile = fastest([executable.profile(inputs) for _ in range(rounds)])
    ordered = tuple(sorted(times))
    return Measured(executable, wanted.batch, ordered, profile, executable.ceiling())


def random_inputs(graph: Graph) -> dict[str, Array]:
    """Draw images and labels; a learning rate is small, and a counter begins at 0."""
    import numpy as np

    rng = np.random.default_rng(0)
    feeds: dict[str, Array] = {}
    for node in graph.nodes():
        if node.op.name != "input":
            continue
        kind = node.type
        if not kind.shape:
            feeds[node.id] = np.asarray(SMALL_RATE if kind.dtype.is_float else 0, kind.dtype.numpy)
        elif kind.dtype.is_float:
            feeds[node.id] = rng.standard_normal(kind.shape).astype(kind.dtype.numpy)
        else:
            feeds[node.id] = np.zeros(kind.shape, kind.dtype.numpy)
    return feeds


def table(found: Measured, *, by_op: bool) -> str:
    """Write a line a step, or an op."""
    rows = found.profile.by_op() if by_op else found.profile.rows
    whole = sum(row.seconds for row in found.profile.rows)
    written = text_table(COLUMNS, [_cells(found, row, whole, by_op=by_op) for row in rows])
    head, *lines = written.split("\n")
    return "\n".join((head, rule(written), *lines))


def _cells(found: Measured, row: ProfileRow, whole: float, *, by_op: bool) -> tuple[str, ...]:
    algorithm = "" if by_op else found.executable.algorithm(row.node)
    reached = None if by_op else found.reached(row)
    return (
        f"{row.steps} step{'s' if row.steps > 1 else ''}" if by_op else row.node,
        f"{row.op} {algorithm}".rstrip(),
        duration(row.seconds),
        f"{row.seconds / whole:.1%}" if whole else "",
        f"{row.flops_per_second / 1e9:.1f}",
        f"{row.bytes_per_second / 1e9:.1f}",
        "" if reached is None else f"{reached:.0%}",
    )


def duration(seconds: float) -> str:
    """Write a time with three digits.

    >>> [duration(t) for t in (4.2e-6, 0.000123, 0.0456, 7.89)]
    ['4.20 us', '123 us', '45.6 ms', '7.89 s']
    """
    for unit, size in (("us", 1e-6), ("ms", 1e-3)):
        if seconds < 999.5 * size:
            digits = seconds / size
            return f"{digits:.{0 if digits >= 99.95 else 1 if digits >= 9.995 else 2}f} {unit}"
    return f"{seconds:.2f} s"


def summary(found: Measured) -> list[str]:
    """Say in lines how the whole program does."""
    flops = sum(row.cost.flops for row in found.profile.rows)
    rate = flops / found.best / 1e9
    lines = [
        f"a run takes {duration(found.best)} at best, {duration(found.median)} in the median of "
        f"{len(found.times)}:",
        f"{found.batch / found.best:,.0f} images/s, {flops / 1e9:.3g} GFLOP at {rate:.3g} GFLOP/s",
    ]
    if found.ceiling is None:
        return lines
    limit, least = found.ceiling, found.profile.roofline(found.ceiling)
    return [
        *lines,
        f"the machine does {limit.flops_per_second / 1e9:.0f} GFLOP/s and reads "
        f"{limit.bytes_per_second / 1e9:.0f} GB/s from memory on {limit.threads} threads;",
        f"its roofline for these steps is {duration(least)}, of which this is "
        f"{least / found.best:.0%}",
    ]


def record(found: Measured) -> dict[str, object]:
    """Give everything as JSON values, times in seconds."""
    limit = found.ceiling
    return {
        "name": found.executable.plan.graph.name,
        "batch": found.batch,
        "seconds": {"best": found.best, "median": found.median, "rounds": len(found.times)},
        "ceiling": None
        if limit is None
        else {
            "threads": limit.threads,
            "flops_per_second": limit.flops_per_second,
            "bytes_per_second": limit.bytes_per_second,
            "roofline_seconds": found.profile.roofline(limit),
        },
        "steps": [
            {
                "node": row.node,
                "op": row.op,
                "algorithm": found.executable.algorithm(row.node),
                "seconds": row.seconds,
                "flops": row.cost.flops,
                "bytes": row.cost.bytes_read + row.cost.bytes_written,
                "reached": found.reached(row),
            }
            for row in found.profile.rows
        ],
    }
