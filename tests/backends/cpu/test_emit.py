"""The emitter: loops, masks, strides and shuffles do what they say."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnndsl.backends.cpu import lanes as vectors
from cnndsl.backends.cpu.emit import Chunk, FunctionEmitter
from cnndsl.backends.cpu.llvm import F32, I64, PTR, Index, Module, V, constant
from cnndsl.backends.cpu.target import HASWELL, host_target
from tests.backends.cpu.machine import Function, needs_jit

pytestmark = needs_jit


def copy_chunks(
    length: int, lanes: int, start: int = 0
) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    """Copy elements [start, length) in chunks, and give what is left of ones around them."""
    source = np.arange(64, dtype=np.float32)
    target = -np.ones(64, np.float32)

    def body(f: FunctionEmitter, places: Sequence[V]) -> None:
        def one(chunk: Chunk) -> None:
            f.store_chunk(f.load_chunk(F32, places[0], chunk), places[1], chunk)

        vectors.each_chunk(f, length, lanes, one, start=start)

    Function(body, 2, host_target())(source, target)
    return target


@given(st.integers(0, 60), st.sampled_from([0, 4, 8, 16]), st.integers(0, 5))
def test_chunks_cover_a_range_and_nothing_else(length: int, lanes: int, start: int) -> None:
    stop = max(length, start)
    expected = -np.ones(64, np.float32)
    expected[start:stop] = np.arange(start, stop)
    assert np.array_equal(copy_chunks(stop, lanes, start), expected)


@pytest.mark.parametrize("stop", range(9))
def test_loops_whose_end_is_known_late_run_as_often(stop: int) -> None:
    count = np.array([stop, 0], np.int64)

    def body(f: FunctionEmitter, places: Sequence[V]) -> None:
        with f.loop(1, f.load(I64, places[0]), 2) as i:
            known = f.load(I64, places[0], 1)
            f.store(f.index(f.iadd(known, i)), places[0], 1)

    Function(body, 1, host_target())(count)
    assert count[1] == sum(range(1, stop, 2))


def test_indices_that_are_known_cost_nothing() -> None:
    f = FunctionEmitter(Module("test", HASWELL), "test", [(PTR, "place")], local=False)
    with f.loop(0, 1) as once:
        assert once == 0
    assert f.iadd(2, f.imul(3, 4), f.idiv(9, 2), f.irem(9, 2)) == 19
    assert f.imin(3, f.imax(4, 5)) == 3
    assert f.unravel(23, (2, 3, 4)) == [1, 2, 3]
    assert f.dot((1, 2), (10, 100)) == 210
    f.finish()
    assert f.module.functions[0].count("\n") == 3


@pytest.mark.parametrize("stride", [1, 2, 3, 4])
@pytest.mark.parametrize("count", [16, 11, 1])
def test_strides_are_read_and_written_alike(stride: int, count: int) -> None:
    source = np.arange(128, dtype=np.float32)
    target = -np.ones(128, np.float32)

    def body(f: FunctionEmitter, places: Sequence[V]) -> None:
        mask = vectors.mask_below(f, count, 16)
        wide = F32.times(16)
        value = vectors.load_strided(f, wide, places[0], 5, stride, mask)
        vectors.store_strided(f, value, places[1], 7, stride, mask)

    Function(body, 2, host_target())(source, target)
    expected = -np.ones(128, np.float32)
    expected[7 : 7 + count * stride : stride] = source[5 : 5 + count * stride : stride]
    assert np.array_equal(target, expected)


@pytest.mark.parametrize("lanes", [4, 8, 16])
def test_squares_are_turned(lanes: int) -> None:
    square = np.arange(lanes * lanes, dtype=np.float32)
    turned = np.zeros_like(square)

    def body(f: FunctionEmitter, places: Sequence[V]) -> None:
        rows = [f.load(F32.times(lanes), places[0], r * lanes) for r in range(lanes)]
        for r, row in enumerate(vectors.transposed(f, rows)):
            f.store(row, places[1], r * lanes)

    Function(body, 2, host_target())(square, turned)
    assert np.array_equal(turned.reshape(lanes, lanes), square.reshape(lanes, lanes).T)


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_vectors_are_interleaved(count: int) -> None:
    rows = np.arange(count * 8, dtype=np.float32)
    mixed = np.zeros_like(rows)

    def body(f: FunctionEmitter, places: Sequence[V]) -> None:
        values = [f.load(F32.times(8), places[0], r * 8) for r in range(count)]
        for r, vector in enumerate(vectors.interleave(f, values)):
            f.store(vector, places[1], r * 8)

    Function(body, 2, host_target())(rows, mixed)
    assert np.array_equal(mixed, rows.reshape(count, 8).T.reshape(-1))


@pytest.mark.parametrize("count", [1, 2, 4, 8])
def test_lanes_are_summed(count: int) -> None:
    rows = np.arange(count * 8, dtype=np.float32)
    sums = np.zeros(count + 1, np.float32)

    def body(f: FunctionEmitter, places: Sequence[V]) -> None:
        values = [f.load(F32.times(8), places[0], r * 8) for r in range(count)]
        f.store(vectors.sums_across(f, values), places[1])
        f.store(vectors.across(f, values[0], f.add), places[1], count)

    Function(body, 2, host_target())(rows, sums)
    expected = rows.reshape(count, 8).sum(axis=1)
    assert np.array_equal(sums, [*expected, expected[0]])


def test_masks_tell_where_windows_are() -> None:
    found = np.zeros(16, np.float32)

    def body(f: FunctionEmitter, places: Sequence[V]) -> None:
        start = f.op(I64, "add i64 -4, 0")
        places_of: tuple[Index, Index] = (start, -4)
        for half, begin in enumerate(places_of):
            mask = vectors.mask_within(f, begin, 9, 8, step=2)
            wide = F32.times(8)
            one = f.select(mask, constant(wide, 1.0), constant(wide, 0.0))
            f.store(one, places[0], half * 8)

    Function(body, 1, host_target())(found)
    assert np.array_equal(found, [0, 0, 1, 1, 1, 1, 1, 0] * 2)
