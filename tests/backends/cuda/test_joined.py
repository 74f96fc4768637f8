"""Steps joined into chains and waves: every order of reads and writes is kept."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cnndsl.backends.cuda import joined, joined_launch
from cnndsl.backends.cuda.driver import Run, Stretch
from cnndsl.backends.cuda.emulated.driver import ORDERS, EmulatedDriver
from cnndsl.backends.cuda.joined import Chain, Update, waves
from cnndsl.backends.cuda.joined_launch import SPAN, wave_launch
from cnndsl.backends.cuda.kernel import Access
from cnndsl.ir.builder import Builder
from cnndsl.ir.graph import Graph
from cnndsl.ir.op import Op
from cnndsl.ir.types import f32
from cnndsl.ops.elementwise import add, mul
from cnndsl.ops.rules import Array
from cnndsl.ops.structural import InputAttrs, input_
from cnndsl.plan.memory import make_plan
from cnndsl.plan.plan import Step
from cnndsl.support.diagnostics import BackendError
from tests.backends.cuda.emulation import driver, needs_emulator

SIZE = SPAN + 5
"""Elements of an array: more than a block has."""


def step(op: Op[Any], *shapes: tuple[int, ...]) -> Step:
    b = Builder(Graph("g"))
    kinds = [InputAttrs(f32(*shape)) for shape in shapes]
    xs = [b.emit(input_, attrs=kind, name=f"x{i}") for i, kind in enumerate(kinds)]
    b.graph.outputs["y"] = b.emit(op, *xs)
    (made,) = make_plan(b.graph, alignment=256).steps
    return made


ADD, MUL, ADD_ONE = step(add, (SIZE,), (SIZE,)), step(mul, (SIZE,), (SIZE,)), step(add, (SIZE,), ())
ONE, SHORT = step(add, (), ()), step(add, (7,), (7,))


def shape_of(found: list[list[Chain]], names: list[Update]) -> list[list[list[int]]]:
    """Give the numbers of the updates, wave by wave and chain by chain."""
    return [[[names.index(u) for u in chain.updates] for chain in wave] for wave in found]


def sorted_into(*updates: Update) -> list[list[list[int]]]:
    return shape_of(waves(updates), list(updates))


def test_what_follows_on_the_same_elements_is_one_chain() -> None:
    moved = Update(ADD, (1, 2), 1)
    assert sorted_into(moved, Update(ADD, (3, 1), 3)) == [[[0, 1]]]
    # What is read before it is overwritten, too.
    assert sorted_into(Update(ADD, (3, 1), 3), moved) == [[[0, 1]]]
    # Two that meet in a third.
    assert sorted_into(moved, Update(ADD, (4, 5), 4), Update(ADD, (1, 4), 6)) == [[[0, 1, 2]]]


def test_what_does_not_meet_is_one_wave() -> None:
    assert sorted_into(Update(ADD, (1, 2), 1), Update(SHORT, (3, 2), 3)) == [[[0], [1]]]


def test_a_number_that_arrays_read_comes_in_a_wave_of_its_own() -> None:
    number, reader = Update(ONE, (1, 2), 1), Update(ADD_ONE, (3, 1), 3)
    assert sorted_into(number, reader) == [[[0]], [[1]]]
    assert sorted_into(reader, number) == [[[0]], [[1]]]


def test_a_chain_waits_for_what_its_last_step_waits_for() -> None:
    """The moments of a weight wait for the number of the step, as the weight does."""
    steps, moment = Update(ONE, (1, 2), 1), Update(ADD, (3, 4), 3)
    second, weight = Update(ADD_ONE, (3, 1), 6), Update(ADD, (6, 3), 5)
    assert sorted_into(steps, moment, second, weight) == [[[0]], [[1, 2, 3]]]


def test_a_chain_that_another_one_waits_for_stays_where_it_is() -> None:
    first, number = Update(SHORT, (1, 2), 1), Update(ONE, (3, 4), 3)
    reader = Update(step(add, (), (7,)), (3, 1), 9)
    longer = Update(step(add, (), (SIZE,)), (9, 5), 5)  # reads what is 7 long as if it were one
    found = sorted_into(first, number, reader, longer, Update(SHORT, (1, 9), 1))
    places = {n: w for w, wave in enumerate(found) for chain in wave for n in chain}
    assert places[1] < places[2] < places[3]
    assert places[0] <= places[2] <= places[4]


def test_what_later_parts_alone_read_is_not_stored() -> None:
    between = Update(ADD, (1, 2), 8, kept=False)
    inside, after = Update(ADD, (8, 3), 3), Update(SHORT, (8, 4), 4)
    (chain,) = waves([between, inside])[0]
    assert chain.inner == {8}
    assert wave_launch([chain]).rows.tolist() == [SIZE, 1, 2, 3]
    assert all(not c.inner for wave in waves([between, inside, after]) for c in wave)
    assert all(not c.inner for wave in waves([Update(ADD, (1, 2), 8), inside]) for c in wave)


def test_a_chain_is_of_bounded_length() -> None:
    updates = [Update(ADD, (n, n + 1), n + 1) for n in range(20)]
    found = sorted_into(*updates)
    lengths = [len(chain) for wave in found for chain in wave]
    assert sum(lengths) == 20
    assert max(lengths) == joined.MOST_PARTS
    assert [n for wave in found for chain in wave for n in chain] == list(range(20))


def simulate(updates: list[Update], memory: dict[int, Array]) -> None:
    """Do the updates one after the other."""
    for update in updates:
        a, b = (memory[address] for address in update.operands)
        found = a * b if update.step.node.op is mul else a + b
        memory[update.result] = found.astype(np.float32)


@needs_emulator
@pytest.mark.parametrize("seed", range(12))
def test_random_updates_are_those_done_one_by_one(seed: int) -> None:
    """In every order of threads, and of the chains of a wave."""
    rng = np.random.default_rng(seed)
    kinds = [(SIZE,), (SIZE,), (SIZE,), (7,), (7,), (), (), ()]
    shapes = dict(enumerate(kinds))
    updates = []
    for _ in range(14):
        target = int(rng.integers(len(kinds)))
        fitting = [p for p in shapes if shapes[p] in ((), shapes[target])]
        first, second = (int(rng.choice(fitting)) for _ in range(2))
        if shapes[first] != shapes[target]:
            first = target
        made = step(mul if rng.random() < 0.3 else add, shapes[first], shapes[second])
        updates.append((made, (first, second), target))
    begin = {p: rng.uniform(-1, 1, shapes[p]).astype(np.float32) for p in shapes}
    expected = dict(begin)
    simulate([Update(made, reads, writes) for made, reads, writes in updates], expected)
    for order in ORDERS:
        machine = driver(order)
        found = run(machine, updates, begin, backwards=order == ORDERS[1])
        for place, array in expected.items():
            assert np.array_equal(found[place], array, equal_nan=True), (place, order)


def run(
    machine: EmulatedDriver,
    updates: list[tuple[Step, tuple[int, int], int]],
    begin: dict[int, Array],
    *,
    backwards: bool,
) -> dict[int, Array]:
    places = {p: machine.allocate(max(256, array.nbytes)) for p, array in begin.items()}
    for place, array in begin.items():
        machine.write(places[place], array)
    bound = [Update(m, (places[a], places[b]), places[y]) for m, (a, b), y in updates]
    for wave in waves(bound):
        made = wave_launch(wave[::-1] if backwards else wave)
        tables = []
        for table in (made.rows, made.blocks):
            address = machine.allocate(table.nbytes)
            machine.write(address, table)
            tables.append(Stretch(address, table.nbytes, Access.READ))
        machine.load([made.launch])
        machine.do([Run(made.launch, tuple(tables))])
    found = {}
    for place, array in begin.items():
        found[place] = np.empty_like(array)
        machine.read(places[place], found[place])
    return found


FAULTS = [
    ("_KERNEL", "mine[1] * (long long)$SPAN +", "$SPAN +"),
    ("_KERNEL", "rows + mine[0]", "rows"),
    ("_CASE", "i < size", "i + 1 < size"),
]


@needs_emulator
@pytest.mark.parametrize(("name", "right", "wrong"), FAULTS, ids=range(len(FAULTS)))
def test_a_fault_in_the_template_is_found(
    monkeypatch: pytest.MonkeyPatch, name: str, right: str, wrong: str
) -> None:
    text = getattr(joined_launch, name)
    assert right in text
    monkeypatch.setattr(joined_launch, name, text.replace(right, wrong))
    with pytest.raises((AssertionError, BackendError)):
        _several()


def _several() -> None:
    for seed in range(4):
        test_random_updates_are_those_done_one_by_one(seed)
