"""Say the same in the simplest way: one table of small rules."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar

from cnndsl.ir.graph import Graph, NodeId
from cnndsl.ir.rewrite import Rule, apply_rules
from cnndsl.passes.algebra import ALGEBRA
from cnndsl.passes.base import PASSES
from cnndsl.passes.layout import LAYOUT

RULES: tuple[Rule, ...] = (*LAYOUT, *ALGEBRA)
"""Every rule, in the order in which they are tried at a node."""


@PASSES.named("canonicalize")
@dataclass(frozen=True, slots=True)
class Canonicalize:
    """Apply the rules of layout.py and algebra.py until none fits.

    All are exact, but that the sign of a zero may change (x + 0) and that the rules whose names
    end in "(rounded)" agree up to rounding.
    """

    name: ClassVar[str] = "canonicalize"
    reason: ClassVar[str] = "the same result with less work"

    on_apply: Callable[[str, NodeId], None] | None = field(default=None, compare=False)
    """Told of each rule that was applied and of the node that it replaced."""

    def __call__(self, graph: Graph, /) -> Graph:
        """Give the graph in canonical form."""
        return apply_rules(graph, RULES, made_by=self.name, on_apply=self.on_apply)
