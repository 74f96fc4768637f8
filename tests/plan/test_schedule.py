from __future__ import annotations

from collections.abc import Callable
from itertools import permutations
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from cnndsl.plan.schedule import (
    Problem,
    Task,
    greedy_backward,
    greedy_forward,
    order,
    peak,
)


@st.composite
def problems(draw: Callable[[st.SearchStrategy[Any]], Any], *, most: int = 12) -> Problem:
    """Random launches: task i writes memory i and perhaps one more, and reads earlier ones."""
    tasks: list[Task] = []
    sizes: list[int] = []
    written: list[int] = []
    for index in range(draw(st.integers(1, most))):
        reads = tuple(draw(st.sets(st.sampled_from(written), max_size=3))) if written else ()
        writes = tuple(range(len(sizes), len(sizes) + draw(st.integers(1, 2))))
        sizes.extend(draw(st.integers(0, 9)) for _ in writes)
        earlier = st.sets(st.integers(0, index - 1), max_size=1) if index else st.just(set())
        reuses = reads[:1] if draw(st.booleans()) else ()
        tasks.append(Task(reads, writes, tuple(draw(earlier)), reuses))
        written.extend(writes)
    kept = draw(st.sets(st.sampled_from(written), max_size=2))
    return Problem(tuple(tasks), tuple(sizes), frozenset(kept))


def possible(problem: Problem, sequence: tuple[int, ...]) -> bool:
    place = {index: position for position, index in enumerate(sequence)}
    return sorted(sequence) == list(range(len(problem.tasks))) and all(
        place[earlier] < place[index]
        for index, needed in enumerate(problem.edges())
        for earlier in needed
    )


@settings(max_examples=200)
@given(problems())
def test_every_order_is_possible(problem: Problem) -> None:
    for make in (order, greedy_forward, greedy_backward):
        assert possible(problem, make(problem))


@settings(max_examples=200)
@given(problems())
def test_order_is_never_worse_than_the_one_given(problem: Problem) -> None:
    assert peak(problem, order(problem)) <= peak(problem, range(len(problem.tasks)))


@settings(max_examples=60)
@given(problems(most=6))
def test_order_is_no_better_than_the_best_and_mostly_as_good(problem: Problem) -> None:
    orders = filter(lambda s: possible(problem, s), permutations(range(len(problem.tasks))))
    best = min(peak(problem, sequence) for sequence in orders)
    found = peak(problem, order(problem))
    assert best <= found <= 2 * best


@settings(max_examples=100)
@given(problems())
def test_peak_is_what_a_slow_count_says(problem: Problem) -> None:
    tasks = problem.tasks
    highest = 0
    for position, index in enumerate(range(len(tasks))):
        read_later = {m for task in tasks[position + 1 :] for m in task.reads} | problem.kept
        made = {m for task in tasks[:position] for m in task.writes}
        before = {m for m in made if m in read_later or m in tasks[index].reads}
        during = sum(problem.sizes[m] for m in before | set(tasks[index].writes))
        first = tasks[index].writes[0]
        dying = [m for m in tasks[index].reuses if m not in read_later and problem.sizes[m]]
        if dying and problem.sizes[first]:
            during -= problem.sizes[dying[0]]
        highest = max(highest, during)
    assert peak(problem, range(len(tasks))) == highest


def test_branches_are_finished_one_by_one() -> None:
    # Four branches from one source, each a large middle and a small end: widest-first would
    # hold four middles at once.
    tasks = [Task((), (0,))]
    sizes = [10]
    tasks.extend(Task((0,), (1 + i,)) for i in range(4))
    sizes.extend([100] * 4)
    tasks.extend(Task((1 + i,), (5 + i,)) for i in range(4))
    sizes.extend([1] * 4)
    tasks.append(Task((5, 6, 7, 8), (9,)))
    sizes.append(1)
    problem = Problem(tuple(tasks), tuple(sizes), frozenset({9}))
    assert peak(problem, range(len(tasks))) == 10 + 400
    assert peak(problem, order(problem)) == 10 + 3 + 100


def test_cheap_sources_are_made_late() -> None:
    # A mask that only the last step reads must not lie around while the chain runs.
    tasks = [Task((), (0,))]
    sizes = [50]
    for index in range(1, 5):
        tasks.append(Task((2 * index - 2,), (2 * index - 1,)))
        tasks.append(Task((2 * index - 1,), (2 * index,)))
        sizes.extend([60, 50])
    tasks.insert(0, Task((), (len(sizes),)))
    sizes.append(40)
    tasks.append(Task((8, len(sizes) - 1), (len(sizes),)))
    sizes.append(1)
    problem = Problem(tuple(tasks), tuple(sizes), frozenset({len(sizes) - 1}))
    assert peak(problem, range(len(tasks))) == 150
    assert peak(problem, order(problem)) == 110


def test_what_frees_memory_goes_first() -> None:
    # Seen from the end, the unread 5 looks as well placed before the 2 as at the start.
    tasks = (Task((), (0,)), Task((), (1,)), Task((0,), (2,)))
    problem = Problem(tasks, (4, 5, 2), frozenset({2}))
    assert peak(problem, greedy_forward(problem)) == peak(problem, order(problem)) == 6
    assert peak(problem, greedy_backward(problem)) == 7


def test_order_keeps_to_what_must_come_earlier() -> None:
    tasks = (Task((), (0,)), Task((0,), (1,)), Task((), (2,), after=(1,)))
    for make in (greedy_forward, greedy_backward):
        assert make(Problem(tasks, (9, 9, 0))) == (0, 1, 2)


def test_five_thousand_tasks_are_ordered() -> None:
    tasks = [Task((), (0,))]
    for index in range(1, 5000):
        far = max(0, index - 1 - index % 50)
        tasks.append(Task(tuple({index - 1, far}), (index,)))
    problem = Problem(tuple(tasks), (64,) * 5000, frozenset({4999}))
    assert possible(problem, order(problem))
