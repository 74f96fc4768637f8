from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from cnndsl.ir.builder import Builder
from cnndsl.ir.graph import Graph
from cnndsl.ir.types import f32
from cnndsl.ops.elementwise import add, neg
from cnndsl.ops.shape import ReshapeAttrs, reshape
from cnndsl.ops.structural import InputAttrs, input_
from cnndsl.plan.liveness import BEFORE, lifetimes, most_live, of_memory
from cnndsl.plan.partition import partition
from cnndsl.plan.plan import Lifetime


def test_lifetimes_of_a_chain_with_a_view() -> None:
    b = Builder(Graph("net"))
    x = b.emit(input_, attrs=InputAttrs(f32(2, 3)), name="x")
    one = b.emit(neg, x)
    flat = b.emit(reshape, one, attrs=ReshapeAttrs((6,)))
    two = b.emit(neg, one)
    three = b.emit(neg, flat)
    end = b.emit(add, three, three)
    b.graph.outputs.update(two=two, end=end)
    part = partition(b.graph)
    found = lifetimes(b.graph, part.run, part.origin, b.graph.roots())
    assert found == {
        x: Lifetime(BEFORE, 0),
        one: Lifetime(0, 1),
        flat: Lifetime(0, 2),
        two: Lifetime(1, 4),
        three: Lifetime(2, 3),
        end: Lifetime(3, 4),
    }
    assert of_memory(found, part.origin)[one] == Lifetime(0, 2)


spans = st.lists(
    st.tuples(
        st.builds(lambda a, n: Lifetime(a, a + n), st.integers(-1, 8), st.integers(0, 5)),
        st.integers(0, 20),
    ),
    max_size=12,
)


@given(spans)
def test_most_live_is_the_largest_sum_of_any_step(held: list[tuple[Lifetime, int]]) -> None:
    sums = [
        sum(size for life, size in held if life.first <= step <= life.last)
        for step in range(-1, 15)
    ]
    assert most_live(held) == max(sums)
