"""What a kernel's report means: the error to raise."""

from __future__ import annotations

from typing import Any

from cnndsl.ir.graph import Node
from cnndsl.ir.types import TensorType
from cnndsl.support.diagnostics import DataError, error


def label_in(report: int) -> int:
    """Give the label that a report tells of: its low half, signed.

    >>> label_in(5 << 32 | 17), label_in(5 << 32 | 0xFFFFFFFF)
    (17, -1)
    """
    low = report & 0xFFFFFFFF
    return low - (1 << 32) if low >> 31 else low


def label_fault(node: Node[Any], scores: TensorType, report: int) -> DataError:
    """Give the error of a label that no class has."""
    classes = scores.shape[1]
    return DataError(
        error(
            "E0807",
            f"the label {label_in(report)} reached {node.id}, which has {classes} classes",
            notes=(f"labels of {classes} classes are 0 to {classes - 1}",),
        )
    )
