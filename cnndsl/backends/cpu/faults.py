"""What a kernel's report means: the error to raise, op by op."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from cnndsl.ir.graph import Node
from cnndsl.ir.types import TensorType
from cnndsl.ops.rules import RuleTable

FaultRule = Callable[[Node[Any], Sequence[TensorType], int], Exception]
"""`(node, operand types, reported number) -> the error`."""

faults: RuleTable[FaultRule] = RuleTable("fault")
