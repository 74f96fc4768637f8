"""Threads: the same bits however many there are, whoever calls, and after a fork."""

from __future__ import annotations

import multiprocessing
import threading
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import numpy as np
import pytest

from cnndsl.backends.cpu import cost
from cnndsl.backends.cpu.backend import CpuBackend
from cnndsl.backends.cpu.kernel import Phase
from cnndsl.backends.cpu.objects import ObjectStore
from cnndsl.backends.cpu.target import host_target
from cnndsl.backends.cpu.threads import Crew
from cnndsl.compiler import CompileOptions, lower_network, optimize
from cnndsl.ir.graph import Graph
from cnndsl.layers.initializers import initial_state
from cnndsl.ops.rules import Array
from cnndsl.plan.memory import make_plan
from cnndsl.runtime.executable import Executable
from tests.backends.cpu.machine import needs_jit
from tests.zoo.networks import Subject, feeds

pytestmark = needs_jit

NETWORKS = ["lenet", "keras_mnist"]


@pytest.fixture
def eager(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give every phase all threads, however little work it has."""
    monkeypatch.setattr(cost, "NS_PER_THREAD", 1e-3)


def graph_of(name: str, *, train: bool, batch: int = 6) -> Graph:
    subject = Subject.of(name)
    options = CompileOptions(batch=batch)
    lowered = lower_network(subject.network, options, training=subject.training if train else None)
    return optimize(lowered, options)


def compiled(graph: Graph, threads: int) -> Executable:
    executable = CpuBackend(threads=threads).compile(make_plan(graph))
    executable.load_state(initial_state(graph, 0))
    return executable


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("name", NETWORKS)
def test_a_training_step_leaves_the_same_bits_with_any_number_of_threads(name: str) -> None:
    graph = graph_of(name, train=True)
    given = feeds(graph)
    found = []
    for threads in (1, 2, 3, 4, 8):
        executable = compiled(graph, threads)
        outputs = [executable.run(given) for _ in range(2)][-1]
        found.append({**outputs, **executable.read_state()})
    for other in found[1:]:
        assert [name for name in other if not np.array_equal(other[name], found[0][name])] == []
    assert len(found[0]) > len(graph.outputs)


@pytest.mark.usefixtures("eager")
def test_threads_are_used_when_there_is_work_for_them() -> None:
    graph = graph_of("lenet", train=False)
    executable = compiled(graph, 3)
    executable.run(feeds(graph))
    workers = [t.name for t in threading.enumerate() if t.name.startswith("cnndsl-")]
    assert {"cnndsl-1", "cnndsl-2"} <= set(workers)


@pytest.mark.usefixtures("eager")
def test_callers_from_many_threads_get_the_same_bits() -> None:
    graph = graph_of("lenet", train=False)
    executable = compiled(graph, 2)
    given = [feeds(graph, seed) for seed in range(8)]
    expected = [executable.run(one) for one in given]
    wrong: list[int] = []

    def work(number: int) -> None:
        for _ in range(10):
            for name, array in executable.run(given[number]).items():
                if not np.array_equal(array, expected[number][name]):
                    wrong.append(number)

    callers = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert wrong == []


def _in_child(run: Callable[[], dict[str, Array]], pipe: object) -> None:
    pipe.send({name: array.tobytes() for name, array in run().items()})  # type: ignore[attr-defined]


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="no fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.usefixtures("eager")
def test_a_forked_child_has_threads_of_its_own() -> None:
    graph = graph_of("lenet", train=False)
    executable, given = compiled(graph, 2), feeds(graph)
    expected = executable.run(given)
    context = multiprocessing.get_context("fork")
    here, there = context.Pipe()
    child = context.Process(target=_in_child, args=(lambda: executable.run(given), there))
    child.start()
    assert here.poll(60), "the child gives no answer"
    found = here.recv()
    child.join()
    assert found == {name: array.tobytes() for name, array in expected.items()}
    again = executable.run(given)
    assert all(np.array_equal(again[name], expected[name]) for name in expected)


def test_a_crew_stops_and_starts_again() -> None:
    crew = Crew.shared()
    table = np.zeros((1, 8), np.int64)
    crew.run(table.ctypes.data, 0, 0, threads=3)
    crew.stop()
    assert not [t for t in threading.enumerate() if t.name.startswith("cnndsl-")]
    crew.run(table.ctypes.data, 0, 0, threads=3)


def test_small_work_is_done_alone() -> None:
    small = Phase("small", 100, flops=1e4, nbytes=1e4)
    large = Phase("large", 100, flops=1e8, nbytes=1e4)
    lumpy = Phase("lumpy", 3, flops=1e8, nbytes=1e4)
    assert [cost.deserved_threads(phase, 8) for phase in (small, large, lumpy)] == [1, 8, 3]


def test_a_program_that_is_over_before_workers_wake_is_run_alone() -> None:
    small = [Phase("small", 100, flops=1e6, nbytes=0)] * 3
    assert cost.deserved_threads(small[0], 8) > 1
    assert cost.deserved_crew(small, 8) == 1
    assert cost.deserved_crew(small * 3, 8) == 8


def test_the_code_of_a_crew_is_taken_from_the_store(tmp_path: Path) -> None:
    store = ObjectStore(tmp_path)
    Crew(host_target(), store)
    (kept,) = tmp_path.glob("*.o")
    with mock.patch("cnndsl.backends.cpu.compile.compile_object", side_effect=AssertionError):
        crew = Crew(host_target(), store)
    table = np.zeros((1, 8), np.int64)
    crew.run(table.ctypes.data, 0, 0, threads=2)
    crew.stop()
    assert list(tmp_path.glob("*.o")) == [kept]
