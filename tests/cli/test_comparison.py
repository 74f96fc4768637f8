from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pytest

from cnndsl.backends import load
from cnndsl.cli.comparison import Case, Outcome, Reference, cases, compare, random_feeds
from cnndsl.cli.comparison import relative_error as error_of
from cnndsl.frontend.elaborate import elaborate
from cnndsl.frontend.lower import lower
from cnndsl.frontend.parse import parse
from cnndsl.ir.builder import Builder
from cnndsl.ir.graph import Graph, NodeId, Origin
from cnndsl.ir.types import DType
from cnndsl.ops.activations import relu, tanh
from cnndsl.ops.conv import conv2d
from cnndsl.ops.elementwise import add, emit_scalar, mul
from cnndsl.passes.pipelines import INFER, TRAIN
from cnndsl.recipes.optimizers import SGD
from cnndsl.train.step import train_step

TEXT = (
    "input [8x8x3]\nconv 4 3x3 half nobias -> bn -> relu as a -> conv 4 3x3 half -> add a, relu\n"
    "maxpool 2x2/2 -> dropout 0.3 -> fc 5 -> softmax\n"
)


def graph_of(dtype: DType, *, train: bool) -> Graph:
    network = elaborate(parse(TEXT)).network
    if not train:
        return lower(network, batch=2, dtype=dtype)
    forward = lower(network, batch=2, dtype=dtype, training=True, loss="crossentropy")
    return train_step(forward, optimizer=SGD(lr=1.0))


def outcome_of(case: Case, *, train: bool, dtype: DType = DType.F64) -> Outcome:
    reference = Reference.of(graph_of(DType.F64, train=train), seed=0)
    graph = graph_of(dtype, train=train)
    return compare(reference, graph, case, load("reference"), dtype=dtype)


@pytest.mark.parametrize("dtype", [DType.F64, DType.F32])
@pytest.mark.parametrize("train", [False, True], ids=["inference", "training"])
def test_every_choice_of_passes_agrees(train: bool, dtype: DType) -> None:
    chosen = list(cases(TRAIN if train else INFER))
    names = {each.name for each in (TRAIN if train else INFER)}
    assert len(chosen) == 2 * len(names) + 2
    for case in chosen:
        outcome = outcome_of(case, train=train, dtype=dtype)
        assert outcome.ok, (case.name, outcome)
        assert outcome.first == ""


@dataclass(frozen=True)
class Spoiled:
    """A pass that changes what is computed."""

    change: Callable[[Graph], None]
    name: ClassVar[str] = "spoiled"
    reason: ClassVar[str] = "to be found out"

    def __call__(self, graph: Graph, /) -> Graph:
        twin = graph.copy()
        self.change(twin)
        return twin


def first(graph: Graph, op: object) -> Any:
    return next(node for node in graph.nodes() if node.op is op)


def put_tanh_for_relu(graph: Graph) -> None:
    node = first(graph, relu)
    graph.put(type(node)(node.id, tanh, node.operands, node.attrs, node.types, node.origin))


def scale_slightly(graph: Graph) -> None:
    """Make one value wrong in the seventh digit."""
    node = first(graph, conv2d)
    value = node.results[0]
    b = Builder(graph, Origin())
    scaled = b.emit(mul, value, emit_scalar(b, 1.0 + 3e-7, value))
    for use in graph.uses(value):
        if use.node != scaled.node:
            operands = tuple(scaled if v == value else v for v in graph[use.node].operands)
            graph.set_operands(use.node, operands)


@pytest.mark.parametrize("change", [put_tanh_for_relu, scale_slightly])
@pytest.mark.parametrize("train", [False, True], ids=["inference", "training"])
def test_a_wrong_pass_is_found_and_placed(change: Callable[[Graph], None], train: bool) -> None:
    outcome = outcome_of(Case("spoiled", (Spoiled(change),)), train=train)
    assert not outcome.ok
    assert outcome.error > 100 * outcome.bound
    place = "%relu1" if change is put_tanh_for_relu else "%bn1"
    assert outcome.first.startswith(place)
    assert "<text>:2" in outcome.first


def forget_an_update(graph: Graph) -> None:
    """Let a step leave one bias where it was."""
    parameter = next(name for name in graph.updates if name == "conv2.bias")
    graph.updates[parameter] = graph[parameter].results[0]


def test_a_wrong_update_is_found() -> None:
    outcome = outcome_of(Case("spoiled", (Spoiled(forget_an_update),)), train=True)
    assert (outcome.ok, outcome.worst) == (False, "conv2.bias")
    assert outcome.error == pytest.approx(1.0)


def test_a_bias_before_a_batch_norm_is_measured_by_what_cancels() -> None:
    """Its gradient is zero, and what rounding leaves of the sum depends on its terms alone."""
    network = elaborate(parse("input [6x6x2]\nconv 3 3x3 -> bn -> relu -> fc 4 -> softmax")).network
    graphs = {
        dtype: train_step(
            lower(network, batch=2, dtype=dtype, training=True, loss="crossentropy"),
            optimizer=SGD(lr=1.0),
        )
        for dtype in (DType.F64, DType.F32)
    }
    reference = Reference.of(graphs[DType.F64], seed=3)
    shifted = []
    for away in (0.0, 1e-7, 1e-2):

        def shift(graph: Graph, away: float = away) -> None:
            b = Builder(graph, Origin())
            old = graph.updates[NodeId("conv1.bias")]
            graph.updates[NodeId("conv1.bias")] = b.emit(add, old, emit_scalar(b, away, old))

        case = Case("shifted", (Spoiled(shift),))
        graph = graphs[DType.F32]
        shifted.append(compare(reference, graph, case, load("reference"), dtype=DType.F32))
    assert [outcome.ok for outcome in shifted] == [True, True, False]
    assert shifted[-1].worst == "conv1.bias"


def test_bounds_follow_precision() -> None:
    reference = Reference.of(graph_of(DType.F64, train=False), seed=0)
    assert reference.bound(DType.F64) < 1e-12
    assert 1e-6 < reference.bound(DType.F32) < 1e-3


def test_feeds_are_random_and_leave_nothing_neutral() -> None:
    graph = graph_of(DType.F64, train=True)
    feeds = random_feeds(graph, seed=1)
    assert set(feeds) == {n.id for n in graph.nodes() if n.op.name in ("input", "parameter")}
    for name, array in feeds.items():
        assert np.all(np.isfinite(array))
        assert array.ndim == 0 or np.ptp(array) > 0, name
    assert np.all(feeds["bn1.variance"] > 0.5)
    again = random_feeds(graph, seed=1)
    assert all(np.array_equal(feeds[name], again[name]) for name in feeds)
    assert not np.array_equal(feeds["input"], random_feeds(graph, seed=2)["input"])


def test_relative_error() -> None:
    one = np.array([3.0, 4.0])
    assert error_of(one, one) == 0
    assert error_of(np.array([3.0, 4.005]), one) == pytest.approx(1e-3)
    assert error_of(np.array([np.nan, 4.0]), one) == np.inf
    assert error_of(np.array([1e-9]), np.zeros(1), floor=1e-3) == pytest.approx(1e-6)
