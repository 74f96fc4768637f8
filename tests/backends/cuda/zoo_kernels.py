"""Every kernel of every program of the zoo, compiled for GPUs by NVRTC where there is none.

`python -m tests.backends.cuda.zoo_kernels [--arch 90] [--precision bf16] [--kept FILE] [NAME ...]`
prints a line a program, precision and architecture; it needs CuPy and NVRTC (the extra `cuda`), no
GPU and no driver. With `--kept`, what the compiler said is kept in a file and not asked again, so
that a walk can be broken off and gone on with; `--table` writes a table of all that is kept.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from time import perf_counter

from cnndsl.backends.cuda import kernels as kernels
from cnndsl.backends.cuda.backend import CudaBackend
from cnndsl.backends.cuda.driver import Driver
from cnndsl.backends.cuda.kernel import REGISTERS, Launch
from cnndsl.backends.cuda.nvrtc import (
    Usage,
    compile_module,
    cubin_key,
    module_text,
    unavailable,
    version,
)
from cnndsl.backends.cuda.policy import Policy
from cnndsl.backends.cuda.program import Layout, Program, launches_of, write_kernels
from cnndsl.backends.cuda.updates import Apart
from cnndsl.compiler import CompileOptions, lower_network, optimize
from cnndsl.recipes.loss_scale import LossScale
from cnndsl.support.settings import GpuPrecision
from tests.zoo.networks import ZOO, Subject

ARCHS = ("80", "90")
PRECISIONS: tuple[GpuPrecision, ...] = ("fp32", "tf32", "bf16", "fp16")
BATCH = 32
TOGETHER = 8
"""Functions of a module: more would be compiled one after another, fewer read the prelude again."""


def _no_device() -> Driver:
    raise AssertionError("nothing is run")


def launches(
    name: str, *, training: bool, precisions: Sequence[GpuPrecision] = PRECISIONS
) -> tuple[Launch, ...]:
    """Give the distinct functions of a program, in all precisions that are asked for."""
    options, subject = CompileOptions(batch=BATCH), Subject.of(name)
    found: dict[str, Launch] = {}
    for precision in precisions:
        policy = Policy(precision)
        serving = CudaBackend(_no_device, policy=policy)
        scale = LossScale() if serving.scales_losses else None
        step = replace(subject.training, scale=scale) if training else None
        lowered = lower_network(subject.network, options, training=step)
        plan = serving.plan(optimize(lowered, options))
        written = write_kernels((*plan.prepare, *plan.steps), policy)
        apart = Apart.of(plan)
        layout = Layout.of(plan, written, apart)
        program = Program(plan, written, layout, 0, apart, half=policy.half)
        for launch in (*launches_of(written.values()), *program.launches()):
            found[launch.name] = launch
    return tuple(found.values())


@dataclass(frozen=True)
class Report:
    """A function on an architecture."""

    launch: Launch
    usage: Usage

    @property
    def faults(self) -> list[str]:
        """Say what must not be."""
        threads = self.launch.block[0]
        found = []
        if self.usage.spilled or self.usage.stack:
            found.append(f"spills {self.usage.spilled} bytes, stack {self.usage.stack}")
        if self.usage.registers * threads > REGISTERS:
            found.append(f"{self.usage.registers} registers of {threads} threads")
        return [f"{self.launch.name}: {fault}" for fault in found]


@dataclass(frozen=True)
class Line:
    """A program in one precision on one architecture."""

    name: str
    precision: str
    arch: str
    functions: tuple[str, ...]
    registers: int
    spilled: int

    def __str__(self) -> str:
        head = f"{self.name:<20} {self.precision:<5} sm_{self.arch}"
        return f"{head} {len(self.functions):>5} functions, at most {self.registers:>3} registers"

    @property
    def row(self) -> str:
        """A row of the table."""
        parts = (self.name, self.precision, f"sm_{self.arch}", len(self.functions), self.registers)
        return f"| {' | '.join(map(str, parts))} | {self.spilled} |"


@dataclass
class Store:
    """What the compiler said of functions, and what was found of programs."""

    path: Path | None = None
    known: dict[str, Usage] = field(default_factory=dict)
    lines: dict[str, Line] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Read what an earlier walk found."""
        if self.path is not None and self.path.exists():
            kept = json.loads(self.path.read_text(encoding="utf-8"))
            self.known = {key: Usage(**usage) for key, usage in kept["known"].items()}
            self.lines = {
                key: Line(**{**line, "functions": tuple(line["functions"])})
                for key, line in kept["lines"].items()
            }

    def reports(self, found: Sequence[Launch], arch: str) -> list[Report]:
        """Compile the functions that are not known for an architecture, on two threads."""
        version()  # The first use loads the library, which two threads must not do at once.
        keys = {launch.name: cubin_key(launch, arch) for launch in found}
        new = [launch for launch in found if keys[launch.name] not in self.known]
        parts = [new[i : i + TOGETHER] for i in range(0, len(new), TOGETHER)]
        with ThreadPoolExecutor(2) as pool:
            for part, cubin in zip(
                parts, pool.map(lambda p: compile_module(module_text(p), arch), parts), strict=True
            ):
                usage = cubin.usage()
                self.known |= {keys[launch.name]: usage[launch.name] for launch in part}
                self.keep()
        return [Report(launch, self.known[keys[launch.name]]) for launch in found]

    def keep(self) -> None:
        """Write everything down, if it is to be kept."""
        if self.path is None:
            return
        kept = {
            "known": {key: asdict(usage) for key, usage in self.known.items()},
            "lines": {key: asdict(line) for key, line in self.lines.items()},
        }
        new = self.path.with_suffix(".new")
        new.write_text(json.dumps(kept), encoding="utf-8")
        new.replace(self.path)

    @property
    def table(self) -> str:
        """What was found of all programs, in Markdown."""
        lines = [self.lines[key] for key in sorted(self.lines)]
        spilled = sum(line.spilled for line in lines)
        archs = sorted({line.arch for line in lines})
        counts = ", ".join(
            f"{len({f for line in lines if line.arch == arch for f in line.functions})} distinct"
            f" functions for sm_{arch}"
            for arch in archs
        )
        rows = "\n".join(line.row for line in lines)
        programs = len({line.name for line in lines})
        words = (
            f"{programs} programs, inference and training at batch {BATCH}: {counts}; {spilled}"
            f" bytes spilled or on the stack. NVRTC {'.'.join(map(str, version()))}; compiled, not"
            " run on a GPU."
        )
        return f"# What NVRTC makes of the zoo\n\n{words}\n\n{HEAD}{rows}\n"


HEAD = """| program | precision | architecture | functions | most registers | bytes spilled |
|---|---|---|---|---|---|
"""


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("names", nargs="*", default=[*ZOO])
    parser.add_argument("--arch", action="append")
    parser.add_argument("--precision", action="append", choices=PRECISIONS)
    parser.add_argument("--kept", type=Path)
    parser.add_argument("--table", type=Path)
    options = parser.parse_args()
    if (reason := unavailable()) is not None:
        raise SystemExit(reason)
    store, faults = Store(options.kept), dict[str, None]()
    for name in options.names:
        begin = perf_counter()
        for precision in options.precision or PRECISIONS:
            every = {
                launch.name: launch
                for training in (False, True)
                for launch in launches(name, training=training, precisions=[precision])
            }
            for arch in options.arch or ARCHS:
                reports = store.reports(list(every.values()), arch)
                most = max(report.usage.registers for report in reports)
                spilled = sum(report.usage.spilled + report.usage.stack for report in reports)
                line = Line(name, precision, arch, tuple(every), most, spilled)
                store.lines[f"{name} {precision} {arch}"] = line
                print(line, flush=True)
                faults |= dict.fromkeys(f"sm_{arch} {f}" for r in reports for f in r.faults)
        store.keep()
        print(f"{name}: {perf_counter() - begin:.1f} s", flush=True)
    print("\n".join(faults) if faults else "no spills, no stack, registers within bounds")
    if options.table is not None:
        options.table.write_text(store.table, encoding="utf-8")
    raise SystemExit(1 if faults else 0)


if __name__ == "__main__":
    main()
