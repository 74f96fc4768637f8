"""Scalar programs put together: what both fusing passes do with chains of elementwise ops."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cnndsl.ir.graph import Graph, Node, Value
from cnndsl.ops.fused import fused_elementwise
from cnndsl.ops.scalar import ScalarProgram, ScalarStep, scalar


def program_of(node: Node[Any]) -> ScalarProgram | None:
    """Give an elementwise node as a program over its operands; nothing for other nodes."""
    if node.op is fused_elementwise:
        program: ScalarProgram = node.attrs.program
        return program
    if node.op not in scalar or len(node.types) != 1:
        return None
    count = len(node.operands)
    return ScalarProgram(count, (ScalarStep(node.op, node.attrs, tuple(range(count))),))


def is_uniform(graph: Graph, node: Node[Any]) -> bool:
    """Tell whether all operands have the element type of the result, as in one chain they must."""
    return all(graph.type_of(value).dtype is node.type.dtype for value in node.operands)


def inputs_read(program: ScalarProgram) -> frozenset[int]:
    """Give the inputs that the result of a program depends on."""
    last = program.inputs + len(program.steps) - 1 if program.steps else 0
    found: set[int] = set()
    work = [last]
    while work:
        index = work.pop()
        if index not in found:
            found.add(index)
            if index >= program.inputs:
                work.extend(program.steps[index - program.inputs].operands)
    return frozenset(index for index in found if index < program.inputs)


def merge(nodes: Sequence[Node[Any]]) -> tuple[ScalarProgram, tuple[Value, ...]]:
    """Make one program of elementwise nodes, given in order; the last is the result.

    Gives the program and the values that it takes: those that none of the nodes makes, each once,
    in the order in which they are first read.
    """
    made = {node.results[0] for node in nodes}
    inputs = list(dict.fromkeys(v for node in nodes for v in node.operands if v not in made))
    place = {value: index for index, value in enumerate(inputs)}
    steps: list[ScalarStep] = []
    for node in nodes:
        program = program_of(node)
        assert program is not None
        local = [place[value] for value in node.operands]
        for step in program.steps:
            operands = tuple(local[index] for index in step.operands)
            local.append(len(inputs) + len(steps))
            steps.append(ScalarStep(step.op, step.attrs, operands))
        place[node.results[0]] = local[-1] if program.steps else local[0]
    return ScalarProgram(len(inputs), tuple(steps)), tuple(inputs)
