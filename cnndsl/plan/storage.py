"""How values lie in memory, where a backend does not keep them as NumPy would."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from cnndsl.ir.graph import Node, Value
from cnndsl.ir.op import Trait
from cnndsl.ir.types import TensorType


@dataclass(frozen=True, slots=True)
class Storage:
    """Every value lies in row-major order, with elements of its type.

    A backend that keeps values in another way says so in a subclass, which its plans are made
    with. Equal storages give equal plans.
    """

    def element_bytes(self, value: Value, kind: TensorType) -> int:
        """Give the bytes of an element of `value`, whose type is `kind`."""
        return kind.dtype.nbytes

    def nbytes(self, value: Value, kind: TensorType) -> int:
        """Give the bytes of all elements of `value`."""
        return kind.size * self.element_bytes(value, kind)

    def is_view(self, node: Node[Any], operand: TensorType) -> bool:
        """Tell whether the result of `node` is the memory of its first operand, of that type."""
        return Trait.VIEW in node.op.traits


PLAIN = Storage()
"""As NumPy does."""
