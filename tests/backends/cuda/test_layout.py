"""Where elements lie: what kernels are told is what the host's copies do."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from cnndsl.backends.cuda.layout import (
    axes_in_memory,
    coordinates,
    from_device,
    in_memory,
    is_turned,
    rows_in_order,
    same_order,
    strides_of,
    to_device,
    walk_over,
)
from cnndsl.backends.cuda.text import Walk
from cnndsl.ir.types import Shape

SHAPES = st.lists(st.integers(1, 4), max_size=5).map(tuple)


def places(walk: Walk) -> list[int]:
    """Follow a walk: its offset is an expression that Python reads as C++ does."""
    text = walk.offset("i").replace("/", "//")
    return [eval(text, {"i": i}) for i in range(walk.size)]


def lying(shape: Shape) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    """Give an array whose elements say where they lie on the device."""
    flat = np.arange(int(np.prod(shape)), dtype=np.int64)
    return from_device(flat.reshape(in_memory(shape)))


@given(SHAPES)
def test_arrays_come_back_as_they_went(shape: Shape) -> None:
    array = np.random.default_rng(0).random(shape)
    there = to_device(array)
    assert there.shape == in_memory(shape)
    assert there.flags.c_contiguous
    back = from_device(there)
    assert back.shape == shape
    assert np.array_equal(back, array)


@given(SHAPES)
def test_strides_and_coordinates_say_where_an_element_lies(shape: Shape) -> None:
    at = lying(shape)
    steps = strides_of(shape)
    for index in np.ndindex(shape):
        assert sum(i * s for i, s in zip(index, steps, strict=True)) == at[index]
        found = [eval(t.replace("/", "//"), {"i": int(at[index])}) for t in coordinates(shape, "i")]
        assert tuple(found) == index


@given(SHAPES)
def test_walks_visit_elements_as_they_lie_and_in_order(shape: Shape) -> None:
    at = lying(shape)
    assert places(walk_over(shape, strides_of(shape))) == list(range(at.size))
    assert places(rows_in_order(shape)) == at.reshape(-1).tolist()
    assert is_turned(shape) == (at.reshape(-1).tolist() != list(range(at.size)))


@given(SHAPES, st.data())
def test_a_view_is_what_moves_no_element(shape: Shape, data: st.DataObject) -> None:
    size = int(np.prod(shape))
    divisors = [n for n in range(1, size + 1) if size % n == 0]
    first = data.draw(st.sampled_from(divisors))
    second = data.draw(st.sampled_from([n for n in divisors if size // first % n == 0]))
    other = data.draw(
        st.sampled_from(
            [
                (size,),
                (first, size // first),
                (first, second, size // first // second, 1),
                (first, 1, second, size // first // second),
                (first, second, 1, 1, size // first // second),
            ]
        )
    )
    stays = lying(shape).reshape(other).tolist() == lying(other).tolist()
    assert same_order(shape, other) == stays


def test_the_second_axis_of_four_comes_last() -> None:
    assert axes_in_memory(4) == (0, 2, 3, 1)
    assert axes_in_memory(3) == (0, 1, 2)
    assert strides_of((2, 3, 4, 5)) == (60, 1, 15, 3)
