"""Images of few channels padded with channels of zeros, so that a pixel is a wide access.

A product by tensor cores fetches 16 bytes at once where so many neighbours in memory are factors:
4 channels in tf32, 8 of two bytes. The three channels of a picture are none, and would be fetched
one by one. Where the picture is made of bytes (`unpack_pixels`), it is made with more channels in
the same launch, and the filters that read it get as many zeros: what is added to the sums is 0.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from cnndsl.backends.cuda.kernel import WIDE
from cnndsl.backends.cuda.policy import Policy
from cnndsl.ir.builder import Builder
from cnndsl.ir.graph import Graph, Node, Origin
from cnndsl.ir.types import DType
from cnndsl.ops.conv import conv2d, conv2d_grad_weight
from cnndsl.ops.pad import PadAttrs, pad
from cnndsl.ops.pixels import unpack_pixels
from cnndsl.ops.shape import SliceAttrs, slice_

LEAST_FILTERS = 8
"""Fewer filters do not keep tensor cores busy whatever is fetched."""


def wide_channels(policy: Policy) -> int:
    """Give the channels of 16 bytes of factors; 1 where they are fetched one by one anyway."""
    if policy.precision == "fp32":
        return 1
    return WIDE // (2 if policy.half else 4)


def widened(graph: Graph, policy: Policy) -> Graph:
    """Give the graph whose first convolutions read wide pixels: itself if there are none."""
    wide = wide_channels(policy)
    pictures = [
        node
        for node in graph.nodes()
        if node.op is unpack_pixels and node.type.shape[1] % wide and _serves(graph, node)
    ]
    if not pictures:
        return graph
    found = graph.copy()
    for node in pictures:
        _widen(found, found[node.id], -(-node.type.shape[1] // wide) * wide)
    return found


def _serves(graph: Graph, node: Node[Any]) -> bool:
    """Tell whether whole convolutions, and gradients of their filters, alone read a picture."""
    picture = node.results[0]
    uses = graph.uses(picture)
    readers = [graph[use.node] for use in uses]
    return (
        node.type.dtype is DType.F32
        and not graph.is_root(picture)
        and bool(readers)
        and all(
            reader.op in (conv2d, conv2d_grad_weight)
            and reader.operands[0] == picture
            and picture not in reader.operands[1:]
            and reader.attrs.groups == 1
            and _filters(graph, reader) >= LEAST_FILTERS
            for reader in readers
        )
    )


def _filters(graph: Graph, reader: Node[Any]) -> int:
    """Give how many filters look at the picture."""
    if reader.op is conv2d:
        return graph.type_of(reader.operands[1]).shape[0]
    return reader.type.shape[0]


def _widen(graph: Graph, node: Node[Any], channels: int) -> None:
    """Make a picture of so many channels, and let its readers know."""
    kind = node.type
    more = channels - kind.shape[1]
    wide = kind.with_shape((kind.shape[0], channels, *kind.shape[2:]))
    attrs = replace(node.attrs, type=wide, channels=node.attrs.given)
    readers = [graph[use.node] for use in graph.uses(node.results[0])]
    graph.put(replace(node, attrs=attrs, types=(wide,)))
    b = Builder(graph)
    for reader in readers:
        b.origin = Origin(reader.origin.span, "widen", reader.id)
        if reader.op is conv2d:
            zeros = PadAttrs((0,) * 4, (0, more, 0, 0))
            name = f"{reader.id}.wide"
            weight = b.emit(pad, reader.operands[1], attrs=zeros, name=name)
            operands = (reader.operands[0], weight, *reader.operands[2:])
            graph.set_operands(reader.id, operands)
        else:
            _cut_gradient(b, reader, channels)


def _cut_gradient(b: Builder, reader: Node[Any], channels: int) -> None:
    """Take the gradient of wide filters, and of that the channels that are learned."""
    filters, own, *window = reader.type.shape
    shape = (filters, channels, *window)
    attrs = replace(reader.attrs, shape=shape)
    name = f"{reader.id}.wide"
    whole = b.emit(conv2d_grad_weight, *reader.operands, attrs=attrs, name=name)
    cut = SliceAttrs((0,) * 4, (filters, own, *window))
    origin = replace(reader.origin, made_by="widen")
    b.graph.put(Node(reader.id, slice_, (whole,), cut, reader.types, origin))
