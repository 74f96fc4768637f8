"""Let a convolution or dense layer do the elementwise work on its result while it is at hand."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from cnndsl.ir.builder import Builder
from cnndsl.ir.graph import Graph, Node, NodeId, Origin, Value
from cnndsl.ir.rewrite import replace_node
from cnndsl.ops.conv import conv2d
from cnndsl.ops.elementwise import add
from cnndsl.ops.linalg import dense
from cnndsl.ops.scalar import ScalarProgram, ScalarStep
from cnndsl.ops.shape import emit_reshape, reshape
from cnndsl.passes.base import PASSES
from cnndsl.passes.prepared import runs_each_time
from cnndsl.passes.programs import inputs_read, is_uniform, program_of


@PASSES.named("fuse-epilogue")
@dataclass(frozen=True, slots=True)
class FuseEpilogue:
    """Take the elementwise node that alone reads a conv2d or dense into it, again and again.

    The addition of one number a channel to a layer without bias becomes its bias; activations,
    residual additions and other arithmetic become steps of its epilogue. The same operations in
    the same order: exact. A layer whose result anything else reads or gives back stays whole, and
    so does one that depends on parameters alone, and is computed once, before what runs each time.
    """

    name: ClassVar[str] = "fuse-epilogue"
    reason: ClassVar[str] = (
        "done while the result is at hand, it need not be written and read again"
    )

    max_steps: int = 16
    """Longest epilogue, so that a kernel's registers suffice."""
    max_operands: int = 4
    """Most other values that an epilogue reads."""

    def __call__(self, graph: Graph, /) -> Graph:
        """Give the graph with epilogues."""
        graph = graph.copy()
        order = {node.id: index for index, node in enumerate(graph.nodes())}
        running = runs_each_time(graph)
        for node_id in list(order):
            # One that was taken in has left its name to the layer, which may take in the next.
            for layer in _layers(graph, node_id, order):
                is_as_often = (layer.id in running) == (node_id in running)
                if is_as_often and self._fuse(graph, layer, graph[node_id]):
                    break
        return graph

    def _fuse(self, graph: Graph, layer: Node[Any], node: Node[Any]) -> bool:
        builder = Builder(graph, Origin(node.origin.span, self.name, node.id))
        new = _emit_bias(builder, layer, node)
        if new is None:
            extras, epilogue = extend(layer, node)
            if len(epilogue.steps) > self.max_steps or len(extras) > self.max_operands:
                return False
            attrs = replace(layer.attrs, epilogue=epilogue)
            own = layer.operands[: 2 + layer.attrs.has_bias]
            new = builder.emit(layer.op, *own, *extras, attrs=attrs)
        replace_node(graph, node.id, new)
        return True


def _layers(graph: Graph, node_id: NodeId, order: dict[NodeId, int]) -> Iterator[Node[Any]]:
    """Give the layers that could take a node in, the one that runs last first."""
    node = graph[node_id]
    program = program_of(node)
    if program is None or not program.steps or not is_uniform(graph, node):
        return
    # What the result depends on has the result's shape or broadcasts to it.
    read = (node.operands[index] for index in inputs_read(program))
    sources = {value.node for value in read}
    for source in sorted(sources, key=order.__getitem__, reverse=True):
        layer = graph[source]
        if (
            layer.op in (conv2d, dense)
            and layer.type == node.type
            and graph.users(source) == (node_id,)
            and not graph.is_root(layer.results[0])
        ):
            yield layer


def extend(layer: Node[Any], node: Node[Any]) -> tuple[tuple[Value, ...], ScalarProgram]:
    """Give a layer's epilogue with `node` done after it, and the values that it reads then."""
    result = layer.results[0]
    program = program_of(node)
    assert program is not None
    old = layer.attrs.epilogue or ScalarProgram(1, ())
    extras = list(layer.operands[2 + layer.attrs.has_bias :])
    more = [v for v in dict.fromkeys(node.operands) if v != result and v not in extras]
    # More inputs move the places of the steps that were there.
    moved = [
        replace(step, operands=tuple(_shift(i, old.inputs, len(more)) for i in step.operands))
        for step in old.steps
    ]
    extras += more
    inputs = 1 + len(extras)
    last = inputs + len(moved) - 1 if moved else 0
    place = {result: last, **{value: 1 + index for index, value in enumerate(extras)}}
    local = [place[value] for value in node.operands]
    steps = list(moved)
    for step in program.steps:
        operands = tuple(local[index] for index in step.operands)
        local.append(inputs + len(steps))
        steps.append(ScalarStep(step.op, step.attrs, operands))
    return tuple(extras), ScalarProgram(inputs, tuple(steps))


def _shift(index: int, inputs: int, more: int) -> int:
    return index + more if index >= inputs else index


def _emit_bias(b: Builder, layer: Node[Any], node: Node[Any]) -> Value | None:
    """Emit the layer with a bias if `node` adds one number a channel to its plain result."""
    if node.op is not add or layer.attrs.has_bias or layer.attrs.epilogue is not None:
        return None
    others = [value for value in node.operands if value != layer.results[0]]
    if not others:
        return None
    other, channels = others[0], layer.type.shape[1]
    if b.type_of(other).shape != (1, channels, *(1,) * (layer.type.rank - 2)):
        return None
    # Look through the reshape that laid the bias along the channels.
    source = b.graph[other]
    if source.op is reshape and b.type_of(source.operands[0]).shape == (channels,):
        other = source.operands[0]
    attrs = replace(layer.attrs, has_bias=True)
    return b.emit(layer.op, *layer.operands, emit_reshape(b, other, (channels,)), attrs=attrs)
