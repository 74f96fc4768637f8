"""Let a batch norm and its gradient do the elementwise work around them while they walk the image.

A batch norm moves more memory than it computes; an activation by itself moves as much again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from cnndsl.ir.graph import Graph, Node, Origin, Value
from cnndsl.ir.rewrite import erase_dead
from cnndsl.ops.norm import BatchNormGradAttrs, batch_norm, batch_norm_grad, batch_norm_train
from cnndsl.ops.scalar import ScalarProgram
from cnndsl.passes.base import PASSES
from cnndsl.passes.prepared import runs_each_time
from cnndsl.passes.programs import is_uniform, merge, program_of

_OWN = {batch_norm: 5, batch_norm_train: 3}
"""Operands of a batch norm without an epilogue."""


@PASSES.named("fuse-norm")
@dataclass(frozen=True, slots=True)
class FuseNorm:
    """Take the elementwise node after a batch norm into it, and that before its gradient.

    The gradient of an activation that follows a batch norm becomes a prologue of the norm's
    gradient: what it needs of the norm's result is computed anew from the norm's operand, which is
    read anyway. Then the activation, if nothing else reads the norm's result, becomes an epilogue,
    and so does a residual addition. The same operations on the same numbers: exact.
    """

    name: ClassVar[str] = "fuse-norm"
    reason: ClassVar[str] = "the image is walked once less, and a result less is kept"

    max_steps: int = 8
    """Longest program, as a prologue is computed twice."""
    max_operands: int = 2
    """Most other images that a program reads."""

    def __call__(self, graph: Graph, /) -> Graph:
        """Give the graph with epilogues and prologues."""
        graph = graph.copy()
        running = runs_each_time(graph)
        for node in list(graph.nodes()):
            if node.op is batch_norm_grad and node.attrs.prologue is None:
                self._fuse_gradient(graph, graph[node.id])
        for node in list(graph.nodes()):
            if node.op in _OWN and node.attrs.epilogue is None and node.id in running:
                self._fuse_result(graph, graph[node.id])
        return graph

    def _fuse_gradient(self, graph: Graph, node: Node[Any]) -> None:
        """Take in the node that makes the gradient, if it needs the norm's result."""
        norm, last = graph[node.operands[3]], graph[node.operands[0]]
        _, x, scale, mean, variance = node.operands
        matches = (
            norm.op is batch_norm_train
            and norm.attrs.epilogue is None
            and norm.operands[:2] == (x, scale)
            and norm.results[1:] == (mean, variance)
            and norm.attrs.eps == node.attrs.eps
        )
        if not matches or not _is_step(graph, last, node.type) or not _read_by(last, node, graph):
            return
        y = norm.results[0]
        again = [
            source
            for value in dict.fromkeys(last.operands)
            if (source := graph[value]).operands
            and set(source.operands) == {y}
            and _is_step(graph, source, node.type)
        ]
        program, inputs = merge([*again, last])
        others = [value for value in inputs if value != y]
        if y not in inputs or not others or not self._fits(graph, program, others, node):
            return
        grad, *extras = others
        prologue = _reordered(program, [inputs.index(value) for value in (grad, y, *extras)])
        operands = (grad, x, scale, mean, variance, norm.operands[2], *extras)
        attrs = BatchNormGradAttrs(node.attrs.eps, prologue)
        graph.put(replace(node, operands=operands, attrs=attrs))
        erase_dead(graph, [last.id, *(source.id for source in again)])

    def _fuse_result(self, graph: Graph, norm: Node[Any]) -> None:
        """Take in the node that alone reads the norm's result; it leaves its name to the norm."""
        y = norm.results[0]
        readers = {use.node for use in graph.uses(y)}
        if len(readers) != 1 or graph.is_root(y):
            return
        node = graph[readers.pop()]
        if not _is_step(graph, node, norm.types[0]):
            return
        program, inputs = merge([node])
        others = [value for value in inputs if value != y]
        if not self._fits(graph, program, others, norm):
            return
        if any(norm.id in graph.ancestors([value]) for value in others):
            return  # It would wait for itself: another result of the norm leads there.
        attrs = replace(
            norm.attrs, epilogue=_reordered(program, [inputs.index(v) for v in (y, *others)])
        )
        origin = Origin(node.origin.span, self.name, node.id)
        operands = (*norm.operands, *others)
        graph.put(Node(node.id, norm.op, operands, attrs, norm.types, origin))
        for old in norm.results[1:]:
            graph.replace_uses(old, Value(node.id, old.index))
        erase_dead(graph, [norm.id])

    def _fits(
        self, graph: Graph, program: ScalarProgram, others: Sequence[Value], norm: Node[Any]
    ) -> bool:
        return (
            0 < len(program.steps) <= self.max_steps
            and len(others) <= self.max_operands
            and all(graph.type_of(value) == norm.types[0] for value in others)
        )


def _is_step(graph: Graph, node: Node[Any], kind: object) -> bool:
    """Tell whether a node is elementwise work on values of one type."""
    program = program_of(node)
    return (
        program is not None
        and bool(program.steps)
        and node.types == (kind,)
        and is_uniform(graph, node)
    )


def _read_by(node: Node[Any], reader: Node[Any], graph: Graph) -> bool:
    """Tell whether nothing but one operand of `reader` needs a node's result."""
    value = node.results[0]
    uses = graph.uses(value)
    return len(uses) == 1 and uses[0].node == reader.id and not graph.is_root(value)


def _reordered(program: ScalarProgram, order: Sequence[int]) -> ScalarProgram:
    """Give the program whose input i is the old input order[i]."""
    place = {old: new for new, old in enumerate(order)}
    steps = tuple(
        replace(step, operands=tuple(place.get(index, index) for index in step.operands))
        for step in program.steps
    )
    return ScalarProgram(program.inputs, steps)
