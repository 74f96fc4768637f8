from __future__ import annotations

from dataclasses import replace

import pytest

from cnndsl.ir.builder import Builder
from cnndsl.ir.graph import Graph, NodeId
from cnndsl.ir.types import f32
from cnndsl.ops.elementwise import add, neg
from cnndsl.ops.shape import ReshapeAttrs, reshape
from cnndsl.ops.structural import FullAttrs, InputAttrs, ParameterAttrs, full, input_, parameter
from cnndsl.ops.unary import identity
from cnndsl.plan.partition import partition
from cnndsl.support.diagnostics import VerifyError


def test_partition_sorts_nodes_by_when_they_run() -> None:
    b = Builder(Graph("net"))
    x = b.emit(input_, attrs=InputAttrs(f32(4)), name="x")
    w = b.emit(parameter, attrs=ParameterAttrs(f32(4)), name="w")
    m = b.emit(parameter, attrs=ParameterAttrs(f32(4)), name="m")
    half = b.emit(full, attrs=FullAttrs(f32(4), 0.5))
    b.emit(neg, x, name="dead")
    early = b.emit(add, w, half, name="early")
    late = b.emit(add, early, x, name="late")
    b.graph.outputs["y"] = late
    b.graph.updates[NodeId("m")] = b.emit(neg, m, name="turned")
    part = partition(b.graph)
    assert part.prepare == ("early",)
    assert part.run == ("late", "turned")


def test_views_of_views_show_one_memory() -> None:
    b = Builder(Graph("net"))
    x = b.emit(input_, attrs=InputAttrs(f32(4)), name="x")
    square = b.emit(reshape, x, attrs=ReshapeAttrs((2, 2)))
    same = b.emit(identity, square)
    b.graph.outputs["y"] = same
    part = partition(b.graph)
    assert part.origin == {x: x, square: x, same: x}
    assert part.run == ()


def test_a_view_of_other_bytes_is_refused() -> None:
    b = Builder(Graph("net"))
    x = b.emit(input_, attrs=InputAttrs(f32(4)), name="x")
    b.graph.outputs["y"] = b.emit(reshape, x, attrs=ReshapeAttrs((2, 2)))
    node = b.graph[NodeId("reshape")]
    b.graph.put(replace(node, types=(f32(2, 3),)))
    with pytest.raises(VerifyError, match="no view"):
        partition(b.graph)
