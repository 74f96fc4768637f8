"""The order of execution: as few live bytes as a greedy choice can reach, always the same one."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Task:
    """One launch as the scheduler sees it; memories are numbered."""

    reads: tuple[int, ...] = ()
    """Memories it reads, each once."""
    writes: tuple[int, ...] = ()
    """Memories it fills; each memory has one writer at most."""
    after: tuple[int, ...] = ()
    """Tasks that must come earlier although this one reads nothing of theirs."""
    reuses: tuple[int, ...] = ()
    """Memories of `reads` whose bytes may become those of the first of `writes`, if they die."""


@dataclass(frozen=True, slots=True)
class Problem:
    """What is to be ordered. Tasks are given in an order that is possible."""

    tasks: tuple[Task, ...]
    """The launches."""
    sizes: tuple[int, ...]
    """Bytes of each memory; 0 for one that lies outside the workspace."""
    kept: frozenset[int] = frozenset()
    """Memories that are needed after the last task."""

    def readers(self) -> list[list[int]]:
        """Give the tasks that read each memory."""
        readers: list[list[int]] = [[] for _ in self.sizes]
        for index, task in enumerate(self.tasks):
            for memory in task.reads:
                readers[memory].append(index)
        return readers

    def edges(self) -> list[tuple[int, ...]]:
        """Give for each task the tasks that must come earlier, each once."""
        writer = {m: index for index, task in enumerate(self.tasks) for m in task.writes}
        return [
            tuple(dict.fromkeys((*(writer[m] for m in task.reads if m in writer), *task.after)))
            for task in self.tasks
        ]


def order(problem: Problem) -> tuple[int, ...]:
    """Order the tasks so that the peak of live bytes is low.

    Three orders are made and the one of the lowest peak is taken, the first of equals: the order
    given; forward greedy, which launches what grows memory least; and backward greedy, which does
    the same from the end, and so computes cheap things late instead of early. Each takes
    O((n + e) log n).
    """
    given = tuple(range(len(problem.tasks)))
    orders = (given, greedy_forward(problem), greedy_backward(problem))
    return min(orders, key=lambda candidate: peak(problem, candidate))


def peak(problem: Problem, sequence: Sequence[int]) -> int:
    """Give the most bytes that are live at once when tasks run in this order."""
    left = [len(readers) for readers in problem.readers()]
    for memory in problem.kept:
        left[memory] += 1
    sizes = problem.sizes
    live = highest = 0
    for index in sequence:
        task = problem.tasks[index]
        live += sum(sizes[memory] for memory in task.writes)
        for memory in task.reads:
            left[memory] -= 1
        reused = next((sizes[m] for m in task.reuses if not left[m] and sizes[m]), 0)
        if not task.writes or not sizes[task.writes[0]]:
            reused = 0
        highest = max(highest, live - reused)
        live -= sum(sizes[m] for m in (*task.reads, *task.writes) if not left[m])
    return highest


def greedy_forward(problem: Problem) -> tuple[int, ...]:
    """Launch, of what can run, that which grows live bytes least; ties go by the order given."""
    readers = problem.readers()
    left = [len(tasks) + (memory in problem.kept) for memory, tasks in enumerate(readers)]
    sizes = problem.sizes

    def growth(index: int) -> int:
        task = problem.tasks[index]
        made = sum(sizes[m] for m in task.writes if left[m])
        return made - sum(sizes[m] for m in task.reads if left[m] == 1)

    def touched(index: int) -> list[int]:
        """Count the reads; give the tasks whose growth that changed: last readers."""
        changed: list[int] = []
        for memory in problem.tasks[index].reads:
            left[memory] -= 1
            if left[memory] == 1:
                changed.extend(readers[memory])
        return changed

    return _greedy(problem.edges(), growth, touched)


def greedy_backward(problem: Problem) -> tuple[int, ...]:
    """Choose the last task first: that which, seen backwards, grows live bytes least."""
    readers = problem.readers()
    live = [memory in problem.kept for memory in range(len(problem.sizes))]
    sizes = problem.sizes
    written = {memory for task in problem.tasks for memory in task.writes}

    def growth(index: int) -> int:
        task = problem.tasks[index]
        revived = sum(sizes[m] for m in task.reads if m in written and not live[m])
        return revived - sum(sizes[m] for m in task.writes if live[m])

    def touched(index: int) -> list[int]:
        changed: list[int] = []
        for memory in problem.tasks[index].reads:
            if not live[memory]:
                live[memory] = True
                changed.extend(readers[memory])
        return changed

    later: list[list[int]] = [[] for _ in problem.tasks]
    for index, earlier in enumerate(problem.edges()):
        for other in earlier:
            later[other].append(index)
    # Backwards, ties go to the youngest, so that equal choices keep the order given.
    return _greedy([tuple(tasks) for tasks in later], growth, touched, youngest=True)[::-1]


def _greedy(
    edges: Sequence[Sequence[int]],
    growth: Callable[[int], int],
    touched: Callable[[int], list[int]],
    *,
    youngest: bool = False,
) -> tuple[int, ...]:
    """List scheduling by least growth.

    Growth only ever falls while tasks are done, and who falls is pushed again, so the entry that
    comes up first for a task is the true one; the others find it done.
    """
    sign = -1 if youngest else 1
    waiting = [len(earlier) for earlier in edges]
    followers: list[list[int]] = [[] for _ in edges]
    for index, earlier in enumerate(edges):
        for other in earlier:
            followers[other].append(index)
    done = [False] * len(edges)
    heap = [(growth(i), sign * i) for i, count in enumerate(waiting) if not count]
    heapq.heapify(heap)
    sequence: list[int] = []
    while heap:
        index = sign * heapq.heappop(heap)[1]
        if done[index]:
            continue
        done[index] = True
        sequence.append(index)
        for other in touched(index):
            if not done[other] and not waiting[other]:
                heapq.heappush(heap, (growth(other), sign * other))
        for other in followers[index]:
            waiting[other] -= 1
            if not waiting[other]:
                heapq.heappush(heap, (growth(other), sign * other))
    return tuple(sequence)
