"""The counts are those of the tests that run, and dead memory is poisoned."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import numpy as np

from cnndsl.backends.cuda.backend import CudaBackend
from cnndsl.ops.rules import Array
from cnndsl.plan.plan import Arena, Lifetime, Plan
from tests.backends.cuda.cases import count, faults
from tests.backends.cuda.emulation import driver, needs_emulator
from tests.backends.cuda.test_networks import train, training_graph


def collected(name: str) -> list[str]:
    words = [sys.executable, "-m", "pytest", "--collect-only", "-n", "0"]
    done = subprocess.run(
        [*words, f"tests/backends/cuda/{name}.py"], capture_output=True, text=True, check=False
    )
    return [line for line in done.stdout.splitlines() if "::" in line]


def test_what_is_counted_is_what_runs() -> None:
    found = count()
    assert len(faults()) == found.faults == len(collected("test_planted_faults")) > 30
    tests = [line for line in collected("test_conformance") if "reference_says" in line]
    assert sum("test_op_is" in line for line in tests) == found.ops * found.precisions
    assert found.cases == (found.samples + found.larger) * 2 > 500


@needs_emulator
def test_memory_that_is_read_after_its_end_is_found() -> None:
    """Every region of the workspace, said to be dead one step too early, poisons what reads it."""
    graph = training_graph("separable", batch=2)
    plan = CudaBackend(driver).plan(graph)

    def run(plan: Plan) -> dict[str, Array]:
        """Updates are not put off, which would give what they read memory of its own."""
        machine = driver()
        found = CudaBackend(lambda: machine, poison=True, join=False).compile(plan)
        return train(found, graph, 1)[0]

    clean = run(plan)
    assert all(np.isfinite(array).all() for array in clean.values())
    spans = [r for r in plan.regions if r.arena is Arena.WORKSPACE]
    short = [r for r in spans if r.lifetime.last > max(r.lifetime.first, 0) + 1]
    assert len(short) > 10
    for region in (short[0], short[len(short) // 2], short[-1]):
        early = Lifetime(region.lifetime.first, region.lifetime.last - 1)
        regions = tuple(
            replace(each, lifetime=early) if each is region else each for each in plan.regions
        )
        found = run(replace(plan, regions=regions))
        assert not all(np.array_equal(found[key], clean[key]) for key in clean), region
