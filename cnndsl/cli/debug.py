"""CNNDSL_DEBUG: what the compiler does, told on stderr while a command runs.

1 stages with times and sizes · 2 a line a kernel of the first run · 3 the graph after each pass ·
4 generated source · 5 assembly. A level tells what the levels below it do.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from cnndsl.cli.text_tables import Column, text_table

if TYPE_CHECKING:
    from cnndsl.compiler import StageEvent
    from cnndsl.passes.base import PassEvent
    from cnndsl.runtime.executable import Executable
    from cnndsl.runtime.profile import Profile

STAGES, KERNELS, GRAPHS, SOURCE, ASSEMBLY = range(1, 6)
"""The levels."""

COLUMNS = (
    Column("node", wraps=True),
    Column("op", wraps=True),
    Column("time", right=True),
    Column("GFLOP/s", right=True),
    Column("GB/s", right=True),
    Column("share", right=True),
)
SOURCES = {"llvm": SOURCE, "cuda": SOURCE, "asm": ASSEMBLY, "ptx": ASSEMBLY}
"""Kind of generated text to the level that shows it."""


@contextmanager
def debugging() -> Iterator[None]:
    """Tell what is compiled while the body runs; raises `SettingError` for a level there is not."""
    from cnndsl.compiler import watching
    from cnndsl.support.settings import Settings

    level = Settings.from_env().debug
    if not level:
        yield
        return
    with watching(DebugLog(level)):
        yield


@dataclass(frozen=True, slots=True)
class DebugLog:
    """Writes what happens to stderr."""

    level: int
    """How much."""

    def __call__(self, event: PassEvent | StageEvent) -> None:
        """Tell about a pass or a stage."""
        from cnndsl.compiler import StageEvent

        if isinstance(event, StageEvent):
            self._stage(event)
        elif self.level >= GRAPHS:
            from cnndsl.ir.printer import print_graph

            say(f"after {event.name} ({1e3 * event.seconds:.1f} ms):")
            say(print_graph(event.after))

    def _stage(self, event: StageEvent) -> None:
        from cnndsl.runtime.executable import Executable

        say(f"{event.name:<9}{1e3 * event.seconds:9.1f} ms  {size_of(event)}")
        if not isinstance(event.result, Executable):
            return
        if self.level >= SOURCE:
            for kind, text in event.result.artifacts().items():
                if self.level >= SOURCES.get(kind, ASSEMBLY):
                    say(text)
        if self.level >= KERNELS:
            made = event.result
            made.profile_next(lambda profile: say(kernel_lines(made, profile)))


def say(text: str) -> None:
    """Write to stderr."""
    click.echo(text, err=True)


def size_of(event: StageEvent) -> str:
    """Say how large the result of a stage is."""
    from cnndsl.ir.graph import Graph
    from cnndsl.plan.plan import Plan
    from cnndsl.plan.report import size

    result = event.result
    if isinstance(result, Graph):
        return f"{result.name}: {len(result):,} nodes"
    plan = result if isinstance(result, Plan) else result.plan
    arenas = ", ".join(f"{a.value} {size(n)}" for a, n in plan.arena_bytes.items() if n)
    return f"{plan.graph.name}: {len(plan.prepare) + len(plan.steps):,} steps; {arenas}"


def kernel_lines(executable: Executable, profile: Profile) -> str:
    """Write a line a kernel of one run, in the order in which they ran."""
    from cnndsl.cli.bench import duration
    from cnndsl.cli.plan import short

    rows = [
        (
            row.node,
            f"{row.op} {short(executable.algorithm(row.node))}".rstrip(),
            duration(row.seconds),
            f"{row.flops_per_second / 1e9:.1f}",
            f"{row.bytes_per_second / 1e9:.1f}",
            f"{profile.share(row):.1%}",
        )
        for row in profile.rows
    ]
    return f"{profile_title(executable, profile)}\n{text_table(COLUMNS, rows)}"


def profile_title(executable: Executable, profile: Profile) -> str:
    """Name what ran."""
    from cnndsl.cli.bench import duration

    return f"run of {executable.plan.graph.name}: {duration(profile.seconds)}"
