from __future__ import annotations

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from cnndsl.ir.builder import Builder
from cnndsl.ir.graph import Graph, NodeId, Origin
from cnndsl.ir.op import OPS, Attrs
from cnndsl.ir.parser import parse_graph
from cnndsl.ir.printer import graphs_equal, print_graph
from cnndsl.ir.types import DType, TensorType, f32
from cnndsl.ir.verify import verify
from cnndsl.ops.activations import LeakyReluAttrs, leaky_relu, relu
from cnndsl.ops.elementwise import add, mul
from cnndsl.ops.fused import FusedElementwiseAttrs, fused_elementwise
from cnndsl.ops.rules import samples
from cnndsl.ops.scalar import ScalarProgram, ScalarStep
from cnndsl.ops.shape import SplitAttrs, split
from cnndsl.ops.structural import (
    ConstantAttrs,
    FullAttrs,
    Init,
    InputAttrs,
    ParameterAttrs,
    constant,
    full,
    input_,
    parameter,
)
from cnndsl.passes.base import run_passes
from cnndsl.passes.pipelines import INFER, TRAIN
from cnndsl.support.source import Span
from tests.strategies import graphs, training_graphs


def assert_comes_back(graph: Graph) -> None:
    text = print_graph(graph)
    again = parse_graph(text)
    verify(again)
    assert graphs_equal(graph, again)
    assert print_graph(again) == text


@given(graph=graphs())
@settings(max_examples=60)
def test_forward_graphs_come_back(graph: Graph) -> None:
    assert_comes_back(graph)
    assert_comes_back(run_passes(graph, INFER))


@given(graph=training_graphs())
@settings(max_examples=40)
def test_training_graphs_come_back(graph: Graph) -> None:
    assert_comes_back(graph)
    assert_comes_back(run_passes(graph, TRAIN))


def test_every_sample_of_every_op_comes_back() -> None:
    count = 0
    for op in OPS.values():
        for sample in samples[op]() if op in samples else ():
            b = Builder(Graph("sample"))
            operands = [b.emit(input_, attrs=InputAttrs(kind)) for kind in sample.operands]
            attrs = op.attrs() if type(sample.attrs) is Attrs else sample.attrs
            b.graph.outputs["y"] = b.emit(op, *operands, attrs=attrs)
            assert_comes_back(b.graph)
            count += 1
    assert count >= 150


def test_the_text_of_a_graph() -> None:
    b = Builder(Graph("small net"))
    x = b.emit(input_, attrs=InputAttrs(f32(2, 4)), name="x")
    attrs = ParameterAttrs(f32(1, 4), Init("he_normal", fan_in=4), decay=False)
    w = b.emit(parameter, attrs=attrs, name="fc.weight")
    y = b.emit(leaky_relu, b.emit(mul, x, w, name="y"), attrs=LeakyReluAttrs(0.25))
    left, right = b.emit_all(split, y, attrs=SplitAttrs(1, (1, 3)), name="halves")
    b.graph.outputs = {"left": left, "2nd": right}
    b.graph.updates = {NodeId("fc.weight"): w}
    assert (
        print_graph(b.graph)
        == """\
graph "small net" {
  %x = input {type=f32[2,4]} : f32[2,4]
  %fc.weight = parameter {type=f32[1,4], init=Init(scheme="he_normal", fan_in=4), decay=false} \
: f32[1,4]
  %y = mul(%x, %fc.weight) : f32[2,4]
  %leaky_relu = leaky_relu(%y) {slope=0.25} : f32[2,4]
  %halves = split(%leaky_relu) {axis=1, sizes=(1, 3)} : f32[2,1], f32[2,3]
  output left = %halves
  output "2nd" = %halves#1
  update %fc.weight = %fc.weight
}
"""
    )


def test_names_of_every_kind_come_back() -> None:
    names = ["a", "0", "block[1].conv", "a b", 'say "x"', "é", "a#1", "output", "%", "a\nb", "\\"]
    b = Builder(Graph("weird"))
    for name in names:
        b.graph.outputs[name] = b.emit(input_, attrs=InputAttrs(f32(2)), name=name)
    assert_comes_back(b.graph)
    assert [node.id for node in parse_graph(print_graph(b.graph)).nodes()] == names


@given(st.text(min_size=1), st.text(min_size=1))
def test_any_names_come_back(node: str, output: str) -> None:
    b = Builder(Graph(output))
    b.graph.outputs[output] = b.emit(input_, attrs=InputAttrs(f32(2)), name=node)
    assert_comes_back(b.graph)


@given(st.floats(width=64))
def test_floats_come_back_to_the_bit(value: float) -> None:
    b = Builder(Graph("g"))
    b.graph.outputs["y"] = b.emit(full, attrs=FullAttrs(TensorType(DType.F64, ()), value))
    (node,) = parse_graph(print_graph(b.graph)).nodes()
    same = math.isnan(value) if math.isnan(node.attrs.value) else node.attrs.value == value
    assert same
    assert math.copysign(1, node.attrs.value) == math.copysign(1, value) or math.isnan(value)
    assert_comes_back(b.graph)


@given(st.binary(max_size=40))
def test_bytes_come_back(data: bytes) -> None:
    array = np.frombuffer(data, np.uint8)
    b = Builder(Graph("g"))
    b.graph.outputs["y"] = b.emit(constant, attrs=ConstantAttrs.of(array))
    assert_comes_back(b.graph)


def test_nested_records_come_back() -> None:
    steps = (
        ScalarStep(leaky_relu, LeakyReluAttrs(0.5), (0,)),
        ScalarStep(add, Attrs(), (1, 2)),
        ScalarStep(relu, Attrs(), (3,)),
    )
    b = Builder(Graph("g"))
    x = b.emit(input_, attrs=InputAttrs(f32(2, 3)), name="x")
    attrs = FusedElementwiseAttrs(ScalarProgram(2, steps))
    b.graph.outputs["y"] = b.emit(fused_elementwise, x, x, attrs=attrs)
    assert_comes_back(b.graph)


def test_equality_sees_everything_but_age_and_origin() -> None:
    def make(**changes: object) -> Graph:
        b = Builder(Graph(str(changes.get("name", "g"))))
        if "span" in changes:
            b.origin = Origin(Span("a.cnn", 1, 1, 1, 2))
        x = b.emit(input_, attrs=InputAttrs(f32(2)), name="x")
        y = b.emit(relu, x, name="y") if "late" not in changes else x
        value = -0.0 if "sign" in changes else 0.0
        z = b.emit(full, attrs=FullAttrs(f32(), value), name="z")
        y = b.emit(relu, x, name="y") if "late" in changes else y
        b.graph.outputs["y"] = z if "output" in changes else y
        return b.graph

    assert graphs_equal(make(), make())
    assert graphs_equal(make(), make(span=True))
    assert graphs_equal(make(), make(late=True))
    for change in ("sign", "output"):
        assert not graphs_equal(make(), make(**{change: True}))
    assert not graphs_equal(make(), make(name="h"))


def test_origins_are_comments() -> None:
    b = Builder(Graph("g"), Origin(Span("a.cnn", 3, 5, 3, 9), "fuse-epilogue", NodeId("relu1")))
    b.graph.outputs["y"] = b.emit(input_, attrs=InputAttrs(f32(2)), name="x")
    text = print_graph(b.graph, origins=True)
    assert "// by fuse-epilogue for relu1 at a.cnn:3:5\n" in text
    assert graphs_equal(parse_graph(text), b.graph)
