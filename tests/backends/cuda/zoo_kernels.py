"""Every kernel of every program of the zoo, compiled for GPUs by NVRTC where there is none.

`python -m tests.backends.cuda.zoo_kernels [--arch 90] [--precision bf16] [NAME ...]` prints a line
a program and the count; it needs CuPy and NVRTC (the extra `cuda`), no GPU and no driver.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from time import perf_counter

from cnndsl.backends.cuda import kernels as kernels
from cnndsl.backends.cuda.kernel import REGISTERS, Launch
from cnndsl.backends.cuda.nvrtc import Usage, compile_module, module_text, unavailable, version
from cnndsl.backends.cuda.policy import Policy
from cnndsl.backends.cuda.program import launches_of, write_kernels
from cnndsl.compiler import CompileOptions, optimize
from cnndsl.plan.memory import make_plan
from cnndsl.support.settings import GpuPrecision
from tests.zoo.networks import ZOO, Subject

ARCHS = ("80", "90")
PRECISIONS: tuple[GpuPrecision, ...] = ("fp32", "tf32", "bf16")
BATCH = 32
TOGETHER = 8
"""Functions of a module: more would be compiled one after another, fewer read the prelude again."""


def launches(
    name: str, *, training: bool, precisions: Sequence[GpuPrecision] = PRECISIONS
) -> tuple[Launch, ...]:
    """Give the distinct functions of a program, in all precisions of products."""
    options = CompileOptions(batch=BATCH)
    graph = optimize(Subject.of(name).lowered(options, training=training), options)
    plan = make_plan(graph, alignment=256)
    steps = (*plan.prepare, *plan.steps)
    written = [write_kernels(steps, Policy(precision)).values() for precision in precisions]
    return launches_of(kernel for part in written for kernel in part)


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


def compiled(found: Sequence[Launch], arch: str) -> Iterator[Report]:
    """Compile functions for an architecture on two threads."""
    version()  # The first use loads the library, which two threads must not do at once.
    parts = [found[i : i + TOGETHER] for i in range(0, len(found), TOGETHER)]
    with ThreadPoolExecutor(2) as pool:
        for part, cubin in zip(
            parts, pool.map(lambda p: compile_module(module_text(p), arch), parts), strict=True
        ):
            usage = cubin.usage()
            yield from (Report(launch, usage[launch.name]) for launch in part)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("names", nargs="*", default=[*ZOO])
    parser.add_argument("--arch", action="append")
    parser.add_argument("--precision", action="append", choices=PRECISIONS)
    options = parser.parse_args()
    if (reason := unavailable()) is not None:
        raise SystemExit(reason)
    seen: set[str] = set()
    counts = dict.fromkeys(options.arch or ARCHS, 0)
    faults: list[str] = []
    for name in options.names:
        every = {
            e.name: e
            for training in (False, True)
            for e in launches(name, training=training, precisions=options.precision or PRECISIONS)
            if e.name not in seen
        }
        seen |= set(every)
        begin, most = perf_counter(), 0
        for arch in counts:
            for report in compiled(list(every.values()), arch):
                counts[arch] += 1
                most = max(most, report.usage.registers)
                faults += [f"sm_{arch} {fault}" for fault in report.faults]
        seconds = perf_counter() - begin
        print(f"{name:<20}{len(every):>6} new functions, at most {most} registers, {seconds:.1f} s")
    print(", ".join(f"{count} functions for sm_{arch}" for arch, count in counts.items()))
    print("\n".join(faults) if faults else "no spills, no stack, registers within bounds")
    raise SystemExit(1 if faults else 0)


if __name__ == "__main__":
    main()
