"""Bounds of the fusing passes; what they do is tested by their .ir files."""

from __future__ import annotations

import numpy as np
import pytest

import cnndsl.ops  # noqa: F401 - fills OPS
from cnndsl.ir.graph import Graph, NodeId
from cnndsl.ir.op import Attrs
from cnndsl.ir.parser import parse_graph
from cnndsl.ir.printer import print_graph
from cnndsl.ir.types import DType
from cnndsl.ir.verify import verify
from cnndsl.ops.elementwise import add, neg
from cnndsl.ops.evaluate import evaluate
from cnndsl.ops.scalar import ScalarProgram, ScalarStep
from cnndsl.passes.base import Pass, run_passes
from cnndsl.passes.fuse_elementwise import FuseElementwise
from cnndsl.passes.fuse_epilogue import FuseEpilogue
from cnndsl.passes.pipelines import INFER
from cnndsl.passes.programs import inputs_read
from tests.strategies import feeds, in_precision


def chain(length: int, *, head: str) -> Graph:
    lines = [f"%v{i + 1} = {('tanh', 'neg', 'sigmoid')[i % 3]}(%v{i})" for i in range(length)]
    return parse_graph(f"graph g {{ {head} {' '.join(lines)} output y = %v{length} }}")


def ladder(width: int) -> Graph:
    """A sum of many values, one after the other."""
    inputs = " ".join(f"%x{i} = input {{type=f32[2,3]}}" for i in range(width + 1))
    sums = " ".join(f"%s{i + 1} = add(%s{i}, %x{i + 1})" for i in range(width))
    return parse_graph(f"graph g {{ {inputs} %s0 = neg(%x0) {sums} output y = %s{width} }}")


HEAD = "%v0 = input {type=f32[2,3]}"
LAYER = (
    "%x = input {type=f32[2,5]} %w = parameter {type=f32[3,5]} %v0 = dense(%x, %w) {has_bias=false}"
)


def programs(graph: Graph) -> list[ScalarProgram]:
    found = []
    for node in graph.nodes():
        for field in ("program", "epilogue"):
            program = getattr(node.attrs, field, None)
            if program is not None:
                found.append(program)
    return found


@pytest.mark.parametrize("length", [1, 2, 31, 32, 33, 64, 100])
def test_chains_are_cut_at_the_bound(length: int) -> None:
    after = FuseElementwise()(chain(length, head=HEAD))
    assert sum(len(p.steps) for p in programs(after)) + (length % 32 == 1) == length
    assert all(len(program.steps) <= 32 for program in programs(after))
    assert len(after) == 1 + -(-length // 32)
    assert_same(chain(length, head=HEAD), after, FuseElementwise())


@pytest.mark.parametrize("length", [1, 15, 16, 17, 40])
def test_epilogues_are_cut_at_the_bound(length: int) -> None:
    graph = chain(length, head=LAYER)
    after = FuseEpilogue()(graph)
    (epilogue,) = programs(after)
    assert len(epilogue.steps) == min(length, 16)
    assert len(after) == 3 + max(0, length - 16)
    assert_same(graph, after, FuseEpilogue())


@pytest.mark.parametrize("width", [1, 6, 7, 8, 9, 20, 50])
def test_operands_are_bounded(width: int) -> None:
    graph = ladder(width)
    after = FuseElementwise()(graph)
    verify(after)
    assert all(program.inputs <= 8 for program in programs(after))
    assert_same(graph, after, FuseElementwise())


def test_options_set_the_bounds() -> None:
    tight = FuseElementwise(max_steps=2, max_operands=2)
    assert all(len(p.steps) <= 2 for p in programs(tight(chain(9, head=HEAD))))
    assert all(p.inputs <= 2 for p in programs(tight(ladder(9))))
    graph = chain(9, head=LAYER)
    (epilogue,) = programs(FuseEpilogue(max_steps=3)(graph))
    assert len(epilogue.steps) == 3


def assert_same(before: Graph, after: Graph, pass_: Pass) -> None:
    assert print_graph(pass_(after)) == print_graph(after)
    given = feeds(before)
    expected = evaluate(before, given)["y"]
    np.testing.assert_array_equal(evaluate(after, given)["y"], expected)


def test_a_result_that_two_fused_ops_read_becomes_an_epilogue() -> None:
    graph = parse_graph(
        "graph g { %x = input {type=f32[2,5]} %w = parameter {type=f32[3,5]}"
        "%d = dense(%x, %w) {has_bias=false} %s = sigmoid(%d) %m = mul(%s, %d) output y = %m }"
    )
    after = run_passes(graph, INFER)
    assert [node.op.name for node in after.nodes()] == ["input", "parameter", "dense"]
    np.testing.assert_array_equal(
        evaluate(after, feeds(graph))["y"], evaluate(graph, feeds(graph))["y"]
    )


def test_a_program_that_does_not_read_the_layer_is_no_epilogue() -> None:
    """Its result could be smaller than the layer's, which an epilogue must not be."""
    text = (
        "graph g { %x = input {type=f32[2,5]} %e = input {type=f32[1,3]}"
        "%w = parameter {type=f32[3,5]} %d = dense(%x, %w) {has_bias=false}"
        "%f = fused_elementwise(%d, %e) {program=ScalarProgram(inputs=2, steps=("
        "ScalarStep(op=@neg, attrs=Attrs(), operands=(1,)),))} output y = %f }"
    )
    graph = parse_graph(text)
    assert print_graph(FuseEpilogue()(graph)) == print_graph(graph)


def test_what_a_program_reads() -> None:
    steps = (
        ScalarStep(neg, Attrs(), (2,)),
        ScalarStep(neg, Attrs(), (0,)),
        ScalarStep(add, Attrs(), (4, 0)),
    )
    assert inputs_read(ScalarProgram(3, steps)) == {0}
    assert inputs_read(ScalarProgram(3, ())) == {0}


def test_fusion_is_exact_in_every_precision() -> None:
    graph = chain(20, head=LAYER)
    for dtype in (DType.F32, DType.F64):
        before = in_precision(graph, dtype)
        after = run_passes(before, [FuseEpilogue(), FuseElementwise()])
        given = feeds(before)
        np.testing.assert_array_equal(evaluate(after, given)["y"], evaluate(before, given)["y"])
        assert NodeId("v20") in after
