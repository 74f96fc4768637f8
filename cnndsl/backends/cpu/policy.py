"""What a user lets the compiler choose among."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from cnndsl.backends.base import Precision


@dataclass(frozen=True, slots=True)
class Policy:
    """How kernels are chosen."""

    precision: Precision = "fast"
    """"fast" allows Winograd's convolution, whose errors are some ten times a plain sum's."""
    algorithms: Mapping[str, str] = field(default_factory=dict)
    """Name of a node or of an op to the algorithm that it must use, where it can."""

    weights_change: bool = False
    """Whether weights are others at every run, so that laying them out counts."""

    def wanted(self, node: str, op: str) -> str | None:
        """Give the algorithm that was asked for by a node's name, or by its op's.

        >>> Policy(algorithms={"conv2d": "direct", "conv1": "winograd4"}).wanted("conv1", "conv2d")
        'winograd4'
        """
        return self.algorithms.get(node, self.algorithms.get(op))


DEFAULT_POLICY = Policy()
"""Everything is allowed, the fastest is taken."""
