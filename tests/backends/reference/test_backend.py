from __future__ import annotations

import threading
import time
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cnndsl.backends.reference.backend import POISON, ReferenceBackend, ReferenceExecutable
from cnndsl.ir.builder import Builder
from cnndsl.ir.graph import Graph, NodeId, Origin
from cnndsl.ir.op import Attrs, Op
from cnndsl.ir.types import DType, TensorType, f32
from cnndsl.ops.elementwise import add, mul, neg, sub
from cnndsl.ops.evaluate import evaluate_values
from cnndsl.ops.rules import Array, compute, reference
from cnndsl.ops.structural import (
    ConstantAttrs,
    FullAttrs,
    InputAttrs,
    ParameterAttrs,
    constant,
    full,
    input_,
    parameter,
)
from cnndsl.ops.unary import log
from cnndsl.plan.memory import make_plan
from cnndsl.plan.plan import Arena, Plan
from cnndsl.runtime.executable import Executable
from cnndsl.support.diagnostics import BackendError
from cnndsl.support.source import Span
from tests.plan.graphs import feeds_of, graphs, stray_op


def bits(array: Array) -> tuple[str, tuple[int, ...], bytes]:
    return str(array.dtype), array.shape, array.tobytes()


def expected(
    graph: Graph, feeds: dict[str, Array], state: dict[str, Array]
) -> tuple[dict[str, Array], dict[str, Array]]:
    """Outputs and next state, node by node."""
    found = evaluate_values(graph, graph.roots(), {**feeds, **state})
    outputs = {name: found[value] for name, value in graph.outputs.items()}
    return outputs, {**state, **{name: found[value] for name, value in graph.updates.items()}}


def check_against_evaluation(plan: Plan) -> None:
    graph = plan.graph
    executable = ReferenceBackend(poison=True).compile(plan)
    state = feeds_of(graph, parameter, seed=1)
    executable.load_state(state)
    for seed in (2, 3):
        feeds = feeds_of(graph, input_, seed=seed)
        outputs, state = expected(graph, feeds, state)
        found = executable.run(feeds)
        assert {k: bits(v) for k, v in found.items()} == {k: bits(v) for k, v in outputs.items()}
        after = executable.read_state()
        assert {k: bits(v) for k, v in after.items()} == {k: bits(v) for k, v in state.items()}


@settings(max_examples=250)
@given(graphs(), st.booleans(), st.booleans(), st.sampled_from((64, 256)))
def test_plans_give_the_bits_of_node_by_node_evaluation(
    graph: Graph, inplace: bool, donate: bool, unit: int
) -> None:
    plan = make_plan(graph, alignment=unit, inplace=inplace, donate=donate)
    check_against_evaluation(plan)


@settings(max_examples=50)
@given(graphs(dtype=DType.F64))
def test_double_precision_is_kept(graph: Graph) -> None:
    check_against_evaluation(make_plan(graph))


def doubled(shape: tuple[int, ...] = (4,)) -> Graph:
    b = Builder(Graph("doubled"))
    x = b.emit(input_, attrs=InputAttrs(f32(*shape)), name="x")
    one = b.emit(neg, b.emit(neg, x, name="first"), name="one")
    b.graph.outputs["y"] = b.emit(add, one, x, name="sum")
    return b.graph


def test_poison_shows_a_plan_that_gives_memory_away_too_early() -> None:
    b = Builder(Graph("late"))
    x = b.emit(input_, attrs=InputAttrs(f32(4)), name="x")
    early = b.emit(neg, x, name="early")
    b.graph.outputs["y"] = b.emit(add, b.emit(neg, x), early)
    plan = make_plan(b.graph, inplace=False)
    hasty = tuple(
        replace(region, lifetime=replace(region.lifetime, last=region.lifetime.first))
        if region.values == (early,)
        else region
        for region in plan.regions
    )
    feeds = {"x": np.ones(4, dtype=np.float32)}
    right = ReferenceBackend(poison=True).compile(plan).run(feeds)
    wrong = ReferenceBackend(poison=True).compile(replace(plan, regions=hasty)).run(feeds)
    assert right["y"].tolist() == [-2.0] * 4
    assert np.isnan(wrong["y"]).all()


def test_poison_shows_what_was_never_written() -> None:
    plan = make_plan(doubled())
    feeds = {"x": np.ones(4, dtype=np.float32)}
    gap = replace(plan, steps=plan.steps[1:])
    assert np.isnan(ReferenceBackend(poison=True).compile(gap).run(feeds)["y"]).all()
    assert not np.isnan(ReferenceBackend().compile(gap).run(feeds)["y"]).any()


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8"])
def test_poison_is_not_a_number(dtype: str) -> None:
    assert np.isnan(np.full(8, POISON, dtype=np.uint8).view(dtype)).all()


def test_results_are_the_callers() -> None:
    executable = ReferenceBackend().compile(make_plan(doubled()))
    one = executable.run({"x": np.ones(4, dtype=np.float32)})["y"]
    two = executable.run({"x": np.zeros(4, dtype=np.float32)})["y"]
    assert one.tolist() == [2.0] * 4
    assert two.tolist() == [0.0] * 4
    one += 1
    assert executable.run({"x": np.ones(4, dtype=np.float32)})["y"].tolist() == [2.0] * 4


def test_feeds_may_lie_in_any_order() -> None:
    executable = ReferenceBackend().compile(make_plan(doubled((2, 3))))
    x = np.arange(6, dtype=np.float32).reshape(3, 2).T
    assert np.array_equal(executable.run({"x": x})["y"], 2 * x)


def test_constants_of_every_element_type() -> None:
    b = Builder(Graph("constants"))
    arrays = {dtype: np.arange(5).astype(dtype.numpy) for dtype in DType}
    for dtype, array in arrays.items():
        b.graph.outputs[dtype.value] = b.emit(constant, attrs=ConstantAttrs.of(array))
    kind = TensorType(DType.I64, (2,))
    b.graph.outputs["filled"] = b.emit(full, attrs=FullAttrs(kind, 3))
    found = ReferenceBackend(poison=True).compile(make_plan(b.graph)).run({})
    for dtype, array in arrays.items():
        assert bits(found[dtype.value]) == bits(array)
    assert found["filled"].tolist() == [3, 3]


def test_preparation_follows_the_state() -> None:
    b = Builder(Graph("prepared"))
    x = b.emit(input_, attrs=InputAttrs(f32(3)), name="x")
    w = b.emit(parameter, attrs=ParameterAttrs(f32(3)), name="w")
    b.graph.outputs["y"] = b.emit(add, x, b.emit(mul, w, b.emit(neg, w)))
    executable = ReferenceBackend(poison=True).compile(make_plan(b.graph))
    x0 = {"x": np.zeros(3, dtype=np.float32)}
    for value in (2.0, 3.0):
        executable.load_state({"w": np.full(3, value, dtype=np.float32)})
        assert executable.run(x0)["y"].tolist() == [-value * value] * 3


def failing(shape: tuple[int, ...] | None) -> Op[Attrs]:
    """An op that makes an array of `shape`, or raises."""
    op = stray_op("stray")

    def rule(node: object, x: Array) -> Array:
        if shape is None:
            raise ZeroDivisionError("nothing to divide by")
        return np.zeros(shape, dtype=np.float32)

    reference.rule(op)(rule)
    return op


def stray(op: Op[Attrs]) -> Executable:
    b = Builder(Graph("stray"), Origin(Span("net.cnn", 3, 5, 3, 9)))
    x = b.emit(input_, attrs=InputAttrs(f32(4)), name="x")
    b.graph.outputs["y"] = b.emit(op, x, name="layer")
    return ReferenceBackend().compile(make_plan(b.graph))


def test_errors_say_which_step_and_which_line() -> None:
    x = {"x": np.ones(4, dtype=np.float32)}
    with pytest.raises(BackendError) as caught:
        stray(failing(None)).run(x)
    assert str(caught.value) == (
        "ZeroDivisionError: nothing to divide by\nwhile running layer (stray), from net.cnn:3:5"
    )
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


def test_a_rule_that_makes_another_shape_is_refused() -> None:
    with pytest.raises(BackendError, match=r"made shape \(1,\), not \(4,\)\nwhile running layer"):
        stray(failing((1,))).run({"x": np.ones(4, dtype=np.float32)})


def test_arithmetic_is_silent_about_values_that_are_no_numbers() -> None:
    b = Builder(Graph("log"))
    x = b.emit(input_, attrs=InputAttrs(f32(2)), name="x")
    b.graph.outputs["y"] = b.emit(log, x)
    executable = ReferenceBackend().compile(make_plan(b.graph))
    found = executable.run({"x": np.array([0.0, -1.0], dtype=np.float32)})["y"]
    assert found[0] == -np.inf
    assert np.isnan(found[1])


def test_threads_share_an_executable() -> None:
    b = Builder(Graph("shared"))
    x = b.emit(input_, attrs=InputAttrs(f32(64, 64)), name="x")
    w = b.emit(parameter, attrs=ParameterAttrs(f32(64, 64)), name="w")
    value = x
    for _ in range(5):
        value = b.emit(sub, b.emit(mul, value, w), x)
    b.graph.outputs["y"] = value
    executable = ReferenceBackend(poison=True).compile(make_plan(b.graph))
    executable.load_state(feeds_of(b.graph, parameter))
    wanted = {seed: executable.run(feeds_of(b.graph, input_, seed))["y"] for seed in range(4)}
    wrong: list[int] = []
    start = threading.Barrier(4)

    def work(seed: int) -> None:
        feeds = feeds_of(b.graph, input_, seed)
        start.wait()
        for _ in range(50):
            if not np.array_equal(executable.run(feeds)["y"], wanted[seed]):
                wrong.append(seed)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_threads_that_update_take_turns() -> None:
    inside = 0
    together: list[int] = []
    op = stray_op("slow")

    def rule(node: object, x: Array) -> Array:
        nonlocal inside
        inside += 1
        together.append(inside)
        time.sleep(0.001)
        inside -= 1
        return x + 1

    reference.rule(op)(rule)
    b = Builder(Graph("count"))
    attrs = ParameterAttrs(TensorType(DType.I64, (4,)))
    count = b.emit(parameter, attrs=attrs, name="count")
    b.graph.updates[NodeId("count")] = b.emit(op, count)
    executable = ReferenceBackend().compile(make_plan(b.graph))
    executable.load_state({"count": np.zeros(4, dtype=np.int64)})

    def work() -> None:
        for _ in range(5):
            executable.run({})

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert together == [1] * 20
    assert executable.read_state()["count"].tolist() == [20] * 4


def test_slots_are_aligned_in_memory() -> None:
    plan = make_plan(doubled(), alignment=256)
    executable = ReferenceBackend().compile(plan)
    assert isinstance(executable, ReferenceExecutable)
    executable.run({"x": np.ones(4, dtype=np.float32)})
    (frame,) = executable._idle
    used = [memory for memory in frame.memory.values() if memory.size]
    assert [memory.ctypes.data % 256 for memory in used] == [0, 0]
    assert frame.memory[Arena.WORKSPACE].size == plan.arena_bytes[Arena.WORKSPACE]


def test_operands_are_read_only() -> None:
    b = Builder(Graph("greedy"))

    op = stray_op("greedy")

    def rule(node: object, x: Array) -> Array:
        x += 1
        return x

    reference.rule(op)(rule)
    x = b.emit(input_, attrs=InputAttrs(f32(2)), name="x")
    b.graph.outputs["y"] = b.emit(op, x)
    with pytest.raises(BackendError, match="read-only"):
        ReferenceBackend().compile(make_plan(b.graph)).run({"x": np.ones(2, dtype=np.float32)})


def test_results_take_the_elements_of_their_type() -> None:
    b = Builder(Graph("count"))
    x = b.emit(input_, attrs=InputAttrs(TensorType(DType.U8, (3,))), name="x")
    y = b.emit(add, x, x)
    b.graph.outputs["y"] = y
    feed = np.array([1, 100, 200], dtype=np.uint8)
    found = ReferenceBackend().compile(make_plan(b.graph)).run({"x": feed})["y"]
    assert bits(found) == bits(compute(b.graph[y], feed, feed)[0])
    assert found.dtype == np.uint8
