"""What must hold of every pass, and the before/after pairs in the .ir files beside this one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings

import cnndsl.passes  # noqa: F401 - fills PASSES
from cnndsl.ir.graph import Graph
from cnndsl.ir.parser import parse_graph
from cnndsl.ir.printer import print_graph
from cnndsl.ir.types import DType
from cnndsl.ir.verify import verify
from cnndsl.ops.evaluate import evaluate_values
from cnndsl.ops.rules import Array
from cnndsl.passes.base import PASSES, Pass, interface, run_passes
from cnndsl.passes.pipelines import INFER, TRAIN
from tests.strategies import feeds, graphs, in_precision, training_graphs

HERE = Path(__file__).parent
ROUNDING = {"canonicalize", "fold-batch-norm"}
"""Passes that may change the last bits; all others are exact."""
EVERY = [make() for make in PASSES.values()]


@dataclass(frozen=True)
class Case:
    """One pair of a fixture file."""

    path: Path
    title: str
    before: str
    after: str
    """Nothing when the pass leaves the graph as it is."""

    @property
    def pass_(self) -> Pass:
        return PASSES[self.path.stem.replace("_", "-")]()

    def __str__(self) -> str:
        return f"{self.path.stem}: {self.title}"


def read_cases(path: Path) -> list[Case]:
    found = []
    for text in path.read_text(encoding="utf-8").split("// ---\n"):
        before, marker, after = text.partition("// =>")
        assert marker, f"{path.name}: a case without an arrow"
        verdict, _, graph = after.partition("\n")
        is_unchanged = verdict.strip() == "unchanged"
        title = text.partition("\n")[0].removeprefix("// ")
        found.append(Case(path, title, before, "" if is_unchanged else graph))
    return found


CASES = [case for path in sorted(HERE.glob("*.ir")) for case in read_cases(path)]


def test_every_pass_has_pairs_of_both_kinds_but_for_reason() -> None:
    names = {case.path.stem.replace("_", "-") for case in CASES}
    assert names == set(PASSES)
    assert len(CASES) >= 50


@pytest.mark.parametrize("case", CASES, ids=str)
def test_pairs(case: Case, request: pytest.FixtureRequest) -> None:
    before = parse_graph(case.before)
    verify(before)
    after = case.pass_(before)
    verify(after)
    assert interface(before) == interface(after)
    has_changed = print_graph(after) != print_graph(before)
    if request.config.getoption("--update-golden") and not case.after and has_changed:
        text = case.path.read_text(encoding="utf-8")
        filled = f"{case.before}// =>\n{print_graph(after)}"
        case.path.write_text(text.replace(f"{case.before}// =>\n", filled), encoding="utf-8")
    expected = parse_graph(case.after) if case.after else before
    assert print_graph(after) == print_graph(expected)
    assert_same_meaning(before, after, tolerance=1e-6)


def values_of(graph: Graph, given: dict[str, Array]) -> list[Array]:
    found = evaluate_values(graph, graph.roots(), given)
    return [found[value] for value in graph.roots()]


def assert_same_meaning(before: Graph, after: Graph, *, tolerance: float) -> None:
    """Compare all outputs and updates; no tolerance means every bit but the sign of zeros."""
    given = feeds(before)
    pairs = zip(values_of(before, given), values_of(after, given), strict=True)
    for expected, found in pairs:
        assert expected.dtype == found.dtype
        if tolerance == 0:
            assert np.array_equal(expected, found, equal_nan=True)
        elif expected.dtype.kind == "f" and np.isfinite(expected).all():
            scale = max(1.0, float(np.abs(expected).max(initial=0.0)))
            assert float(np.abs(expected - found).max(initial=0.0)) <= tolerance * scale
        else:
            assert np.array_equal(expected, found, equal_nan=True)


def assert_passes_keep(graph: Graph, passes: Sequence[Pass]) -> Graph:
    """Run passes on a graph; purity, the interface and the meaning in both precisions must hold."""
    is_exact = all(each.name not in ROUNDING for each in passes)
    for dtype, rounded in ((DType.F32, 1e-3), (DType.F64, 1e-11)):
        before = in_precision(graph, dtype)
        text = print_graph(before)
        after = run_passes(before, passes)
        assert print_graph(before) == text
        assert_same_meaning(before, after, tolerance=0 if is_exact else rounded)
    return after


@pytest.mark.parametrize("pass_", EVERY, ids=lambda each: each.name)
@given(graph=graphs())
@settings(max_examples=40)
def test_each_alone_keeps_a_forward_graph_and_itself(pass_: Pass, graph: Graph) -> None:
    after = assert_passes_keep(graph, [pass_])
    assert print_graph(pass_(after)) == print_graph(after)


@pytest.mark.parametrize("pass_", EVERY, ids=lambda each: each.name)
@given(graph=training_graphs())
@settings(max_examples=25)
def test_each_alone_keeps_a_training_graph_and_itself(pass_: Pass, graph: Graph) -> None:
    after = assert_passes_keep(graph, [pass_])
    assert print_graph(pass_(after)) == print_graph(after)


@given(graph=graphs(most=10))
@settings(max_examples=60)
def test_whole_pipelines_keep_a_forward_graph(graph: Graph) -> None:
    assert_passes_keep(graph, INFER)
    assert_passes_keep(graph, TRAIN)


@given(graph=training_graphs(most=8))
@settings(max_examples=40)
def test_whole_pipeline_keeps_a_training_graph(graph: Graph) -> None:
    assert_passes_keep(graph, TRAIN)


@pytest.mark.parametrize("left_out", sorted(PASSES))
@given(graph=graphs(), training=training_graphs(most=4))
@settings(max_examples=8)
def test_all_but_one_keep_both(left_out: str, graph: Graph, training: Graph) -> None:
    assert_passes_keep(graph, [each for each in INFER if each.name != left_out])
    assert_passes_keep(training, [each for each in TRAIN if each.name != left_out])


@given(graph=graphs())
@settings(max_examples=30)
def test_names_that_stay_mean_the_same_values(graph: Graph) -> None:
    before = in_precision(graph, DType.F64)
    after = run_passes(before, INFER)
    names = [n.results[0] for n in before.nodes() if n.id in after and len(n.types) == 1]
    given_ = feeds(before)
    was, now = (evaluate_values(g, names, given_) for g in (before, after))
    for name in names:
        np.testing.assert_allclose(was[name], now[name], rtol=1e-10, atol=1e-10)


@given(graph=graphs())
@settings(max_examples=20)
def test_without_passes_nothing_happens(graph: Graph) -> None:
    assert run_passes(graph, []) is graph


@pytest.mark.parametrize("pass_", EVERY, ids=lambda each: each.name)
def test_order_of_passes_does_not_matter_to_the_meaning(pass_: Pass) -> None:
    """Each pass last and first, after and before all others, on a graph that all of them change."""
    graph = parse_graph(NETWORK)
    others = [each for each in EVERY if each.name != pass_.name]
    for order in ([pass_, *others], [*others, pass_], [*reversed(others), pass_]):
        before = in_precision(graph, DType.F64)
        assert_same_meaning(before, run_passes(before, order), tolerance=1e-11)


NETWORK = """
graph network {
  %x = input {type=f32[2,4,5,4]}
  %w = parameter {type=f32[4,2,3,3]}
  %b = parameter {type=f32[4]}
  %scale = parameter {type=f32[4]}
  %mean = parameter {type=f32[4]}
  %variance = parameter {type=f32[4]}
  %c = conv2d(%x, %w, %b) {groups=2, has_bias=true, padding=((1, 1), (1, 1))}
  %n = batch_norm(%c, %scale, %b, %mean, %variance)
  %r = relu(%n)
  %a = add(%r, %x)
  %two = full {type=f32[2,4,5,4], value=2.0}
  %three = full {type=f32[2,4,5,4], value=3.0}
  %six = mul(%two, %three)
  %s = mul(%a, %six)
  %t = mul(%s, %two)
  %m = maxout(%t) {pieces=2}
  %m2 = maxout(%t) {pieces=2}
  %d = sub(%m, %m2)
  %e = exp(%d)
  %dead = tanh(%e)
  output e = %e
  output m = %m
}
"""
