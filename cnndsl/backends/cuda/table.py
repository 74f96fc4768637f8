"""Op to the rule that writes its kernel."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cnndsl.backends.cuda.kernel import KernelBuilder
from cnndsl.ops.rules import RuleTable

KernelRule = Callable[[KernelBuilder, Any], None]
"""`(k, node) -> None`: writes the launches of a node's kernel; types are in `k`."""

kernels: RuleTable[KernelRule] = RuleTable("cuda")
