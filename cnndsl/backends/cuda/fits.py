"""Whether a program fits into the memory of a device, and what would."""

from __future__ import annotations

from cnndsl.backends.cuda.driver import Driver
from cnndsl.backends.cuda.program import Layout
from cnndsl.plan.plan import Arena, Plan
from cnndsl.support.diagnostics import BackendError


def check_memory(driver: Driver, plan: Plan, layout: Layout) -> None:
    """Raise `BackendError` with what would fit, where the device has too little memory."""
    free = driver.free_bytes()
    if free is None or layout.nbytes <= free:
        return
    raise BackendError(
        f"{plan.graph.name} takes {layout.nbytes / 2**20:,.0f} MiB of device memory; "
        f"{driver.name} has {free / 2**20:,.0f} MiB free\n{what_fits(driver, plan, layout)}"
    )


def what_fits(driver: Driver, plan: Plan, layout: Layout) -> str:
    """Say which batch would fit into the memory that a device has free, as far as is known.

    What grows with the batch is feeds and workspace; the rest is there once.
    """
    free = driver.free_bytes() or 0
    each_run = plan.arena_bytes[Arena.INPUT] + plan.arena_bytes[Arena.WORKSPACE]
    fixed = layout.nbytes - each_run
    batches = [node.type.shape[0] for node in plan.nodes_of("input") if node.type.rank > 1]
    advice = "help: --device cpu has the memory of the machine"
    if batches and each_run and free > fixed:
        fits = int(batches[0] * (free - fixed) / each_run)
        if 0 < fits < batches[0]:
            advice = f"help: a batch of {fits} would fit; this one is {batches[0]}"
    return advice
