"""Whether a network fits into the memory of this machine."""

from __future__ import annotations

import os

from cnndsl.layers.analysis import add_up, analyse
from cnndsl.layers.network import Network
from cnndsl.support.diagnostics import Diagnostic, Severity
from cnndsl.support.limits import Limits


def warn_of_memory(network: Network, limits: Limits) -> Diagnostic | None:
    """Give warning W0608 for a network whose arrays, for one image, are more than the memory."""
    available = limits.memory_bytes if limits.memory_bytes is not None else machine_memory()
    kept = add_up(network)
    if available is None or kept.parameter_bytes + kept.activation_bytes <= available:
        return None
    costs = analyse(network)
    needed = costs.parameter_bytes + costs.activation_bytes
    largest = max(costs.layers, key=lambda r: r.params + r.activations)
    layer = next((layer for layer in network.layers if layer.name == largest.name), None)
    return Diagnostic(
        Severity.WARNING,
        "W0608",
        f"this network takes {needed / 2**30:,.1f} GiB, and this machine has "
        f"{available / 2**30:,.1f}",
        layer.span if layer is not None else None,
        label=f"{largest.params:,} parameters and {largest.activations:,} numbers here",
        notes=(
            f"{costs.parameter_bytes // 4:,} parameters and {costs.activation_bytes // 4:,} "
            f"numbers between layers, 4 bytes each: {needed:,} bytes",
            "for one image going forward; training keeps gradients besides",
        ),
        helps=("make the layer that is underlined smaller, or run it on a larger machine",),
    )


def machine_memory() -> int | None:
    """Give this machine's memory in bytes, where the system tells it."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return None
