from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from cnndsl.plan.liveness import most_live
from cnndsl.plan.offsets import Placement, Request, place, round_up
from cnndsl.plan.plan import Lifetime

requests = st.builds(
    lambda first, length, size: Request(Lifetime(first, first + length), size),
    st.integers(-1, 30),
    st.integers(0, 10),
    st.integers(1, 50),
)


def live(wanted: list[Request]) -> int:
    return most_live((request.lifetime, request.nbytes) for request in wanted)


@settings(max_examples=200)
@given(st.lists(requests, max_size=30))
def test_what_lives_together_lies_apart(wanted: list[Request]) -> None:
    placed = place(wanted)
    ends = [o + r.nbytes for o, r in zip(placed.offsets, wanted, strict=True)]
    assert placed.nbytes == max(ends, default=0)
    assert placed.nbytes >= live(wanted)
    for i, one in enumerate(wanted):
        for j in range(i):
            if one.lifetime.overlaps(wanted[j].lifetime):
                assert ends[i] <= placed.offsets[j] or ends[j] <= placed.offsets[i]


@settings(max_examples=100)
@given(st.lists(requests, min_size=1, max_size=30))
def test_equal_sizes_waste_little(wanted: list[Request]) -> None:
    same = [Request(request.lifetime, 64) for request in wanted]
    assert place(same).nbytes <= 2 * live(same)


@settings(max_examples=100)
@given(st.lists(st.integers(1, 100), min_size=1, max_size=30))
def test_a_narrowing_chain_takes_its_first_two(sizes: list[int]) -> None:
    sizes.sort(reverse=True)
    chain = [Request(Lifetime(index, index + 1), size) for index, size in enumerate(sizes)]
    best = live(chain)
    assert place(chain).nbytes == best


def test_the_smallest_gap_that_will_do_is_taken() -> None:
    # With the lowest gap instead of the smallest, this takes 20.
    rows = ((4, 6, 6), (1, 2, 4), (2, 5, 4), (4, 7, 6), (3, 4, 1), (0, 1, 4), (0, 2, 6), (1, 3, 2))
    wanted = [Request(Lifetime(first, last), size) for first, last, size in rows]
    assert place(wanted).nbytes == live(wanted) == 17


def test_another_order_is_tried_when_largest_first_wastes() -> None:
    # Largest first puts both threes at the bottom, the two above them and the one on top: 6.
    wanted = [
        Request(Lifetime(3, 3), 3),
        Request(Lifetime(0, 1), 3),
        Request(Lifetime(0, 2), 1),
        Request(Lifetime(2, 4), 2),
    ]
    assert place(wanted).nbytes == live(wanted) == 5


def test_nothing_takes_nothing() -> None:
    assert place([]) == Placement((), 0)


def test_rounding() -> None:
    assert [round_up(n, 64) for n in (0, 1, 64, 65)] == [64, 64, 64, 128]


def test_five_thousand_requests_are_placed() -> None:
    wanted = [
        Request(Lifetime(index, index + 1 + index % 97), 64 * (1 + index * 7919 % 113))
        for index in range(5000)
    ]
    assert live(wanted) <= place(wanted).nbytes <= 1.25 * live(wanted)
