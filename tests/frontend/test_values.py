from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from cnndsl.frontend.values import MapValue, RangeValue, SizeValue, Symbol, same_value, show


def test_true_and_one_are_different() -> None:
    assert not same_value(True, 1)
    assert not same_value(0, False)
    assert same_value(2, 2.0)
    assert same_value((1, (2, 3)), (1, (2, 3)))
    assert not same_value((1, 2), (1, 2, 3))


def test_symbols_are_names() -> None:
    assert same_value(Symbol("D"), Symbol("D"))
    assert show((Symbol("D"), "D")) == '[D, "D"]'


def test_a_map_gives_what_is_at_its_key() -> None:
    table = MapValue(((18, (2, 2)), (Symbol("A"), 7)))
    assert table.get(18) == (2, 2)
    assert table.get(Symbol("A")) == 7
    assert table.get(19) is None
    assert show(table) == "[18: [2, 2], A: 7]"


def test_sizes_are_written_as_the_papers_do() -> None:
    assert str(SizeValue((7, 7), 2)) == "7x7/2"
    assert str(SizeValue((None, 3))) == "?x3"


@given(
    st.integers(-20, 20),
    st.integers(-20, 20),
    st.integers(-5, 5).filter(bool),
    st.integers(-30, 30),
)
def test_a_range_holds_what_it_walks(start: int, stop: int, step: int, value: int) -> None:
    turns = RangeValue(start, stop, step)
    walked = list(turns)
    assert len(walked) == len(turns)
    assert walked == list(range(start, stop + (1 if step > 0 else -1), step))
    if walked:
        low, high = sorted((start, stop))
        assert turns.holds(value) == (low <= value <= high and (value - start) % step == 0)


def test_a_range_of_fractions_holds_everything_between() -> None:
    assert RangeValue(0.1, 0.5).holds(0.25)
    assert not RangeValue(0.1, 0.5).holds(0.75)
    assert not RangeValue(1, 5).holds(2.5)
    assert not RangeValue(1, 5).holds(True)
